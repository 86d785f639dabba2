# Everything runs in an environment of its own, VENV, which is made once and kept while pyproject.toml and
# constraints.txt stay as they are.
PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --constraint constraints.txt
BENCHMARKS := online_td3 offline_td3_bc two_trials attack_search evaluation pgd

RECORDS := docs/results/reliability
TIMES ?= 5

.PHONY: help demo smoke test test-cluster test-gpu reliability lint bench install dev constraints clean

help:
	@echo "make demo         fixed q against adaptive q on Hopper, from data to table (tune_configs/hopper_demo.yaml)"
	@echo "make smoke        every stage in a few minutes, with budgets too small to learn anything"
	@echo "make test         all tests, the slow ones included"
	@echo "make test-cluster all tests that kill processes, hosts and storage, the long ones included (as root)"
	@echo "make test-gpu     all tests that need a GPU; the others leave it alone"
	@echo "make reliability  these tests TIMES times (5), with what became of each fault in $(RECORDS)"
	@echo "make lint         ruff, mypy and the import layers"
	@echo "make bench        speed, side by side with peers"
	@echo "make install      only the environment; make dev adds the development tools"
	@echo "make constraints  resolve constraints.txt anew (needs uv)"
	@echo "make clean        remove $(VENV) and the tools' caches; runs/ stays"

demo: $(VENV)/.installed
	$(BIN)/afrl run tune_configs/hopper_demo.yaml

smoke: $(VENV)/.installed
	rm -rf runs/hopper_smoke
	$(BIN)/afrl run tune_configs/hopper_smoke.yaml

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 3 --durations=25

test-cluster: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m cluster --durations=0

test-gpu: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m gpu -rs

reliability: $(VENV)/.installed-dev
	for time in $$(seq $(TIMES)); do AFRL_RECORD=$(RECORDS) $(BIN)/python -m pytest -m cluster tests/integration/faults; done

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-bench
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done

install: $(VENV)/.installed

dev: $(VENV)/.installed-dev

constraints:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.10 --no-header --no-annotate --quiet \
		--upgrade --output-file constraints.txt.body > /dev/null
	{ head -n 3 constraints.txt; cat constraints.txt.body; } > constraints.txt.new
	mv constraints.txt.new constraints.txt
	rm constraints.txt.body

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable ".[dev]"
	touch $(VENV)/.installed $@

# The peers are no part of the project's own resolution: benchmarks/requirements.txt says why.
$(VENV)/.installed-bench: benchmarks/requirements.txt $(VENV)/.installed
	$(BIN)/python -m pip install --no-deps --requirement benchmarks/requirements.txt
	touch $@
