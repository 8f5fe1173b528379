# make run PHOTOS=~/Pictures    index a folder, print the birds found
# make test                     the tests;  make lint: ruff and mypy
# make docs                     rebuild every generated page from the numbers that commands printed
# Each makes its own .venv and installs what it needs. PYTHON=... chooses the Python (3.11 or newer).

PYTHON ?= python3
PHOTOS ?= $(HOME)/Pictures
BIN = .venv/bin

.PHONY: run test lint clean

run: .venv/installed
	$(BIN)/photosearch index "$(PHOTOS)"
	$(BIN)/photosearch find bird --under "$(PHOTOS)"

test: .venv/installed-for-tests
	$(BIN)/python -m pytest

lint: .venv/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("photosearch needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/installed-for-tests: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[train,plot,test]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
