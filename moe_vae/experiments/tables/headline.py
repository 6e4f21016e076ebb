"""The README's table: one row for each headline number."""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

from moe_vae.experiments.recipes import ROUTER
from moe_vae.experiments.registry import CLUSTERING_MODELS, MODELS
from moe_vae.experiments.tables.markdown import cited, markdown_table

__all__ = ["headline_table"]

Values = dict[str, Any]
Row = tuple[str, ...]


def headline_table(results: Values) -> str:
    """Test scores of the posts' models, the clusterings and the specialists, over all runs."""
    rows = [*_post_rows(results), *_clustering_rows(results), _specialists_row(results)]
    heading = ("model", "data", "score on test data", "mean", "worst run", "runs", "compare with")
    return markdown_table(heading, rows)


def _row(
    model: str, data: str, score: str, values: Sequence[float], digits: int, comparison: str
) -> Row:
    mean, worst = (f"{value:.{digits}f}" for value in (fmean(values), min(values)))
    return model, data, score, mean, worst, str(len(values)), comparison


def _post_rows(results: Values) -> Iterator[Row]:
    for post, name, measure, score, value_of in (
        ("post 2", "conditional-vae", "accuracy", "accuracy", _accuracy),
        ("post 2", "conditional-vae", "generation", "generated digits recognised", _recognised),
        ("post 3", "mixture-of-vaes", "accuracy", "clustering accuracy", _accuracy),
    ):
        runs = [run for run in results["posts"]["runs"] if run["model"] == name]
        theirs = [run[measure] for run in results["tensorflow_1_15"][name]]
        mean = fmean(theirs)
        yield _row(
            f"{post}: {MODELS[name].label}",
            runs[0]["data"],
            score,
            [value_of(run) for run in runs],
            4,
            f"{mean:.4f}, TensorFlow 1.15, mean of {len(theirs)}",
        )


def _accuracy(run: Values) -> float:
    return run["test"]["accuracy"]


def _recognised(run: Values) -> float:
    return run["evaluation"]["generation"]["share"]


def _clustering_rows(results: Values) -> Iterator[Row]:
    """VaDE and DMVAE from random weights, and on MNIST from what was trained before them."""
    published = _published(results, "mnist_clustering", "{}")
    # The steps that begin with random weights are named as their models.
    random = [run for run in results["from-scratch"]["runs"] if run["step"] == run["model"]]
    # VaDE on the spiral depends on the seeds, so its row also names the mean of other ones.
    others = [
        _accuracy(run)
        for run in results["samples"]["runs"]
        if (run["step"], run["data"]) == ("vade", "spiral")
    ]
    spiral = {MODELS["vade"].label: f"{fmean(others):.3f}, {len(others)} other seeds"}
    for runs, compared in ((results["clustering_spiral"]["runs"], spiral), (random, published)):
        for name in CLUSTERING_MODELS:
            label = MODELS[name].label
            yield _clustering_row(label, _of_model(runs, name), compared.get(label, ""))
    begun = results["clustering_mnist"]["runs"]
    for name, before, what in (("dmvae", "information", "an encoder"), ("vade", "dmvae", "DMVAE")):
        mean = fmean(map(_accuracy, _of_model(begun, before)))
        label = f"{MODELS[name].label}, after {what}"
        yield _clustering_row(label, _of_model(begun, name), f"{mean:.3f} before it")


def _of_model(runs: Sequence[Values], name: str) -> list[Values]:
    return [run for run in runs if run["model"] == name]


def _clustering_row(label: str, runs: Sequence[Values], comparison: str) -> Row:
    accuracies = [_accuracy(run) for run in runs]
    return _row(label, runs[0]["data"], "clustering accuracy", accuracies, 3, comparison)


def _specialists_row(results: Values) -> Row:
    runs = results["specialists"]["runs"]
    elsewhere = results["paper"]["mnist_clustering_elsewhere"]
    best = max(elsewhere, key=lambda name: elsewhere[name]["value"])
    published = _published(results, "mnist_clustering_elsewhere", "{:.3f}")
    return _row(
        "specialists' router, with convolutions",
        "MNIST",
        "clustering accuracy",
        [_accuracy(run) for run in runs if (run["step"], run["data"]) == (ROUTER, "MNIST")],
        4,
        f"{best} {published[best]}",
    )


def _published(results: Values, key: str, form: str) -> dict[str, str]:
    """The published values under a key of "paper", by name, each followed by its source."""
    paper = results["paper"]
    return {
        name: f"{form.format(entry['value'])} ({cited(paper, entry)})"
        for name, entry in paper[key].items()
    }
