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
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS=$$'\t' read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done

.PHONY: run
run: $(RUNTIME) ## run everything and watch the main job once; Ctrl-C stops it
	@$(BIN)/python manage.py quickstart

.PHONY: install
install: $(DEVELOPMENT) ## make .venv with all that tests and checks need

.PHONY: test
test: $(DEVELOPMENT) ## run all tests, on SQLite and on a real PostgreSQL (ARGS="-k name")
	@$(BIN)/python -W "ignore:XDG_RUNTIME_DIR is not set" -m tests $(ARGS)

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

# Each stamp is written last: what was left half-made is finished, or made anew.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed.") if sys.version_info < (3, 11) else None'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Making $(VENV) …"; $(PYTHON) -m venv --clear $(VENV); }
	@touch $@

$(RUNTIME): $(VENV)/.made requirements/base.txt
	@echo "Installing the runtime requirements …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/base.txt
	@touch $@

$(DEVELOPMENT): $(VENV)/.made requirements/development.txt
	@echo "Installing the development requirements …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/development.txt
	@touch $@ $(RUNTIME)
