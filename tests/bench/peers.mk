.PHONY: setup-bench-peers

setup-bench-peers: $(UV) ## .venv-peers with asn1tools and pycrate, which the codec benchmark is measured against
	@[ -x .venv-peers/bin/python ] || $(UV) venv -q --python $(PYTHON) .venv-peers
	$(UV) pip install -q --python .venv-peers/bin/python asn1tools==0.169.0 pycrate==0.8.1
