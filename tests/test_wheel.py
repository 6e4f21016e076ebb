import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from moe_vae import __version__

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]
NOT_INSTALLED = shutil.ignore_patterns("__pycache__")


def command(*words, **settings):
    words = [str(word) for word in words]
    result = subprocess.run(words, capture_output=True, text=True, check=False, **settings)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of a copy of the sources, with a file of weights and its card in it."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    shutil.copytree(ROOT / "moe_vae", sources / "moe_vae", ignore=NOT_INSTALLED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    weights = sources / "moe_vae/pretrained"
    weights.mkdir(exist_ok=True)
    (weights / "a.npz").write_bytes(b"weights")
    (weights / "a.md").write_text("card")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    command(*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", folder, sources)
    (path,) = folder.glob("moe_vae-*.whl")
    command(*pip, "install", *offline, "--target", folder / "site", path)
    return path


@pytest.fixture
def installed(wheel, tmp_path):
    """Runs a command from an empty folder, with the wheel's files in front of the clone's."""
    site = wheel.parent / "site"

    def run(*words):
        return command(*words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)})

    run.site = site
    return run


def test_wheel_holds_every_file_of_the_package_and_nothing_else(wheel):
    sources = wheel.parent / "sources"
    files = {str(path.relative_to(sources)) for path in sources.glob("moe_vae/**/*.*")}
    with zipfile.ZipFile(wheel) as content:
        names = {name for name in content.namelist() if ".dist-info/" not in name}
    assert names == files
    assert {"moe_vae/py.typed", "moe_vae/pretrained/a.npz", "moe_vae/pretrained/a.md"} <= names


def test_version_from_any_directory_as_module_and_as_script(installed):
    where = installed(sys.executable, "-c", "import moe_vae; print(moe_vae.__file__)")
    assert Path(where.strip()) == installed.site / "moe_vae/__init__.py"
    for words in ([sys.executable, "-m", "moe_vae"], [installed.site / "bin/moe-vae"]):
        assert installed(*words, "--version") == f"moe_vae {__version__}\n"


def test_training_from_any_directory(installed, tmp_path):
    words = ["train", "vae", "--data", "spiral", "--epochs", "1", "--out", "run"]
    installed(sys.executable, "-m", "moe_vae", *words)
    assert json.loads((tmp_path / "run/metrics.json").read_text())["model"] == "vae"
