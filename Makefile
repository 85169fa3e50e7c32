# Every target makes its own virtual environment in .venv, with pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HARNESS := .venv-lmms
READY := $(VENV)/.ready
WORKERS ?= 2

.PHONY: help study test check lmms-eval format train-embedded accuracy screenshot

help:
	@grep -E '^## ' Makefile | sed 's/^## //'

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev]'
	# Only tests compare with it; left to itself it would install a second OpenCV over ours.
	$(BIN)/pip install --quiet --no-deps 'imagecorruptions-imaug==1.1.5'
	touch $@

## make study           the quick study on the embedded model, by WORKERS (2) processes: runs/quick/report.html
study: $(READY)
	$(BIN)/vqttt study --preset quick --workers $(WORKERS)

## make test            the whole test suite
test: $(READY)
	$(BIN)/python -m pytest -rs

## make check           format, lint, types, fast tests: what CI runs first
check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m 'not slow'

# An environment of its own, which sees what is in .venv and adds lmms-eval with what that needs: it pins other versions
# of some packages, and PyTorch need not be there twice.
$(HARNESS)/.ready: $(READY)
	$(PYTHON) -m venv --clear $(HARNESS)
	$(BIN)/python -c "import sysconfig; print(f'import site; site.addsitedir({sysconfig.get_path(\"purelib\")!r})')" \
		> "$$($(HARNESS)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/base.pth"
	$(HARNESS)/bin/python -m pip install --quiet --upgrade pip
	$(HARNESS)/bin/python -m pip install --quiet --editable '.[lmms-eval]'
	touch $@

## make lmms-eval       the plug-in for lmms-eval, run by that package's own command
lmms-eval: $(HARNESS)/.ready
	$(HARNESS)/bin/python -m pytest -p no:cacheprovider -o filterwarnings= tests/integrations/lmms_eval

## make format          format and mend what ruff can mend
format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

## make train-embedded  the embedded model again from nothing (about 1.5 hours on 2 cores; resumes)
train-embedded: $(READY)
	$(BIN)/python -m training.train

## make accuracy        the accuracy table of the embedded model, by plain transformers
accuracy: $(READY)
	$(BIN)/python -m training.accuracy

## make screenshot      docs/report.png from runs/quick/report.html; needs Debian's chromium
screenshot:
	mkdir -p docs
	chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
		--disable-component-update --disable-sync --user-data-dir=$$(mktemp -d) --hide-scrollbars \
		--window-size=1200,1650 --screenshot=docs/report.png "file://$(CURDIR)/runs/quick/report.html"
