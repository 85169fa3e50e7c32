# Targets that need Python packages first install them with pip into a virtual environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HARNESS := .venv-lmms
READY := $(VENV)/.ready
WORKERS ?= 2

.PHONY: help study test check fuzz families lmms-eval format train-embedded train-twins paradox accuracy screenshot

help:
	@grep -E '^## ' Makefile | sed 's/^## //'

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev]'
	# Only tests need it. --no-deps keeps it from installing a second OpenCV over ours.
	$(BIN)/pip install --quiet --no-deps 'imagecorruptions-imaug==1.1.5'
	touch $@

## make study           run the quick study on two embedded models with WORKERS (2) processes: runs/quick/report.html
study: $(READY)
	$(BIN)/vqttt study --preset quick --workers $(WORKERS)

# One thread for each process: threads that share few cores wait for each other.
FAST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m 'not slow'

## make test            run all tests; those that use several processes themselves run one after the other
test: $(READY)
	$(FAST)
	$(BIN)/python -m pytest -rs -m slow

## make fuzz            try every property on FUZZ (10000) random inputs: any file, table, image or option, never a crash
FUZZ ?= 10000
fuzz: $(READY)
	FUZZ=$(FUZZ) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -m fuzz

## make families        try every type of model that is loaded without a file of its own (11 minutes on 2 busy cores)
families: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m families

## make check           check format, lint and types, and run the fast tests
check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(FAST)

# A separate environment on top of .venv, because lmms-eval pins other versions of some packages. PyTorch is shared.
$(HARNESS)/.ready: $(READY)
	$(PYTHON) -m venv --clear $(HARNESS)
	$(BIN)/python -c "import sysconfig; print(f'import site; site.addsitedir({sysconfig.get_path(\"purelib\")!r})')" \
		> "$$($(HARNESS)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/base.pth"
	$(HARNESS)/bin/python -m pip install --quiet --upgrade pip
	$(HARNESS)/bin/python -m pip install --quiet --editable '.[lmms-eval]'
	touch $@

## make lmms-eval       test the lmms-eval plug-in with that package's own command
lmms-eval: $(HARNESS)/.ready
	$(HARNESS)/bin/python -m pytest -p no:cacheprovider -o filterwarnings= tests/integrations/lmms_eval

## make format          format the code and apply ruff's fixes
format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

## make train-embedded  train the embedded model from scratch (about 1.5 hours on 2 cores; can resume)
train-embedded: $(READY)
	$(BIN)/python -m training.train

## make train-twins     train the embedded model's twins, on images of other qualities: runs/twins (half an hour on 2 cores; can resume)
train-twins: $(READY)
	$(BIN)/python -m training.twins --workers $(WORKERS)

## make paradox         run the experiment of docs/paradox-lab.md on the twins (an hour on 2 cores; can resume)
paradox: $(READY)
	$(BIN)/python -m experiments.paradox --workers $(WORKERS)

## make accuracy        print the embedded model's accuracy table, by plain transformers
accuracy: $(READY)
	$(BIN)/python -m training.accuracy

## make screenshot      write docs/report.png from runs/quick/report.html; needs Debian's chromium
screenshot:
	mkdir -p docs
	chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
		--disable-component-update --disable-sync --user-data-dir=$$(mktemp -d) --hide-scrollbars \
		--window-size=1200,1650 --screenshot=docs/report.png "file://$(CURDIR)/runs/quick/report.html"
