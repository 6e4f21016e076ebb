"""`doctor` in environments with real faults."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from moe_vae import __version__

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
SET_BY_COMPAT = ("TF_USE_LEGACY_KERAS", "TF_CPP_MIN_LOG_LEVEL")


def doctor(python, *words, **environment):
    inherited = {name: value for name, value in os.environ.items() if name not in SET_BY_COMPAT}
    return subprocess.run(
        [python, "-m", "moe_vae", "doctor", *words],
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def link_package(name, site):
    """Puts an installed package into another environment."""
    for file in importlib.metadata.distribution(name).files:
        top = file.parts[0]
        if top != ".." and not (site / top).exists():
            (site / top).symlink_to(Path(sysconfig.get_path("purelib")) / top)


@pytest.fixture
def empty_environment(tmp_path):
    """The Python of a virtual environment without packages, and the folder of its packages."""
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin/python", next(folder.glob("lib/python3.*/site-packages"))


def test_everything_in_order(tmp_path):
    result = doctor(sys.executable, MOE_VAE_DATA="")
    report = result.stdout.splitlines()
    faults = [line for line in report if line.startswith("Fault: ")]
    # A machine that is busy with other things may lack memory or disk, but nothing else.
    assert [line for line in faults if not line.startswith("Fault: free ")] == []
    assert result.returncode == (1 if faults else 0), result.stderr
    assert result.stderr == ""
    assert report[0].split() == ["Python", f"{sys.version.split()[0]},", sys.executable]


def test_wrong_directory_in_json_and_in_lines(tmp_path):
    words = {"MOE_VAE_DATA": str(tmp_path / "nowhere")}
    content = json.loads(doctor(sys.executable, "--json", **words).stdout)
    (mnist,) = [finding for finding in content["findings"] if finding["name"] == "MNIST"]
    assert content["version"] == __version__
    assert content["faults"] == sum(1 for finding in content["findings"] if finding["fault"]) >= 1
    result = doctor(sys.executable, **words)
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    fault = lines.index(f"Fault: {mnist['fault']}.")
    assert lines[fault + 1] == f"Cure:  {mnist['cure']}"


def test_environment_without_packages_is_named_in_one_line(empty_environment):
    python, _ = empty_environment
    result = doctor(python)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert f"moe_vae needs numpy and tqdm, which {python} does not have" in result.stderr


def test_environment_without_tensorflow_names_each_missing_package(empty_environment):
    python, site = empty_environment
    for name in ("numpy", "tqdm", "packaging"):
        link_package(name, site)
    (site / "moe_vae-9.dist-info").mkdir()
    needs = [f"Requires-Dist: {need}" for need in importlib.metadata.requires("moe_vae")]
    header = ["Metadata-Version: 2.4", "Name: moe_vae", "Version: 9"]
    (site / "moe_vae-9.dist-info/METADATA").write_text("\n".join([*header, *needs]))
    result = doctor(python)
    assert (result.returncode, result.stderr) == (1, "")
    assert "Fault: tensorflow is not installed." in result.stdout
    assert f"Cure:  {python} -m pip install 'tensorflow" in result.stdout
    assert "Fault: ModuleNotFoundError: No module named 'tensorflow'." in result.stdout
    assert "Fault: numpy" not in result.stdout


def test_eager_tensorflow_is_named_in_one_line(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import tensorflow\n")
    result = doctor(sys.executable, PYTHONPATH=f"{tmp_path}:{ROOT}", TF_CPP_MIN_LOG_LEVEL="3")
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert "TensorFlow was imported earlier and runs eagerly: import moe_vae before" in last
    assert "Traceback" not in result.stderr


def other_pythons():
    """Pythons of this machine that are too old or too new, each with its version."""
    for minor in (6, 7, 8, 9, 10, 14, 15):
        path = shutil.which(f"python3.{minor}")
        # A shim of a version manager may lead nowhere.
        if path and not subprocess.run([path, "-V"], capture_output=True, check=False).returncode:
            yield path, f"3.{minor}"


@pytest.mark.parametrize(("python", "version"), [*other_pythons()])
def test_another_python_is_named_in_one_line(python, version):
    result = doctor(python)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert f"is Python {version}: install one of them" in result.stderr
