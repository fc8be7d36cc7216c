# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := .tools/bin/uv
ARGS ?=
NODES ?= 1
WHEELS ?= ../shared/wheels
export SAMPLE_DATA_DIR ?= $(abspath ../shared/data)

.DEFAULT_GOAL := help
.PHONY: help setup system demo test test-unit check wheel kafka-up kafka-down setup-mmdet3d test-mmdet3d bench clean

help: ## what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

$(UV):
	@$(PYTHON) -m venv .tools 2>/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv .tools; }
	@.tools/bin/pip install -q --disable-pip-version-check "uv==$$(sed -n 's/^uv==//p' constraints.txt)"

$(VENV)/.ready: $(UV) pyproject.toml constraints.txt
	@[ -x $(BIN)/python ] || $(UV) venv -q --python $(PYTHON) $(VENV)
	$(UV) pip install -q --python $(BIN)/python -c constraints.txt -e ".[kafka,perception,simulate,dashboards,search,rerun,ros2,dev]"
	@touch $@

system: ## install the system packages that tests and demo use (root), or say the command
	@.ci/system-packages

setup: system $(VENV)/.ready ## .venv with everything; .venv/bin/roadweave is there after it

demo: setup ## simulate a crossing, perceive, fuse, record, score, then serve the dashboard; ARGS="..." passes options
	$(BIN)/roadweave demo $(ARGS)

test: setup ## every test that runs here
	$(BIN)/python -m pytest $(ARGS)

test-unit: $(VENV)/.ready ## the fast tests alone
	$(BIN)/python -m pytest -q -m "not slow and not kafka and not browser and not mmdet3d and not devkit" $(ARGS)

check: $(VENV)/.ready ## ruff, pyright, import-linter, unit tests
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(MAKE) -s test-unit

kafka-up: setup ## a development Kafka on loopback; NODES=3 for three
	$(BIN)/roadweave broker start --nodes $(NODES)

kafka-down: $(VENV)/.ready ## stop it
	$(BIN)/roadweave broker stop

include tests/mmdet3d.mk tests/devkit.mk tests/wheel.mk tests/bench/peers.mk

clean: ## remove what was installed and made here
	rm -rf $(VENV) .venv-* .tools build dist *.egg-info .cache
