WHEEL_VENV := .venv-wheel

wheel: $(UV) ## build the wheel, install it alone into a clean environment, decode a CPM there without torch
	@rm -rf build dist $(WHEEL_VENV)
	$(UV) build -q --wheel --out-dir dist --python $(PYTHON)
	$(UV) venv -q --python $(PYTHON) $(WHEEL_VENV)
	$(UV) pip install -q --python $(WHEEL_VENV)/bin/python -c constraints.txt dist/roadweave-*.whl
	@cd / && $(CURDIR)/$(WHEEL_VENV)/bin/python -I $(CURDIR)/tests/wheel_probe.py $(CURDIR)/dist $(CURDIR)/tests/v2x/vectors/cpm_v211_vectors_dev.jsonl
	@cd / && $(CURDIR)/$(WHEEL_VENV)/bin/roadweave --help > /dev/null && echo "roadweave --help answers there"
