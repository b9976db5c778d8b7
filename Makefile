# `make demo` and `make test` need Python 3.11, make and an index of Python packages; nothing else.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
JOBS ?= auto
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

.PHONY: demo test check format lint types layers bench bench-service soak mutants lock clean

demo: $(READY)
	$(BIN)/bridge demo

# pytest's own summary is the last line, whatever the coverage says after the tests. -rs says what is skipped, and why.
test: $(READY)
	$(BIN)/python -m pytest -n $(JOBS) -rfEs --cov --cov-report= | tee .test-output
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --fail-under=100 --include='bridge/core/*,bridge/reconcile/*'
	@tail -n 1 .test-output

check: format lint types layers test

format: $(READY)
	$(BIN)/ruff format --check .

lint: $(READY)
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

# What is measured, and how: benchmarks/README.md. Half an hour; of a quiet service, a few cycles.
bench: $(READY)
	$(BIN)/python -m benchmarks.run --json benchmarks/results.json
	$(BIN)/python -m benchmarks.service --json benchmarks/results-service.json

# An hour and more: as many cycles as benchmarks/README.md tells of.
bench-service: $(READY)
	$(BIN)/python -m benchmarks.service --cycles 200

# Far longer searches than `make test` has time for: thousands of worlds in memory, 200 races of two services on
# PostgreSQL (skipped where there is none), then storms over the real thing.
# The seed is today's, so that each night searches elsewhere; what fails prints the command that does the same again.
SOAK_SEED ?= $(shell date +%Y%m%d)
SOAK_MINUTES ?= 30
soak: $(READY)
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -n $(JOBS) -s tests/stateful tests/crash/test_passes.py \
		tests/crash/test_upload_protocol.py
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -n $(JOBS) tests/sources/test_faults.py tests/e2e/test_killed.py
	BRIDGE_RACES=200 $(BIN)/python -m pytest tests/e2e/test_racing.py
	$(BIN)/python -m tests.chaos --seed $(SOAK_SEED) --minutes $(SOAK_MINUTES) --services 2

# Plants each bug of tests/mutants in a copy, and demands that its tests find it.
mutants: $(READY)
	$(BIN)/python -m tests.mutants

# A lock that names no index, so that it works with any.
lock: $(READY)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements.lock

# The lock is whole, so nothing is resolved: pip would look at releases newer than the lock, and refuse them.
# pip would compile on one processor what compileall compiles on all; what cannot be compiled is imported by nobody.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-deps --no-compile --require-hashes -r requirements.lock
	$(BIN)/python -m compileall -q -j 0 .venv/lib bridge || true
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage* .test-output
