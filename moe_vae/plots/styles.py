"""What each style of a hierarchy's experts draws."""

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from moe_vae.data.dataset import DataSet
from moe_vae.models.hierarchy import HierarchicalMixture
from moe_vae.plots.charts import plot_image_rows
from moe_vae.plots.common import class_title, matched_classes, pictures
from moe_vae.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_styles"]

N_NEAREST = 3  # images beside each style's drawing


def plot_styles(
    trainer: Trainer, record: dict[str, Any], data_set: DataSet, title: str
) -> "Figure":
    """Draws what each style of each expert draws from the mean code, beside the nearest images.

    A style that no image of the data set belongs to has no pictures.

    Args:
      trainer: a `HierarchicalMixture`'s `Trainer`.
      record: its `run_record`; the test data's confusion table matches experts and classes.
        Without labels every expert has a row.
      data_set: a `DataSet`, from which the images of each style come.
      title: title of the figure.

    Returns:
      A `matplotlib.figure.Figure`, with one row for each class.
    """
    model, session = cast(HierarchicalMixture, trainer.model), trainer.session
    experts, styles = model.predict_leaves(session, data_set.images)
    mean_code = np.zeros([model.n_styles, model.params["z_dim"]])
    rows, labels = [], []
    for expert, label in _titled_experts(model, record):
        row = []
        for style, drawn in enumerate(model.generate(session, mean_code, expert)):
            own = data_set.images[(experts == expert) & (styles == style)]
            # Without images a style was not trained either.
            row += [drawn if len(own) else _absent(drawn), *_nearest(own, drawn)]
        rows.append(np.array(row))
        labels.append(label)
    columns = [
        text for style in range(model.n_styles) for text in (f"style {style}", *[""] * N_NEAREST)
    ]
    title = f"{title}: each style's drawing, and right of it its {N_NEAREST} nearest images"
    return plot_image_rows(pictures(rows, record), labels, title, columns)


def _titled_experts(model: HierarchicalMixture, record: dict[str, Any]) -> list[tuple[int, str]]:
    """Returns the experts and their titles, in the order of their classes if there are labels."""
    matched = matched_classes(record)
    if not matched:
        return [(expert, f"expert {expert}") for expert in range(model.n_columns)]
    by_class = sorted(matched.items(), key=lambda item: item[1])
    return [(expert, class_title(record, label)) for expert, label in by_class]


def _nearest(images: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The images that are nearest to a drawing; NaN where there are too few."""
    distances = np.square(images - drawn).sum(axis=1)
    found = images[np.argsort(distances)[:N_NEAREST]]
    return np.concatenate([found, *[_absent(drawn)[None]] * (N_NEAREST - len(found))])


def _absent(drawn: np.ndarray) -> np.ndarray:
    return np.full_like(drawn, np.nan)
