import importlib.metadata
import sys
import tomllib
from pathlib import Path

import pytest

from moe_vae import needs
from moe_vae.diagnosis import packages

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def write_metadata(folder, name, version, *requirements):
    """What pip writes of an installed package; `importlib.metadata` finds it in the folder."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    lines = [f"Requires-Dist: {requirement}" for requirement in requirements]
    header = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}"]
    (info / "METADATA").write_text("\n".join([*header, *lines]) + "\n")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A folder in front of all others on Python's path."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_range_of_python_is_the_projects():
    oldest = ".".join(map(str, needs.OLDEST_PYTHON))
    after = f"{needs.NEWEST_PYTHON[0]}.{needs.NEWEST_PYTHON[1] + 1}"
    assert PROJECT["requires-python"] == f">={oldest},<{after}"


def test_extras_of_users_are_the_projects():
    extras = PROJECT["optional-dependencies"].keys()
    assert set(packages.USER_EXTRAS) == extras - {"test", "dev"}


def test_needs_are_those_of_the_library_and_of_users(installed):
    write_metadata(
        installed,
        "moe_vae",
        "9",
        "numpy<3,>=2",
        'tf2onnx>=1; extra == "export"',
        'pytest>=9; extra == "test"',
        'moe_vae[export]; extra == "dev"',
    )
    assert packages.declared_needs() == [("numpy<3,>=2", ""), ("tf2onnx>=1", "export")]


def test_package_outside_its_range_is_a_fault_with_its_range_and_cure(installed):
    write_metadata(installed, "moe_vae", "9", "tqdm<5,>=4.67")
    write_metadata(installed, "tqdm", "4.1")
    (finding,) = [finding for finding in packages.check_packages() if finding.name == "tqdm"]
    assert finding.fault == "tqdm is 4.1, which is not in the range <5,>=4.67"
    assert finding.cure == f"{sys.executable} -m pip install 'tqdm<5,>=4.67'"


def test_missing_package_is_a_fault_of_the_library_and_none_of_an_extra(installed):
    write_metadata(
        installed, "moe_vae", "9", "no_such_package>=1", 'no_such_extra; extra == "export"'
    )
    library, extra = packages.check_packages()
    assert (library.name, library.fault) == ("no_such_package", "no_such_package is not installed")
    assert (extra.value, extra.fault) == ("not installed (extra export)", "")


@pytest.mark.parametrize(("keras", "faults"), [("2.21.5", 0), ("2.20.1", 1)])
def test_keras_of_another_version_than_tensorflow_is_a_fault(installed, keras, faults):
    write_metadata(installed, "moe_vae", "9", "tensorflow", "tf-keras")
    write_metadata(installed, "tensorflow", "2.21.0")
    write_metadata(installed, "tf_keras", keras)
    found = [finding.cure for finding in packages.check_packages() if finding.fault]
    assert found == [f"{sys.executable} -m pip install 'tf-keras==2.21.*'"] * faults


def test_versions_are_those_of_the_packages():
    found = {finding.name: finding.value for finding in packages.check_packages()}
    assert found["numpy"] == importlib.metadata.version("numpy")
