# make run PHOTOS=~/Pictures    index a folder, print the birds found
# make test                     the tests;  make lint: ruff and mypy
# make docs                     rebuild the generated pages from the numbers that commands printed
# make fuzz MINUTES=10          each reader of foreign input, for so long;  make audit: known holes in what is installed
# make hostile                  2,264 bad files, 200 kills of each kind, twenty processes at once; takes long
# Each makes its own .venv and installs what it needs. PYTHON=... chooses the Python (3.11 or newer).

PYTHON ?= python3
PHOTOS ?= $(HOME)/Pictures
MINUTES ?= 10
BIN = .venv/bin

.PHONY: run test lint docs clean hostile fuzz audit

run: .venv/installed
	$(BIN)/photosearch index "$(PHOTOS)"
	$(BIN)/photosearch find bird --under "$(PHOTOS)"

test: .venv/installed-for-tests
	$(BIN)/python -m pytest

lint: .venv/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed-for-tests
	$(BIN)/python -m train pages
	$(BIN)/python -m train document
	$(BIN)/python -m benchmarks page

hostile: .venv/installed-for-tests
	PHOTOSEARCH_HOSTILE_FILES=2200 PHOTOSEARCH_KILLS=200 $(BIN)/python -m pytest -s --timeout 7200 \
		tests/test_hostile.py tests/test_kills.py tests/test_migrations.py tests/test_two_at_once.py

fuzz: .venv/installed-for-tests
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	for target in query csv card photo; do \
		$(BIN)/python tests/fuzz/fuzz.py $$target -max_total_time=$$(($(MINUTES) * 60)) || exit 1; done

audit: .venv/installed
	$(BIN)/python -m pip install --quiet 'pip-audit>=2.9,<3'
	$(BIN)/pip-audit --skip-editable

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("photosearch needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/installed-for-tests: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[train,plot,raw,test]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
