"""What every measurement's results say about the machine, and where its figure goes."""

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moe_vae.compat import tf
from moe_vae.experiments.run_files import save_figures
from moe_vae.nn.sessions import usable_cores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["machine", "save_figure"]


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
    save_figures({name or results.stem: figure}, figures)
    return figures
