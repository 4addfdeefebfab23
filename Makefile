# `make run` and `make test` are all there is to know; `make` lists the rest.
#
# Set-up happens once, and again when pyproject.toml or constraints.txt change. Only set-up uses the
# network: runs, tests and checks never do.

PYTHON ?= python3
PYTEST_FLAGS ?=
# Processes that share the tests: one per core.
PYTEST_JOBS ?= auto
RUN ?= configs/quickstart.yaml

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COMPILED_IN := build/compiled
COMPILED_MODULES = $(shell $(BIN)/python -c 'import tomllib; \
  print(*tomllib.load(open("pyproject.toml", "rb"))["tool"]["mypy"]["files"])')
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# One thread per process: results do not depend on it, but two runs side by side do not fight.
export OMP_NUM_THREADS ?= 1
export FLWR_TELEMETRY_ENABLED := 0

# `make run COMPILED=1`, likewise bench, soak, slow and test: with the modules that are compiled to C.
ifdef COMPILED
export PYTHONPATH := $(CURDIR)/$(COMPILED_IN)
override PYTEST_FLAGS += -o 'pythonpath=$(COMPILED_IN) .'
READY := $(COMPILED_IN)/.built
else
READY := $(STAMP)
endif

.DEFAULT_GOAL := help
.PHONY: help run test check lint format bench slow soak compiled docs clean

help: ## list these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' \
	  | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

run: $(READY) ## set up, then run configs/quickstart.yaml (or RUN=configs/other.yaml)
	@$(BIN)/wardchain run $(RUN)

test: check $(READY) ## check, then run the tests (PYTEST_FLAGS="-k quorum" for some of them)
	$(BIN)/python -m pytest -n $(PYTEST_JOBS) $(PYTEST_FLAGS)

check: lint ## formatting, lint, import rules, types
	$(BIN)/basedpyright
	$(BIN)/mypy

lint: $(STAMP) ## formatting, lint and import rules only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo

format: $(STAMP) ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## measure: messages per second, cost of the ledger and of the simulator
	$(BIN)/python -m pytest -m bench -o faulthandler_timeout=0 $(PYTEST_FLAGS) tests/bench

slow: $(READY) ## the tests that take minutes
	$(BIN)/python -m pytest -m slow -o faulthandler_timeout=0 $(PYTEST_FLAGS)

soak: $(READY) ## 20,000 random fault schedules, n = 4 to 13 (15 to 30 minutes on two cores)
	$(BIN)/wardchain soak --first 0 --count 20000 --jobs 0

compiled: $(COMPILED_IN)/.built ## compile the consensus core to C (a minute); used by make run COMPILED=1, soak, bench, slow, test

docs: $(STAMP) ## write configs/README.md and configs/schema.json anew from the parameters
	$(BIN)/wardchain explain --write

clean: ## remove the environment and caches (results stay)
	rm -rf $(VENV) build .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Wardchain needs Python 3.11 or later; try: make PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# PyTorch goes first, alone: its build (CPU or CUDA) is settled before anything else asks for it.
$(STAMP): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Setting up $(VENV) (a few minutes the first time) ..."
	$(PIP) torch hatchling
	$(PIP) --no-build-isolation --editable '.[figures,fhir,stroke,dev]'
	@touch $@

# A copy of the package, so that the sources never lie beside anything older than they are; as make
# knows which sources it came from, a change of one of them makes it anew.
$(COMPILED_IN)/.built: $(STAMP) $(shell find simulation -name '*.py')
	@command -v cc > /dev/null \
	  || { echo "no C compiler: cc is not on the path; install one, or leave out COMPILED" >&2; exit 2; }
	@echo "Compiling into $(COMPILED_IN) (about a minute; its log is $(COMPILED_IN).log) ..."
	@rm -rf $(COMPILED_IN) $(COMPILED_IN).new
	@mkdir -p $(COMPILED_IN).new
	@cp -R simulation $(COMPILED_IN).new
	@cd $(COMPILED_IN).new && $(CURDIR)/$(BIN)/python -m mypyc $(COMPILED_MODULES) > ../compiled.log 2>&1 \
	  || { tail -20 ../compiled.log >&2; exit 2; }
	@touch $(COMPILED_IN).new/.built
	@mv $(COMPILED_IN).new $(COMPILED_IN)
