# Everything a newcomer needs: `make demo`.  PYTHON is the system's interpreter, not PATH's: another user must be able
# to read it (a virtual machine's boot image and the jail are made from it).
PYTHON ?= /usr/bin/python3
VENV := .venv
HULLS ?= container vm floor
SEED := $(or $(PROA_KILL_SEED),$(shell date +%s))
BIN := $(VENV)/bin
SOURCES := $(shell find src launcher -type f -not -name '*.pyc' 2>/dev/null) pyproject.toml README.md LICENSE
LOCK = $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header --no-emit-options \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install dev demo test unit judge lab lint format bench docs lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh tests/support/need.sh python3-venv
	$(PYTHON) -m venv $(VENV)

$(VENV)/wheel.stamp: $(BIN)/python requirements.lock $(SOURCES)
	$(PIP) install --require-hashes -r requirements.lock
	@rm -rf dist
	$(PIP) wheel --no-deps --wheel-dir dist .
	$(PIP) install --no-deps --force-reinstall dist/*.whl
	@touch $@

$(VENV)/dev.stamp: $(BIN)/python requirements-dev.lock
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

install: $(VENV)/wheel.stamp ## build the wheel and install it into .venv
	@echo "$(BIN)/proa: $$($(BIN)/proa --version 2>/dev/null || echo 'no command yet')"

dev: $(VENV)/dev.stamp install ## and what tests and lint need

demo: install ## a real Debian, as a container and as a virtual machine
	$(BIN)/python demo/demo.py

test: dev ## lint, then every test against the installed wheel, two parts of them side by side
	PROA_KILL_SEED=$(SEED) PROA_TEST_HULLS="$(HULLS)" $(BIN)/python tests/lanes.py $(ARGS)

unit: dev ## the quick tests alone
	$(BIN)/python -m pytest tests/unit tests/style $(ARGS)

judge: dev ## the behaviour suite on dockerd, whose behaviour it describes
	PROA_TEST_HULLS=docker $(BIN)/python -m pytest tests/functional $(ARGS)

# docs/lab.md. The behaviour suite's core runs there as it is.
CORE := run exec attach logs kill_stop limits pause signals users
LAB ?= tests/lab/inside $(CORE:%=tests/functional/test_%.py)

lab: dev ## tests in a Debian with systemd and cgroup v2, in a virtual machine of their own
	@PATH="$$PATH:/usr/sbin:/sbin"; for need in qemu-system-x86_64=qemu-system-x86 mmdebstrap=mmdebstrap mke2fs=e2fsprogs; do \
		command -v "$${need%=*}" >/dev/null || sh tests/support/need.sh "$${need#*=}" || exit; done
	PYTHONPATH=tests PROA_TEST_HULLS=container $(BIN)/python -m pytest -p lab.plugin -o cache_dir=.pytest_cache/lab \
		$(LAB) $(ARGS)

lint: $(VENV)/dev.stamp ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports --no-cache

format: $(VENV)/dev.stamp ## let ruff rewrite
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: dev ## the figures, against runc, crun and a dockerd started for it
	$(BIN)/python bench/launch.py
	$(BIN)/python bench/vm.py

lock: $(BIN)/python ## write the lock files anew
	$(PIP) install pip-tools
	$(LOCK) -o requirements.lock pyproject.toml
	$(LOCK) --extra dev -o requirements-dev.lock pyproject.toml

clean: ## remove what make made here (not what was fetched into the user's cache)
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

docs: dev ## write the generated pages anew
	PYTHONPATH=tests $(BIN)/python -m style.codes docs/errors.md
