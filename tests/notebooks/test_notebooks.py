"""The notebooks as committed, and run again in quick mode."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.notebooks

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
POST_CELLS = [f"post-cell-{number}" for number in range(1, 10)]
# For each: the epochs of its longest training, and how many figures it shows.
POSTS = {"01_conditional_vae.ipynb": (20, 4), "02_mixture_of_vaes.ipynb": (100, 12)}
MNIST = {
    **POSTS,
    "03_discrete_vae_gating.ipynb": (60, 33),
    "04_specialists.ipynb": (30, 10),
}
YOUR_OWN = "05_your_own_data.ipynb"
N_FIGURES = {**{name: figures for name, (_, figures) in MNIST.items()}, YOUR_OWN: 7}

each_notebook = pytest.mark.parametrize("name", MNIST)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def n_figures(notebook):
    """How many figures it shows, without the pictures that stand in a widget's place."""
    shown = [output.get("data", {}) for output in outputs(notebook)]
    return sum("image/png" in each and WIDGET not in each for each in shown)


def text(notebook):
    return "".join(output.get("text", "") for output in outputs(notebook))


def assert_runs_clean(notebook):
    for output in outputs(notebook):
        assert output.output_type != "error"
        assert output.get("name") != "stderr", output.text


@pytest.mark.parametrize("name", POSTS)
def test_every_post_cell_has_its_counterpart_in_order_and_says_so(name):
    cells = code_cells(nbformat.read(NOTEBOOKS / name, 4))
    tags = [tag for cell in cells for tag in cell.metadata.get("tags", [])]
    assert [tag for tag in tags if tag != "beyond"] == POST_CELLS
    assert len(tags) == len(cells)
    for tag, cell in zip(tags, cells, strict=True):
        mark = re.match(r"# Post, cell (\d):", cell.source)
        assert tag == (f"post-cell-{mark[1]}" if mark else "beyond")


@pytest.mark.parametrize("name", POSTS)
def test_the_page_of_the_posts_names_the_cells_by_their_numbers(name):
    page = (NOTEBOOKS.parent / "docs" / "posts.md").read_text()
    table = page.partition(f"(../notebooks/{name})")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d) \|.*?\| `\[(\d+)\]` \|", table, re.M)
    numbers = {
        cell.metadata["tags"][0]: cell.execution_count
        for cell in code_cells(nbformat.read(NOTEBOOKS / name, 4))
    }
    named = [(f"post-cell-{cell}", int(number)) for cell, number in rows]
    assert named == [(tag, numbers[tag]) for tag in POST_CELLS]


@each_notebook
def test_committed_notebook_ran_on_mnist_at_full_length(name):
    notebook = nbformat.read(NOTEBOOKS / name, 4)
    epochs, _ = MNIST[name]
    assert "MNIST: [55000, 5000, 10000] images" in text(notebook)
    assert f"{epochs}/{epochs}" in text(notebook)


@each_notebook
def test_it_is_said_beforehand_how_long_the_trainings_took(name):
    notebook = nbformat.read(NOTEBOOKS / name, 4)
    took = re.findall(r"\[(?:(\d+):)?(\d\d):(\d\d)<", text(notebook))
    seconds = sum(3600 * int(hours or 0) + 60 * int(minutes) + int(s) for hours, minutes, s in took)
    said = re.search(r"trainings took (\d+) minutes on two\s+cores", notebook.cells[1].source)
    assert abs(60 * int(said[1]) - seconds) <= 30


@pytest.mark.parametrize("name", POSTS)
def test_the_notebooks_of_the_posts_link_both(name):
    opening = nbformat.read(NOTEBOOKS / name, 4).cells[0].source
    for page in ("vae2", "vae-moe"):
        assert f"](http://anotherdatum.com/{page}.html)" in opening


@pytest.mark.parametrize("name", N_FIGURES)
def test_committed_notebook_ran_from_top_to_bottom_and_shows_its_figures(name):
    path = NOTEBOOKS / name
    notebook = nbformat.read(path, 4)
    assert_runs_clean(notebook)
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert "False" not in text(notebook)  # whether two ways gave the same
    assert n_figures(notebook) == N_FIGURES[name]
    assert path.stat().st_size < 6e6


def test_the_committed_notebook_on_your_own_data_ran_at_full_length():
    said = text(nbformat.read(NOTEBOOKS / YOUR_OWN, 4))
    assert "digits: [1258, 180, 359] pictures of 8 x 8" in said
    accuracy, linear, matched = (float(number) for number in re.findall(r": +(0\.\d{3})", said))
    assert min(accuracy, linear) > 0.93
    assert matched > 0.9
    assert "the other process gave the same answers: True" in said


@each_notebook
def test_the_source_that_is_shown_is_the_packages(name):
    cells = code_cells(nbformat.read(NOTEBOOKS / name, 4))
    imports = next(cell.source for cell in cells if "def show(" in cell.source)
    namespace = {}
    exec(imports.partition("%matplotlib")[0], namespace)
    # The last expression of a cell, which is the one that Jupyter displays.
    shown = [(cell, re.search(r"^show(\(.*)", cell.source, re.M | re.S)) for cell in cells]
    shown = [(cell, found[1]) for cell, found in shown if found]
    assert shown
    for cell, arguments in shown:
        objects = eval(arguments, namespace)
        objects = objects if isinstance(objects, tuple) else (objects,)
        source = "\n".join(map(inspect.getsource, objects))
        assert cell.outputs[-1]["data"]["text/plain"].strip() == source.strip()


class Quick:
    """A notebook in quick mode; a class each, so that two processes can share them."""

    name: str

    def test_notebook_runs_in_quick_mode(self, tmp_path):
        notebook = nbformat.read(NOTEBOOKS / self.name, 4)
        for cell in code_cells(notebook):
            cell.outputs, cell.execution_count = [], None
        path = tmp_path / self.name
        nbformat.write(notebook, path)
        process = subprocess.run(
            [sys.executable, "-m", "moe_vae", "notebooks", path],
            env={**os.environ, "MOE_VAE_QUICK": "1", "PYTHONPATH": str(NOTEBOOKS.parent)},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a signal that another test sends does not stop its kernel
        )
        assert process.returncode == 0, process.stderr
        notebook = nbformat.read(path, 4)
        assert_runs_clean(notebook)
        assert n_figures(notebook) == N_FIGURES[self.name]
        assert "False" not in text(notebook)
        assert ("the same pictures:" in text(notebook)) == (self.name in POSTS)


class TestConditionalVae(Quick):
    name = "01_conditional_vae.ipynb"


class TestMixtureOfVaes(Quick):
    name = "02_mixture_of_vaes.ipynb"


class TestDiscreteVaeGating(Quick):
    name = "03_discrete_vae_gating.ipynb"


class TestSpecialists(Quick):
    name = "04_specialists.ipynb"


class TestYourOwnData(Quick):
    name = YOUR_OWN


def test_every_notebook_is_run_in_quick_mode():
    assert {each.name for each in Quick.__subclasses__()} == set(N_FIGURES)
