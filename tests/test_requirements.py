import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
NEEDS = [Requirement(text) for part in [PROJECT["dependencies"], *EXTRAS.values()] for text in part]
RANGES = {canonicalize_name(need.name): need.specifier for need in NEEDS if not need.extras}
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE
    )
}
# What a user of the library must not get with it.
TOOLS = {"jupyterlab", "pytest", "selenium", "ruff", "mypy", "mkdocs-material", "onnx", "pyarrow"}


def test_every_package_has_one_pin_and_every_pin_a_package():
    assert PINS.keys() == RANGES.keys()


@pytest.mark.parametrize("name", sorted(RANGES))
def test_pin_is_in_its_range(name):
    assert RANGES[name].contains(PINS[name])
    assert len(RANGES[name]) >= 1


def test_library_takes_no_tools_along():
    names = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    assert not names & TOOLS
    assert RANGES.keys() >= TOOLS


def test_developers_get_every_extra():
    (own,) = [Requirement(text) for text in EXTRAS["dev"] if text.startswith("moe_vae[")]
    assert own.extras == EXTRAS.keys() - {"dev"}
