"""What each style of a hierarchy's experts draws."""

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import ArrayLike

from moe_vae.data.dataset import DataSet
from moe_vae.evaluation.metrics import match_clusters
from moe_vae.models.hierarchy import HierarchicalMixture
from moe_vae.plots.charts import plot_image_rows
from moe_vae.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_styles"]

N_NEAREST = 3  # images beside each style's drawing


def plot_styles(trainer: Trainer, confusion: ArrayLike, data_set: DataSet, title: str) -> "Figure":
    """Draws what each style of each expert draws from the mean code, beside the nearest images.

    A style that no image of the data set belongs to stays blank.

    Args:
      trainer: a `HierarchicalMixture`'s `Trainer`.
      confusion: table [digits, experts] of counts, which matches experts and digits.
      data_set: a `DataSet`, from which the images of each style come.
      title: title of the figure.

    Returns:
      A `matplotlib.figure.Figure`, with one row for each digit.
    """
    model, session = cast(HierarchicalMixture, trainer.model), trainer.session
    experts, styles = model.predict_leaves(session, data_set.images)
    mean_code = np.zeros([model.n_styles, model.params["z_dim"]])
    rows, labels = [], []
    expert_of = {digit: expert for expert, digit in match_clusters(np.array(confusion)).items()}
    for digit, expert in sorted(expert_of.items()):
        row = []
        for style, drawn in enumerate(model.generate(session, mean_code, expert)):
            own = data_set.images[(experts == expert) & (styles == style)]
            # Without images a style was not trained either.
            row += [drawn if len(own) else np.zeros_like(drawn), *_nearest(own, drawn)]
        rows.append(np.array(row))
        labels.append(f"digit {digit}")
    columns = [
        text
        for style in range(model.n_styles)
        for text in (f"style {style}", *["nearest"] * N_NEAREST)
    ]
    return plot_image_rows(rows, labels, title, columns)


def _nearest(images: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The images that are nearest to a drawing; blank ones where there are too few."""
    distances = np.square(images - drawn).sum(axis=1)
    found = images[np.argsort(distances)[:N_NEAREST]]
    blank = np.zeros([N_NEAREST - len(found), len(drawn)], np.float32)
    return np.concatenate([found, blank])
