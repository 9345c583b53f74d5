# Every target says what it does: `make help`.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
UV ?= uv
COMPILE := $(UV) pip compile --quiet --generate-hashes --no-emit-index-url --universal --python-version 3.11 \
	--no-header --no-annotate

.PHONY: help setup up test check bench faults mutations lock notice settings-page schema clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: ## install everything that Segue needs into .venv and .cache
	@$(PYTHON) stack/bootstrap.py

up: setup ## start Segue and print its address; Ctrl-C stops it
	@$(BIN)/segue up

test: ## install the tools too, then lint, type check and run all tests
	@$(PYTHON) stack/bootstrap.py --tests
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest

check: ## lint and type check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: ## install what the benchmarks measure beside ours, and list them; run one: `.venv/bin/python -m bench NAME`
	@$(PYTHON) stack/bootstrap.py --bench
	@$(BIN)/python -m bench

faults: ## kill, pause and deceive the running programs; counts add up over runs in .cache/faults.jsonl
	@$(PYTHON) stack/bootstrap.py --tests
	SEGUE_FAULT_ROUNDS=$${SEGUE_FAULT_ROUNDS:-5} $(BIN)/python -m pytest -s tests/faults

mutations: ## take away one guard at a time and see a fault row turn red
	@$(PYTHON) stack/bootstrap.py --tests
	@$(BIN)/python -m tests.faults.mutations

lock: ## resolve the dependencies anew (needs uv)
	$(COMPILE) pyproject.toml --group build -o requirements.lock
	$(COMPILE) --group node -c requirements.lock -o requirements-node.lock
	$(COMPILE) --group dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) --group build -c requirements.lock -o requirements-build.lock
	$(COMPILE) --group bench -c requirements.lock -c requirements-dev.lock -o requirements-bench.lock

notice: setup ## make NOTICE anew: the licence of every dependency
	@$(BIN)/python -m stack.licences

schema: setup ## make docs/events.schema.json anew: the format of the log
	@$(BIN)/python -c 'import json; from schemas.events import json_schema; print(json.dumps(json_schema(), indent=1, sort_keys=True))' > docs/events.schema.json

settings-page: setup ## make docs/settings.md anew
	@$(BIN)/python -m stack.settings_page

clean: ## remove what was installed and built; data folders stay
	rm -rf .venv frontend/node_modules frontend/web/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
