# Everything from a clean clone: each target first makes the virtual environment it needs (once: minutes, 7 GB).
#
#   make run                                the embedded default: data, models, tables, figures, report
#   make run CONFIG=configs/mini.yaml       with an overlay (several: CONFIG="a.yaml b.yaml")
#   make run TARGET=mining CORES=8          one chapter; so many processes
#   make test                               the test suite

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV ?= .venv
# nproc itself obeys OMP_NUM_THREADS, which says how many threads one process has
CORES ?= $(shell env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
PROFILE ?= profiles/default
CONFIG ?=
TARGET ?=
ARGS ?=

BIN := $(VENV)/bin
READY := $(VENV)/.ready
# --configfile takes all words up to the next option, so --cores stands between it and the targets
SNAKEMAKE = $(BIN)/snakemake --workflow-profile $(PROFILE) --configfile config.yaml $(CONFIG) --cores $(CORES)
RESULTS = $$($(BIN)/suti config --show results --configfile config.yaml $(CONFIG))

# One thread a process, as many processes as cores: twice the throughput of the reverse.
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false
export HF_HUB_DISABLE_TELEMETRY ?= 1
export DVC_NO_ANALYTICS ?= 1

.PHONY: help setup run test models golden report lint format docs constraints clean

help: ## list the targets
	@awk '!/^#/ {exit} {sub(/^# ?/, ""); print}' Makefile; echo
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(READY) ## make the virtual environment and install the project into it

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "make: $(PYTHON) is missing or older than Python 3.11; name another with make PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo "make: no virtual environment; install Python's venv module (Debian: python3-venv)" >&2; exit 1; }
	@echo "installing into $(VENV) (the first time about 2 minutes and 7 GB)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
	  --constraint constraints.txt --editable '.[app,ratings,test]' 2>&1 | { grep -v '^WARNING' || true; }
	@touch $(READY)

run: $(READY) ## run the workflow, then say where its tables, figures and report are
	@$(SNAKEMAKE) $(ARGS) $(TARGET)
	@$(if $(TARGET),true,$(MAKE) report)

report: $(READY) ## write results/report.html if it is older than what it shows, and say where all is
	@results=$(RESULTS); \
	if [ -z "$$(find "$$results/report.html" 2>/dev/null)" ] || \
	   [ -n "$$(find "$$results"/tables "$$results"/figures -newer "$$results/report.html" -print -quit)" ]; then \
	  $(SNAKEMAKE) --quiet all --report "$$results/report.html"; \
	fi; \
	printf '\n  %-8s %s\n' tables "$$(realpath "$$results")/tables" figures "$$(realpath "$$results")/figures" \
	  report "$$(realpath "$$results")/report.html"

test: $(READY) ## run the test suite
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

models: $(READY) ## train the small models of resources/models anew (hours on two cores)
	@$(SNAKEMAKE) $(ARGS) models

golden: $(READY) ## write the golden scores of the shipped apprentice (tests/golden_apprentice.json) anew
	@$(BIN)/python -m tests.golden_apprentice

lint: $(READY) ## check style and types: ruff, snakefmt, snakemake --lint, generated files, mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/snakefmt --check Snakefile rules
	@$(BIN)/snakemake --lint
	@$(BIN)/suti config --check
	@$(BIN)/mypy

format: $(READY) ## bring the style in order: ruff, snakefmt
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/snakefmt Snakefile rules

docs: $(READY) ## write config.yaml, its JSON schema, docs/configuration.md and docs/code.md from the code
	@$(BIN)/suti config --write

constraints: $(READY) ## write constraints.txt from what is installed
	@{ sed -n '/^#/p' constraints.txt; $(BIN)/python -m pip freeze --exclude-editable 2>/dev/null \
	  | grep -E '^[A-Za-z0-9._-]+==' ; } > constraints.txt.part
	@mv constraints.txt.part constraints.txt

clean: ## remove results and the workflow's records (not the environment, not the models)
	rm -rf results build .snakemake .pytest_cache .hypothesis .mypy_cache .ruff_cache
