# The environment of nuscenes-devkit and TrackEval, the references that our nuScenes and HOTA figures are held against.
# The devkit declares numpy < 2 and an old matplotlib that no longer builds: it is installed without what it asks for.
DEVKIT_VENV := .venv-devkit
DEVKIT_PYTHON := $(DEVKIT_VENV)/bin/python
DEVKIT_SHARED := "numpy<2" numba scipy pandas==3.0.6 pillow pyarrow protobuf mcap zstandard foxglove-schemas-protobuf cryptography typer \
	rich pytest pytest-timeout pytest-xdist hypothesis
DEVKIT_IMPORTS := cachetools==8.0.1 fire==0.7.1 matplotlib==3.11.2 motmetrics==1.4.0 opencv-python-headless==4.11.0.86 \
	pyquaternion==0.9.9 scikit-learn==1.9.1 shapely==2.2.0 tqdm==4.70.1
DEVKIT_ITSELF := nuscenes-devkit==1.2.0 trackeval==1.3.0 descartes==1.1.0 parameterized==0.9.0

.PHONY: setup-devkit test-devkit bench-metrics

setup-devkit: $(DEVKIT_VENV)/.ready ## .venv-devkit: nuscenes-devkit and TrackEval, as the references of test-devkit and bench-metrics

$(DEVKIT_VENV)/.ready: $(UV) tests/devkit.mk constraints.txt
	@[ -x $(DEVKIT_PYTHON) ] || $(UV) venv -q --python $(PYTHON) $(DEVKIT_VENV)
	@mkdir -p .cache && grep -v -e '^numpy==' -e '^pandas==' constraints.txt > .cache/devkit-constraints.txt
	$(UV) pip install -q --python $(DEVKIT_PYTHON) -c .cache/devkit-constraints.txt $(DEVKIT_SHARED) $(DEVKIT_IMPORTS)
	$(UV) pip install -q --python $(DEVKIT_PYTHON) --no-deps $(DEVKIT_ITSELF)
	@touch $@

test-devkit: setup-devkit ## our nuScenes detection and tracking figures and HOTA against the devkit's and TrackEval's own
	$(DEVKIT_PYTHON) -m pytest -m devkit tests/replay/metrics/test_devkit_agreement.py \
		tests/replay/metrics/test_devkit_tracking_agreement.py tests/replay/metrics/test_trackeval_agreement.py \
		tests/replay/test_export_devkit.py $(ARGS)

bench-metrics: $(VENV)/.ready setup-devkit ## our metrics beside the devkit's and TrackEval's in one run; ARGS="--samples 100 --json"
	$(BIN)/python tests/bench/bench_metrics.py $(ARGS)
