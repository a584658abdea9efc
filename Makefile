# The two commands: `make demo` runs the main job, `make test` all tests. Both do all their own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := $(VENV)/bench
OUT ?= out
# Byte code is made where it is used (of 8,000 modules, a quarter), and kept, whatever the shell says: hundreds of the
# tests' processes import the same ones.
unexport PYTHONDONTWRITEBYTECODE
READY := $(VENV)/.ready

.PHONY: demo test servers lint bench versions clean help

help:
	@echo "make demo      play conversations through the workflow, V1 served, V2 in shadow; writes $(OUT)/"
	@echo "make test      all checks and tests (builds the test servers first where it can)"
	@echo "make servers   build Collector, Prometheus and Jaeger for the tests into a cache outside this folder"
	@echo "make versions  isolation tests on the oldest and newest supported LangGraph, and on Python 3.13 and 3.14"
	@echo "make bench     the benchmarks' table, beside what one would use instead (a quarter of an hour; leave the machine alone)"

demo: $(READY)
	$(BIN)/otel-shadow demo --simulate-window 48h --out $(OUT)

# The suite runs on the newest LangGraph; isolation and equality on the oldest supported one too; what depends on the
# interpreter most on Python 3.13 and 3.14, where they can be had.
test: $(READY) servers lint
	$(BIN)/python -m pytest
	bash tests/versions.sh 0.6.0 python3.13 python3.14

# Without the tool chain (Go) the server tests skip with the reason; in CI that is a failure.
servers:
	@bash servers/build.sh || { test -z "$$CI" && echo "make servers failed: server tests will be skipped" >&2; }

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/vulture
	$(BIN)/pre-commit validate-config
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml

# In an environment of its own: the tools that are measured beside us are no part of the tests'.
bench: $(BENCH)/.ready
	$(BENCH)/bin/python -m benchmarks

$(BENCH)/.ready: pyproject.toml
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BENCH)/bin/python -m pip install --quiet --editable . --group bench
	touch $@

versions: $(READY)
	bash tests/versions.sh

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --no-compile --editable . --group dev
	touch $@

clean:
	rm -rf $(VENV) $(OUT) build dist
