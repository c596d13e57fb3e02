# `make fit` and `make test` set up everything they need inside this folder (.venv/, runs/).
# The newest CPython here from 3.11 up that really runs; make PYTHON=/path/to/python3 takes another.
PYTHON ?=
EXTRAS := flows,report,s3,parquet,fast,dashboard,slurm,kubernetes,dev
RUN := .venv/bin/python
.DEFAULT_GOAL := help

.PHONY: help setup fit check test lint bench faults constraints clean
help:
	@echo "make fit     set up, then fit a mixture to a Zarr store on a local Dask cluster, to be looked at"
	@echo "make test    set up, then run every check and every test"
	@echo "make check   lint, types, import contracts and tests, in the environment as it is"
	@echo "make bench   the whole benchmark, ours and every peer (sets peers up in .bench/)"
	@echo "make faults  hold a fit to the matrix of faults, in full (40 minutes); tests/faults/RESULTS.md"
	@echo "make constraints  pin the newest releases of everything, for every CPython here"
	@echo "make clean   remove what setting up and running made"

setup: .venv/.ready
.venv/.ready: pyproject.toml constraints.txt
	@python="$(PYTHON)"; : "$${python:=$$(.ci/pythons | head -n 1 | cut -d ' ' -f 2-)}"; \
	"$${python:-false}" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' || { \
		echo "gmm-dask needs CPython 3.11 or newer, with venv: make PYTHON=/path/to/python3" >&2; exit 1; }; \
	echo "setting up .venv with $$("$$python" --version)"; \
	"$$python" -m venv --clear .venv
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

ROWS ?= 3000000
FIRST := runs/overlapping
fit: setup runs/faithful.zarr $(FIRST).zarr
	@echo; echo "== Old Faithful: 272 eruptions, two components, in this process"
	$(RUN) -m gmm_dask fit runs/faithful.zarr -k 2 --out runs/faithful
	@echo; echo "== $(ROWS) generated rows x 4, six components that overlap: a Prefect flow, on a Dask cluster of two workers."
	@echo "== While iterations run, look at the dashboard that its log names."
	$(RUN) -m flows.fit_mixture $(FIRST).zarr --components 6 --tol 1e-9 --max-iter 1000 --workers 2 --run $(FIRST)
	@echo; echo "== What was found, and how far it is from the mixture that the rows were drawn from"
	$(RUN) -m gmm_dask show $(FIRST) --against $(FIRST).zarr/truth
	@echo; echo "Now open $(FIRST)/report.html. To try next:"
	@echo "  $(RUN) -m gmm_dask fit $(FIRST).zarr -k 6 --tol 1e-9 --max-iter 2000 --accelerate none --workers 2   # plain EM: Ctrl-C when you have seen enough, the same command goes on"
	@echo "  $(RUN) -m gmm_dask score $(FIRST) $(FIRST).zarr --out runs/scores.zarr   # the component and the density of every row"

runs/faithful.zarr: | setup
	$(RUN) -m gmm_dask data import data/faithful.csv --out $@

$(FIRST).zarr: | setup
	$(RUN) -m gmm_dask data make overlapping --rows $(ROWS) --features 4 --components 6 --seed 5 --out $@

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

# Versions for which the rooms that touch other people's libraries are then run: .ci/rooms PYTHON.
constraints:
	python3 .ci/constraints.py '$(EXTRAS)' > .constraints.new
	mv .constraints.new constraints.txt

clean:
	rm -rf .venv runs .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
