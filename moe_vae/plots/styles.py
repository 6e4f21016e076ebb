"""What each style of a hierarchy's experts draws."""

import numpy as np

from moe_vae.evaluation.metrics import match_clusters
from moe_vae.plots.charts import plot_image_rows

__all__ = ["plot_styles"]

N_NEAREST = 3  # real images beside what a style draws


def plot_styles(trainer, confusion, data_set, title):
    """Draws what each style of each expert draws from the mean code, beside the nearest images.

    Args:
      trainer: a `HierarchicalMixture`'s `Trainer`.
      confusion: table [digits, experts] of counts, by which experts and digits are matched.
      data_set: a `DataSet`, from which the images of each style come.
      title: str.

    Returns:
      A `matplotlib.figure.Figure`, a row a digit.
    """
    model, session = trainer.model, trainer.session
    experts, styles = model.predict_leaves(session, data_set.images)
    no_code = np.zeros([model.n_styles, model.params["z_dim"]])
    rows, labels = [], []
    expert_of = {digit: expert for expert, digit in match_clusters(np.array(confusion)).items()}
    for digit, expert in sorted(expert_of.items()):
        drawn = model.generate(session, no_code, expert)
        row = []
        for style, picture in enumerate(drawn):
            own = data_set.images[(experts == expert) & (styles == style)]
            shown = picture if len(own) else np.zeros_like(picture)  # nobody's, so never trained
            row += [shown, *_nearest(own, picture)]
        rows.append(np.array(row))
        labels.append(str(digit))
    columns = [
        text
        for style in range(model.n_styles)
        for text in (f"style {style}", *["nearest" for _ in range(N_NEAREST)])
    ]
    return plot_image_rows(rows, labels, title, columns)


def _nearest(images, picture):
    """The nearest of the images, blank where there are too few."""
    distances = np.square(images - picture).sum(axis=1)
    found = images[np.argsort(distances)[:N_NEAREST]]
    blank = np.zeros([N_NEAREST - len(found), len(picture)], np.float32)
    return np.concatenate([found, blank])
