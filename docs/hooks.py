"""Lets pages link to files of the repository outside `docs/`, as a code host shows them.

A link such as `../results/figures/bench.png` or `../CONTRIBUTING.md` works where the repository is
browsed. For the site, each such file is added under `repository/`, and the link is written anew; a
link to a module of the package leads to its place in the API reference. A link to nothing stays as
it is, so that the strict build fails.

The page that `make page` writes is embedded in its description, if it is there; else a picture of
it stands there.
"""

import os
import posixpath
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
OUTSIDE = "repository"
PACKAGE = "moe_vae"

# What `make page` writes, the page of the site that describes it, where it is embedded there, and
# its place in the site.
_BUILT = ROOT / "page.html"
_DESCRIPTION = "page.md"
_SLOT = re.compile(r"<!-- the page -->.*<!-- end of the page -->", re.DOTALL)
_EMBEDDED = "play.html"
_FRAME = f"""
<iframe src="{_EMBEDDED}" title="The page" style="width: 100%; height: 85vh; border: 0"></iframe>

<a href="{_EMBEDDED}">The page alone</a>
"""

# The target of a Markdown link or picture: a relative path, and an anchor in it.
_LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s:#]+)(?P<anchor>#[^)\s]*)?(?=\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds every file that a page links to, and what such a page links to in turn."""
    pages = [file.src_uri for file in files.documentation_pages()]
    while pages:
        page = pages.pop()
        for link in _LINK.finditer((ROOT / _in_repository(page)).read_text(encoding="utf-8")):
            path = _target(page, link["path"])
            if path is None or files.get_file_from_path(_in_site(path)):
                continue
            added = File.generated(config, _in_site(path), abs_src_path=os.fspath(ROOT / path))
            files.append(added)
            if added.is_documentation_page():
                pages.append(added.src_uri)
    if _BUILT.exists():
        files.append(File.generated(config, _EMBEDDED, abs_src_path=os.fspath(_BUILT)))
    return files


def on_page_markdown(markdown: str, page: Page, **kwargs: Any) -> str:
    """Writes the links of a page to files of the repository as links within the site."""
    del kwargs
    source = page.file.src_uri
    if source == _DESCRIPTION and _BUILT.exists():
        markdown = _SLOT.sub(_FRAME, markdown)

    def rewritten(link: re.Match[str]) -> str:
        path = _target(source, link["path"])
        if path is None:
            return link[0]
        uri = posixpath.relpath(_in_site(path), posixpath.dirname(source) or ".")
        return uri + (_anchor_of_module(path) or link["anchor"] or "")

    return _LINK.sub(rewritten, markdown)


def _target(page: str, link: str) -> str | None:
    """Returns the file of the repository that a page's link names, or None if there is none."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(_in_repository(page)), link))
    return None if path.startswith("..") or not (ROOT / path).is_file() else path


def _in_repository(uri: str) -> str:
    """Returns where a file of the site stands in the repository."""
    outside = f"{OUTSIDE}/"
    return uri.removeprefix(outside) if uri.startswith(outside) else f"docs/{uri}"


def _in_site(path: str) -> str:
    """Returns where a file of the repository stands in the site."""
    if _anchor_of_module(path):
        directory = PurePosixPath(path).parts[1]
        return f"api/{'foundation' if directory.endswith('.py') else directory}.md"
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{OUTSIDE}/{path}"


def _anchor_of_module(path: str) -> str | None:
    """Returns the anchor of a module of the package in the API reference; else None."""
    file = PurePosixPath(path)
    if file.parts[0] != PACKAGE or file.suffix != ".py":
        return None
    return "#" + ".".join(file.with_suffix("").parts)
