# Each target makes its own environment from constraints.txt; nothing installed by hand is needed.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test test-full test-wheel bench lint format clean

demo: $(READY)
	$(BIN)/instructgen demo --into data/demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 -m "not full" $(ARGS)

test-full: $(READY)
	$(BIN)/python -m pytest -n 2 $(ARGS)

test-wheel: $(READY)
	tests/wheel_check.sh

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m benchmarks

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev,local]'
	touch $(READY)

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache
