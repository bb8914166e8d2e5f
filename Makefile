# Two commands do everything: `make run` and `make test`. Both set up what they need in .venv.
# PYTHON names the interpreter to start from; by default python3 if that is 3.11 or later, else
# the newest that there is.

PYTHON ?= $(shell .ci/find-python)
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -q
PROTOS := $(shell find proto -name '*.proto')

.DEFAULT_GOAL := help

run: $(VENV)/.server ## Start the exchange with three simulated bidders and run one auction
	@$(BIN)/xsp demo $(ARGS)

test: $(VENV)/.dev ## Run every test, with the floor on coverage
	$(BIN)/pytest -n 2 --dist loadgroup --cov --cov-report=term:skip-covered $(ARGS)

lint: $(VENV)/.dev ## ruff, mypy --strict, import-linter, buf lint, format and breaking
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	.ci/buf-breaking $(BIN)/buf

bench: $(VENV)/.dev ## Measure against a floor or a peer in the same run; JSON goes to bench-results/
	$(BIN)/python benchmarks/run.py $(ARGS)

mutation: $(VENV)/.dev ## Change the auction's code a little at a time: which changes does no test see?
	PYTHONHASHSEED=0 PYTHONPATH=tests $(BIN)/python -m mutation $(ARGS)

fuzz: $(VENV)/.dev ## Feed a million nearly right documents, messages and macros to the VAST code
	PYTHONHASHSEED=0 PYTHONPATH=tests $(BIN)/python -m fuzz $(ARGS)

proto: $(VENV)/.tools ## Generate the Python stubs into gen/
	$(BIN)/python hatch_build.py

format: $(VENV)/.dev ## Format Python and protos in place
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/buf format --write

clean: ## Remove everything that was made
	rm -rf $(VENV) gen dist bench-results .coverage* .*_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this text
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# What builds the stubs and the package; everything else is installed on top of it.
$(VENV)/.tools: pyproject.toml constraints.txt .ci/make-venv
	@echo "Setting up $(VENV): tools"
	@.ci/make-venv "$(PYTHON)" $(VENV)
	@$(PIP) hatchling editables grpcio-tools mypy-protobuf
	@touch $@

# Installing generates the stubs (hatch_build.py), so a changed contract installs again.
$(VENV)/.server: $(VENV)/.tools hatch_build.py $(PROTOS)
	@echo "Setting up $(VENV): stubs, server, client"
	@$(PIP) --no-build-isolation -e '.[server]' buf-bin
	@touch $@

$(VENV)/.dev: $(VENV)/.tools hatch_build.py $(PROTOS)
	@echo "Setting up $(VENV): stubs, server, client, tests"
	@$(PIP) --no-build-isolation -e '.[server,dev]'
	@touch $(VENV)/.server $@

.PHONY: run test lint bench mutation fuzz proto format clean help
