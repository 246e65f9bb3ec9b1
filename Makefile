# `make` alone lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: $(RUNTIME) ## run everything and watch the main job once; Ctrl-C stops it
	@$(BIN)/python manage.py quickstart

.PHONY: install
install: $(DEVELOPMENT) ## make .venv with all that tests and checks need

.PHONY: test
test: $(DEVELOPMENT) ## run all tests, on SQLite and on a real PostgreSQL (ARGS="-k name")
	@$(BIN)/python -W "ignore:XDG_RUNTIME_DIR is not set" -m tests $(ARGS)

.PHONY: faults
faults: $(DEVELOPMENT) ## run what kills processes and races for rows, on a real PostgreSQL
	@$(BIN)/python -W "ignore:XDG_RUNTIME_DIR is not set" -m tests --database postgresql \
	  -m "faults or race" tests $(ARGS)

.PHONY: bench
bench: $(DEVELOPMENT) ## measure batches against single calls, on a real PostgreSQL
	@$(BIN)/python -W "ignore:XDG_RUNTIME_DIR is not set" -m benchmarks

.PHONY: soak
soak: $(DEVELOPMENT) ## walk 20,000 random steps against a model, on a real PostgreSQL (MACHINE_SEED=n)
	@MACHINE_STEPS=20000 $(BIN)/python -W "ignore:XDG_RUNTIME_DIR is not set" -m tests --database postgresql \
	  tests/integration/batchtokens/test_mandates_machine.py -n0 -s $(ARGS)

.PHONY: lint
lint: $(DEVELOPMENT) ## check style, format, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy .
	$(BIN)/lint-imports

.PHONY: format
format: $(DEVELOPMENT) ## mend style and format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: coverage
coverage: $(DEVELOPMENT) ## run the tests on SQLite and show what they miss
	$(BIN)/python -m tests --database sqlite --cov --cov-report=term tests

.PHONY: docs
docs: $(DEVELOPMENT) ## write the documents that are lists of what the code knows
	$(BIN)/python manage.py generate_docs

.PHONY: vectors
vectors: $(DEVELOPMENT) ## write the vectors that verifiers in other languages are tested with
	$(BIN)/python -m tests.conformance

.PHONY: requirements
requirements: $(DEVELOPMENT) ## pin requirements/*.txt again, with hashes and without addresses
	@for name in base production development; do \
	  $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url --no-emit-find-links requirements/$$name.in --output-file requirements/$$name.txt; \
	done

.PHONY: clean
clean: ## remove .venv, caches and development's own data in var/
	rm -rf $(VENV) var staticfiles .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp is written last: what was left half-made is finished, or made anew. So is what has lost
# its Python since, or has one that is too old.
NEW_ENOUGH := sys.version_info >= (3, 11)
ifneq ($(shell $(BIN)/python -c 'import sys; print($(NEW_ENOUGH))' 2>/dev/null),True)
  .PHONY: $(VENV)/.made
endif

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(None if $(NEW_ENOUGH) else "Python 3.11 or newer is needed.")'
	@$(BIN)/python -c 'import pip, sys; sys.exit(not $(NEW_ENOUGH))' >/dev/null 2>&1 || \
	  { echo "Making $(VENV) …"; $(PYTHON) -m venv --clear $(VENV); }
	@touch $@

$(RUNTIME): $(VENV)/.made requirements/base.txt
	@echo "Installing the runtime requirements …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/base.txt
	@touch $@

$(DEVELOPMENT): $(VENV)/.made requirements/development.txt
	@echo "Installing the development requirements …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/development.txt
	@touch $@ $(RUNTIME)
