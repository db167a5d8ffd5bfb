# Two commands: `make demo` and `make test`. Each builds its own virtual environment in .venv first. `make test-all` also runs
# the dearest tests, before a release.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is imported compiles at its first import: to compile all that is installed takes half of the time to install it. Where the
# environment forbids to keep what was compiled, every program would compile torch anew (5 s, and 2 with it).
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

.PHONY: demo test test-all lint types check clean

demo: $(VENV)/.installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" recipes/demo.sh demo-output

TESTS := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.installed-dev
	$(TESTS) -m "not thorough"

test-all: $(VENV)/.installed-dev
	$(TESTS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check poke2vid tests benchmarks
	$(BIN)/ruff check poke2vid tests benchmarks

types: $(VENV)/.installed-dev
	$(BIN)/mypy
	@if command -v npm >/dev/null; then \
		cd web && { test -d node_modules/axe-core || npm install --silent --no-audit --no-fund --no-package-lock; } && npm run --silent types; \
	else echo "without npm the types of the page are not checked"; fi

check: lint types test

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "poke2vid needs Python 3.11 or newer; say which one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml
	$(INSTALL) -e '.[dev]'
	@touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) demo-output
