"""What Python and packages the import of moe_vae needs; importing this module checks them.

It is imported before anything else, so that a wrong Python or an environment without the packages
ends in one line that says what to do. `python -m moe_vae doctor` checks everything else.
"""

import importlib.util
import sys

__all__ = ["FIRST_PACKAGES", "NEWEST_PYTHON", "OLDEST_PYTHON", "unmet_needs"]

# As `requires-python` in pyproject.toml.
OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 13)
# All other packages are imported at their first use.
FIRST_PACKAGES = ("numpy", "tqdm")


def unmet_needs() -> str:
    """Returns what is missing and what to do, one line; "" if nothing is."""
    version = sys.version_info[:2]
    if not OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        return (
            f"moe_vae needs Python 3.11, 3.12 or 3.13, but {sys.executable} is Python "
            f"{version[0]}.{version[1]}: install one of them, make a virtual environment with it, "
            "as in `python3.13 -m venv .venv`, and install moe_vae there"
        )
    missing = [name for name in FIRST_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        return (
            f"moe_vae needs {' and '.join(missing)}, which {sys.executable} does not have: run the "
            "Python of the environment in which moe_vae is installed, or install it here with "
            "`pip install` and the folder that holds pyproject.toml"
        )
    return ""


_unmet = unmet_needs()  # in words that an old Python understands, as all of this file
if _unmet:
    # With this name, `python -m moe_vae` prints the message alone, without a traceback.
    raise ImportError(_unmet, name="moe_vae")
