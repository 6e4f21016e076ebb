"""The posts' models beside the posts' code under TensorFlow 1.15, and the studies of the posts."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from moe_vae.evaluation.comparison import compare_samples
from moe_vae.experiments.recipes.posts import LABEL_STEP
from moe_vae.experiments.tables.markdown import (
    list_values,
    markdown_table,
    mean_and_deviation,
    mean_row,
)
from moe_vae.plots.post_studies import VARIED, varied_runs
from moe_vae.posts.conditional_vae import CONDITIONAL_VAE_PARAMS
from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS

__all__ = [
    "balancing_table",
    "comparison_table",
    "conditional_vae_table",
    "labels_table",
    "mixture_of_vaes_table",
    "networks_table",
    "parameters_table",
]

# An expert with a larger share of the images is in use.
_IN_USE = 0.01

Values = dict[str, Any]


class _Scores(NamedTuple):
    """A post's scores.

    Attributes:
      columns: dict of a score's name to its column's title and number format.
      values_of: function of a run's record that returns its scores by name.
    """

    columns: dict[str, tuple[str, str]]
    values_of: Callable[[Values], Values]


POST_TITLES = {"conditional-vae": "2", "mixture-of-vaes": "3"}

_NETWORK_TITLES = {"dense": "dense", "conv": "convolutions"}
_NETWORK_LOSSES = {"conditional-vae": "loss_auto_encode", "mixture-of-vaes": "expected_expert_loss"}

_SCORES = {
    "conditional-vae": _Scores(
        {
            "loss_auto_encode": ("VAE loss", "{:.3f}"),
            "loss_digit_classifier": ("digit classifier loss", "{:.3f}"),
            "accuracy": ("test accuracy", "{:.4f}"),
            "generation": ("generated digits recognised", "{:.4f}"),
        },
        lambda run: {
            "loss_auto_encode": run["history"]["loss_auto_encode"][-1],
            "loss_digit_classifier": run["history"]["loss_digit_classifier"][-1],
            "accuracy": run["test"]["accuracy"],
            "generation": run["evaluation"]["generation"]["share"],
        },
    ),
    "mixture-of-vaes": _Scores(
        {
            "expected_expert_loss": ("expected expert loss", "{:.3f}"),
            "balancing_loss": ("balancing loss", "{:,.0f}"),
            "accuracy": ("clustering accuracy", "{:.4f}"),
            "nmi": ("NMI", "{:.4f}"),
            "ari": ("ARI", "{:.4f}"),
        },
        lambda run: {
            "expected_expert_loss": run["history"]["expected_expert_loss"][-1],
            "balancing_loss": run["history"]["balancing_loss"][-1],
            **run["test"],
        },
    ),
}


def conditional_vae_table(results: Values) -> str:
    """Post 2 after its 20 epochs, under TensorFlow 1.15 and in this package."""
    return _beside_tensorflow_1(results, "conditional-vae")


def mixture_of_vaes_table(results: Values) -> str:
    """Post 3 after its 100 epochs, under TensorFlow 1.15 and in this package."""
    return _beside_tensorflow_1(results, "mixture-of-vaes")


def _beside_tensorflow_1(results: Values, model: str) -> str:
    """One row a run and one for the mean, of TensorFlow 1.15 and of this package."""
    columns = _SCORES[model].columns
    rows = []
    for code, scores in (
        ("TensorFlow 1.15", results["tensorflow_1_15"][model]),
        ("this package", _scores(results, "posts", model)),
    ):
        for values in (*scores, mean_row(scores, columns)):
            cells = (
                form.format(values[name]) if name in values else "not recorded"
                for name, (_, form) in columns.items()
            )
            rows.append((code, values["seed"], *cells))
    titles = (title for title, _ in columns.values())
    return markdown_table(("code", "seed", *titles), rows)


def _scores(results: Values, code: str, model: str) -> list[Values]:
    """The scores of each run of a model, by the name of the code's result file."""
    runs = [run for run in results[code]["runs"] if run["model"] == model]
    return [{"seed": run["seed"], **_SCORES[model].values_of(run)} for run in runs]


# The seeds of each sample of runs, by the words for them. The second ten were run because a score
# of the first ten differed.
_SAMPLES = {"42, 1 to 9": {42, *range(1, 10)}, "10 to 19": set(range(10, 20))}


def comparison_table(results: Values) -> str:
    """Each score of the posts as two samples, of this package and of TensorFlow 1.15."""
    rows = [row for model in _SCORES for row in _comparison(results, model)]
    heading = ("post", "score", "seeds", "code", "runs", "lowest", "lower quartile", "median")
    last = ("difference of means", "p", "difference that would be found")
    return markdown_table((*heading, "upper quartile", "highest", *last), rows)


def _comparison(results: Values, model: str) -> Iterator[tuple[Any, ...]]:
    """Yields two rows a score: its quantiles in each code, and what a permutation test says."""
    post = POST_TITLES[model]
    for (name, (title, form)), (words, seeds) in itertools.product(
        _SCORES[model].columns.items(), _SAMPLES.items()
    ):
        theirs, ours = (
            np.array([run[name] for run in _scores(results, code, model) if run["seed"] in seeds])
            for code in ("tensorflow_1_15_seeds", "posts")
        )
        start = (post, title, words)
        if min(len(ours), len(theirs)) < 2:  # of which no quartiles can be taken
            if words == next(iter(_SAMPLES)):
                yield (
                    *start,
                    "TensorFlow 1.15",
                    len(theirs),
                    *["not measured yet"] * 5,
                    "",
                    "",
                    "",
                )
            continue
        compared = compare_samples(ours, theirs)
        cells = [[form.format(value) for value in row] for row in compared.quantiles]
        difference, detectable = (
            form.format(value) for value in (compared.difference, compared.detectable)
        )
        tested = (difference, f"{compared.p_value:.3f}", detectable)
        yield (*start, "this package", len(ours), *cells[0], *tested)
        yield (*start, "TensorFlow 1.15", len(theirs), *cells[1], "", "", "")


def parameters_table(results: Values) -> str:
    """Post 2 with one parameter changed at a time: losses, accuracy, and how well it draws."""
    runs = results["post2-parameters"]["runs"]
    rows = [
        (
            f"`{parameter}`",
            _setting(run["params"][parameter], CONDITIONAL_VAE_PARAMS[parameter]),
            run["seed"],
            f"{run['history']['loss_auto_encode'][-1]:.3f}",
            f"{run['test']['losses']['loss_auto_encode']:.3f}",
            f"{run['measured']['squared_error']:.2f}",
            f"{run['test']['accuracy']:.4f}",
            f"{run['evaluation']['generation']['share']:.4f}",
        )
        for parameter in VARIED
        for run in varied_runs(runs, parameter)
    ]
    heading = (
        "parameter",
        "value",
        "seed",
        "VAE loss, training images",
        "VAE loss, test images",
        "squared error, test images",
        "test accuracy",
        "generated digits recognised",
    )
    return markdown_table(heading, rows)


def _setting(value: float, posts: float) -> str:
    """Returns a parameter's value, marked if it is the post's."""
    return f"{value:g}{' (the post)' if value == posts else ''}"


def networks_table(results: Values) -> str:
    """The posts' models with dense networks and with convolutions."""
    by_step: dict[str, list[Values]] = {}
    for run in results["networks"]["runs"]:
        by_step.setdefault(run["step"], []).append(run)
    rows = []
    for runs in by_step.values():
        model, params = runs[0]["model"], runs[0]["params"]
        loss, recognised = (
            _NETWORK_LOSSES[model],
            _recorded(runs, "evaluation", "generation", "share"),
        )
        row = (
            POST_TITLES[model],
            _NETWORK_TITLES[params["network"]],
            runs[0]["engine"],
            len(runs[0]["seconds"]),
            len(runs),
            f"{runs[0]['measured']['n_parameters']:,}",
            f"{np.median([second for run in runs for second in run['seconds']]):.1f}",
            f"{np.mean([sum(run['seconds']) for run in runs]) / 60:.1f}",
            mean_and_deviation([run["history"][loss][-1] for run in runs], "{:.2f}"),
            mean_and_deviation(_recorded(runs, "test", "losses", loss), "{:.2f}"),
            mean_and_deviation(_recorded(runs, "test", "accuracy"), "{:.4f}"),
            mean_and_deviation(recognised, "{:.4f}"),
        )
        rows.append(row)
    heading = (
        "post",
        "networks",
        "engine",
        "epochs",
        "runs",
        "parameters",
        "seconds an epoch, median",
        "minutes of training, mean",
        "loss, training images",
        "loss, test images",
        "accuracy",
        "generated digits recognised",
    )
    return markdown_table(heading, rows)


def labels_table(results: Values) -> str:
    """VAEs that are given their digits, beside experts that are found without labels."""
    by_label = _of_step(results["post3-limits"]["runs"], LABEL_STEP)
    managed = [run for run in results["posts"]["runs"] if run["model"] == "mixture-of-vaes"]
    specialists = _of_step(results["specialists"]["runs"], "mixture-of-vaes")
    shorter = [_cut_short(run, len(specialists[0]["seconds"])) for run in by_label if specialists]
    rows = [
        (name, len(runs[0]["seconds"]), len(runs), *_limit_cells(runs))
        for name, runs in (
            ("by label: ten VAEs, one digit each", by_label),
            ("the same, after as many epochs as the specialists", shorter),
            ("by the post's manager, without labels", managed),
            ("by information, without labels (specialists)", specialists),
        )
        if runs
    ]
    heading = (
        "images go to the experts",
        "epochs",
        "runs",
        "expected expert loss, training images",
        "expected expert loss, test images",
        "bound, training images",
        "bound, test images",
        "clustering accuracy",
        "generated digits recognised",
    )
    return markdown_table(heading, rows)


def _of_step(runs: Sequence[Values], step: str) -> list[Values]:
    return [run for run in runs if run["step"] == step and run["data"] == "MNIST"]


def _cut_short(run: Values, n_epochs: int) -> Values:
    """Returns what a run had recorded after its first epochs; it was not tested then."""
    history = {name: values[:n_epochs] for name, values in run["history"].items()}
    return {"history": history, "seconds": run["seconds"][:n_epochs], "test": {}, "evaluation": {}}


def _limit_cells(runs: Sequence[Values]) -> Iterator[str]:
    """Means over runs; a cell is empty if the runs did not record its value."""
    for loss in ("expected_expert_loss", "bound"):
        ends = [run["history"][loss][-1] for run in runs if loss in run["history"]]
        yield mean_and_deviation(ends, "{:.2f}")
        yield mean_and_deviation(_recorded(runs, "test", "losses", loss), "{:.2f}")
    yield mean_and_deviation(_recorded(runs, "test", "accuracy"), "{:.4f}")
    yield mean_and_deviation(_recorded(runs, "evaluation", "generation", "share"), "{:.4f}")


def _recorded(runs: Sequence[Values], first: str, *names: str) -> list[float]:
    """Returns a value of each run that has it, by the names that lead to it."""
    values: list[Any] = [run[first] for run in runs]
    for name in names:
        values = [value[name] for value in values if name in value]
    return values


def balancing_table(results: Values) -> str:
    """Post 3's manager under other balancing weights: how many experts stay in use."""
    by_weight: dict[float, list[Values]] = {}
    for run in results["post3-limits"]["runs"]:
        if "shares" in run["history"]:
            by_weight.setdefault(run["params"]["balancing_weight"], []).append(run)
    rows = []
    for weight, runs in sorted(by_weight.items()):
        shares = [run["history"]["shares"][-1] for run in runs]
        in_use = [sum(share > _IN_USE for share in of_run) for of_run in shares]
        losses = [run["history"]["expected_expert_loss"][-1] for run in runs]
        rows.append(
            (
                _setting(weight, MIXTURE_OF_VAES_PARAMS["balancing_weight"]),
                list_values((run["seed"] for run in runs), "{}"),
                list_values(in_use, "{}"),
                list_values(map(max, shares), "{:.3f}"),
                list_values(losses, "{:.2f}"),
                list_values((run["test"]["accuracy"] for run in runs), "{:.4f}"),
            )
        )
    heading = (
        "balancing weight",
        "seeds",
        "experts with a share above 1 %",
        "largest share",
        "expected expert loss",
        "clustering accuracy",
    )
    return markdown_table(heading, rows)
