"""Figures of the posts' models and of their argument."""

from moe_vae.data.checks import NUM_CLASSES, POINT_FEATURES
from moe_vae.plots.charts import (
    expert_colour,
    plot_confusion,
    plot_image_rows,
    plot_kmeans_fit,
    plot_losses,
    plot_mixture_fit,
    plot_parabolas,
    plot_samples,
)
from moe_vae.plots.clustering import class_name, draw_points
from moe_vae.plots.diagrams import draw_modules, draw_vae_expert
from moe_vae.plots.styles import plot_styles
from moe_vae.posts.parabolas import fit_after_kmeans, fit_mixture, parabola_data

__all__ = ["concept_figures"]

N_RECONSTRUCTED = 10


def draw_conditional_vae(trainer, record, data_set):
    """Draws a trained conditional VAE: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: images to reconstruct.
    """
    on = f"{record['data']}, seed {record['seed']}"
    digits = [str(digit) for digit in range(NUM_CLASSES)]
    return {
        "losses": plot_losses(
            trainer.history,
            {"loss_auto_encode": "VAE loss", "loss_digit_classifier": "digit classifier loss"},
            f"Conditional VAE ({on})",
        ),
        "samples": plot_samples(trainer.samples, f"One code, ten digits ({on})", 20, digits),
        "reconstructions": _plot_reconstructions(trainer, data_set, f"Conditional VAE ({on})"),
    }


_LOSS_TITLES = {
    "expected_expert_loss": "expected expert loss",
    "balancing_loss": "balancing loss",
    "style_balancing_loss": "style balancing loss",
    "information": "information of the experts",
    "over_information": "information of the finer outputs",
    "bound": "bound on the log likelihood",
    "loss": "total loss",
}


def draw_mixture_of_vaes(trainer, record, data_set):
    """Draws a trained mixture of VAEs: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: images to reconstruct, or points.
    """
    on = f"{record['data']}, seed {record['seed']}"
    test, classes = record["test"], class_name(trainer.model)
    is_points = trainer.model.n_features == POINT_FEATURES
    draw, examples = (draw_points, "points") if is_points else (_draw_experts, "images")
    return {
        "losses": plot_losses(
            trainer.history,
            {name: _LOSS_TITLES[name] for name in trainer.history},
            f"Mixture of VAEs ({on})",
        ),
        "confusion": plot_confusion(
            test["confusion"],
            f"Test {examples} by {classes} and expert ({on})\n"
            f"clustering accuracy {test['accuracy']:.3f}",
            class_name=classes,
        ),
        **draw(trainer, record, data_set, f"Mixture of VAEs ({on})"),
    }


def _draw_experts(trainer, record, data_set, title):
    figures = {"reconstructions": _plot_reconstructions(trainer, data_set, title)}
    if trainer.samples:  # none, where the training was ended before the experts'
        experts = range(trainer.model.n_columns)
        figures["samples"] = plot_samples(
            trainer.samples,
            f"One code, every expert ({record['data']}, seed {record['seed']})",
            20,
            [str(expert) for expert in experts],
            [expert_colour(expert) for expert in experts],
        )
    return figures


def _plot_reconstructions(trainer, data_set, title):
    images = data_set.images[:N_RECONSTRUCTED]
    decoded = trainer.model.reconstruct(trainer.session, images)
    return plot_image_rows([images, decoded], ["test image", "decoding"], title)


def draw_hierarchy(trainer, record, data_set):
    """Draws a trained hierarchical mixture: dict of name to figure; see `draw_mixture_of_vaes`."""
    on = f"{record['data']}, seed {record['seed']}"
    return {
        **draw_mixture_of_vaes(trainer, record, data_set),
        "styles": plot_styles(trainer, record["test"]["confusion"], data_set, f"Styles ({on})"),
    }


def concept_figures():
    """Draws post 3's five conceptual figures, the mixture on the parabolas trained for it.

    Returns:
      Dict of name to figure, in the post's order.
    """
    x, y = parabola_data()
    kmeans = fit_after_kmeans(x, y)
    return {
        "modules": draw_modules(),
        "two_parabolas": plot_parabolas(),
        "kmeans_split": plot_kmeans_fit(kmeans),
        "mixture_of_experts": plot_mixture_fit(fit_mixture(x, y), kmeans),
        "vae_expert": draw_vae_expert(),
    }
