# Two commands: `make demo` carries the whole loop once, `make test` runs every check. Both set up .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types contracts tests integration-vllm vllm setup clean

demo: setup
	@echo "== the whole loop on bundled sessions and a tiny model: about 3 minutes on two cores, no GPU, no download"
	$(BIN)/lora-tui --workspace demo-workspace demo

test: setup lint types contracts tests

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "lora-tui needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	@echo "== setting up $(VENV) (about 2 minutes; torch is the large one)"
	$(PYTHON) -m venv $(VENV) || { echo "No venv module: on Debian, apt install python3-venv"; exit 1; }
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	@touch $@

lint:
	@echo "== lint"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	@echo "== types"
	$(BIN)/mypy

contracts:
	@echo "== import contracts"
	$(BIN)/lint-imports

tests:
	@echo "== tests (about 15 minutes on two cores: tiny models are really trained)"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --ignore=tests/budgets
	@echo "== budgets, with the machine to themselves"
	$(BIN)/python -m pytest tests/budgets

VLLM := .vllm-venv

vllm: $(VLLM)/.ready

$(VLLM)/.ready: scripts/vllm_environment.sh
	@echo "== setting up $(VLLM): a vLLM for the CPU (3.5 GB, minutes)"
	rm -rf $(VLLM)
	bash scripts/vllm_environment.sh $(VLLM) $(PYTHON)
	@touch $@

integration-vllm: setup vllm
	@echo "== a true vLLM is asked, and versions change under its 40 clients (minutes: it starts slowly on a CPU)"
	OMP_NUM_THREADS=1 VLLM_PYTHON=$(CURDIR)/$(VLLM)/bin/python $(BIN)/python -m pytest tests/contract/test_vllm.py tests/contract/test_vllm_endpoints.py

clean:
	rm -rf $(VENV) $(VLLM) demo-workspace .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
