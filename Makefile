# Everything from a fresh clone: each target makes the virtual environment that it needs.

PYTHON ?= python3
# Each version of Python has an environment of its own, for example .venv/3.12.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv/$(or $(VERSION),none)
BIN := $(VENV)/bin
READY := $(VENV)/.installed

# For `make results`: a Python that has TensorFlow 1.15, if there is one.
TENSORFLOW_1 ?=

# For `make lab`, such as --allow-root.
LAB_OPTIONS ?=

# What `make container` builds: cpu or gpu.
TARGET ?= cpu

UNIT := not process and not engines and not estimators and not notebooks and not docker \
  and not long and not browser

# The page of the pretrained models, one HTML file.
PAGE := page.html

.PHONY: figures page test unit long-test browser-test lab notebooks tensorboard results faults docs lint fuzz \
  soak wheel oldest nightly lock container container-docker clean

figures: $(READY)
	$(BIN)/python -m moe_vae figures

page: $(READY)
	$(BIN)/python -m moe_vae export --pretrained mixture-of-vaes specialists conditional-vae \
	  --to html --out $(PAGE)

test: $(READY) lint
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "not long and not browser"

# The quick ones: no processes, engines, estimators, notebooks or container.
unit: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "$(UNIT)"

long-test: $(READY)
	$(BIN)/python -m pytest -m long

# Needs npm, and Debian's packages chromium and chromium-driver; the screenshots go to screenshots/.
browser-test: $(READY)
	npm ci --prefix tests/page --no-audit --no-fund
	$(BIN)/python -m pytest -m browser

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# The documentation with the page, into site/; a dead link or a missing anchor fails.
docs: $(READY) page
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# JupyterLab itself refuses to run as root, because whoever reaches it could then do anything.
lab: $(READY)
	@if [ "$$(id -u)" = 0 ] && ! echo "$(LAB_OPTIONS)" | grep -q -- --allow-root; then \
	  echo "JupyterLab does not run as root: run make lab as another user, or, where nobody else" \
	    "reaches this machine, make lab LAB_OPTIONS=--allow-root" >&2; exit 1; fi
	$(BIN)/jupyter lab $(LAB_OPTIONS) notebooks

notebooks: $(READY)
	$(BIN)/python -m moe_vae notebooks notebooks/*.ipynb

tensorboard: $(READY)
	$(BIN)/tensorboard --logdir runs

# The numbers in the README: trains each model from several seeds, then writes the tables.
results: $(READY)
	$(BIN)/python -m moe_vae posts --data mnist
	$(BIN)/python -m moe_vae posts --data mnist --models conditional-vae \
	  --seeds 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19
	$(BIN)/python -m moe_vae post2-parameters
	$(BIN)/python -m moe_vae post3-limits
	$(BIN)/python -m moe_vae networks
	$(BIN)/python -m moe_vae clustering --data spiral
	$(BIN)/python -m moe_vae clustering --data mnist
	$(BIN)/python -m moe_vae table1
	$(BIN)/python -m moe_vae table1 --data spiral --outputs 1 --gates deep dmvae \
	  --objectives batch_sum mixture_mean --out results/objectives.json
	$(BIN)/python -m moe_vae table2
	$(BIN)/python -m moe_vae relaxed --runs runs/questions
	$(BIN)/python -m moe_vae from-scratch --runs runs/questions
	$(BIN)/python -m moe_vae samples --runs runs/questions
	$(BIN)/python -m moe_vae variants --runs runs/questions
	$(BIN)/python -m moe_vae specialists
	$(BIN)/python -m moe_vae router-trials
	$(BIN)/python -m moe_vae table2-conv --runs runs/specialists
	$(BIN)/python -m moe_vae fashion-mnist
	$(BIN)/python -m moe_vae times --data mnist
	$(BIN)/python -m moe_vae scaling
	$(BIN)/python -m moe_vae bench --peers --epochs 30 \
	  $(if $(TENSORFLOW_1),--tensorflow-1-python $(TENSORFLOW_1))
	$(BIN)/python -m moe_vae bench --scaling
	$(BIN)/python -m moe_vae bench --scaling training
	$(BIN)/python -m moe_vae tables

# The table of faults: makes every one of them again.
faults: $(READY)
	$(BIN)/python -m pytest tests/faults --faults results/faults.json -n 2 --dist loadgroup
	$(BIN)/python -m moe_vae tables

# Random bytes for the readers of files, a million for each; one core takes about an hour.
FUZZ_RUNS ?= 1000000
fuzz: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris>=3,<4'
	$(BIN)/python tests/fuzz/fuzz.py --runs $(FUZZ_RUNS) --out results/fuzz.json

# Hundreds of trainings in one process, and of checkpoints in one directory: nothing may grow.
soak: $(READY)
	$(BIN)/python tests/soak/soak.py --out results/soak.json
	$(BIN)/python -m moe_vae tables

# The container's lock files, after a change of requirements.txt or pyproject.toml.
lock: $(READY)
	UV=$(BIN)/uv docker/lock.sh

# The container's image, built and checked where there is no Docker engine; needs root.
container:
	PYTHON=$(PYTHON) docker/build_without_docker.sh $(TARGET)

# The cpu image, built by a Docker engine and checked; needs root, see the script.
container-docker: $(READY)
	PYTHON=$(abspath $(BIN))/python docker/check_with_docker.sh

# A package to install elsewhere, into dist/.
wheel: $(READY)
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

# The quick tests with the oldest versions that pyproject.toml allows.
oldest: $(READY)
	$(BIN)/uv --no-config pip compile pyproject.toml --quiet --resolution lowest-direct \
	  --extra dev --python $(BIN)/python --output-file .venv/oldest.txt
	$(PYTHON) -m venv --clear .venv/oldest
	.venv/oldest/bin/python -m pip install --quiet --disable-pip-version-check \
	  --requirement .venv/oldest.txt
	.venv/oldest/bin/python -m pytest -n 2 --dist loadscope -m "$(UNIT)"

# The quick tests with what will be TensorFlow's next versions; see docs/compatibility.md.
nightly: $(READY)
	grep -vE '^(tensorflow|tf-keras|tensorflow-probability|tensorboard)==' requirements.txt > .venv/nightly.txt
	$(PYTHON) -m venv --clear .venv/nightly
	.venv/nightly/bin/python -m pip install --quiet --disable-pip-version-check \
	  --requirement .venv/nightly.txt tf-nightly tf-keras-nightly tfp-nightly tb-nightly
	.venv/nightly/bin/python -m pytest -n 2 --dist loadscope -m "$(UNIT)"

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v <= (3, 13) and \
	  "Python %d.%d found: 3.11, 3.12 or 3.13 is needed. Install one, for example with " \
	  "`apt install python3.13 python3.13-venv`, `brew install python@3.13` or " \
	  "`uv python install 3.13`, and name it, as in: make PYTHON=python3.13" % v)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint requirements.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv dist build figures screenshots site $(PAGE) tests/page/node_modules .pytest_cache .ruff_cache \
	  .mypy_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
