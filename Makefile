# Needs Python >= 3.11 and make; uv is used where it is installed, else put into .uv/ by pip.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DAGSTER_HOME ?= $(CURDIR)/.dagster
ARGS ?=
CONSUMERS := freqtrade vectorbt nautilus
SHORT := data_platform_tests/domain data_platform_tests/test_line.py data_platform_tests/test_definitions.py
SQL ?= select exchange, timeframe, count(*) as candles from candles group by all order by all

.PHONY: help install demo demo-correction demo-ui test test-slow test-pythons test-consumers check docs \
	fix ui ui-readonly simulate generate-sample download status report scorecard backup verify doctor query bench bench-fetch bench-store \
	bench-checks bench-report bench-indicators bench-features bench-state bench-export clean

help: ## Print this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.installed: uv.lock pyproject.toml | $(filter .uv/%,$(UV))
	$(UV) sync --frozen --quiet --compile-bytecode --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
	@touch $@

$(DAGSTER_HOME)/dagster.yaml: configs/dagster.yaml
	@mkdir -p $(@D) && cp $< $@

install: .venv/.installed $(DAGSTER_HOME)/dagster.yaml ## Install what is locked into .venv

demo: install ## Run the whole line on simulated exchanges, offline
	data-platform demo $(ARGS)

demo-correction: install ## Correct one candle, offline: exactly what is computed again, and why
	data-platform demo-correction

demo-ui: install ## The demo, then the Dagster UI on it with sensors running
	data-platform demo --ui

test: install ## Run the tests (9 minutes on 2 cores)
	pytest -n 2 --dist worksteal $(ARGS)

test-slow: install ## Run the tests that take minutes
	pytest -m slow $(ARGS)

test-pythons: install ## Run the short suite on every other installed Python from 3.11 on
	@for minor in 11 12 13 14; do \
	  python=$$(python3.$$minor -c 'import sys; print(sys.executable)' 2>/dev/null \
	    || ls $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.$$minor.*/bin/python 2>/dev/null | tail -1 || true); \
	  [ -n "$$python" ] || continue; \
	  .venv/bin/python -c "import sys; sys.exit(sys.version_info[1] == $$minor)" || continue; \
	  echo "Python 3.$$minor: $$python"; \
	  UV_PROJECT_ENVIRONMENT=.cache/venv-3.$$minor $(UV) sync --frozen --quiet --python "$$python"; \
	  .cache/venv-3.$$minor/bin/pytest -n 2 --dist worksteal $(SHORT); \
	done

.cache/consumers/%/.installed: data_platform_tests/converters/consumers/%.txt .venv/.installed
	rm -rf $(@D)
	$(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(@D)
	VIRTUAL_ENV=$(CURDIR)/$(@D) $(UV) pip install --quiet --requirement $<
	@touch $@

test-consumers: install $(CONSUMERS:%=.cache/consumers/%/.installed) ## Trade on our files in Freqtrade, VectorBT and NautilusTrader (2 GB, 10 minutes)
	CONSUMERS_ENV=$(CURDIR)/.cache/consumers pytest -m slow data_platform_tests/converters $(ARGS)

check: install ## Lint, types, architecture, definitions (under 2 minutes)
	ruff format --check
	ruff check
	mypy
	pytest -q data_platform_tests/test_architecture.py
	dagster definitions validate

docs: install ## Write docs/data_dictionary.md and docs/indicators.md anew
	DATA_PLATFORM_CONFIG=configs/platform.yaml data-platform dictionary > docs/data_dictionary.md
	data-platform dictionary --indicators > docs/indicators.md

fix: install ## Format and mend what ruff can mend
	ruff format
	ruff check --fix

ui: install ## Open the Dagster UI and its daemon on 127.0.0.1:3000
	dagster dev --host 127.0.0.1 --port 3000

ui-readonly: install ## The same for looking only: no run can be launched, nothing is automated
	dagster-webserver --read-only --host 127.0.0.1 --port 3000

simulate: install ## Serve simulated exchanges until Ctrl-C
	data-platform simulate $(ARGS)

generate-sample: install ## Write synthetic candles and their labels
	data-platform generate-sample $(ARGS)

download: install ## Fetch and derive what is missing: ARGS="--exchange binance --start 2024-01-01"
	data-platform download $(ARGS)

status: install ## Print how far every series is; exits 1 when one is stale
	data-platform status $(ARGS)

report: install ## Write one HTML page: coverage by day, scores, findings, sources, freshness
	data-platform report $(ARGS)

scorecard: install ## Plant every defect and tell how much the checks find: REAL_CANDLES=folder ARGS="--seeds 50"
	data-platform scorecard $(ARGS)

verify: install ## Compare every file of the lake with the journal: exits 0 sound, 1 damaged, 2 unchecked
	data-platform verify $(ARGS)

doctor: install ## Tell what is wrong with the lake and what would be done, then do it: ARGS="--dry-run"
	data-platform doctor $(ARGS)

backup: install ## Copy lake, state and Dagster's storage while they are used: TO=/mnt/backup
	data-platform backup "$(TO)" $(ARGS)

query: export QUERY = $(SQL)
query: install ## Run one SELECT over the lake: SQL="select ..."
	data-platform query "$$QUERY" $(ARGS)

bench: install ## Measure: Dagster against a bare script, cold starts, the events' storage
	python benchmarks/backfill.py $(ARGS)
	python benchmarks/cold_start.py
	python benchmarks/event_storage.py 2>/dev/null

bench-fetch: install ## Measure: the source against bare ccxt, use of the limits, a tick amid a backfill (30 minutes)
	python benchmarks/throughput.py
	python benchmarks/rate_budget.py $(ARGS)
	python benchmarks/tick_amid_backfill.py

bench-store: install ## Measure: commits, reads and proofs of a large lake (10 minutes, 3 GB)
	python benchmarks/store.py $(ARGS)

bench-checks: install ## Measure: all checks of one month of 1m, against the same rules in pandas
	python benchmarks/checks.py

bench-indicators: install ## Measure: every indicator against ta and TA-Lib, a year of 1m (3 minutes)
	UV_PROJECT_ENVIRONMENT=.cache/venv-bench $(UV) sync --frozen --quiet --group bench
	.cache/venv-bench/bin/python benchmarks/indicators.py $(ARGS)

bench-features: install ## Measure: features against bare polars, cost by history, one tick (10 minutes, 3 GB)
	python benchmarks/features.py $(ARGS)

bench-export: install $(CONSUMERS:%=.cache/consumers/%/.installed) ## Measure: exports against each program's own files, and one candle more (5 minutes, 3 GB)
	CONSUMERS_ENV=$(CURDIR)/.cache/consumers python benchmarks/export.py $(ARGS)

bench-state: install ## Measure: the state files of 40 markets of 5 years against DuckDB (4 minutes, 1 GB)
	python benchmarks/state_files.py $(ARGS)

bench-report: install ## Measure: the report of 240 series over 5 years (10 minutes, 3 GB)
	python benchmarks/report.py $(ARGS)

clean: ## Remove the environment and caches; never the lake
	rm -rf .venv .uv .mypy_cache .pytest_cache .ruff_cache .hypothesis
