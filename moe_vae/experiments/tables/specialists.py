"""Specialists: experts that are digits, flat and in a hierarchy."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from moe_vae.experiments.recipes import N_STYLES, RECIPES, ROUTER, ROUTER_PARTS
from moe_vae.experiments.tables.markdown import (
    cited,
    list_values,
    markdown_table,
    mean_and_deviation,
    mean_row,
)

__all__ = [
    "ablation_table",
    "experts_table",
    "hierarchy_table",
    "other_data_table",
    "router_parts_table",
    "router_table",
    "specialists_table",
]

Values = dict[str, Any]
Row = tuple[str, ...]

# The columns of a clustering, each with its title and form.
_CLUSTERING = {
    "accuracy": ("clustering accuracy", "{:.4f}"),
    "nmi": ("NMI", "{:.4f}"),
    "ari": ("ARI", "{:.4f}"),
    "information": ("information (nats)", "{:.3f}"),
}


def specialists_table(results: Values) -> str:
    """Each seed's ten specialists behind the dense router: clustering, and how well they draw."""
    columns = {
        **_CLUSTERING,
        "share": ("generated digits recognised", "{:.4f}"),
        "n_digits": ("different digits", "{:.0f}"),
    }
    rows = list(_specialist_rows(results))
    return _table_of_seeds(columns, [*rows, mean_row(rows, columns)])


def _table_of_seeds(
    columns: Mapping[str, tuple[str, str]], rows: Sequence[Values], others: Sequence[Row] = ()
) -> str:
    """A table with a row a seed; `columns` has each one's title and form. `others` come last."""
    filled = [
        (row["seed"], *(form.format(row[name]) for name, (_, form) in columns.items()))
        for row in rows
    ]
    titles = (title for title, _ in columns.values())
    return markdown_table(("seed", *titles), [*filled, *others])


def _specialist_rows(results: Values) -> Iterator[Values]:
    routers = {router["seed"]: router for router in _on_mnist(results, "information")}
    for run in _on_mnist(results, "mixture-of-vaes"):
        generated = run["evaluation"]["generation"]
        yield {
            "seed": run["seed"],
            **{measure: run["test"][measure] for measure in ("accuracy", "nmi", "ari")},
            "information": routers[run["seed"]]["history"]["information"][-1],
            "share": generated["share"],
            "n_digits": generated["n_digits"],
        }


def _on_mnist(results: Values, step: str) -> list[Values]:
    """The runs on MNIST of a step, a key of the steps of `SPECIALISTS`."""
    runs = results["specialists"]["runs"]
    return [run for run in runs if run["step"] == step and run["data"] == "MNIST"]


def router_table(results: Values) -> str:
    """Each seed of the router with convolutions, mean and least; the dense one; published ones."""
    columns = {**_CLUSTERING, "minutes": ("minutes of training steps", "{:.1f}")}
    rows, dense = (
        [_router_row(run) for run in _on_mnist(results, step)] for step in (ROUTER, "information")
    )
    worst = min(rows, key=lambda row: row["accuracy"])
    ours = [
        *rows,
        mean_row(rows, columns),
        {**worst, "seed": f"the seed with the least accuracy, {worst['seed']}"},
        {**mean_row(dense, columns), "seed": f"dense router, mean of {len(dense)}"},
    ]
    paper = results["paper"]
    published = [
        (f"{name} ({cited(paper, entry)})", f"{entry['value']:.3f}", *[""] * (len(columns) - 1))
        for name, entry in paper["mnist_clustering_elsewhere"].items()
    ]
    return _table_of_seeds(columns, ours, published)


def _router_row(run: Values) -> Values:
    return {
        "seed": run["seed"],
        **{measure: run["test"][measure] for measure in ("accuracy", "nmi", "ari")},
        "information": run["history"]["information"][-1],
        "minutes": sum(run["seconds"]) / 60,
    }


def router_parts_table(results: Values) -> str:
    """The router's clustering, with one part more in each row."""
    rows = []
    for step in ("information", *ROUTER_PARTS, ROUTER):
        if not (runs := _on_mnist(results, step)):
            continue
        accuracies = [run["test"]["accuracy"] for run in runs]
        rows.append(
            (
                *RECIPES["specialists"].steps[step].title,
                len(runs),
                mean_and_deviation(accuracies, "{:.4f}"),
                mean_and_deviation([run["test"]["nmi"] for run in runs], "{:.4f}"),
                list_values(accuracies, "{:.4f}"),
            )
        )
    heading = ("router", "seeds", "clustering accuracy", "NMI", "accuracy of each seed")
    return markdown_table(heading, rows)


def experts_table(results: Values) -> str:
    """The experts behind either router: bound, and drawings recognised."""
    rows = []
    for name, step in RECIPES["specialists"].steps.items():
        has_experts = len(step.title) == 2
        if not has_experts or not (runs := _on_mnist(results, name)):
            continue
        shares = [run["evaluation"]["generation"]["share"] for run in runs]
        rows.append(
            (
                *step.title,
                runs[0]["params"]["decoder_std"],
                runs[0]["params"]["epochs"],
                len(runs),
                mean_and_deviation([_bounds(run)[1] for run in runs], "{:.2f}"),
                mean_and_deviation(shares, "{:.4f}"),
                f"{min(shares):.4f}",
                min(run["evaluation"]["generation"]["n_digits"] for run in runs),
                f"{np.median([seconds for run in runs for seconds in run['seconds']]):.1f}",
            )
        )
    heading = ("router", "experts", "`decoder_std`", "epochs", "seeds", "bound, test images")
    drawings = ("generated digits recognised", "least of them", "different digits", "epoch (s)")
    return markdown_table((*heading, *drawings), rows)


def ablation_table(results: Values) -> str:
    """The clustering scores without one part of the recipe."""
    routings = {
        "the post's routing": [
            run for run in results["posts"]["runs"] if run["model"] == "mixture-of-vaes"
        ],
        "the post's routing, balanced by entropy": _on_mnist(results, "balanced"),
        "without neighbours": _on_mnist(results, "without-neighbours"),
        "without augmentation": _on_mnist(results, "without-augmentation"),
        "neighbours among images that are not deskewed, grouped once": [
            run for run in results["clustering_mnist"]["runs"] if run["model"] == "information"
        ],
        "full recipe, experts trained together with the router": _on_mnist(results, "together"),
        "full recipe, experts trained after the router": _on_mnist(results, "information"),
    }
    rows = [
        (
            name,
            _counted(runs),
            *(
                mean_and_deviation([run["test"][measure] for run in runs], "{:.4f}")
                for measure in ("accuracy", "nmi")
            ),
            list_values((run["test"]["accuracy"] for run in runs), "{:.4f}"),
        )
        for name, runs in routings.items()
        if runs
    ]
    heading = ("routing", "seeds", "clustering accuracy", "NMI", "accuracy of each seed")
    return markdown_table(heading, rows)


def _counted(runs: Sequence[Values]) -> str:
    """How many seeds stand behind a row; one alone is said in words, because it shows no spread."""
    return "one only" if len(runs) == 1 else str(len(runs))


def other_data_table(results: Values) -> str:
    """The routers on other data, with the parameters that they have for MNIST."""
    groups: dict[tuple[str, str], list[Values]] = {}
    for run in results["specialists"]["runs"]:
        if run["data"] != "MNIST":
            groups.setdefault((run["data"], run["step"]), []).append(run)
    rows = []
    for (data, _), runs in sorted(groups.items(), key=lambda item: item[0][0]):
        params = runs[0]["params"]
        network = params.get("cluster_encoder_network", params.get("network", "dense"))
        # Experts are trained after their router, so their run records no information.
        information = [
            run["history"]["information"][-1] for run in runs if run["model"] == "information"
        ]
        accuracies = [run["test"]["accuracy"] for run in runs]
        rows.append(
            (
                data,
                network,
                "" if information else "yes",
                _counted(runs),
                mean_and_deviation(accuracies, "{:.4f}"),
                mean_and_deviation([run["test"]["nmi"] for run in runs], "{:.4f}"),
                list_values(accuracies, "{:.4f}"),
                mean_and_deviation(information, "{:.2f}"),
                len(runs[0]["seconds"]),
            )
        )
    heading = ("data", "router", "experts", "seeds", "clustering accuracy", "NMI")
    last = ("accuracy of each seed", "information (nats)", "epochs")
    return markdown_table((*heading, *last), rows)


def hierarchy_table(results: Values) -> str:
    """Bounds on the log likelihood: ten VAEs, ten wider ones, and ten mixtures of VAEs."""
    first = _on_mnist(results, "mixture-of-vaes")[0]
    rows = [("ten VAEs", first["seed"], *_bound_cells(_bounds(first)), "", "")]
    for n_styles in N_STYLES:
        wide = _bounds(_on_mnist(results, f"wide-{n_styles}")[0])
        steps = {
            f"wide-{n_styles}": f"ten VAEs, {n_styles} times as wide",
            f"hierarchy-{n_styles}": f"ten mixtures of {n_styles} VAEs",
        }
        if n_styles == RECIPES["specialists"].steps["shapes"].params["n_styles"]:
            steps["shapes"] = f"ten mixtures of up to {n_styles} VAEs, by the router's outputs"
        rows += [
            (name, run["seed"], *_bound_cells(_bounds(run)), *_gains(_bounds(run), wide))
            for step, name in steps.items()
            for run in _on_mnist(results, step)
        ]
    heading = ("experts", "seed", "bound, training images", "bound, test images")
    return markdown_table((*heading, "gain, training images", "gain, test images"), rows)


def _bounds(run: Values) -> tuple[float, float]:
    """The bounds of a run, in nats, on the training and on the test images."""
    return run["history"]["bound"][-1], run["test"]["losses"]["bound"]


def _bound_cells(bounds: Sequence[float]) -> list[str]:
    return [f"{bound:.2f}" for bound in bounds]


def _gains(bounds: Sequence[float], others: Sequence[float]) -> list[str]:
    """How much higher the bounds are than others, relative to these."""
    pairs = zip(bounds, others, strict=True)
    return [f"{(ours - theirs) / abs(theirs):+.2%}" for ours, theirs in pairs]
