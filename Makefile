# Everything from a fresh clone: each target makes the virtual environment that it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

# For `make results`: a Python that has TensorFlow 1.15, if there is one.
TENSORFLOW_1 ?=

# What `make container` builds: cpu or gpu.
TARGET ?= cpu

.PHONY: figures test unit long-test browser-test lab notebooks tensorboard results faults docs lint lock \
  container clean

figures: $(READY)
	$(BIN)/python -m moe_vae figures

test: $(READY) lint
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "not long and not browser"

# The quick ones: no processes, engines, notebooks or container.
unit: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadscope \
	  -m "not process and not engines and not notebooks and not docker and not long and not browser"

long-test: $(READY)
	$(BIN)/python -m pytest -m long

# Needs Debian's packages chromium and chromium-driver; the screenshots go to screenshots/.
browser-test: $(READY)
	$(BIN)/python -m pytest -m browser

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# The documentation, into site/; a dead link or a missing anchor fails.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

lab: $(READY)
	$(BIN)/jupyter lab notebooks

notebooks: $(READY)
	$(BIN)/python -m moe_vae notebooks notebooks/*.ipynb

tensorboard: $(READY)
	$(BIN)/tensorboard --logdir runs

# The numbers in the README: trains each model from several seeds, then writes the tables.
results: $(READY)
	$(BIN)/python -m moe_vae posts --data mnist
	$(BIN)/python -m moe_vae post2-parameters
	$(BIN)/python -m moe_vae post3-limits
	$(BIN)/python -m moe_vae clustering --data spiral
	$(BIN)/python -m moe_vae clustering --data mnist
	$(BIN)/python -m moe_vae table1
	$(BIN)/python -m moe_vae table1 --data spiral --outputs 1 --gates deep dmvae \
	  --objectives batch_sum mixture_mean --out results/objectives.json
	$(BIN)/python -m moe_vae table2
	$(BIN)/python -m moe_vae relaxed --runs runs/questions
	$(BIN)/python -m moe_vae from-scratch --runs runs/questions
	$(BIN)/python -m moe_vae samples --runs runs/questions
	$(BIN)/python -m moe_vae specialists
	$(BIN)/python -m moe_vae times
	$(BIN)/python -m moe_vae scaling
	$(BIN)/python -m moe_vae bench --peers --epochs 30 \
	  $(if $(TENSORFLOW_1),--tensorflow-1-python $(TENSORFLOW_1))
	$(BIN)/python -m moe_vae bench --scaling
	$(BIN)/python -m moe_vae tables

# The README's table of faults: makes every one of them again.
faults: $(READY)
	$(BIN)/python -m pytest tests/training/test_faults.py --faults results/faults.json
	$(BIN)/python -m moe_vae tables

# The container's lock files, after a change of requirements.txt.
lock:
	PYTHON=$(PYTHON) docker/lock.sh

# The container's image, built and checked where there is no Docker engine; needs root.
container:
	PYTHON=$(PYTHON) docker/build_without_docker.sh $(TARGET)

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v != (3, 11) and \
	  "Python %d.%d found: 3.11 is needed; name one, as in: make PYTHON=python3.11" % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) figures screenshots site .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
