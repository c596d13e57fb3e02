# `make fit` and `make test` set up everything they need inside this folder (.venv/, runs/).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
RUN := .venv/bin/python
.DEFAULT_GOAL := help

.PHONY: help setup fit check test lint bench faults clean
help:
	@echo "make fit     set up, then fit a mixture to a Zarr store on a local Dask cluster"
	@echo "make test    set up, then run every check and every test"
	@echo "make check   lint, types, import contracts and tests, in the environment as it is"
	@echo "make bench   the whole benchmark, ours and every peer (sets peers up in .bench/)"
	@echo "make faults  hold a fit to the matrix of faults, in full (40 minutes); tests/faults/RESULTS.md"
	@echo "make clean   remove what setting up and running made"

setup: .venv/.ready
.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gmm-dask needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[flows,report,s3,parquet,fast,dashboard,slurm,kubernetes,dev]'
	touch $@

fit: setup runs/faithful.zarr runs/blobs.zarr
	@echo; echo "== Old Faithful: 272 eruptions, two components"
	$(RUN) -m gmm_dask fit runs/faithful.zarr -k 2 --out runs/faithful
	@echo; echo "== a generated store: 1,000,000 x 8, eight components, in a Prefect flow on a local Dask cluster"
	$(RUN) -m flows.fit_mixture runs/blobs.zarr --array rows --components 8 --run runs/blobs
	@echo; echo "next: open runs/faithful/report.html and runs/blobs/report.html; while a fit runs on a local cluster,"
	@echo "its Dask dashboard is at http://127.0.0.1:8787/status; README.md goes on from here"

runs/faithful.zarr: | setup
	$(RUN) -m gmm_dask data import data/faithful.csv --out $@

runs/blobs.zarr: | setup
	$(RUN) -m gmm_dask data make blobs --rows 1000000 --features 8 --components 8 --out $@

test: setup
	@$(MAKE) --no-print-directory check

lint:
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	.venv/bin/lint-imports --no-cache

check: lint
	$(RUN) -m tests.lanes

bench: setup
	$(RUN) -m tests.benchmarks

faults: setup
	$(RUN) -m tests.faults

clean:
	rm -rf .venv runs .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
