"""What every measurement's results say about the machine, and how they are written."""

import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moe_vae.compat import tf
from moe_vae.files import write_whole
from moe_vae.nn.sessions import usable_cores
from moe_vae.version import FORMAT_VERSION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["machine", "save_figure", "write_results"]

FIGURE_DPI = 100


def machine() -> dict[str, Any]:
    """Returns dict of this machine's `cores`, `processor` and `versions` of the libraries."""
    return {
        "cores": usable_cores(),
        "processor": _processor(),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Writes results as JSON."""
    versioned = {"format_version": FORMAT_VERSION, **results}
    write_whole(path, (json.dumps(versioned, indent=1) + "\n").encode())


def save_figure(figure: "Figure", results: Path, name: str | None = None) -> Path:
    """Saves a figure in the directory `figures` beside the results.

    Args:
      figure: the figure.
      results: the file of the results.
      name: the figure's name without `.png`; None means that of the results.

    Returns:
      The directory.
    """
    figures = results.parent / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    figure.savefig(figures / f"{name or results.stem}.png", dpi=FIGURE_DPI)
    return figures
