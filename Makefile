# flexledger: `make help` lists the targets.
SHELL := /bin/bash
# The first of these that is there and new enough makes the virtual environment.
PYTHON ?= python3.11 python3.12 python3.13 python3
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
# Where it is set, as in many containers, each of the many processes would compile all packages anew for itself.
unexport PYTHONDONTWRITEBYTECODE
# Small matrices lose more to threads that wait for each other than they gain.
export OPENBLAS_NUM_THREADS := 1
BROWNIE := scripts/setup/brownie.sh
SOURCES := $(shell find contracts interfaces -name '*.sol')
COMPILED := build/contracts/.compiled
PACKAGES := offchain oracles lightnode scripts

.DEFAULT_GOAL := help
.PHONY: help setup compile demo console test test-unit test-contracts test-services explore audit lint types bench lock clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing into the project's folder
	@for python in $(PYTHON); do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then exec $$python scripts/setup/install.py; fi; \
	done; \
	echo "Python 3.11 or newer is missing: install it (Debian, Ubuntu: apt-get install python3 python3-venv; Fedora: dnf install python3; macOS: brew install python@3.12)"; \
	exit 1

compile: setup $(COMPILED) ## compile the contracts that have changed

$(COMPILED): $(SOURCES) brownie-config.yaml package-lock.json
	@# All at once: what via-IR makes of a contract depends on what is compiled with it.
	@rm -rf $(@D) && $(BROWNIE) compile
	@mkdir -p $(@D) && touch $@

demo: compile ## play a market day (USE_CASE=congestion or voltage, GRID=..., DAY=YYYY-MM-DD, PODS=...)
	@$(BIN)/flexledger demo $(if $(USE_CASE),--use-case $(USE_CASE)) $(if $(GRID),--grid $(GRID)) $(if $(DAY),--day $(DAY)) $(if $(PODS),--pods $(PODS))

console: compile ## brownie console with the deployed contracts and helpers in scope
	@$(BROWNIE) run console main --interactive --network development

test: test-unit test-contracts ## all tests

test-unit: compile ## tests of everything but the contracts
	@$(BIN)/pytest -n 2 --dist worksteal --ignore=tests/contracts --ignore=tests/services tests

test-contracts: compile ## contract tests on local chains
	@$(BROWNIE) test tests/contracts -n 2 --no-loadscope-reorder -o addopts="-q --strict-markers"

audit: setup ## forge's invariants and fuzz of the contracts, and slither
	@$(BIN)/python scripts/setup/install.py audit && $(BIN)/python -m scripts.audit

test-services: compile ## tests that need a service which set-up doesn't install: IPFS (npm's ipfs 0.62.3 on PATH)
	@$(BIN)/pytest tests/services

explore: compile ## look for what breaks a property, in many more examples and other ones each time
	@$(BIN)/pytest -n 2 --hypothesis-profile=explore -m hypothesis --ignore=tests/contracts --ignore=tests/services tests
	@$(BROWNIE) test tests/contracts -n 2 --hypothesis-profile=explore -m hypothesis -o addopts="-q --strict-markers"

lint: setup ## style, and the directions of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

types: setup ## type check
	@$(BIN)/mypy $(PACKAGES)

bench: compile ## measure ours against its peers; writes build/bench/results.json
	@$(BIN)/python scripts/setup/install.py bench && $(BIN)/python -m tests.benchmarks

lock: ## pin the Python packages anew
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		requirements/bootstrap.in -o requirements/bootstrap.txt
	@BROWNIE_NOCOMPILE=1 $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-binary eth-brownie requirements/requirements.in -o requirements/lock.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		requirements/audit.in -o requirements/audit.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		requirements/bench.in -o requirements/bench.txt

clean: ## remove what was built and played, not what was installed
	@rm -rf build reports .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

distclean: clean ## remove what was installed, too
	@rm -rf .venv .tools node_modules *.egg-info
