"""The paper's experiments: clustering, mixtures of experts behind every gate, and times."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from moe_vae.experiments.registry import MODELS
from moe_vae.experiments.tables.markdown import (
    cited,
    list_values,
    markdown_table,
    mean_and_deviation,
)
from moe_vae.models.gates import GATES

__all__ = [
    "classification_table",
    "conv_classification_table",
    "explained_table",
    "gates_of",
    "mnist_table",
    "objectives_table",
    "place_of",
    "regression_table",
    "regressions",
    "spiral_table",
    "times_table",
]

Values = dict[str, Any]

# What the experts read, by the parameter `expert_inputs`.
EXPERT_INPUTS = {"examples": "pixels", "features": "the gate's features"}

_CLUSTERING_HEADING = (
    "model",
    "accuracy",
    "NMI",
    "ARI",
    "accuracy of each seed",
    "label-free loss of each seed",
)


def spiral_table(results: Values) -> str:
    """VaDE, DMVAE and the baselines as clusterings of the spiral's test points."""
    return markdown_table(_CLUSTERING_HEADING, _clustering_rows(results["clustering_spiral"]))


def mnist_table(results: Values) -> str:
    """The same for MNIST's test images, with the encoder that both models begin with."""
    n_empty, paper = len(_CLUSTERING_HEADING) - 2, results["paper"]
    published = [
        (f"{name} ({cited(paper, entry)})", entry["value"], *[""] * n_empty)
        for name, entry in paper["mnist_clustering"].items()
    ]
    rows = [*_clustering_rows(results["clustering_mnist"]), *published]
    return markdown_table(_CLUSTERING_HEADING, rows)


def _clustering_rows(clustering: Values) -> Iterator[tuple[str, ...]]:
    """Yields a row for each model, for the baselines on its codes, and for those on the data."""
    for model in dict.fromkeys(run["model"] for run in clustering["runs"]):
        runs = [run for run in clustering["runs"] if run["model"] == model]
        label = MODELS[model].label
        scores = [run["test"] for run in runs]
        yield _clustering_row(label, scores, [_label_free_loss(run) for run in runs])
        codes = [run["evaluation"].get("codes", {}) for run in runs]
        for baseline in codes[0]:
            yield _clustering_row(f"{baseline}, on {label}'s codes", [of[baseline] for of in codes])
    of_seeds = clustering["baselines"]
    for baseline in (name for name in of_seeds[0] if name != "seed"):
        scores = [of[baseline] for of in of_seeds]
        losses = [score["loss"] for score in scores if "loss" in score]
        yield _clustering_row(f"{baseline}, on the data", scores, losses)


def _clustering_row(
    name: str, scores: Sequence[Values], losses: Sequence[float] = ()
) -> tuple[str, ...]:
    accuracies = [score["accuracy"] for score in scores]
    return (
        name,
        *(
            mean_and_deviation([score[measure] for score in scores], "{:.3f}")
            for measure in ("accuracy", "nmi", "ari")
        ),
        list_values(accuracies, "{:.3f}"),
        list_values(losses, "{:.3f}"),
    )


def _label_free_loss(run: Values) -> float:
    """The loss that ranks seeds without labels: on validation data, or an encoder's own."""
    evaluation = run["evaluation"]
    if "validation" in evaluation:
        return evaluation["validation"]["loss"]
    return run["history"]["loss"][-1]


def regression_table(results: Values) -> str:
    """Table 1: squared test errors by data, dimensions and gate, beside both of the paper's."""
    cells, paper = results["table1"]["cells"], results["paper"]
    gates, versions = gates_of(cells), paper["table_1"]
    theirs = dict.fromkeys(
        (source, gate)
        for source, version in versions.items()
        for of_gates in version.values()
        for gate in of_gates
    )
    rows = (
        (
            data,
            n_outputs,
            *_by_gate(gates, group, "squared_error", "{:.3g}"),
            *(
                versions[source].get(data, {}).get(gate, {}).get(str(n_outputs), "")
                for source, gate in theirs
            ),
        )
        for (data, n_outputs), group in regressions(cells).items()
    )
    papers = (f"{GATES[gate].label}, {cited(paper, {'source': source})}" for source, gate in theirs)
    return markdown_table((*_gates_heading(gates), *papers), rows)


def explained_table(results: Values) -> str:
    """Table 1's explained shares of variance, R^2."""
    cells = results["table1"]["cells"]
    gates = gates_of(cells)
    rows = (
        (data, n_outputs, *_by_gate(gates, group, "r2", "{:.4f}"))
        for (data, n_outputs), group in regressions(cells).items()
    )
    return markdown_table(_gates_heading(gates), rows)


def gates_of(cells: Iterable[Values]) -> list[str]:
    """The registered gates that have runs, in the register's order."""
    used = {cell["params"]["gate"] for cell in cells}
    return [gate for gate in GATES if gate in used]


def _gates_heading(gates: Iterable[str]) -> tuple[str, ...]:
    return ("data", "D", *(GATES[gate].label for gate in gates))


def regressions(cells: Iterable[Values]) -> dict[tuple[str, int], list[Values]]:
    """The cells of each row of Table 1, by data and number of outputs."""
    rows: dict[tuple[str, int], list[Values]] = {}
    for cell in cells:
        rows.setdefault((_data_name(cell), cell["params"]["n_outputs"]), []).append(cell)
    return rows


def _data_name(cell: Values) -> str:
    return cell["data"].lower()


def _by_gate(
    gates: Iterable[str], cells: Sequence[Values], measure: str, form: str
) -> Iterator[str]:
    for gate in gates:
        values = [cell["test"][measure] for cell in cells if cell["params"]["gate"] == gate]
        yield mean_and_deviation(values, form)


def objectives_table(results: Values) -> str:
    """The squared errors of one row of Table 1 under each objective."""
    asked = results["objectives"]["cells"]
    places = {place_of(cell) for cell in asked}
    cells = [cell for cell in (*results["table1"]["cells"], *asked) if place_of(cell) in places]
    rows = []
    for gate in gates_of(cells):
        of_gate = [cell for cell in cells if cell["params"]["gate"] == gate]
        for objective in sorted({cell["params"]["task_objective"] for cell in of_gate}):
            errors = [
                cell["test"]["squared_error"]
                for cell in of_gate
                if cell["params"]["task_objective"] == objective
            ]
            rows.append(
                (
                    GATES[gate].label,
                    objective.replace("_", " "),
                    mean_and_deviation(errors, "{:.3g}"),
                    list_values(errors, "{:.3g}"),
                )
            )
    heading = ("mixture of experts", "objective", "squared error", "squared error of each draw")
    return markdown_table(heading, rows)


def place_of(cell: Values) -> tuple[str, int, str]:
    """Where a cell stands in Table 1: its data, its number of outputs and its gate."""
    return _data_name(cell), cell["params"]["n_outputs"], cell["params"]["gate"]


def classification_table(results: Values) -> str:
    """Table 2: test accuracies of MNIST's classification, beside the authors' later claims."""
    cells, paper = results["table2"]["cells"], results["paper"]
    claims = {
        gate: f"{entry['value']} ({cited(paper, entry)})"
        for gate, entry in paper["table_2"].items()
    }
    rows = []
    for gate in gates_of(cells):
        tests = [cell["test"] for cell in cells if cell["params"]["gate"] == gate]
        accuracies = [test["accuracy"] for test in tests]
        rows.append(
            (
                GATES[gate].label,
                mean_and_deviation(accuracies, "{:.4f}"),
                list_values(accuracies, "{:.4f}"),
                mean_and_deviation([test["gate"]["accuracy"] for test in tests], "{:.3f}"),
                claims.get(gate, ""),
            )
        )
    heading = (
        "mixture of experts",
        "test accuracy",
        "test accuracy of each seed",
        "clustering accuracy of the gate",
        "test accuracy, claimed",
    )
    return markdown_table(heading, rows)


def conv_classification_table(results: Values) -> str:
    """Table 2 with convolutions, by what the experts read."""
    runs = results["table2-conv"]["runs"]
    rows = []
    for place in dict.fromkeys(map(_gate_and_inputs, runs)):
        tests = [run["test"] for run in runs if _gate_and_inputs(run) == place]
        gate, expert_inputs = place
        accuracies = [test["accuracy"] for test in tests]
        rows.append(
            (
                GATES[gate].label,
                EXPERT_INPUTS[expert_inputs],
                mean_and_deviation(accuracies, "{:.4f}"),
                list_values(accuracies, "{:.4f}"),
                mean_and_deviation([test["gate"]["accuracy"] for test in tests], "{:.3f}"),
            )
        )
    heading = (
        "mixture of experts",
        "experts read",
        "test accuracy",
        "test accuracy of each seed",
        "clustering accuracy of the gate",
    )
    return markdown_table(heading, rows)


def _gate_and_inputs(run: Values) -> tuple[str, str]:
    return run["params"]["gate"], run["params"]["expert_inputs"]


def times_table(results: Values) -> str:
    """Seconds of an epoch and of a prediction, VaDE beside DMVAE."""
    times = results["times"]
    kinds = {
        "epoch": "training steps of an epoch",
        "prediction": "cluster probabilities of all test images",
    }
    rows = [
        (what, name, f"{np.median(values):.3g}", f"{min(values):.3g}", f"{max(values):.3g}")
        for kind, what in kinds.items()
        for name, values in times[kind].items()
    ]
    # The first recorded times do not name their machine.
    named = "processor" in times
    where = f"{times['cores']} cores, {times['processor']}" if named else "machine not recorded"
    what = f"what is timed ({where})"
    heading = (what, "model", "median (s)", "minimum (s)", "maximum (s)")
    return markdown_table(heading, rows)
