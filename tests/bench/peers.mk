.PHONY: setup-bench-peers evaluate-nano

setup-bench-peers: $(UV) ## .venv-peers with asn1tools, pycrate and confluent-kafka, which benchmarks are measured against
	@[ -x .venv-peers/bin/python ] || $(UV) venv -q --python $(PYTHON) .venv-peers
	$(UV) pip install -q --python .venv-peers/bin/python asn1tools==0.169.0 pycrate==0.8.1 confluent-kafka==2.16.1

evaluate-nano: $(VENV)/.ready ## the shipped networks on 40 held-out drives: camera + LiDAR, LiDAR alone, camera only; ARGS="--cells"
	$(BIN)/python tests/bench/bench_accuracy.py --all $(ARGS)
