# `make up` and `make test` are the README's two commands; both fill .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: setup up test check lint types lock clean

setup: .venv/.ready

.venv/.ready: requirements.lock pyproject.toml hatch_build.py $(wildcard headgate/wire/*.proto)
	@deploy/debian-packages
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "headgate needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-build-isolation --no-deps -e .
	@touch $@

up: setup
	@exec $(BIN)/headgate up

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

check: lint types test

# Names, versions and hashes only: no index address belongs in the lock.
lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --group dev \
		--no-header --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv build dist
