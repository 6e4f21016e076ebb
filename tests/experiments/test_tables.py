"""The generated tables, and the pages that show them."""

import json
import re
from pathlib import Path

import pytest

from moe_vae.experiments.recipes import N_STYLES, RECIPES, ROUTER, ROUTER_PARTS
from moe_vae.experiments.registry import MODELS
from moe_vae.experiments.tables import (
    RESULTS,
    TABLES,
    fill_pages,
    fill_tables,
    find_pages,
    read_results,
)
from moe_vae.experiments.tables.faults import faults_table
from moe_vae.experiments.tables.fuzz import fuzz_table
from moe_vae.experiments.tables.headline import headline_table
from moe_vae.experiments.tables.large import neighbours_table
from moe_vae.experiments.tables.markdown import cited
from moe_vae.experiments.tables.paper import (
    classification_table,
    explained_table,
    mnist_table,
    objectives_table,
    regression_table,
    spiral_table,
    times_table,
)
from moe_vae.experiments.tables.performance import (
    bench_models_table,
    bench_profile_table,
    cluster_table,
)
from moe_vae.experiments.tables.posts import (
    balancing_table,
    comparison_table,
    labels_table,
    mixture_of_vaes_table,
)
from moe_vae.experiments.tables.router_trials import router_trials_table
from moe_vae.experiments.tables.soak import soak_table
from moe_vae.experiments.tables.specialists import (
    ablation_table,
    experts_table,
    hierarchy_table,
    other_data_table,
    router_parts_table,
    router_table,
    specialists_table,
)
from moe_vae.models.gates import GATES, GateEntry, SoftmaxGate
from moe_vae.params import ParameterError

ROOT = Path(__file__).parents[2]
PAGES = find_pages(ROOT)


def rows_of(table):
    """The cells of a table's rows, without its heading."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def heading_of(table):
    return [cell.strip() for cell in table.splitlines()[0].split("|")[1:-1]]


# The pages of the repository.


@pytest.fixture(scope="module")
def recorded():
    return read_results(ROOT / "results")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_tables_of_a_page_are_those_of_the_results(page, recorded):
    text = page.read_text()
    assert fill_tables(text, recorded) == text


def test_every_table_is_on_one_page():
    text = "".join(page.read_text() for page in PAGES)
    for name in TABLES:
        assert text.count(f"<!-- table: {name} -->") == 1, name


def test_every_figure_that_a_page_shows_exists():
    shown = [
        (page, page.parent / target)
        for page in PAGES
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text())
    ]
    assert len(shown) > 10
    for page, figure in shown:
        assert figure.exists(), f"{page}: {figure}"


# What the pages' text says of the recorded numbers.


@pytest.mark.parametrize(("page", "n_least"), [("sources", 90), ("errata", 50)])
def test_no_cell_of_a_page_of_sources_is_empty(page, n_least):
    lines = (ROOT / "docs" / f"{page}.md").read_text().splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("|")]
    assert len(rows) > n_least
    for row in rows:
        assert len(row) in (4, 5), row
        assert all(cell.strip() for cell in row), row


def test_every_published_value_has_a_source(recorded):
    paper = recorded["paper"]
    sources = set(paper["table_1"])
    for key in (
        "table_2",
        "mnist_clustering",
        "mnist_clustering_elsewhere",
        "fashion_mnist_clustering",
        "seconds_an_epoch",
        "epochs_to_converge",
    ):
        sources |= {entry["source"] for entry in paper[key].values()}
    assert sources == set(paper["sources"])
    assert cited(paper, {"source": "report"}) == "report 50ebb0c"
    assert cited(paper, paper["table_2"]["deep"]) == "authors' later code 990867e"
    assert cited(paper, paper["table_2"]["dmvae"]) == "authors' later code"


def test_the_commands_of_what_is_not_measured_yet_exist():
    text = (ROOT / "docs" / "sources.md").read_text()
    named = re.findall(r"not measured yet \(([^)]*)\)", text)
    commands = {name for words in named for name in re.findall(r"`([\w-]+)`", words)}
    assert commands <= {"table1", "table2", *RECIPES}, commands


@pytest.mark.parametrize(
    ("version", "not_below"), [("report", []), ("circulated", [("mnist", "2")] * 2)]
)
def test_mean_errors_are_below_the_papers_but_for_one_row_of_one_version(
    recorded, version, not_below
):
    found = []
    for data, of_gates in recorded["paper"]["table_1"][version].items():
        for gate, theirs in of_gates.items():
            for n_outputs, value in theirs.items():
                errors = [
                    cell["test"]["squared_error"]
                    for cell in recorded["table1"]["cells"]
                    if cell["data"].lower() == data
                    and cell["params"]["gate"] == gate
                    and cell["params"]["n_outputs"] == int(n_outputs)
                ]
                if sum(errors) / len(errors) >= value:
                    found.append((data, n_outputs))
    assert found == not_below


# Filling slots.

RUN = {
    "model": "mixture-of-vaes",
    "seed": 5,
    "history": {"expected_expert_loss": [250.0, 212.5], "balancing_loss": [9.0, 1234567.0]},
    "test": {"accuracy": 0.61234, "nmi": 0.5, "ari": 0.25},
}
SLOT = "<!-- table: mixture-of-vaes -->\nold\n<!-- end of table -->\n"
POSTS = {
    "posts": {"runs": [RUN]},
    "tensorflow_1_15": {"mixture-of-vaes": [{"seed": 1, "accuracy": 0.5751}]},
}


def test_a_table_has_the_results_numbers():
    lines = fill_tables(f"before\n{SLOT}after\n", POSTS).splitlines()
    assert lines[0] == "before"
    assert lines[-1] == "after"
    assert lines[4].split(" | ")[1:5] == ["1", "not recorded", "not recorded", "0.5751"]
    assert lines[5].startswith("| TensorFlow 1.15 | mean of 1 | not recorded")
    assert lines[6] == "| this package | 5 | 212.500 | 1,234,567 | 0.6123 | 0.5000 | 0.2500 |"


def test_filling_again_changes_nothing():
    once = fill_tables(f"{SLOT}{SLOT}", POSTS)
    assert "old" not in once
    assert fill_tables(once, POSTS) == once


def test_pages_are_filled_in_place_and_the_others_left_alone(tmp_path):
    filled, plain = tmp_path / "filled.md", tmp_path / "plain.md"
    filled.write_text(SLOT)
    plain.write_text("no table\n")
    before = plain.stat().st_mtime_ns
    assert fill_pages([filled, plain], POSTS) == [filled]
    assert filled.read_text() == fill_tables(SLOT, POSTS)
    assert plain.stat().st_mtime_ns == before
    assert fill_pages([filled, plain], POSTS) == []


def test_pages_are_the_readme_and_all_below_docs(tmp_path):
    (tmp_path / "docs" / "results").mkdir(parents=True)
    for name in ("README.md", "other.md", "docs/b.md", "docs/results/a.md", "docs/c.txt"):
        (tmp_path / name).touch()
    names = [str(page.relative_to(tmp_path)) for page in find_pages(tmp_path)]
    assert names == ["README.md", "docs/b.md", "docs/results/a.md"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "<!-- table: nothing -->\n<!-- end of table -->",
            "table 'nothing' is unknown: allowed are headline, conditional-vae",
        ),
        ("<!-- table: faults -->\n| text |", "table 'faults' has no end"),
        (
            "<!-- table: faults -->\n<!-- table: mixture-of-vaes -->\n<!-- end of table -->",
            "table 'faults' has no end",
        ),
    ],
)
def test_a_wrong_slot_is_refused_before_any_page_is_written(tmp_path, text, message):
    good, bad = tmp_path / "good.md", tmp_path / "bad.md"
    good.write_text(SLOT)
    bad.write_text(text)
    with pytest.raises(ParameterError, match=f"bad.md: {message}"):
        fill_pages([good, bad], POSTS)
    assert good.read_text() == SLOT


def test_results_that_are_not_json_are_refused(tmp_path):
    for name in RESULTS:
        (tmp_path / f"{name}.json").write_text('{"runs": []}')
    (tmp_path / "faults.json").write_text("{")
    with pytest.raises(ParameterError, match=r"faults.json is not JSON"):
        read_results(tmp_path)


def test_a_table_whose_results_do_not_exist_yet_says_so(tmp_path):
    (tmp_path / "tensorflow_1_15.json").write_text(json.dumps(POSTS["tensorflow_1_15"]))
    filled = fill_tables(SLOT, read_results(tmp_path))
    assert filled.splitlines()[1] == "Not measured yet: `results/posts.json` does not exist."
    (tmp_path / "posts.json").write_text(json.dumps(POSTS["posts"]))
    assert fill_tables(filled, read_results(tmp_path)) == fill_tables(SLOT, POSTS)


def test_a_table_that_asks_for_a_file_of_another_name_is_a_mistake(tmp_path, monkeypatch):
    (tmp_path / "posts.json").write_text('{"runs": []}')
    monkeypatch.setitem(TABLES, "mixture-of-vaes", lambda results: results["post"])
    with pytest.raises(KeyError, match="'post'"):
        fill_tables(SLOT, read_results(tmp_path))


def test_a_directory_without_results_is_refused(tmp_path):
    with pytest.raises(ParameterError, match=f"{tmp_path} holds no results: it must have posts"):
        read_results(tmp_path)


# The posts, and the headline.

SOURCES = {
    "article": {"label": "A et al.", "commit": None},
    "code": {"label": "their code", "commit": None},
    "report": {"label": "report", "commit": "50ebb0c"},
}


def test_a_mean_is_of_what_every_run_recorded():
    theirs = [
        {"seed": 1, "accuracy": 0.5, "expected_expert_loss": 212.0},
        {"seed": 2, "accuracy": 0.7},
    ]
    results = {"posts": {"runs": [RUN]}, "tensorflow_1_15": {"mixture-of-vaes": theirs}}
    mean = rows_of(mixture_of_vaes_table(results))[2]
    assert mean[1:5] == ["mean of 2", "not recorded", "not recorded", "0.6000"]


def test_two_codes_are_compared_by_every_score():
    def run(seed, accuracy):
        return {**RUN, "seed": seed, "test": {"accuracy": accuracy, "nmi": 0.5, "ari": 0.25}}

    results = {
        "posts": {"runs": [run(1, 0.5), run(2, 0.7)]},
        "tensorflow_1_15_seeds": {"runs": [run(1, 0.6), run(2, 0.8), run(3, 0.7)]},
    }
    rows = rows_of(comparison_table(results))
    assert [row[:6] for row in rows[:2]] == [
        ["2", "VAE loss", "42, 1 to 9", "TensorFlow 1.15", "0", "not measured yet"],
        ["2", "digit classifier loss", "42, 1 to 9", "TensorFlow 1.15", "0", "not measured yet"],
    ]
    ours, theirs = rows[8:10]
    assert ours[:5] == ["3", "clustering accuracy", "42, 1 to 9", "this package", "2"]
    assert theirs[:5] == ["3", "clustering accuracy", "42, 1 to 9", "TensorFlow 1.15", "3"]
    quantiles = ["0.5000", "0.5500", "0.6000", "0.6500", "0.7000"]
    # Of the ten divisions, five have means that differ by at least 0.1.
    assert ours[5:12] == [*quantiles, "-0.1000", "0.500"]
    assert theirs[5:10] == ["0.6000", "0.6500", "0.7000", "0.7500", "0.8000"]


def test_the_second_sample_of_seeds_has_rows_of_its_own():
    runs = [
        {**RUN, "seed": seed, "test": {"accuracy": accuracy, "nmi": 0.5, "ari": 0.25}}
        for seed, accuracy in [(1, 0.5), (2, 0.5), (10, 0.75), (19, 0.75), (20, 0.0)]
    ]
    rows = rows_of(
        comparison_table({"posts": {"runs": runs}, "tensorflow_1_15_seeds": {"runs": runs}})
    )
    assert [row[2:7] for row in rows if row[1] == "clustering accuracy"] == [
        [seeds, code, "2", lowest, lowest]
        for seeds, lowest in (("42, 1 to 9", "0.5000"), ("10 to 19", "0.7500"))
        for code in ("this package", "TensorFlow 1.15")
    ]


def test_balancing_counts_the_experts_that_are_in_use():
    def run(weight, seed, shares, accuracy):
        return {
            "seed": seed,
            "params": {"balancing_weight": weight},
            "history": {
                "shares": [[1, 0, 0], shares],
                "expected_expert_loss": [300.0, 212.0 + seed],
            },
            "test": {"accuracy": accuracy},
        }

    runs = [
        {"step": "labels", "history": {"bound": [0.0]}},
        run(0.1, 0, [0.3, 0.3, 0.4], 0.5),
        run(0.1, 1, [0.2, 0.795, 0.005], 0.25),
        run(0.0, 0, [0.0, 0.01, 0.99], 0.125),
    ]
    assert rows_of(balancing_table({"post3-limits": {"runs": runs}})) == [
        ["0", "0", "1", "0.990", "212.00", "0.1250"],
        ["0.1 (the post)", "0, 1", "3, 2", "0.400, 0.795", "212.00, 213.00", "0.5000, 0.2500"],
    ]


def test_limits_of_post_3_leave_out_what_was_not_recorded():
    def run(step, loss, share=None, bound=None, model="mixture-of-vaes"):
        bounds = {} if bound is None else {"bound": bound}
        return {
            "step": step,
            "model": model,
            "data": "MNIST",
            "seconds": [1.0] * 100,
            "history": {
                "expected_expert_loss": [300.0, loss],
                **{k: [v] for k, v in bounds.items()},
            },
            "test": {"accuracy": 0.5, "losses": {"expected_expert_loss": loss + 2, **bounds}},
            "evaluation": {} if share is None else {"generation": {"share": share}},
        }

    results = {
        "post3-limits": {
            "runs": [run("labels", 210.0, 0.75, -212.5), run("labels", 212.0, 0.25, -213.5)]
        },
        "posts": {"runs": [run("", 214.0), run("", 1.0, model="conditional-vae")]},
        "specialists": {
            "runs": [
                run("information", 0.0),
                {**run("mixture-of-vaes", 225.0, 0.995, -227.0), "seconds": [1.0]},
            ]
        },
    }
    assert rows_of(labels_table(results)) == [
        [
            "by label: ten VAEs, one digit each",
            "100",
            "2",
            "211.00 ± 1.41",
            "213.00 ± 1.41",
            "-213.00 ± 0.71",
            "-213.00 ± 0.71",
            "0.5000 ± 0.0000",
            "0.5000 ± 0.3536",
        ],
        [
            "the same, after as many epochs as the specialists",
            *("1", "2", "300.00 ± 0.00", "", "-213.00 ± 0.71", "", "", ""),
        ],
        [
            "by the post's manager, without labels",
            *("100", "1", "214.00", "216.00", "", "", "0.5000", ""),
        ],
        [
            "by information, without labels (specialists)",
            *("1", "1", "225.00", "227.00", "-227.00", "-227.00", "0.5000", "0.9950"),
        ],
    ]


def test_headlines_have_mean_worst_run_and_number_of_runs():
    def run(model, accuracy, data="MNIST", share=0.0):
        evaluation = {"generation": {"share": share}}
        test = {"accuracy": accuracy}
        return {"model": model, "data": data, "test": test, "evaluation": evaluation}

    results = {
        "posts": {
            "runs": [
                run("conditional-vae", 0.96, share=0.9),
                run("conditional-vae", 0.94, share=0.8),
                run("mixture-of-vaes", 0.7),
            ]
        },
        "tensorflow_1_15": {
            "conditional-vae": [{"accuracy": 0.9, "generation": 0.5}],
            "mixture-of-vaes": [{"accuracy": 0.5}, {"accuracy": 0.7}],
        },
        "clustering_spiral": {
            "runs": [run(name, x, "spiral") for name in ("vade", "dmvae") for x in (0.6, 1.0)]
        },
        "from-scratch": {
            "runs": [
                {"step": "vade", **run("vade", 0.7)},
                {"step": "vade", **run("vade", 0.8)},
                {"step": "dmvae", **run("dmvae", 0.85)},
                {"step": "dmvae-relaxed", **run("dmvae", 0.1)},
            ]
        },
        "clustering_mnist": {
            "runs": [run("information", 0.97), run("vade", 0.9), run("dmvae", 0.95)]
        },
        "samples": {
            "runs": [
                {"step": "vade", **run("vade", 0.4, "spiral")},
                {"step": "vade", **run("vade", 0.6, "spiral")},
                {"step": "vade-5", **run("vade", 0.1, "spiral")},
                {"step": "vade", **run("vade", 0.1)},
            ]
        },
        "specialists": {
            "runs": [
                {"step": ROUTER, **run("information", 0.98)},
                {"step": "information", **run("information", 0.1)},
                {"step": ROUTER, **run("information", 0.2, "spiral")},
            ]
        },
        "paper": {
            "sources": SOURCES,
            "mnist_clustering": {
                "VaDE": {"value": 0.9446, "source": "article"},
                "DMVAE": {"value": 0.9486, "source": "code", "commit": "abc1234"},
            },
            "mnist_clustering_elsewhere": {
                "IMSAT": {"value": 0.9841, "source": "article"},
                "VaDE": {"value": 0.9446, "source": "article"},
            },
        },
    }
    rows = [row[3:] for row in rows_of(headline_table(results))]
    assert rows == [
        ["0.9500", "0.9400", "2", "0.9000, TensorFlow 1.15, mean of 1"],
        ["0.8500", "0.8000", "2", "0.5000, TensorFlow 1.15, mean of 1"],
        ["0.7000", "0.7000", "1", "0.6000, TensorFlow 1.15, mean of 2"],
        ["0.800", "0.600", "2", "0.500, 2 other seeds"],
        ["0.800", "0.600", "2", ""],
        ["0.750", "0.700", "2", "0.9446 (A et al.)"],
        ["0.850", "0.850", "1", "0.9486 (their code abc1234)"],
        ["0.950", "0.950", "1", "0.970 before it"],
        ["0.900", "0.900", "1", "0.950 before it"],
        ["0.9800", "0.9800", "1", "IMSAT 0.984 (A et al.)"],
    ]


# The paper.


def scores(accuracy):
    return {"accuracy": accuracy, "nmi": 0.5, "ari": 0.25}


def test_clusterings_are_summed_up_over_seeds():
    def run(model, accuracy):
        validation = {"loss": 5 - accuracy}
        evaluation = {"codes": {"K-means": scores(accuracy / 2)}, "validation": validation}
        return {"model": model, "test": scores(accuracy), "evaluation": evaluation}

    clustering = {
        "baselines": [{"seed": seed, "GMM": scores(0.75)} for seed in (1, 2)],
        "runs": [run("vade", 0.4), run("vade", 0.6), run("dmvae", 1.0), run("dmvae", 1.0)],
    }
    lines = spiral_table({"clustering_spiral": clustering}).splitlines()
    constant = "0.500 ± 0.000 | 0.250 ± 0.000"
    assert lines[2:] == [
        f"| VaDE | 0.500 ± 0.141 | {constant} | 0.400, 0.600 | 4.600, 4.400 |",
        f"| K-means, on VaDE's codes | 0.250 ± 0.071 | {constant} | 0.200, 0.300 |  |",
        f"| DMVAE | 1.000 ± 0.000 | {constant} | 1.000, 1.000 | 4.000, 4.000 |",
        f"| K-means, on DMVAE's codes | 0.500 ± 0.000 | {constant} | 0.500, 0.500 |  |",
        f"| GMM, on the data | 0.750 ± 0.000 | {constant} | 0.750, 0.750 |  |",
    ]


def test_an_encoder_has_the_loss_of_its_training_and_published_scores_stand_below():
    run = {
        "model": "information",
        "test": scores(0.75),
        "evaluation": {},
        "history": {"loss": [0, -4.0]},
    }
    vaes = [
        {"model": model, "test": scores(0.75), "evaluation": {"validation": {"loss": 100.0}}}
        for model in ("vade", "dmvae")
    ]
    results = {
        "clustering_mnist": {"baselines": [{"seed": 0}, {"seed": 1}], "runs": [run, *vaes] * 2},
        "paper": {
            "sources": SOURCES,
            "mnist_clustering": {"VaDE": {"value": 0.9446, "source": "article"}},
        },
    }
    lines = mnist_table(results).splitlines()
    assert lines[2].startswith("| information encoder | 0.750 ± 0.000 |")
    assert lines[2].endswith("| 0.750, 0.750 | -4.000, -4.000 |")
    assert lines[3].endswith("| 0.750, 0.750 | 100.000, 100.000 |")
    assert lines[-1] == "| VaDE (A et al.) | 0.9446 |  |  |  |  |"


def test_a_clustering_model_appears_by_its_label(monkeypatch):
    monkeypatch.setitem(MODELS, "new", MODELS["vade"]._replace(label="new model"))
    run = {"model": "new", "test": scores(0.5), "evaluation": {"validation": {"loss": 1.0}}}
    clustering = {"baselines": [{"seed": 0}], "runs": [run]}
    table = spiral_table({"clustering_spiral": clustering})
    assert rows_of(table) == [["new model", "0.500", "0.500", "0.250", "0.500", "1.000"]]


def regressions(gate, n_outputs, errors, objective="likelihood", data="MNIST"):
    params = {"gate": gate, "n_outputs": n_outputs, "task_objective": objective}
    return [
        {"data": data, "params": params, "test": {"squared_error": error, "r2": 1 - error / 8}}
        for error in errors
    ]


PAPER = {
    "sources": SOURCES,
    "table_1": {
        "code": {"mnist": {"deep": {"1": 28.5}, "dmvae": {"1": 34.1}}},
        "article": {"mnist": {"dmvae": {"1": 0.5, "2": 0.25}}},
    },
    "table_2": {"dmvae": {"value": 0.992, "source": "code"}},
}
PAPERS = ["Deep MoE, their code", "DVMoE, their code", "DVMoE, A et al."]


def test_table_1_has_a_row_for_each_number_of_dimensions():
    cells = [cell for d in (1, 2) for gate in GATES for cell in regressions(gate, d, (d, 3 * d))]
    results = {"table1": {"cells": cells}, "paper": PAPER}
    rows = rows_of(regression_table(results))
    assert rows[0] == ["mnist", "1", *["2 ± 1.41"] * len(GATES), "28.5", "34.1", "0.5"]
    assert rows[1] == ["mnist", "2", *["4 ± 2.83"] * len(GATES), "", "", "0.25"]
    assert rows_of(explained_table(results))[0][2:] == ["0.7500 ± 0.1768"] * len(GATES)


def classification(gate, accuracy):
    test = {"accuracy": accuracy, "gate": {"accuracy": accuracy / 2}}
    return {"params": {"gate": gate}, "test": test}


def test_a_gate_without_runs_is_left_out():
    cells = [*regressions("dmvae", 1, [1.0]), *regressions("softmax", 2, [2.0])]
    results = {"table1": {"cells": cells}, "paper": PAPER}
    table = regression_table(results)
    assert heading_of(table) == ["data", "D", "softmax ME", "DVMoE", *PAPERS]
    assert rows_of(table) == [
        ["mnist", "1", "", "1", "28.5", "34.1", "0.5"],
        ["mnist", "2", "2", "", "", "", "0.25"],
    ]
    assert heading_of(explained_table(results)) == ["data", "D", "softmax ME", "DVMoE"]
    results = {"table2": {"cells": [classification("dmvae", 0.5)]}, "paper": PAPER}
    table = classification_table(results)
    assert rows_of(table) == [["DVMoE", "0.5000", "0.5000", "0.250", "0.992 (their code)"]]


def test_a_registered_gate_appears_by_its_label(monkeypatch):
    entry = GateEntry(SoftmaxGate, {"n_clusters": 10}, "new ME")
    monkeypatch.setitem(GATES, "new", entry)
    cells = [*regressions("new", 1, [1.0, 3.0]), *regressions("deep", 1, [4.0])]
    results = {"table1": {"cells": cells}, "objectives": {"cells": cells}, "paper": PAPER}
    table = regression_table(results)
    assert heading_of(table)[2:4] == ["Deep MoE", "new ME"]
    assert rows_of(table)[0][2:4] == ["4", "2 ± 1.41"]
    assert [row[0] for row in rows_of(objectives_table(results))] == ["Deep MoE", "new ME"]
    results = {"table2": {"cells": [classification("new", 0.5)]}, "paper": PAPER}
    assert rows_of(classification_table(results))[0] == ["new ME", "0.5000", "0.5000", "0.250", ""]


def test_objectives_stand_beside_the_same_place_in_table_1():
    table_1 = [
        *regressions("deep", 1, [1.0, 2.0], data="spiral"),
        *regressions("deep", 2, [9.0], data="spiral"),
        *regressions("softmax", 1, [9.0], data="spiral"),
    ]
    asked = regressions("deep", 1, [4.0], "batch_sum", "spiral")
    results = {"table1": {"cells": table_1}, "objectives": {"cells": asked}}
    assert rows_of(objectives_table(results)) == [
        ["Deep MoE", "batch sum", "4", "4"],
        ["Deep MoE", "likelihood", "1.5 ± 0.707", "1, 2"],
    ]


def test_times_say_where_they_were_taken():
    times = {"epoch": {"VaDE": [3.0, 1.0, 2.0]}, "prediction": {}}
    assert heading_of(times_table({"times": times}))[0] == "what is timed (machine not recorded)"
    where = {"cores": 2, "processor": "P"}
    table = times_table({"times": {**times, **where}})
    assert heading_of(table)[0] == "what is timed (2 cores, P)"
    assert rows_of(table) == [["training steps of an epoch", "VaDE", "2", "1", "3"]]


# Specialists.


def specialist(step, seed=0, accuracy=0.75, data="MNIST", bound=-200.0):
    return {
        "step": step,
        "seed": seed,
        "data": data,
        "seconds": [1.0, 2.0],
        "history": {"information": [0.0, 2.0], "bound": [0.0, bound]},
        "test": {"accuracy": accuracy, "nmi": 0.5, "ari": 0.25, "losses": {"bound": bound - 4}},
        "evaluation": {"generation": {"share": 0.5 + seed / 4, "n_digits": 9 + seed}},
        "model": step,
        "params": {},
    }


def test_specialists_have_a_row_each_and_a_mean():
    runs = [
        specialist(step, seed, 0.5 + seed / 4)
        for step in ("information", "mixture-of-vaes")
        for seed in (0, 1)
    ]
    lines = specialists_table({"specialists": {"runs": runs}}).splitlines()
    assert lines[2] == "| 0 | 0.5000 | 0.5000 | 0.2500 | 2.000 | 0.5000 | 9 |"
    assert lines[4] == "| mean of 2 | 0.6250 | 0.5000 | 0.2500 | 2.000 | 0.6250 | 10 |"


def test_an_ablation_leaves_out_what_was_not_run():
    runs = [
        *(specialist("information", seed) for seed in (0, 1)),
        specialist("without-neighbours", 0, 0.25),
    ]
    posts = [{**specialist("", 0, 0.5), "model": "mixture-of-vaes"}]
    results = {
        "specialists": {"runs": runs},
        "posts": {"runs": posts},
        "clustering_mnist": {"runs": []},
    }
    assert [row[:3] for row in rows_of(ablation_table(results))] == [
        ["the post's routing", "one only", "0.5000"],
        ["without neighbours", "one only", "0.2500"],
        ["full recipe, experts trained after the router", "2", "0.7500 ± 0.0000"],
    ]


def test_gains_are_over_the_wider_experts():
    runs = [
        specialist("mixture-of-vaes", bound=-210.0),
        *(specialist(f"wide-{n_styles}", bound=-200.0) for n_styles in N_STYLES),
        *(specialist(f"hierarchy-{n_styles}", bound=-190.0) for n_styles in N_STYLES),
        specialist("shapes", bound=-220.0),
    ]
    rows = rows_of(hierarchy_table({"specialists": {"runs": runs}}))
    pairs = ["+0.00%", "+5.00%"] * len(N_STYLES)
    assert [row[4] for row in rows] == ["", *pairs, "-10.00%"]
    assert {row[1] for row in rows} == {"0"}


def test_other_data_are_those_that_are_not_mnist():
    experts = {**specialist("points-experts", data="spiral"), "model": "mixture-of-vaes"}
    digits = [
        {**specialist("small-conv", seed, 0.5 + seed / 4, "8 x 8 digits"), "model": "information"}
        for seed in (0, 1)
    ]
    for run in digits:
        run["params"] = {"network": "conv"}
    runs = [specialist("information"), experts, *digits]
    means = "0.6250 ± 0.1768", "0.5000 ± 0.0000"
    assert rows_of(other_data_table({"specialists": {"runs": runs}})) == [
        ["8 x 8 digits", "conv", "", "2", *means, "0.5000, 0.7500", "2.00 ± 0.00", "2"],
        ["spiral", "dense", "yes", "one only", "0.7500", "0.5000", "0.7500", "", "2"],
    ]


def test_the_router_has_a_row_a_seed_their_mean_and_their_least():
    runs = [
        *(specialist(ROUTER, seed, 1 - seed / 4) for seed in (0, 1)),
        *(specialist("information", seed) for seed in (0, 1)),
    ]
    elsewhere = {"IMSAT": {"value": 0.984, "source": "article"}}
    paper = {"sources": SOURCES, "mnist_clustering_elsewhere": elsewhere}
    *rows, published = rows_of(router_table({"specialists": {"runs": runs}, "paper": paper}))
    assert [row[:2] for row in rows] == [
        ["0", "1.0000"],
        ["1", "0.7500"],
        ["mean of 2", "0.8750"],
        ["the seed with the least accuracy, 1", "0.7500"],
        ["dense router, mean of 2", "0.7500"],
    ]
    assert {row[-1] for row in rows} == {"0.1"}
    assert published == ["IMSAT (A et al.)", "0.984", "", "", "", ""]


def test_trials_agree_with_themselves_and_with_the_others_up_to_names():
    def trial(step, seed, clusters, stability=0.5):
        scores = {"information": 2.0, "over_information": 3.0, "certainty": 0.75}
        measured = {**scores, "stability": stability, "clusters": clusters}
        return {"step": step, "seed": seed, "seconds": [60.0, 60.0], "measured": measured}

    runs = [
        trial("conv-plain", 0, "00112233", 0.75),
        trial("conv-plain", 1, "11003323"),  # one of eight elsewhere
        trial("conv-elastic", 0, "33221100"),  # the first one's clusters by other names
    ]
    rows = rows_of(router_trials_table({"router-trials": {"runs": runs}}))
    assert [row[0] for row in rows] == ["conv-plain", "conv-elastic"]
    assert rows[0][2] == "`network` conv, `plain_share` 0.5"
    assert rows[0][3:] == ["2", "2.0000", "3.0000", "0.6250", "0.7500", "0.8750", "0.9375", "2"]
    assert rows[1][3:] == ["1", "2.0000", "3.0000", "0.5000", "0.7500", "", "0.9375", "2"]


def test_each_row_of_the_router_has_one_part_more():
    steps = ("information", *ROUTER_PARTS, ROUTER)
    runs = [specialist(step, seed, 0.5 + seed / 4) for step in steps for seed in (0, 1)]
    rows = rows_of(router_parts_table({"specialists": {"runs": runs}}))
    assert [row[0] for row in rows] == [
        RECIPES["specialists"].steps[step].title[0] for step in steps
    ]
    assert all(row[1:3] == ["2", "0.6250 ± 0.1768"] for row in rows)


def test_the_experts_stand_by_router_network_and_settings():
    defaults = {"decoder_std": 0.5, "epochs": 10}
    runs = [
        {**specialist(name, seed), "params": {**defaults, **step.params}}
        for name, step in RECIPES["specialists"].steps.items()
        for seed in (0, 1)
    ]
    rows = rows_of(experts_table({"specialists": {"runs": runs}}))
    assert [row[:5] for row in rows] == [
        ["dense", "dense", "0.5", "10", "2"],
        ["convolutions", "dense", "0.5", "10", "2"],
        ["convolutions", "convolutions", "0.5", "10", "2"],
        ["convolutions", "convolutions", "1.0", "30", "2"],
    ]
    last = ["-204.00 ± 0.00", "0.6250 ± 0.1768", "0.5000", "9", "1.5"]
    assert all(row[5:] == last for row in rows)


# Performance, and faults.


def test_a_profile_shows_what_takes_long_in_either_engine():
    profile = {
        "fused": {"MatMul": {"seconds": 0.002, "count": 3}},
        "plain": {
            "MatMul": {"seconds": 0.001, "count": 2},
            "Conv": {"seconds": 0.004, "count": 1},
        },
    }
    profile = {name: {"step": 0.003, "kinds": kinds} for name, kinds in profile.items()}
    results = {"bench": {"profile": profile}}
    assert rows_of(bench_profile_table(results)) == [
        ["Conv", "0.00", "0", "4.00", "1"],
        ["MatMul", "2.00", "3", "1.00", "2"],
        ["all operations", "2.00", "3", "5.00", "3"],
    ]


def test_a_model_has_a_row_for_both_engines():
    kinds = {"MatMul": 0.001, "Conv": 0.004, "ResourceApplyAdam": 0.005}
    model = {
        "medians": {"plain": 3.0, "compiled": 2.0},
        "first_epoch": {"plain": {"train": 3.5}, "compiled": {"train": 4.5}},
        "peak_bytes": {"plain": 2**30, "compiled": 2**29},
        "profile": {"kinds": {kind: {"seconds": seconds} for kind, seconds in kinds.items()}},
    }
    lines = bench_models_table({"bench": {"models": {"VaDE": model}}}).splitlines()
    assert lines[2:] == ["| VaDE | 2.00 | 3.00 | 1.50 | 4.50 |  | 512 | 1024 | 10% | 50% |"]
    model["first_epoch_from_cache"] = {"train": 2.5}
    lines = bench_models_table({"bench": {"models": {"VaDE": model}}}).splitlines()
    assert lines[2:] == ["| VaDE | 2.00 | 3.00 | 1.50 | 4.50 | 2.50 | 512 | 1024 | 10% | 50% |"]


def test_workers_are_compared_with_one_process():
    def run(workers, seconds):
        return {
            "experts": 2,
            "workers": workers,
            "seconds_an_epoch": seconds,
            "bytes_a_step_and_worker": 1.5e6,
        }

    table = cluster_table({"cluster": {"runs": [run(0, 2.0), run(4, 3.0)]}})
    assert rows_of(table) == [
        ["2", "none (one process)", "2.00", "1.00", "1.5"],
        ["2", "4", "3.00", "1.50", "1.5"],
    ]


def test_a_faults_records_become_a_row_for_each_engine():
    seen = {"times": 1, "outcome": "goes on", "lost": 0}
    record = {"fault": "cut", "model": "moe", "engine": "plain", "made by": "a.npz", **seen}
    results = [
        record,
        {**record, "engine": "fused", "times": 5},
        {**record, "model": "dmvae", "made by": "b.npz", "lost": 3},
        record,
    ]
    assert rows_of(faults_table({"faults": {"faults": results}})) == [
        ["cut", "plain", "moe, dmvae", "a.npz, b.npz", "3", "goes on", "3"],
        ["cut", "fused", "moe", "a.npz", "5", "goes on", "0"],
    ]


def test_every_way_to_find_neighbours_is_a_row():
    ways = [
        {"way": "exact", "compared": "images", "recall": 1.0, "seconds": 9.6, "peak_bytes": 2**30},
        {"way": "lists", "compared": "coordinates", "recall": 0.9, "seconds": 1.2, "peak_bytes": 0},
    ]
    sets = {"mnist": {"n_images": 55_000, "ways": ways}}
    sets["augmented"] = {"n_images": 250_000, "ways": ways[1:]}
    assert rows_of(neighbours_table({"neighbours": sets})) == [
        ["250,000 (varied)", "coordinates", "lists", "0.900", "1", "0"],
        ["55,000 (MNIST)", "images", "exact", "1.000", "10", "1024"],
        ["55,000 (MNIST)", "coordinates", "lists", "0.900", "1", "0"],
    ]


def test_a_soaks_rounds_and_checkpoints_are_a_row_each():
    def held(*memory):
        return [{"memory_mb": each, "open_files": 5} for each in memory]

    growth = {"rounds": 0.0123, "checkpoints": -0.001}
    soak = {"rounds": held(800, 900, 901.2, 902), "checkpoints": held(900, 900)}
    soak |= {"growth_mb": growth, "settings": {"bounds_mb": {"rounds": 0.1, "checkpoints": 0.02}}}
    assert rows_of(soak_table({"soak": soak})) == [
        ["round", "4", "901", "902", "12.3", "100", "5", "5"],
        ["checkpoint", "2", "900", "900", "-1.0", "20", "5", "5"],
    ]


def test_a_readers_executions_and_faults_are_a_row():
    reader = {"executions": 1000, "seconds": 2.4, "first_mb": 70, "peak_mb": 80}
    found = {"reader": "b", **reader, "fault": ["it ended"]}
    results = {"fuzz": {"readers": [{"reader": "a", **reader, "fault": None}, found]}}
    assert rows_of(fuzz_table(results)) == [
        ["a", "1,000", "2", "70", "80", "none"],
        ["b", "1,000", "2", "70", "80", "one"],
    ]
