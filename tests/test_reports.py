import json
from pathlib import Path

import pytest

from moe_vae.experiments.recipes import N_STYLES
from moe_vae.experiments.tables import (
    RESULTS,
    TABLES,
    ablation_table,
    bench_models_table,
    bench_profile_table,
    faults_table,
    fill_tables,
    hierarchy_table,
    mixture_of_vaes_table,
    mnist_table,
    other_data_table,
    regression_table,
    specialists_table,
    spiral_table,
)
from moe_vae.params import ParameterError

ROOT = Path(__file__).parent.parent


def test_the_readmes_tables_are_those_of_the_results():
    readme = (ROOT / "README.md").read_text()
    results = {
        name: json.loads((ROOT / "results" / f"{name}.json").read_text()) for name in RESULTS
    }
    for name in TABLES:
        assert f"<!-- table: {name} -->" in readme
    assert fill_tables(readme, results) == readme


def test_every_figure_that_the_readme_shows_is_there():
    readme = (ROOT / "README.md").read_text()
    links = [part.split(")")[0] for part in readme.split("](")[1:]]
    local = [link for link in links if not link.startswith("http")]
    assert len(local) > 10
    for link in local:
        assert (ROOT / link).exists(), link


def test_a_table_has_the_results_numbers():
    run = {
        "model": "mixture-of-vaes",
        "seed": 5,
        "history": {"expected_expert_loss": [250.0, 212.5], "balancing_loss": [9.0, 1234567.0]},
        "test": {"accuracy": 0.61234, "nmi": 0.5, "ari": 0.25},
    }
    results = {
        "posts": {"runs": [run]},
        "tensorflow_1_15": {"mixture-of-vaes": [{"seed": 1, "accuracy": 0.5751}]},
    }
    text = "before\n<!-- table: mixture-of-vaes -->\nold\n<!-- end of table -->\nafter\n"
    lines = fill_tables(text, results).splitlines()
    assert lines[0] == "before"
    assert lines[-1] == "after"
    assert lines[4].split(" | ")[1:5] == ["1", "not recorded", "not recorded", "0.5751"]
    assert lines[5].startswith("| TensorFlow 1.15 | mean of 1 | not recorded")
    assert lines[6] == "| this package | 5 | 212.500 | 1,234,567 | 0.6123 | 0.5000 | 0.2500 |"


def test_a_mean_is_of_what_every_run_recorded():
    theirs = [
        {"seed": 1, "accuracy": 0.5, "expected_expert_loss": 212.0},
        {"seed": 2, "accuracy": 0.7},
    ]
    run = {
        "model": "mixture-of-vaes",
        "seed": 5,
        "history": {"expected_expert_loss": [212.5], "balancing_loss": [2.0]},
        "test": {"accuracy": 0.6, "nmi": 0.5, "ari": 0.25},
    }
    results = {"posts": {"runs": [run]}, "tensorflow_1_15": {"mixture-of-vaes": theirs}}
    mean = mixture_of_vaes_table(results).splitlines()[4]
    assert mean.split(" | ")[1:5] == ["mean of 2", "not recorded", "not recorded", "0.6000"]


def test_clusterings_are_summed_up_over_seeds():
    def scores(accuracy):
        return {"accuracy": accuracy, "nmi": 0.5, "ari": 0.25}

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
        f"| VaDE | 0.500 ± 0.141 | {constant} | 0.400, 0.600 | 4.600, 4.400 | 1.00 |",
        f"| K-means, on VaDE's codes | 0.250 ± 0.071 | {constant} | 0.200, 0.300 |  |  |",
        f"| DMVAE | 1.000 ± 0.000 | {constant} | 1.000, 1.000 | 4.000, 4.000 |  |",
        f"| K-means, on DMVAE's codes | 0.500 ± 0.000 | {constant} | 0.500, 0.500 |  |  |",
        f"| GMM, on the data | 0.750 ± 0.000 | {constant} | 0.750, 0.750 |  |  |",
    ]


def test_an_encoder_has_the_loss_of_its_training_and_published_scores_stand_below():
    scores = {"accuracy": 0.75, "nmi": 0.5, "ari": 0.25}
    run = {"model": "information", "test": scores, "evaluation": {}, "history": {"loss": [0, -4.0]}}
    vaes = [
        {"model": model, "test": scores, "evaluation": {"validation": {"loss": 100.0}}}
        for model in ("vade", "dmvae")
    ]
    results = {
        "clustering_mnist": {"baselines": [{"seed": 0}, {"seed": 1}], "runs": [run, *vaes] * 2},
        "paper": {"mnist_clustering": {"VaDE": 0.9446}},
    }
    lines = mnist_table(results).splitlines()
    assert lines[2].startswith("| information encoder | 0.750 ± 0.000 |")
    assert lines[2].endswith("| 0.750, 0.750 | -4.000, -4.000 |  |")
    assert lines[3].endswith("| 0.750, 0.750 | 100.000, 100.000 |  |")
    assert lines[-1] == "| VaDE, as published | 0.9446 |  |  |  |  |  |"


def test_table_1_has_a_row_for_each_number_of_dimensions():
    def cells(gate, n_outputs, errors):
        params = {"gate": gate, "n_outputs": n_outputs}
        return [{"data": "MNIST", "params": params, "test": {"squared_error": e}} for e in errors]

    gates = ("softmax", "gmm", "deep", "vade", "dmvae")
    filled = [cell for d in (1, 2) for gate in gates for cell in cells(gate, d, (d, 3 * d))]
    paper = {"table_1": {"mnist": {"deep": {"1": 28.5}, "dmvae": {"1": 34.1}}}}
    lines = regression_table({"table1": {"cells": filled}, "paper": paper}).splitlines()
    ours = " | ".join(["2 ± 1.41"] * 5)
    assert lines[2] == f"| mnist | 1 | {ours} | 28.5 | 34.1 |"
    assert lines[3].startswith("| mnist | 2 | 4 ± 2.83 |")


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
    }


def test_specialists_have_a_row_each_and_a_mean():
    runs = [
        specialist(step, seed, 0.5 + seed / 4)
        for step in ("information", "mixture-of-vaes")
        for seed in (0, 1)
    ]
    paper = {"mnist_clustering_elsewhere": {"IMSAT": 0.984}}
    lines = specialists_table({"specialists": {"runs": runs}, "paper": paper}).splitlines()
    assert lines[2] == "| 0 | 0.5000 | 0.5000 | 0.2500 | 2.000 | 0.5000 | 9 |"
    assert lines[4] == "| mean of 2 | 0.6250 | 0.5000 | 0.2500 | 2.000 | 0.6250 | 10 |"
    assert lines[5].startswith("| IMSAT, as published | 0.984 |")


def test_an_ablation_leaves_out_what_was_not_run():
    runs = [specialist("information"), specialist("without-neighbours", 0, 0.25)]
    posts = [{**specialist("", 0, 0.5), "model": "mixture-of-vaes"}]
    results = {
        "specialists": {"runs": runs},
        "posts": {"runs": posts},
        "clustering_mnist": {"runs": []},
    }
    assert [line.split(" | ")[:2] for line in ablation_table(results).splitlines()[2:]] == [
        ["| the post's routing", "0.5000"],
        ["| without neighbours", "0.2500"],
        ["| everything, then the experts behind it", "0.7500"],
    ]


def test_gains_are_over_the_wider_experts():
    runs = [
        specialist("mixture-of-vaes", bound=-210.0),
        *(specialist(f"wide-{n_styles}", bound=-200.0) for n_styles in N_STYLES),
        *(specialist(f"hierarchy-{n_styles}", bound=-190.0) for n_styles in N_STYLES),
        specialist("shapes", bound=-220.0),
    ]
    lines = hierarchy_table({"specialists": {"runs": runs}}).splitlines()
    pairs = ["+0.00%", "+5.00%"] * len(N_STYLES)
    assert [line.split(" | ")[3] for line in lines[2:]] == ["", *pairs, "-10.00%"]


def test_other_data_are_those_that_are_not_mnist():
    runs = [specialist("information"), specialist("small", data="8 x 8 digits")]
    lines = other_data_table({"specialists": {"runs": runs}}).splitlines()
    assert lines[2:] == ["| 8 x 8 digits | 0 | no | 0.7500 | 0.5000 | 2.00 | 2 |"]


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
    lines = bench_profile_table(results).splitlines()
    assert lines[2:] == [
        "| Conv | 0.00 | 0 | 4.00 | 1 |",
        "| MatMul | 2.00 | 3 | 1.00 | 2 |",
        "| all kinds | 2.00 | 3 | 5.00 | 3 |",
    ]


def test_a_model_has_a_row_for_both_engines():
    kinds = {"MatMul": 0.001, "Conv": 0.004, "ResourceApplyAdam": 0.005}
    model = {
        "medians": {"plain": 3.0, "fused": 2.0},
        "times_fused": 1.5,
        "first_epoch": {"plain": {"train": 3.5}, "fused": {"train": 4.5}},
        "peak_bytes": {"plain": 2**30, "fused": 2**29},
        "profile": {"kinds": {kind: {"seconds": seconds} for kind, seconds in kinds.items()}},
    }
    lines = bench_models_table({"bench": {"models": {"VaDE": model}}}).splitlines()
    assert lines[2:] == ["| VaDE | 2.00 | 3.00 | 1.50 | 4.50 | 512 | 1024 | 10% | 50% |"]


def test_a_faults_records_become_one_row():
    record = {"fault": "cut short", "made by": "a.npz", "times": 1, "outcome": "goes on", "lost": 0}
    results = {"faults": {"faults": [record, {**record, "made by": "b.npz", "lost": 3}, record]}}
    lines = faults_table(results).splitlines()
    assert lines[2:] == ["| cut short | a.npz, b.npz | 3 | goes on | 3 |"]


def test_an_unknown_table_is_refused():
    with pytest.raises(ParameterError, match="table 'nothing' is unknown"):
        fill_tables("<!-- table: nothing -->\n<!-- end of table -->", {})
