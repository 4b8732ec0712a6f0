# The same few commands everywhere: make setup check test bench demo evaluate.
PYTHON ?= python3
BIN := .venv/bin
DATA ?= ../shared/data
RESOLVE_FLAGS ?= --upgrade
UNIT := tests/unit tests/contract/test_store.py

# Rewritten assertions and compiled modules are kept: to make them anew takes longer than many tests.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup dev check format unit test faults soak bench bench-peers demo evaluate lock dist release servers clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: .venv/run.stamp  ## the virtual environment with the two programs

dev: .venv/dev.stamp  ## the same with everything that the tests need

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 setup"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "The venv module is missing. On Debian: apt-get install python3-venv"; exit 1; }

.venv/run.stamp: requirements/demo.lock pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/demo.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: requirements/dev.lock .venv/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

check: dev  ## formatting, lint, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: dev  ## put the formatting right
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

servers: .venv/edge.stamp  ## the broker, database and browser the tests run against (installs them as root, else names them)
	@sh tests/install-servers.sh

.venv/edge.stamp: requirements/edge.lock | .venv/bin/python
	@$(PYTHON) -m venv .venv/edge
	.venv/edge/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/edge.lock
	@touch $@

unit: dev  ## the tests that need no server, in under a minute
	$(BIN)/python -m pytest -q -n auto --dist worksteal --hypothesis-profile quick $(UNIT)

test: dev servers  ## every test, against real servers
	$(BIN)/python -m pytest -n 3 --dist worksteal --hypothesis-profile ci -m "not slow" tests

faults: dev servers  ## every fault, the long ones too, every example, and docs/reliability.md from the figures (under an hour)
	$(BIN)/python -m pytest -q -n auto --dist worksteal --hypothesis-profile full $(UNIT) tests/contract/test_api.py
	rm -f .faults.jsonl
	FAULTS_REPORT=$(CURDIR)/.faults.jsonl $(BIN)/python -m pytest --timeout 3600 tests/faults
	$(BIN)/python -m tests.faults.report .faults.jsonl
	$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris==3.0.0
	$(BIN)/python -m tests.fuzz.decoding --seconds 600

soak: dev servers  ## half an hour of load with random faults: memory and files must stay flat
	$(BIN)/python -m tests.faults.soak --out .soak.json

bench: dev servers  ## the benchmarks, as a table
	$(BIN)/python -m bench

bench-peers: dev servers  ## the whole job beside Telegraf and Node-RED, whichever are on the PATH
	$(BIN)/python -m bench.peers

demo: setup  ## a plant in a box: simulated machines, one of which fails while you watch
	$(BIN)/vibration-gateway demo

evaluate: dev servers  ## detection on real measurements, goal beside value: make evaluate DATA=folder
	$(BIN)/python -m bench.evaluate $(DATA)

RESOLVE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
# Each begins with what the one before has chosen, so that one version of a package is tried everywhere.
lock: dev  ## resolve the dependencies anew; with RESOLVE_FLAGS= only what has changed
	$(RESOLVE) $(RESOLVE_FLAGS) --extra edge pyproject.toml -o requirements/run.lock
	$(RESOLVE) $(RESOLVE_FLAGS) -c requirements/run.lock --group pyproject.toml:build -o requirements/build.lock
	$(RESOLVE) $(RESOLVE_FLAGS) -c requirements/run.lock --extra demo --group build pyproject.toml -o requirements/demo.lock
	$(RESOLVE) $(RESOLVE_FLAGS) -c requirements/demo.lock --extra demo --extra parquet --group build --group dev pyproject.toml -o requirements/dev.lock
	echo pysparkplug | $(RESOLVE) $(RESOLVE_FLAGS) - -o requirements/edge.lock
	$(RESOLVE) $(RESOLVE_FLAGS) --group pyproject.toml:release -o requirements/release.lock

dist: dev .venv/release.stamp  ## wheel, source, Debian package, SBOM, licences and checksums, in dist/
	BIN=$(BIN) sh packaging/dist.sh

release: dev .venv/release.stamp  ## the same of a tagged commit whose version and changelog say so, and of nothing else
	BIN=$(BIN) sh packaging/release.sh

.venv/release.stamp: requirements/release.lock | .venv/bin/python
	@$(PYTHON) -m venv .venv/release
	.venv/release/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/release.lock
	@touch $@

clean:  ## forget the virtual environment and everything made
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
