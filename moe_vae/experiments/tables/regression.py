"""Table 1 beyond its means: medians and quartiles, and DVMoE beside each gate in each draw."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from moe_vae.experiments.tables.markdown import markdown_table, median_and_quartiles
from moe_vae.experiments.tables.paper import gates_of, place_of, regressions
from moe_vae.models.gates import GATES

__all__ = ["medians_table", "objective_pairs_table", "pairs_table"]

Values = dict[str, Any]

_PAPERS = "dmvae"  # the paper's own gate, which the others are compared with


def medians_table(results: Values) -> str:
    """Table 1's medians and quartiles, and how many clusterings the gates begin with."""
    cells = results["table1"]["cells"]
    gates = gates_of(cells)
    rows = []
    for (data, n_outputs), group in regressions(cells).items():
        of_gates = [_errors(group, gate) for gate in gates]
        clusterings = {cell["gate_seed"] for cell in group if "gate_seed" in cell}
        rows.append(
            (
                data,
                n_outputs,
                max(map(len, of_gates)),
                len(clusterings),
                *(median_and_quartiles(list(errors.values()), "{:.3g}") for errors in of_gates),
            )
        )
    heading = ("data", "D", "draws", "clusterings", *(GATES[gate].label for gate in gates))
    return markdown_table(heading, rows)


def pairs_table(results: Values) -> str:
    """How often DVMoE's error is the lower one of a draw, and how many times the other's is its."""
    cells = results["table1"]["cells"]
    others = [gate for gate in gates_of(cells) if gate != _PAPERS]
    compared = {
        place: [_ratios(group, other) for other in others]
        for place, group in regressions(cells).items()
    }
    rows = [(*place, *map(_pair, of_others)) for place, of_others in compared.items()]
    for data in dict.fromkeys(data for data, _ in compared):
        of_data = [of_others for place, of_others in compared.items() if place[0] == data]
        by_other = zip(*of_data, strict=True)
        rows.append((data, "all", *(_share(list(chain(*each))) for each in by_other)))
    return markdown_table(("data", "D", *(GATES[gate].label for gate in others)), rows)


def objective_pairs_table(results: Values) -> str:
    """How many times DVMoE's error another gate's is in each draw, by objective."""
    asked = results["objectives"]["cells"]
    places = {place_of(cell) for cell in asked}
    cells = [cell for cell in (*results["table1"]["cells"], *asked) if place_of(cell) in places]
    rows = []
    for other in (gate for gate in gates_of(cells) if gate != _PAPERS):
        for objective in sorted({cell["params"]["task_objective"] for cell in cells}):
            group = [cell for cell in cells if cell["params"]["task_objective"] == objective]
            ratios = _ratios(group, other)
            if ratios:
                rows.append(
                    (
                        GATES[other].label,
                        objective.replace("_", " "),
                        _share(ratios),
                        median_and_quartiles(ratios, "{:.3g}"),
                        f"{min(ratios):.3g}",
                        f"{max(ratios):.3g}",
                    )
                )
    heading = (
        "mixture of experts",
        "objective",
        "draws in which DVMoE's error is lower",
        "error divided by DVMoE's, median (quartiles)",
        "least",
        "greatest",
    )
    return markdown_table(heading, rows)


def _errors(cells: Iterable[Values], gate: str) -> dict[int, float]:
    """A gate's squared errors by draw."""
    return {
        cell["params"]["targets_seed"]: cell["test"]["squared_error"]
        for cell in cells
        if cell["params"]["gate"] == gate
    }


def _ratios(cells: Sequence[Values], other: str) -> list[float]:
    """Another gate's error divided by DVMoE's, for each draw that both have."""
    ours, theirs = _errors(cells, _PAPERS), _errors(cells, other)
    return [theirs[draw] / ours[draw] for draw in ours if draw in theirs]


def _pair(ratios: Sequence[float]) -> str:
    return f"{_share(ratios)}; {median_and_quartiles(ratios, '{:.3g}')}" if ratios else ""


def _share(ratios: Sequence[float]) -> str:
    """Returns in how many of the draws DVMoE's error is the lower one."""
    return f"{sum(ratio > 1 for ratio in ratios)} of {len(ratios)}" if ratios else ""
