"""The page's parts, put together to one HTML file that asks nothing of any other address."""

import json
import re
from pathlib import Path
from typing import Any

__all__ = ["MAX_BYTES", "PageError", "assemble_page"]

MAX_BYTES = 6_000_000

DIRECTORY = Path(__file__).parent

# The modules in an order in which each comes after those that it imports.
_SCRIPTS = (
    "tensors",
    "convolutions",
    "operations",
    "program",
    "weights",
    "digit",
    "pad",
    "pictures",
    "state",
    "draw",
    "route",
    "generate",
    "look",
    "main",
)
# A file has no neighbours from which a page at `file://` could load modules: all become one.
_IMPORT = re.compile(r"^import\s[^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async |const |function |class ))", re.MULTILINE)


class PageError(ValueError):
    """A page cannot be made of a model."""


def assemble_page(data: dict[str, Any]) -> bytes:
    """Returns the page as the bytes of an HTML file.

    Args:
      data: what the scripts read, ready for JSON; see `moe_vae.experiments.pages`.
    """
    scripts = "\n".join(_script(name) for name in _SCRIPTS)
    # No text in the data may end the element that holds it.
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    parts = {"style": _read("page.css"), "data": text, "scripts": scripts}
    page = re.sub(r"\{\{(\w+)\}\}", lambda slot: parts[slot[1]], _read("page.html"))
    return page.encode()


def _script(name: str) -> str:
    text = _IMPORT.sub("", _read(f"scripts/{name}.js"))
    return f"// {name}.js\n{_EXPORT.sub('', text)}"


def _read(name: str) -> str:
    return (DIRECTORY / name).read_text(encoding="utf-8")
