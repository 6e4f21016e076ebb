"""Checks of Python and the installed packages against the ranges that the package declares."""

import importlib.metadata
import importlib.util
import platform
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from moe_vae.diagnosis.findings import Finding

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["USER_EXTRAS", "check_packages", "check_python", "declared_needs"]

DISTRIBUTION = "moe_vae"
# The extras that a user of the package chooses; the others are for its developers.
USER_EXTRAS = ("notebooks", "export", "tables", "large", "tensorboard")
# A requirement, and the extra that it belongs to; "" if the library itself needs it.
Need = tuple[str, str]


def check_python() -> list[Finding]:
    """Returns Python's version and place; the import of moe_vae has checked the version."""
    return [Finding("Python", f"{platform.python_version()}, {sys.executable}")]


def declared_needs() -> list[Need]:
    """Returns the requirements of the installed package: those of the library and `USER_EXTRAS`.

    Raises:
      PackageNotFoundError: moe_vae runs from a folder and is not installed.
    """
    needs = []
    for text in importlib.metadata.requires(DISTRIBUTION) or ():
        requirement, _, marker = text.partition(";")
        extra = re.search(r"extra == ['\"](\w+)['\"]", marker)
        if extra is None or extra[1] in USER_EXTRAS:
            needs.append((requirement.strip(), extra[1] if extra else ""))
    return needs


def check_packages() -> list[Finding]:
    """Returns a finding for every package that the library or one of `USER_EXTRAS` needs."""
    if importlib.util.find_spec("packaging") is None:
        return [_missing("packaging", "packaging")]
    try:
        needs = declared_needs()
    except importlib.metadata.PackageNotFoundError:
        return [
            Finding("moe_vae", "runs from a folder and is not installed: versions are not compared")
        ]
    return [*_check_each(needs), *_check_keras()]


def _check_each(needs: Iterable[Need]) -> list[Finding]:
    from packaging.requirements import Requirement

    return [_check(Requirement(text), text, extra) for text, extra in needs]


def _check(requirement: "Requirement", text: str, extra: str) -> Finding:
    name = requirement.name
    version = _version(name)
    if version is None:
        if extra:
            return Finding(name, f"not installed (extra {extra})")
        return _missing(name, text)
    if requirement.specifier.contains(version, prereleases=True):
        return Finding(name, version)
    return Finding(
        name,
        version,
        f"{name} is {version}, which is not in the range {requirement.specifier}",
        _install(text),
    )


def _check_keras() -> list[Finding]:
    """Returns a fault if tf-keras was made for another TensorFlow; `tf.layers` would be missing."""
    keras, tensorflow = _version("tf-keras"), _version("tensorflow")
    if keras is None or tensorflow is None or _minor(keras) == _minor(tensorflow):
        return []
    return [
        Finding(
            "tf-keras and tensorflow",
            f"{keras} and {tensorflow}",
            "tf-keras and tensorflow differ in their versions, and tf.layers needs both alike",
            _install(f"tf-keras=={_minor(tensorflow)}.*"),
        )
    ]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _missing(name: str, text: str) -> Finding:
    return Finding(name, "not installed", f"{name} is not installed", _install(text))


def _install(text: str) -> str:
    return f"{sys.executable} -m pip install '{text}'"
