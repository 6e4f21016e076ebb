"""Figures that the recorded results alone determine."""

import json
from pathlib import Path

import numpy as np
import pytest

from moe_vae.bench.redraw import draw_measurements
from moe_vae.cli.main import main
from moe_vae.experiments.redraw import draw_results

RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture(scope="module")
def drawn():
    return {**draw_results(RESULTS), **draw_measurements(RESULTS)}


def test_the_posts_figures_are_of_the_posts_own_seed(drawn):
    for model in ("conditional-vae", "mixture-of-vaes"):
        assert "seed 42" in drawn[f"{model}_losses"].get_suptitle()


def test_the_committed_figures_of_numbers_are_all_redrawn(drawn):
    endings = ("losses", "confusion", "errors", "plane", "digits", "bench", "scaling", "soak")
    committed = {path.stem for path in (RESULTS / "figures").iterdir()}
    of_numbers = {name for name in committed if name.endswith(endings)}
    assert len(of_numbers) > 15
    assert of_numbers <= drawn.keys()


def test_a_total_loss_shows_the_two_parts_that_add_up_to_it(drawn):
    total = drawn["mixture-of-vaes_losses"].axes[2]
    whole, *parts = (line.get_ydata() for line in total.lines)
    assert np.sum(parts, axis=0) == pytest.approx(np.array(whole))


def test_tables_redraws_the_figures_that_are_there_and_adds_none(tmp_path, capsys):
    runs = json.loads((RESULTS / "posts.json").read_text())["runs"]
    (tmp_path / "posts.json").write_text(json.dumps({"runs": runs}))
    (figures := tmp_path / "figures").mkdir()
    (figures / "mixture-of-vaes_losses.png").touch()
    page = tmp_path / "page.md"
    page.write_text("no table")
    main(["tables", "--results", str(tmp_path), "--pages", str(page), "--figures"])
    (path,) = figures.iterdir()
    assert path.stat().st_size > 1000
    assert "Redrew mixture-of-vaes_losses." in capsys.readouterr().out
