# Every target works from a fresh clone; each does first what it needs. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& command -v "$$name" && break; done)
FUZZ_SECONDS ?= 60

# The interpreter that PyO3 asks for its configuration, the same for every cargo call.
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

RUST_SOURCES := $(shell find crates -name '*.rs' -o -name Cargo.toml 2>/dev/null) \
	Cargo.toml Cargo.lock
PYTHON_SOURCES := $(shell find python -name '*.py' 2>/dev/null)

.PHONY: help setup run test test-rust test-python cover lint lint-rust fmt bench commit-path \
	benchmark-phase0 benchmark fuzz licenses sbom audit hooks lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.bytecode ## Install what Helios needs into .venv and build the Rust core
	@echo 'setup: ready; the commands are in $(BIN)'

$(VENV)/.toolchain: tools/check_toolchain.sh
	@tools/check_toolchain.sh '$(PYTHON)'
	@test -x $(BIN)/python || '$(PYTHON)' -m venv $(VENV)
	@touch $@

$(VENV)/.packages: requirements-dev.lock $(VENV)/.toolchain
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements-dev.lock
	@touch $@

# A release build: the latencies that Helios promises are those of optimised code.
$(VENV)/.core: $(RUST_SOURCES) pyproject.toml $(wildcard packaging/scripts/*) $(VENV)/.packages
	$(BIN)/maturin develop --release --locked --quiet
	@touch $@

# Where PYTHONDONTWRITEBYTECODE is set, an editable install would be compiled anew at every start.
$(VENV)/.bytecode: $(PYTHON_SOURCES) $(VENV)/.core
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q -j 0 python/helios \
		"$$($(BIN)/python -c 'import rocksdict; print(*rocksdict.__path__)')"
	@touch $@

run: setup ## Show what Helios does, in a directory of its own
	@$(BIN)/python tools/demo.py

test: test-rust test-python ## Run the Rust and the Python tests

test-rust: $(VENV)/.packages
	@if cargo nextest --version >/dev/null 2>&1; \
		then cargo nextest run --workspace --locked; \
		else cargo test --workspace --locked; fi

test-python: setup
	$(BIN)/python -m pytest

cover: setup ## Measure the coverage of Python and Rust; fails below 85% of either
	@tools/cover.sh

lint: setup ## Check format, lints and types of both languages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	cargo fmt --all --check
	$(MAKE) --no-print-directory lint-rust

# The lints that compile; here alone, the interpreter is set that they compile for.
lint-rust: $(VENV)/.packages
	cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: $(VENV)/.packages ## Format the sources
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .
	cargo fmt --all

bench: benchmark ## Measure what docs/BENCHMARKS.md states; BENCH='SUITE... --json FILE' for options

benchmark-phase0: BENCH += --phase0-validation
benchmark-phase0: benchmark ## Judge the go/no-go gates, in under five minutes

benchmark: setup
	@cargo build --quiet --release --locked -p helios-core --example floor
	@$(BIN)/helios-cli benchmark \
		--floor "$${CARGO_TARGET_DIR:-target}/release/examples/floor" $(BENCH)

commit-path: setup ## Show where the time of a small commit goes, by perf
	@$(BIN)/python tools/commit_path.py

fuzz: $(VENV)/.toolchain ## Run each fuzz target for FUZZ_SECONDS (60)
	@tools/fuzz.sh $(FUZZ_SECONDS)

licenses: $(VENV)/.packages ## Check every licence, and write the documents about them
	@PYTHONPATH=tools $(BIN)/python -m compliance licenses

sbom: $(VENV)/.packages ## Write the bill of materials, .compliance/helios.cdx.json
	@PYTHONPATH=tools $(BIN)/python -m compliance sbom

audit: $(VENV)/.packages ## Look for known vulnerabilities; unknown where that cannot be done
	@PYTHONPATH=tools $(BIN)/python -m compliance audit

hooks: $(VENV)/.packages ## Have git check format, lints and licences at each commit
	@$(BIN)/pre-commit install

# Not part of setup: run it after a change of the dependencies in pyproject.toml.
lock: $(VENV)/.toolchain ## Write requirements-dev.lock and Cargo.lock anew
	$(BIN)/python -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check \
		'pip-tools>=7.5,<8'
	CUSTOM_COMPILE_COMMAND='make lock' $(VENV)/lock/bin/pip-compile --quiet --upgrade \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --strip-extras \
		--all-build-deps --extra bench --extra dev --output-file requirements-dev.lock pyproject.toml
	cargo update --workspace

clean: ## Delete what was built; .venv too
	rm -rf $(VENV) target fuzz/target .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache \
		.compliance
	find python tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
	find python -name '_core*.so' -delete
