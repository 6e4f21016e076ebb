"""The README's table: one row for each headline number."""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

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
    published = _published(results, "mnist_clustering", "{}")
    for file in ("clustering_spiral", "clustering_mnist"):
        runs = results[file]["runs"]
        for name in CLUSTERING_MODELS:
            label = MODELS[name].label
            of_model = [run for run in runs if run["model"] == name]
            data = of_model[0]["data"]
            yield _row(
                label,
                data,
                "clustering accuracy",
                [_accuracy(run) for run in of_model],
                3,
                published[label] if data == "MNIST" else "",
            )


def _specialists_row(results: Values) -> Row:
    runs = [
        run
        for run in results["specialists"]["runs"]
        if run["step"] == "mixture-of-vaes" and run["data"] == "MNIST"
    ]
    published = _published(results, "mnist_clustering_elsewhere", "{:.3f}")
    return _row(
        f"specialists: {MODELS['mixture-of-vaes'].label}, routed by information",
        "MNIST",
        "clustering accuracy",
        [_accuracy(run) for run in runs],
        4,
        "; ".join(f"{name} {accuracy}" for name, accuracy in published.items()),
    )


def _published(results: Values, key: str, form: str) -> dict[str, str]:
    """The published values under a key of "paper", by name, each followed by its source."""
    paper = results["paper"]
    return {
        name: f"{form.format(entry['value'])} ({cited(paper, entry)})"
        for name, entry in paper[key].items()
    }
