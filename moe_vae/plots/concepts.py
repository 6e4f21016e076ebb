"""The five figures that post 3 explains its idea with."""

from typing import TYPE_CHECKING

from moe_vae.plots.diagrams import draw_modules, draw_vae_expert
from moe_vae.plots.parabolas import plot_kmeans_fit, plot_mixture_fit, plot_parabolas
from moe_vae.posts.parabolas import fit_after_kmeans, fit_mixture, parabola_data

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["concept_figures"]


def concept_figures() -> "dict[str, Figure]":
    """Draws post 3's five conceptual figures. It trains a mixture on the parabolas for one of them.

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
