"""The disk fills while `export` and `make docs` write."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_disks import NO_SPACE, filled

from moe_vae.cli.main import main
from moe_vae.experiments.exports import TARGETS

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
MODEL = "conditional-vae"
LEFT = 100_000  # bytes that are free; every export and the site are larger


@pytest.fixture
def saw(fault_log):
    """Function that records what a command left of what it was to write."""

    def record(command, model, outcome, lost):
        fault = {"fault": f"disk full during `{command.split()[0]}`", "model": model}
        made = {"engine": "plain", "made by": f"`{command}`, a tmpfs with 100 kB free"}
        fault_log({**fault, **made, "times": 1, "outcome": outcome, "lost": lost})

    return record


@pytest.mark.parametrize("to", [*TARGETS, "html"])
def test_an_export_to_a_disk_that_fills(tmp_path, saw, capfd, to):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["export", "--pretrained", MODEL, "--to", to, "--out", str(disk / "exported")]
    with filled(disk, megabytes=32) as fill:
        free = fill(LEFT)
        with pytest.raises(SystemExit) as caught:
            main(command)
        assert caught.value.code == 2
        *_, line = capfd.readouterr().err.splitlines()
        assert "error: " in line
        assert NO_SPACE in line
        left = sorted(path.name for path in disk.iterdir())
        free()
        main(command)
        assert list(disk.iterdir()) == [disk / "exported"]
        saw(
            f"export --to {to}",
            MODEL,
            "one line, exit code 2, nothing is left; works when there is space",
            len(left) - 1,
        )
    assert left == ["filler"]


def build_site(directory):
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(directory)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True)


def whole_pages(site):
    """How many of the documentation's pages are in a site, each to its end."""
    docs = ROOT / "docs"
    pages = [site / path.relative_to(docs).with_suffix(".html") for path in docs.rglob("*.md")]
    return [page.exists() and page.read_text().endswith("</html>") for page in pages]


@pytest.mark.long
def test_a_site_on_a_disk_that_fills(tmp_path, saw):
    pytest.importorskip("mkdocs")
    with filled(tmp_path, megabytes=64) as fill:
        free = fill(LEFT)
        done = build_site(tmp_path / "site")
        assert done.returncode == 1
        assert NO_SPACE in done.stderr.splitlines()[-1]
        assert False in whole_pages(tmp_path / "site")
        assert list((tmp_path / "site").rglob("*")), "nothing was written before the disk was full"
        free()
        done = build_site(tmp_path / "site")
        assert done.returncode == 0, done.stderr[-2000:]
        lost = whole_pages(tmp_path / "site").count(False)
        saw(
            "docs",
            "",
            "MkDocs' traceback, exit code 1, a part of the site is left; "
            "the next build, with space, replaces it",
            lost,
        )
        assert lost == 0
