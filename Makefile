# `make demo` speaks, `make test` passes the tests that take seconds, `make test-all` every test; both set up .venv first and are quick the second time.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
SENTENCE := The quick brown fox jumps over the lazy dog, and a new voice says so out loud.

.PHONY: demo test test-all lint types layers docs bench clients clean compare

demo: .venv/.core
	$(BIN)/glowtron say "$(SENTENCE)" -o demo.wav

test: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal -m "not slow"

test-all: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/mypy

layers: .venv/.dev
	$(BIN)/lint-imports

docs: .venv/.dev
	$(BIN)/mkdocs build --strict --quiet

bench: .venv/.core
	$(BIN)/python benchmarks/write_docs.py

# Programs that speak through `glowtron serve`, for tests/serve/test_clients.py; they need Python 3.12 or newer.
clients: .venv-clients/.done

# The page of the voice that ships, or of the folder VOICE (a copy with a WaveNet, say); DATA names recordings and their
# speaker as in training: make compare DATA=lj=LJSpeech-1.1
compare: .venv/.dev
	$(BIN)/glowtron compare $(VOICE) --data "$(DATA)" -o build/compare

clean:
	rm -rf .venv .venv-clients build dist demo.wav

# A stamp a kind of set-up, renewed when what to install has changed.
KERNEL := hatch_build.py $(wildcard src/glowtron/engines/*.[ch])

.venv/.core: pyproject.toml constraints.txt $(KERNEL)
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 10) <= sys.version_info < (3, 14) else "Glowtron needs Python 3.10 to 3.13; choose one with: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable '.[torch]'
	touch $@

.venv/.dev: pyproject.toml constraints.txt instruments.txt $(KERNEL) | .venv/.core
	$(PIP) --editable '.[dev]'
	$(PIP) --no-deps --requirement instruments.txt
	touch $@

.venv-clients/.done: tests/serve/clients/requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 12) else "The clients need Python 3.12 or newer; choose one with: make clients PYTHON=python3.12")'
	test -x .venv-clients/bin/python || $(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python -m pip --disable-pip-version-check install --quiet --requirement tests/serve/clients/requirements.txt
	touch $@
