# Every target does the set-up that it needs; nothing is written outside this folder.
PYTHON ?= python3
BIN := .venv/bin
export TMPDIR := $(CURDIR)/.tmp
export PIP_DISABLE_PIP_VERSION_CHECK := 1
UV := $(BIN)/uv --quiet --cache-dir .venv/uv-cache --no-python-downloads pip

.PHONY: help setup demo test lint bench evaluate lock clean
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

setup: .venv/runtime ## a .venv in this folder, from the lock file
demo: .venv/runtime ## the main job on loopback: no keys, no network
	@$(BIN)/hedgerow demo --once
test: .venv/dev .venv/node .venv/focus/made ## everything that must pass
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder # three on two cores: tests wait; long files not last
lint: .venv/dev ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
bench: .venv/dev ## the speed of our own code; ROWS=10000000: books of so many entries
	$(BIN)/python -m tests.perf $(if $(ROWS),--rows $(ROWS))
evaluate: .venv/dev ## router, choice by prompt and hedge on real histories: docs/evaluation*.md; DATA=FOLDER
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.evaluate $(if $(DATA),--data $(DATA))

.venv/bin/uv: requirements/uv.txt
	@mkdir -p .tmp
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("hedgerow needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	@echo "setting up .venv (once)" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --no-cache-dir --require-hashes -r requirements/uv.txt
	@touch $@
.venv/runtime: .venv/bin/uv requirements/runtime.lock pyproject.toml
	@mkdir -p .tmp
	@$(UV) install --require-hashes -r requirements/runtime.lock
	@$(UV) install --no-deps --no-build-isolation --offline -e .
	@touch $@
.venv/dev: .venv/runtime requirements/dev.lock
	@$(UV) install --require-hashes -r requirements/dev.lock
	@touch $@
NODE_CLIENT := tests/clients/node
.venv/node: $(NODE_CLIENT)/package.json $(NODE_CLIENT)/package-lock.json | .venv/bin/uv
	@if command -v npm >/dev/null; then \
	  npm ci --prefix $(NODE_CLIENT) --cache .venv/npm-cache --ignore-scripts --no-audit --no-fund --loglevel=error >&2 && touch $@; \
	else echo "there is no npm: the tests of the node client are skipped" >&2; fi
.venv/focus/made: requirements/focus.lock | .venv/bin/uv # an environment of its own: it pins old packages
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then \
	  $(BIN)/python -m venv --without-pip .venv/focus && $(UV) install --python .venv/focus --require-hashes -r requirements/focus.lock && touch $@; \
	else echo "focus-validator needs Python 3.11 or 3.12: its tests are skipped" >&2; fi

LOCK := $(UV) compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url
lock: .venv/bin/uv ## write the lock files anew, with hashes
	$(LOCK) --group pyproject.toml:build pyproject.toml -o requirements/runtime.lock
	$(LOCK) --group pyproject.toml:build -c requirements/runtime.lock --group pyproject.toml:dev pyproject.toml -o requirements/dev.lock
	printf 'focus-validator==1.0.0\nmultimethod<2\n' | $(LOCK) - -o requirements/focus.lock
	grep -A1000 '^uv==' requirements/runtime.lock | awk 'NR>1 && /^[a-z]/ {exit} {print}' > requirements/uv.txt

clean: ## remove what the other targets made
	rm -rf .venv .tmp .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis $(NODE_CLIENT)/node_modules
