# `make` alone lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test unit browser check format proofs bench mutants cards table screenshots clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/runtime: requirements.txt
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/develop: requirements.txt requirements-dev.txt
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $(VENV)/runtime $@

run: $(VENV)/runtime ## create the environment if needed, start the app, print its address
	$(BIN)/python -m streamlit run app.py

test: check unit browser ## lint, types, unit tests, then the browser's

unit: $(VENV)/develop ## all tests that need no browser; trainings and proofs on a plain instruction set too
	$(BIN)/python -m pytest -m "not browser" -n 2
	ATEN_CPU_CAPABILITY=default $(BIN)/python -m pytest -m "not browser" -n 2 tests/test_course.py $(wildcard tests/test_training*.py)

browser: $(VENV)/develop ## the facts only a browser can tell (skips with the reason when there is none)
	$(BIN)/python -m pytest -m browser -rs -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/develop ## format, lint, types
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

format: $(VENV)/develop ## rewrite the files as `make check` wants them
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

proofs: $(VENV)/runtime ## every sentence of every answer with its number, measured now
	$(BIN)/python -m core all

bench: $(VENV)/develop ## what a reader waits for and what it costs, beside a bare Streamlit page; writes docs/benchmarks.md
	$(BIN)/python -m tests.bench

mutants: $(VENV)/develop ## plant a bug in every equation and experiment, and see that a test notices (ONLY=masking: one lesson)
	$(BIN)/python -m tests.mutants $(ONLY)

cards: $(VENV)/develop ## the pictures of the front door, from the lessons' own heroes, and README's (ONLY=masking: one lesson)
	$(BIN)/python -m tests.cards $(ONLY)

table: $(VENV)/develop ## the course in one table, from the lessons themselves, into docs/course.md
	$(BIN)/python -m tests.table

screenshots: $(VENV)/develop ## every page at 1440 and 390 px, light and dark, into screenshots/
	$(BIN)/python -m tests.screenshots

clean: ## remove the environment and the caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .mutants screenshots
