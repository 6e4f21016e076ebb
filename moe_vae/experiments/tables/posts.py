"""The posts' models beside the posts' code under TensorFlow 1.15."""

from collections.abc import Callable
from typing import Any

from moe_vae.experiments.tables.markdown import markdown_table, mean_row

__all__ = ["conditional_vae_table", "mixture_of_vaes_table"]

Values = dict[str, Any]


def conditional_vae_table(results: Values) -> str:
    """Post 2 after its 20 epochs, under TensorFlow 1.15 and in this package."""
    return _beside_tensorflow_1(
        results,
        "conditional-vae",
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
    )


def mixture_of_vaes_table(results: Values) -> str:
    """Post 3 after its 100 epochs, under TensorFlow 1.15 and in this package."""
    return _beside_tensorflow_1(
        results,
        "mixture-of-vaes",
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
    )


def _beside_tensorflow_1(
    results: Values,
    model: str,
    columns: dict[str, tuple[str, str]],
    values_of: Callable[[Values], Values],
) -> str:
    """One row a run and one for the mean, of TensorFlow 1.15 and of this package.

    Args:
      results: the content of "posts" and "tensorflow_1_15".
      model: name of the model.
      columns: dict of a value's name to its column's title and number format.
      values_of: function of a run of this package that returns its values by name.
    """
    runs = [run for run in results["posts"]["runs"] if run["model"] == model]
    ours = [{"seed": run["seed"], **values_of(run)} for run in runs]
    rows = []
    for code, scores in (
        ("TensorFlow 1.15", results["tensorflow_1_15"][model]),
        ("this package", ours),
    ):
        for values in (*scores, mean_row(scores, columns)):
            cells = (
                form.format(values[name]) if name in values else "not recorded"
                for name, (_, form) in columns.items()
            )
            rows.append((code, values["seed"], *cells))
    titles = (title for title, _ in columns.values())
    return markdown_table(("code", "seed", *titles), rows)
