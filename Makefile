# Everything from a fresh clone: each target makes the virtual environment that it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.PHONY: figures test long-test lab notebooks tensorboard results faults lint clean

figures: $(READY)
	$(BIN)/python -m moe_vae figures

test: $(READY) lint
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "not long"

long-test: $(READY)
	$(BIN)/python -m pytest -m long

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lab: $(READY)
	$(BIN)/jupyter lab notebooks

notebooks: $(READY)
	$(BIN)/python -m moe_vae notebooks notebooks/*.ipynb

tensorboard: $(READY)
	$(BIN)/tensorboard --logdir runs

# The numbers in the README: trains each model from several seeds, then writes the tables.
results: $(READY)
	$(BIN)/python -m moe_vae posts --data mnist
	$(BIN)/python -m moe_vae clustering --data spiral
	$(BIN)/python -m moe_vae tables

# The README's table of faults: makes every one of them again.
faults: $(READY)
	$(BIN)/python -m pytest tests/test_faults.py --faults results/faults.json
	$(BIN)/python -m moe_vae tables

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v != (3, 11) and \
	  "Python %d.%d found: 3.11 is needed; name one, as in: make PYTHON=python3.11" % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

clean:
	rm -rf $(VENV) figures .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
