# Every target sets up what it needs: a virtual environment in .venv with pinned, hashed packages.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q --require-hashes

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests run test check format audit load abuse timing bench pictures package preflight lock clean

help: ## show every target with one line
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.run ## the virtual environment .venv for make run
setup-tests: $(VENV)/.tests ## the same with everything for tests and checks

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python requirements.txt infra/requirements.txt
	$(PIP) -r infra/requirements.txt
	touch $@

$(VENV)/.tests: $(BIN)/python tests/requirements.txt
	$(PIP) -r tests/requirements.txt
	touch $(VENV)/.run $@

run: setup ## the whole service on http://127.0.0.1:8000; ARGS="--port N" and others
	@$(BIN)/python -m infra.local $(ARGS)

# Its processes would compile the tests anew, eight seconds each, where the environment forbids byte code.
test: setup-tests ## every test, and their coverage; ARGS="path/to/test.py" runs a part
	PYTHONDONTWRITEBYTECODE= PYTEST_PLUGINS=tests.support.coverage $(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

check: setup-tests ## lint, format, types, import rules, bandit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -c pyproject.toml -r app.py chalicelib infra

format: setup-tests ## fix what lint and format can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Exit status 2 means that the database of vulnerabilities is unreachable.
audit: setup-tests ## known vulnerabilities of the pinned packages (needs the network)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.support.audit

load: setup-tests ## people, an attacker, the desk and the yearly run at once for two minutes; ARGS=--faults
	$(BIN)/python -m tests.perf.load $(ARGS)

abuse: setup-tests ## what attacks on the service cost and reach; ARGS="--only 1a,3" runs some
	$(BIN)/python -m tests.perf.abuse $(ARGS)

timing: setup-tests ## whether response times reveal anything, on DynamoDB Local
	$(BIN)/python -m tests.perf.timing $(ARGS)

bench: setup-tests ## the benchmarks; ARGS="--only recovery,cold" runs a part
	$(BIN)/python -m tests.perf.bench $(ARGS)

pictures: setup-tests ## docs/images again, from the local stack in Chromium
	$(BIN)/python -m tests.support.pictures

package: setup ## the deployable SAM package in build/
	$(BIN)/python -m infra.deploy.package $(ARGS)

preflight: setup ## check the AWS account before a deployment; ARGS="DomainName=… --settings FILE"
	@$(BIN)/python -m infra.deploy.preflight $(ARGS)

# Writes three files from pyproject.toml, and two for the libraries that the benchmark compares with.
lock: setup-tests ## pin the dependencies again
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -c requirements.txt pyproject.toml --group infra -o infra/requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -c infra/requirements.txt pyproject.toml --group tests -o tests/requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" tests/perf/bench/peers/requirements.in -o tests/perf/bench/peers/requirements.txt
	cd tests/perf/bench/peers && npm install --silent --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved

clean: ## remove .venv, caches and build results
	rm -rf $(VENV) .cache build artifacts .mypy_cache .ruff_cache .pytest_cache .coverage*
