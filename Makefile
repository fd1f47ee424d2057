# `make up` and `make test` are the README's two commands; both fill .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

.PHONY: setup setup-vllm setup-peers up test test-vllm soak fuzz check lint types lock clean

setup: .venv/.ready

.venv/.ready: requirements.lock compiler.lock pyproject.toml hatch_build.py \
		$(wildcard headgate/wire/*.proto envoy/module/*.[ch])
	@deploy/debian-packages
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "headgate needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements.lock
	@set -- $${CC:-cc}; command -v "$$1" >/dev/null || $(PIP) --require-hashes -r compiler.lock
	$(PIP) --no-build-isolation --no-deps -e .
	@touch $@

# vLLM for the CPU and what trains its adapters in tests: 2.7 GB, for `make test-vllm` and `kind: vllm` without a GPU.
setup-vllm: .venv-vllm/.ready

.venv-vllm/.ready: engines/vllm/requirements-cpu.txt
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

# The gateways that `headgate bench` compares with: LiteLLM in an environment of its own, Portkey's on Node.js.
setup-peers: .peers/.ready

.peers/.ready: bench/peers/litellm-requirements.txt bench/peers/portkey/package-lock.json
	$(PYTHON) -m venv .peers/litellm
	.peers/litellm/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	mkdir -p .peers/portkey
	cp bench/peers/portkey/package*.json .peers/portkey
	npm ci --prefix .peers/portkey --ignore-scripts --no-fund --no-audit
	@touch $@

up: setup
	@exec $(BIN)/headgate up

# Many tests wait more than they work, so there are more of them at once than cores. Those marked `alone` measure, or
# load a gateway as far as the machine goes: they come after the others, one by one. On a machine that is busy with
# other things a process may starve for seconds, so a file with a failed test is run once more, by itself and named:
# what fails again has failed.
JOBS ?= $(shell expr $$(nproc) + 2)
AGAIN := $(BIN)/python tests/again.py
test: setup
	@deploy/debian-packages test
	@failed=0; set -x; \
		$(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=loadfile -m "not alone and not vllm" || \
			$(AGAIN) -m "not alone and not vllm" || failed=1; \
		$(BIN)/python -m pytest -m "alone and not vllm" || $(AGAIN) -m "alone and not vllm" || failed=1; \
		exit $$failed

# The gateway in front of real vLLM replicas, which share two cores and 9 GB: one test after the other.
test-vllm: setup setup-vllm
	@set -x; $(BIN)/python -m pytest -s --timeout=900 -m vllm tests/vllm || $(AGAIN) --timeout=900 -m vllm tests/vllm

# What `make test` does in small: a gateway that is edited 1,000 times under load, one whose parts are killed all the
# time, stores and writers that die. About half an hour, prints its figures.
soak: setup
	HEADGATE_SOAK_RELOADS=1000 HEADGATE_CRASH_REQUESTS=20000 HEADGATE_CRASH_KILLS=200 HEADGATE_QUOTA_REQUESTS=20000 \
		HEADGATE_STORE_KILLS=100 $(BIN)/python -m pytest -s \
		tests/supervise/test_reload_soak.py tests/bench/test_crash.py tests/gateway/test_gateway_quotas.py \
		tests/store/test_store_kills.py tests/store/test_store_server.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

# Two minutes for each kind of case; FUZZ=600 make fuzz for longer.
FUZZ ?= 120
fuzz: setup
	HEADGATE_FUZZ_SECONDS=$(FUZZ) $(BIN)/python -m pytest -s tests/gateway/test_gateway_fuzz.py

check: lint types test

# Names, versions and hashes only: no index address belongs in the lock.
lock: setup
	$(LOCK) --group dev --output-file requirements.lock pyproject.toml
	$(LOCK) --group compiler --output-file compiler.lock

clean:
	rm -rf .venv .venv-vllm .peers build dist
