# `make` alone lists what there is. Needs make and Python 3.11 or newer, nothing else.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3 python3.14; do \
	if command -v $$name >/dev/null 2>&1 && \
	$$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then command -v $$name; break; fi; done)
TORCH := torch==2.13.0
CONSTRAINTS := $(if $(wildcard constraints.txt),-c constraints.txt)
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off
# What pip says goes to a log, whose end is shown when it fails; on a terminal one line shows what
# pip is at.
LOG := $(VENV)/install.log
SHOWN := $(shell test -t 2 && echo 1)
FOLLOW = while IFS= read -r line; do if [ -n "$(SHOWN)" ]; then case "$$line" in \
	*Collecting*|*Downloading*|*Building*|*Installing*) printf '\r\033[K      %.70s' "$$line";; \
	esac; fi; done; if [ -n "$(SHOWN)" ]; then printf '\r\033[K'; fi
PIP_INSTALL = ( $(PIP) $(1) $(CONSTRAINTS) 2>&1; echo $$? >$(VENV)/.status ) | tee -a $(LOG) | ( $(FOLLOW) ); \
	test "$$(cat $(VENV)/.status)" = 0 || \
	{ echo "Cannot proceed: pip failed. The end of $(LOG):" >&2; tail -n 15 $(LOG) >&2; exit 1; }
SAY := @printf '%s\n'

.PHONY: help demo dev test check bench bench-quick corpus docs clean install
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | \
	awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'

demo: $(INSTALLED) ## From a bucket to cited passages, with the sample documents
	@$(BIN)/rag demo

dev: $(INSTALLED) ## Keep the whole stack up: web page on 127.0.0.1:7860, Dagster on :3000; Ctrl-C stops it
	@$(BIN)/rag up

test: $(INSTALLED) ## Every test, with the embedded servers
	$(BIN)/python -m pytest -n 3

check: $(INSTALLED) ## Format, lint, types, imports and the fast tests: under a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2 -m "not slow"

bench: $(INSTALLED) ## Every figure beside its goal and its peers, with a report: about 40 minutes
	@$(call PIP_INSTALL,-e '.[bench]')
	$(BIN)/python -m benchmarks

bench-quick: $(INSTALLED) ## The same in small: about 5 minutes
	@$(call PIP_INSTALL,-e '.[bench]')
	$(BIN)/python -m benchmarks quick

corpus: $(INSTALLED) ## Parse the shared document collection (RAG_TEST_DATA) and judge each end
	$(BIN)/python -m benchmarks.corpus

docs: $(INSTALLED) ## Write the generated pages of docs/ again
	$(BIN)/rag doctor --reference > docs/settings.md
	$(BIN)/python -m rag.cli.reference > docs/commands.md

clean: ## Remove the environment, the caches and the embedded servers' data (.rag)
	rm -rf $(VENV) .rag build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install: $(INSTALLED) ## Make .venv with the pinned dependencies

$(INSTALLED): pyproject.toml $(wildcard constraints.txt)
ifeq ($(strip $(PYTHON)),)
	@echo "Cannot proceed: Python 3.11 or newer (with venv) was not found. Install it, or name it:" >&2
	@echo "  make $(MAKECMDGOALS) PYTHON=/path/to/python3.12      (Debian: apt install python3-venv)" >&2
	@exit 1
endif
	$(SAY) "Making $(VENV) with $(PYTHON). The packages are large: the first time takes some minutes."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@: > $(LOG)
	$(SAY) "  1/2 $(TORCH)"
	@$(call PIP_INSTALL,$(TORCH))
	$(SAY) "  2/2 rag-assets, Dagster, docling and the rest"
	@$(call PIP_INSTALL,-e '.[dev]')
	@touch $@
	$(SAY) "  done: $(BIN)/rag"
