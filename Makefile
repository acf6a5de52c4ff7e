# Every target makes and uses its own .venv; it needs nothing but make and Python >= 3.11 with venv.
# `make PYTHON=/path/to/python3 ...` chooses the Python; `make ... ARGS="..."` passes arguments on.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SILENT:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell $(p) -c '$(IS_NEW)' 2>/dev/null && echo $(p))))
IS_NEW := import sys; sys.exit(sys.version_info < (3, 11))
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c requirements.lock
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
PINS := pyproject.toml requirements.lock crmbridge/__init__.py
SUDO = $$([ "$$(id -u)" = 0 ] || echo 'sudo ')

.PHONY: help
help: ## show this list
	awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.run ## three small systems become one; shows plan, apply, a customer's record, and a second run with nothing to do
	$(BIN)/crmbridge demo $(ARGS)

.PHONY: test
test: $(VENV)/.dev ## the tests that need nothing but Python (at most 10 minutes)
	$(BIN)/pytest -n auto tests $(wildcard plugins/*/tests) $(ARGS)

.PHONY: check
check: $(VENV)/.dev ## style, types, layers, and whether the generated files are up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy crmbridge schemas/crmbridge_schemas $(wildcard plugins/*/crmbridge_*)
	$(BIN)/lint-imports
	$(BIN)/python -m crmbridge_schemas.generate --check
	$(BIN)/python -m crmbridge.cli.gendocs --check

.PHONY: prove
prove: $(VENV)/.dev ## the tests that need more: PostgreSQL, kills, long simulations; fails when something is missing
	$(BIN)/pytest tests/prove $(ARGS)

.PHONY: live
live: $(VENV)/.dev ## the tests against real systems, which it installs and starts; fails when one is missing
	$(BIN)/pytest tests/live $(ARGS)

.PHONY: bench
bench: $(VENV)/.bench ## the measurements: ratios on the screen, in benchmarks/results.json and docs/performance.md
	$(BIN)/python benchmarks/run.py $(ARGS)

.PHONY: mutants
mutants: $(VENV)/.dev ## does a test fail when the engine or a mapping breaks? 500 small breakages, at most 45 minutes
	$(BIN)/python -m tests.mutation $(ARGS)

.PHONY: venv
venv: $(VENV)/.dev ## only install what the development targets need into .venv

.PHONY: lock
lock: $(BIN)/python ## pin the dependencies for 3.11 and later anew (ARGS=--upgrade: the newest ones)
	$(BIN)/uv --version >/dev/null 2>&1 || $(PIP_INSTALL) uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --quiet --no-header \
	    --no-annotate --no-emit-index-url --no-emit-find-links --output-file requirements.lock $(ARGS)

.PHONY: clean
clean: ## remove .venv, caches and build output
	rm -rf $(VENV) build dist .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.run: $(PINS) | $(BIN)/python
	echo "Installing crmbridge into $(VENV) (once) ..."
	$(PIP_INSTALL) -e .
	touch $@

$(VENV)/.dev: $(PINS) $(PLUGINS:%=%/pyproject.toml) | $(BIN)/python
	echo "Installing crmbridge and its development tools into $(VENV) (once) ..."
	$(PIP_INSTALL) -e '.[dev,keyring,postgres]' $(PLUGINS:%=-e ./%)
	touch $(VENV)/.run $@

$(VENV)/.bench: $(PINS) | $(BIN)/python
	echo "Installing crmbridge and what it is measured against into $(VENV) (once) ..."
	$(PIP_INSTALL) -e '.[bench]'
	touch $(VENV)/.run $@

# Debian and Ubuntu ship venv apart from Python: say which command brings it, rather than fail half-way.
$(BIN)/python:
	if ! "$(PYTHON)" -c '$(IS_NEW)' 2>/dev/null; then \
	    echo 'crmbridge needs Python 3.11 or later. On Debian 12, Ubuntu 24.04 and later, install it with' >&2; \
	    echo "    $(SUDO)apt-get update && $(SUDO)apt-get install -y python3 python3-venv" >&2; \
	    echo 'and elsewhere pass the one to use: make PYTHON=/path/to/python3 ...' >&2; \
	    exit 1; \
	fi; \
	if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
	    version=$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	    echo "Python $$version has no venv module. On Debian and Ubuntu, install it with" >&2; \
	    echo "    $(SUDO)apt-get update && $(SUDO)apt-get install -y python$$version-venv" >&2; \
	    exit 1; \
	fi; \
	"$(PYTHON)" -m venv --clear $(VENV)
