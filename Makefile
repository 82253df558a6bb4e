# camid: every target sets up what it needs. DATA=, STORE=, OUT=, TUNE= and ARGS= are passed on.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready$(if $(GPU),-gpu)
PORT ?= 5000
JOBS ?= auto
SEED := $(or $(SEED),$(shell date +%s))
BESIDE = $(BIN)/python -m pytest -n $(JOBS) --maxprocesses=4 --dist=loadfile --no-loadscope-reorder --durations=20

quoted = $(if $(value $(1)),--$(2) '$(subst ','\'',$(value $(1)))')
SEARCH = $(if $(value TUNE),'$(subst ','\'',$(value TUNE))')
FLAGS = $(call quoted,DATA,data) $(call quoted,STORE,store) $(call quoted,OUT,out) $(ARGS)

.PHONY: help setup demo preprocess baselines evaluate train-siamese train-pairnet train-cnn tune-siamese tune-cnn compare ui test soak soak-long check bench lock

help:  ## Print this
	@echo "make TARGET [DATA=photographs] [STORE=store] [OUT=results] [ARGS='--set section.field=value']"
	@awk -F ':.*##  *' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' Makefile

setup: $(READY)  ## Create .venv from requirements.lock (GPU=1 adds CUDA; PYTHON=… chooses another Python)

$(READY): requirements.lock pyproject.toml
	@command -v '$(PYTHON)' >/dev/null || { echo "camid: no program '$(PYTHON)'; install Python 3.11, 3.12 or 3.13, or name one with PYTHON=…" >&2; exit 2; }
	@'$(PYTHON)' -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v[:2] <= (3, 13) else "camid: Python 3.11, 3.12 or 3.13 is needed, and %s is %d.%d; name another with PYTHON=..." % (sys.executable, v[0], v[1]))'
	@echo "camid: installing into .venv (a few minutes the first time)"
	@'$(PYTHON)' -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.lock $(if $(GPU),'tensorflow[and-cuda]')
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/camid compile
	@touch $@

demo: $(READY)  ## Simulated phones, from photographs to error rates of baselines and networks
	@$(BIN)/python pipelines/demo.py $(FLAGS)

preprocess: $(READY)  ## Photographs → strip store
	@$(BIN)/python pipelines/preprocess.py $(FLAGS)

baselines: $(READY)  ## Strip store → error rates of Lukas and Li
	@$(BIN)/python pipelines/baselines.py $(FLAGS)

evaluate: $(READY)  ## Strip store → methods on one comparison list, with intervals
	@$(BIN)/python pipelines/evaluate.py $(FLAGS)

train-siamese: $(READY)  ## Strip store → Siamese network, trained and judged beside other methods
	@$(BIN)/python pipelines/train_siamese.py $(FLAGS)

train-pairnet: $(READY)  ## Strip store → pair network of one's own, trained and judged beside other methods
	@$(BIN)/python pipelines/train_pairnet.py $(FLAGS)

train-cnn: $(READY)  ## Strip store → classifier of its devices, judged beside other methods
	@$(BIN)/python pipelines/train_cnn.py $(FLAGS)

tune-siamese: $(READY)  ## Strip store → the best of many Siamese networks (tune_configs/siamese.yaml; TUNE=… another)
	@$(BIN)/python pipelines/tune_siamese.py $(SEARCH) $(FLAGS)

tune-cnn: $(READY)  ## Strip store → the best of many classifiers (tune_configs/cnn.yaml; TUNE=… another)
	@$(BIN)/python pipelines/tune_cnn.py $(SEARCH) $(FLAGS)

compare: $(READY)  ## RUNS='runs/a runs/b' → is one method better than another? (also ids of MLflow's runs)
	@$(BIN)/python pipelines/compare.py $(RUNS) $(call quoted,OUT,out) $(ARGS)

ui: $(READY)  ## MLflow's pages over all runs, on this machine (PORT=5000)
	@$(BIN)/camid ui --port $(PORT)

test: $(READY)  ## The tests (JOBS=2 beside each other)
	@$(BESIDE) -m 'not soak' $(ARGS)

soak: $(READY)  ## Kills, lost nodes, full disks, S3, MLflow servers, a browser: one of each kind
	@$(BESIDE) -m 'soak and not long' $(ARGS)

soak-long: $(READY)  ## More kills at new moments (SEED=… repeats them), every way of every pipeline, the whole demo
	@echo "SEED=$(SEED)"
	@$(BESIDE) -m long --seed $(SEED) $(ARGS)

check: $(READY)  ## Format, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY)  ## Benchmarks: ratios against plain references
	@for file in benchmarks/*.py; do echo "== $$file"; name=$${file%.py}; $(BIN)/python -m "$${name//\//.}"; done

lock: $(READY)  ## Renew requirements.lock from requirements.txt
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header pyproject.toml --extra dev -o requirements.lock
