# Each command does its own set-up: a virtual environment in .venv, filled from pinned, hashed files.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q --require-hashes

.PHONY: setup setup-tests run test check format audit load timing bench package lock clean

setup: $(VENV)/.run
setup-tests: $(VENV)/.tests

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python requirements.txt infra/requirements.txt
	$(PIP) -r infra/requirements.txt
	touch $@

$(VENV)/.tests: $(BIN)/python tests/requirements.txt
	$(PIP) -r tests/requirements.txt
	touch $(VENV)/.run $@

run: setup
	@$(BIN)/python -m infra.local $(ARGS)

test: setup-tests
	$(BIN)/python -m pytest -n auto $(ARGS)

check: setup-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -c pyproject.toml -r app.py chalicelib infra

format: setup-tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What needs the network, and says so where it has none.
audit: setup-tests
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.audit

load: setup-tests
	$(BIN)/python -m tests.load $(ARGS)

timing: setup-tests
	$(BIN)/python -m tests.timing $(ARGS)

bench: setup-tests
	$(BIN)/python -m tests.bench $(ARGS)

package: setup
	$(BIN)/python -m infra.package $(ARGS)

# Writes the pinned files anew: three from pyproject.toml, and that of the bench's peers.
lock: setup-tests
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -c requirements.txt pyproject.toml --group infra -o infra/requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -c infra/requirements.txt pyproject.toml --group tests -o tests/requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" tests/bench/peers/requirements.in -o tests/bench/peers/requirements.txt

clean:
	rm -rf $(VENV) .cache build artifacts .mypy_cache .ruff_cache .pytest_cache
