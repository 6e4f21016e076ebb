"""Medians, quartiles and comparisons in pairs, of numbers that can be counted by hand."""

import pytest

from moe_vae.experiments.tables.markdown import median_and_quartiles
from moe_vae.experiments.tables.regression import (
    medians_table,
    objective_pairs_table,
    pairs_table,
)


def cells(gate, errors, data="spiral", n_outputs=1, objective="likelihood", gate_seeds=None):
    """A cell for each error, of draws 0, 1, 2 and so on."""
    made = []
    for draw, error in enumerate(errors):
        params = {"gate": gate, "n_outputs": n_outputs, "targets_seed": draw}
        cell = {
            "data": data,
            "seed": draw,
            "params": {**params, "task_objective": objective},
            "test": {"squared_error": error},
        }
        made.append(cell if gate_seeds is None else {**cell, "gate_seed": gate_seeds[draw]})
    return made


def rows_of(table):
    lines = [line[2:-2].split(" | ") for line in table.splitlines()]
    return lines[0], lines[2:]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([3.0], "3"),
        ([1.0, 2.0, 3.0, 4.0, 90.0], "3 (2 to 4)"),
        ([1.0, 3.0], "2 (1.5 to 2.5)"),
    ],
)
def test_median_and_quartiles(values, expected):
    assert median_and_quartiles(values, "{:g}") == expected


def test_medians_stand_beside_the_numbers_of_draws_and_of_clusterings():
    table = medians_table(
        {
            "table1": {
                "cells": [
                    *cells("deep", [1, 2, 300]),
                    *cells("dmvae", [1, 5, 9], gate_seeds=[10, 11, 10]),
                    *cells("deep", [7], data="MNIST"),
                ]
            }
        }
    )
    heading, rows = rows_of(table)
    assert heading == ["data", "D", "draws", "clusterings", "Deep MoE", "DVMoE"]
    assert rows == [
        ["spiral", "1", "3", "2", "2 (1.5 to 151)", "5 (3 to 7)"],
        ["mnist", "1", "1", "0", "7", ""],
    ]


def test_pairs_are_of_one_draw_each():
    """By means DVMoE, 4, is far below Deep MoE, 34; draw by draw it is below in two of three."""
    recorded = [
        *cells("deep", [2, 1, 100]),
        *cells("dmvae", [1, 2, 10]),
        *cells("deep", [6, 8], n_outputs=2),
        *cells("dmvae", [2, 2, 2], n_outputs=2),  # the third draw has no partner
    ]
    heading, rows = rows_of(pairs_table({"table1": {"cells": recorded}}))
    assert heading == ["data", "D", "Deep MoE"]
    assert rows == [
        ["spiral", "1", "2 of 3; 2 (1.25 to 6)"],
        ["spiral", "2", "2 of 2; 3.5 (3.25 to 3.75)"],
        ["spiral", "all", "4 of 5"],
    ]


def test_objectives_are_compared_with_the_same_objective():
    results = {
        "table1": {
            "cells": [
                *cells("deep", [4, 8]),
                *cells("dmvae", [1, 1]),
                *cells("deep", [5], data="MNIST"),  # of a row that the objectives do not have
            ]
        },
        "objectives": {
            "cells": [
                *cells("deep", [1, 6], objective="batch_sum"),
                *cells("dmvae", [2, 2], objective="batch_sum"),
            ]
        },
    }
    _, rows = rows_of(objective_pairs_table(results))
    assert rows == [
        ["Deep MoE", "batch sum", "1 of 2", "1.75 (1.12 to 2.38)", "0.5", "3"],
        ["Deep MoE", "likelihood", "2 of 2", "6 (5 to 7)", "4", "8"],
    ]
