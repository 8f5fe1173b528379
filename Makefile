# make run PHOTOS=~/Pictures    index a folder, list what was found
# make quick                    ruff and the quick tests, in a minute: for the habit
# make test                     all tests;  make lint: ruff and mypy
# make texts                    accept the texts of commands and pages as they are: tests/cli/texts/, tests/web/texts/
# make docs                     rebuild the generated pages from the numbers that commands printed
# make fuzz MINUTES=10          each reader of foreign input, for so long;  make audit: known holes in what is installed
# make hostile                  2,264 bad files, 200 kills of each kind, twenty processes at once; takes long
# make coverage                 the tests, and which lines of photosearch/ they run
# make mutants CHANGES=102      break so many lines on purpose, as many in each room, and see which of them no test notices;
#                               SEED=7 for others, WORKERS=2 for two at once; takes long
# Each makes its own .venv and installs what it needs. PYTHON=... chooses the Python (3.11 or newer), VENV=... another
# place. Where torch has no wheel, EXTRAS=plot,raw,test tests the tool without the training; with ray,fsspec,test-cluster
# added to these, Ray and S3 are tested as well.

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= train,plot,raw,jxl,ocr,test
PHOTOS ?= $(HOME)/Pictures
MINUTES ?= 10
CHANGES ?= 102
SEED ?= 1
WORKERS ?= 1
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --no-compile  # Python compiles what it imports, which is a part
BESIDE = --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder  # a file's tests share what they set up

unexport PYTHONDONTWRITEBYTECODE  # with it, each process that a test starts compiles anew all that it imports

.PHONY: run quick test coverage lint docs texts clean hostile fuzz audit mutants

run: $(VENV)/installed  # a shell that leaves the ~ of PHOTOS=~/Pictures alone is no matter: photosearch expands it
	$(BIN)/photosearch index "$(PHOTOS)"
	$(BIN)/photosearch labels | head -n 20  # those of most photos
	@echo 'Next: $(BIN)/photosearch browse, or $(BIN)/photosearch find WORDS'

quick: $(VENV)/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/python -m pytest $(BESIDE) -m "not slow and not hostile and not data" -p no:cacheprovider

test: $(VENV)/installed-for-tests
	$(BIN)/python -m pytest $(BESIDE)

coverage: $(VENV)/installed-for-tests  # sysmon: counts lines at a small part of the cost, from Python 3.12 on
	COVERAGE_CORE=sysmon $(BIN)/coverage run -m pytest $(BESIDE)
	-$(BIN)/coverage combine --append --quiet  # what a process that a test killed left half written is no loss
	$(BIN)/coverage report

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed-for-tests
	$(BIN)/python -m train pages
	$(BIN)/python -m train document
	$(BIN)/python -m benchmarks page

texts: $(VENV)/installed-for-tests
	PHOTOSEARCH_WRITE_TEXTS=1 $(BIN)/python -m pytest -q tests/cli/test_texts.py tests/web/test_templates.py tests/web/test_export_templates.py

hostile: $(VENV)/installed-for-tests
	PHOTOSEARCH_HOSTILE_FILES=2200 PHOTOSEARCH_KILLS=200 PHOTOSEARCH_MARKERS=20 $(BIN)/python -m pytest -s --timeout 7200 \
		tests/test_hostile.py tests/test_kills.py tests/library/test_migrations.py tests/test_two_at_once.py

mutants: $(VENV)/installed-for-tests
	$(BIN)/python tests/mutants/mutants.py --options --workers $(WORKERS)
	$(BIN)/python tests/mutants/mutants.py --changes $(CHANGES) --seed $(SEED) --workers $(WORKERS) --json mutants.json

fuzz: $(VENV)/installed-for-tests
	$(INSTALL) --editable '.[fuzz]'
	for target in query csv card photo shard row graph sidecar takeout; do \
		$(BIN)/python tests/fuzz/fuzz.py $$target -max_total_time=$$(($(MINUTES) * 60)) || exit 1; done

audit: $(VENV)/installed
	$(INSTALL) 'pip-audit>=2.9,<3'
	$(BIN)/pip-audit --skip-editable

$(VENV)/made:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("photosearch needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/made pyproject.toml
	$(INSTALL) --editable .
	touch $@

$(VENV)/installed-for-tests: $(VENV)/made pyproject.toml
	$(INSTALL) --editable '.[$(EXTRAS)]'
	touch $(VENV)/installed $@

clean:
	rm -rf .venv* .coverage* .mypy_cache .pytest_cache .ruff_cache
