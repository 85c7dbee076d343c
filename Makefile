# Each target makes its own environment from constraints.txt; nothing installed by hand is needed.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

CONSUMERS := test-trl test-llamafactory test-axolotl test-torchtune test-datasets

.PHONY: $(CONSUMERS) demo test test-full test-wheel bench lint format sample clean

demo: $(READY)
	$(BIN)/instructgen demo --into data/demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 -m "not full" $(ARGS)

test-full: $(READY)
	$(BIN)/python -m pytest -n 2 $(ARGS)

test-wheel: $(READY)
	tests/wheel_check.sh

.PHONY: test-croissant
test-croissant: $(READY)
	work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT \
	&& $(BIN)/python -m tests.consumers.every_format "$$work/data" \
	&& $(PYTHON) -m venv "$$work/venv" && "$$work/venv/bin/pip" install -q mlcroissant==1.1.1 \
	&& "$$work/venv/bin/python" tests/consumers/croissant_loads.py "$$work/data"

# Each makes an environment of its own in a temporary folder (1-2 GB), uses it and removes it; not part of `make test`.
$(CONSUMERS): test-%: $(READY)
	$(BIN)/python tests/consumers/run.py $*

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m benchmarks $(ARGS)

$(READY): pyproject.toml constraints.txt
	@echo "Making the environment .venv; pip fetches 1 to 2 minutes without a word."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev,local,safety,semantic,verify]'
	touch $(READY)

sample: $(READY)
	rm -rf data/practice
	$(BIN)/instructgen generate practice.yaml --into data/practice/run --target 22
	$(BIN)/instructgen export data/practice/run --format alpaca --into data/practice/dataset
	cp data/practice/dataset/jsonl/alpaca-train.jsonl data/sample.jsonl

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache
