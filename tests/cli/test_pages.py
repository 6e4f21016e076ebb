"""The commands of the README and of the pages, typed in their order in one empty directory."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moe_vae.cli import cluster, options
from moe_vae.cli.main import main, parser_of
from moe_vae.distributed.processes import run_cluster
from moe_vae.experiments import registry
from moe_vae.experiments.registry import MODELS

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "docs/index.md",
    "docs/command-line.md",
    "docs/training.md",
    "docs/distributed.md",
    "docs/your-own-data.md",
    "docs/export.md",
    "CONTRIBUTING.md",
)
SMALL = {
    "encoder_layers": [4],
    "decoder_layers": [4],
    "manager_layers": [4],
    "digit_classification_layers": [4],
    "n_experts": 4,
    "epochs": 1,
    "routing_epochs": 1,
}
# Commands that are not run here: what they need is not there, or they train for hours.
ELSEWHERE = {
    "pretrained": "it reads the runs on MNIST at full length",
    "table1": "tests/experiments run it",
    "tables": "it fills the repository's own pages",
}
PROGRAM = "python -m moe_vae "


def commands(page):
    """Returns the commands in a page's blocks, in their order, without comments and prompts."""
    text = (ROOT / page).read_text()
    blocks = re.findall(r"^```(?:bash|sh|shell|console)?\n(.*?)^```", text, re.S | re.M)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[3:] for line in lines if line.startswith(PROGRAM)]


@pytest.fixture
def small_models(monkeypatch):
    """Every model has small networks, and is trained for an epoch where no option says more."""
    for name, entry in MODELS.items():

        def defaults(params, entry=entry):
            own = entry.defaults(params) if callable(entry.defaults) else entry.defaults
            return {**own, **{key: value for key, value in SMALL.items() if key in own}}

        monkeypatch.setitem(MODELS, name, entry._replace(defaults=defaults))
    monkeypatch.setattr(registry, "_COUNTS", ("n_classes", "n_clusters"))


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """A directory with what the pages take for granted: pictures, and no MNIST."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOE_VAE_DATA", raising=False)
    random = np.random.default_rng(0)

    def picture(path):
        path.parent.mkdir(exist_ok=True)
        pixels = random.integers(0, 150, [28, 28]).astype(np.uint8)
        Image.fromarray(pixels).save(path)

    for name in ("picture.png", "new.jpg", "more/a.png", *(f"photos/{n}.png" for n in range(260))):
        picture(tmp_path / name)
    return tmp_path


def as_run_here(words):
    """Returns a command with the bundled sample in place of MNIST, which a page may name."""
    return [
        "sample" if word == "mnist" else "gate=softmax" if word == "gate=NAME" else word
        for word in words
    ]


def run_small_cluster(words, *sizes, out):
    """Starts the cluster's real processes, which do not have this process's small models."""
    own = MODELS[words[0]].defaults({})
    small = (f"{name}={value}" for name, value in SMALL.items() if name in own)
    settings = (word for each in small for word in ("--set", each))
    return run_cluster([*words, *settings], *sizes, out=out)


def test_every_command_of_the_pages_works_after_those_before(
    small_models, directory, monkeypatch, capfd
):
    monkeypatch.setattr(cluster, "run_cluster", run_small_cluster)
    typed = [(page, words) for page in PAGES for words in commands(page)]
    assert len(typed) >= 15
    for page, words in typed:
        if words[0] in ELSEWHERE:
            continue
        if "--job" in words:  # one command for each of several hosts
            parser_of(options.SCRIPT).parse_args(words)
            continue
        try:
            main(as_run_here(words))
        except SystemExit as end:
            error = capfd.readouterr().err
            pytest.fail(f"{page}: {shlex.join(words)} ended with {end.code}: {error[-300:]}")
    trained = json.loads(Path("runs/cluster/metrics.json").read_text())["cluster"]
    assert trained["workers"] == 2
    assert trained["parameter_servers"] == 1
    assert Path("drawn.png").exists()
    assert Path("runs/mixture/savedmodel").is_dir()
