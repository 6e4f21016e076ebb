"""Figures of models that cluster: VaDE, DMVAE and the information encoder."""

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from moe_vae.data.dataset import DataSet
from moe_vae.models.autoencoder import VariationalAutoencoder
from moe_vae.plots.charts import (
    plot_image_rows,
    plot_losses,
    plot_points,
    plot_samples,
)
from moe_vae.plots.common import (
    class_legend,
    class_title,
    column_colour,
    draw_confusion,
    draw_points,
    draws_points,
    matched_classes,
    pictures,
    plot_reconstructions,
    point_groups,
    run_name,
    some_examples,
)
from moe_vae.threads import threads_for
from moe_vae.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "draw_clustering_record",
    "draw_clustering_vae",
    "draw_codes",
    "draw_information_encoder",
    "draw_information_record",
    "plot_bound",
]

Record = dict[str, Any]

_NAMES = {"vade": "VaDE", "dmvae": "DMVAE"}

N_GENERATED = 12  # images of each cluster
N_CODES = 2000  # in a t-SNE
MIN_CODES = 3  # the perplexity of a t-SNE must be above 0, and fewer codes say nothing
PERPLEXITY = 30.0  # of a t-SNE, scikit-learn's own; few codes allow less


def draw_clustering_vae(trainer: Trainer, record: Record, data_set: DataSet) -> "dict[str, Figure]":
    """Draws a trained VaDE or DMVAE: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: images or points that it was not trained on.

    Source: the paper, sections 3 and 6, figures.
    """
    title = _title(record)
    draw = draw_points if draws_points(record) else _draw_images
    return {
        **draw_clustering_record(record),
        **draw_codes(trainer, record, data_set, title),
        **draw(trainer, record, data_set, title),
    }


def draw_clustering_record(record: Record) -> "dict[str, Figure]":
    """Draws what the record of a VaDE's or a DMVAE's run alone determines.

    Args:
      record: its `run_record`.

    Returns:
      Dict of name to figure.
    """
    title, accuracy = _title(record), record["test"].get("accuracy")
    return {
        "losses": plot_bound(record, title),
        **draw_confusion(record, title, accuracy, "cluster", "confusion"),
    }


def _title(record: Record) -> str:
    return f"{_NAMES[record['model']]} ({run_name(record)})"


def draw_information_encoder(
    trainer: Trainer, record: Record, data_set: DataSet
) -> "dict[str, Figure]":
    """Draws a trained information encoder: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: not used, as the encoder draws nothing.
    """
    del trainer, data_set
    return draw_information_record(record)


def draw_information_record(record: Record) -> "dict[str, Figure]":
    """Draws what the record of an information encoder's run determines: dict of name to figure."""
    title = f"Information encoder ({run_name(record)})"
    n_before = record["params"]["pretrain_epochs"]
    before = f"; the first {n_before} epochs train the finer outputs alone" if n_before else ""
    titles = {
        "information": "information of the clusters",
        "over_information": "information of the finer outputs",
    }
    accuracy = record["test"].get("accuracy")
    return {
        "losses": plot_losses(
            record["history"], titles, title + before, dict.fromkeys(titles, "nats")
        ),
        **draw_confusion(record, title, accuracy, "cluster", "confusion"),
    }


def plot_bound(record: Record, title: str) -> "Figure":
    """Draws the losses of the epochs that train a VAE by the whole bound.

    While the autoencoder is trained alone, the bound is so bad that later epochs would look flat.

    Args:
      record: a `VariationalAutoencoder`'s `run_record`.
      title: title of the figure.
    """
    history = record["history"]
    n_before = min(record["params"]["pretrain_epochs"], len(history["loss"]))
    after = f", after {n_before} epochs of the autoencoder alone" if n_before else ""
    titles = {
        "loss_reconstruction": "reconstruction",
        "loss_code": "KL of the code",
        "loss_cluster": "KL of the cluster",
        "loss": "total loss",
    }
    return plot_losses(
        {name: values[n_before:] for name, values in history.items()},
        {name: text for name, text in titles.items() if name in history},
        title + after,
        dict.fromkeys(titles, "nats an example"),
    )


def draw_codes(
    trainer: Trainer, record: Record, data_set: DataSet, title: str
) -> "dict[str, Figure]":
    """Draws a VAE's mean codes in the plane, as t-SNE places them, coloured by class.

    Args:
      trainer: a `Trainer` of a `VariationalAutoencoder` after `fit`.
      record: its `run_record`.
      data_set: examples that it was not trained on.
      title: title of the figure.

    Returns:
      Dict of the name to the figure, empty if there are fewer than `MIN_CODES` codes.
    """
    inputs, labels, *_ = some_examples(data_set, N_CODES)
    if len(inputs) < MIN_CODES:
        return {}
    model = cast(VariationalAutoencoder, trainer.model)
    codes = model.mean_codes(trainer.session, inputs)
    panel = f"t-SNE of {len(codes)} mean codes"
    groups = point_groups(codes, labels)
    legend = class_legend(record, labels)
    return {"codes": plot_points({panel: (_embed(codes), groups)}, title, **legend)}


def _embed(codes: np.ndarray) -> np.ndarray:
    """Returns the codes' places in the plane by t-SNE."""
    from sklearn.manifold import TSNE

    # From equal codes PCA gives NaN, and a start of NaN crashes scikit-learn.
    start = "pca" if codes.shape[1] > 1 and np.ptp(codes, axis=0).any() else "random"
    perplexity = min(PERPLEXITY, (len(codes) - 1) / 3)
    with threads_for(codes):
        return TSNE(init=start, perplexity=perplexity, random_state=0).fit_transform(codes)


def _draw_images(
    trainer: Trainer, record: Record, data_set: DataSet, title: str
) -> "dict[str, Figure]":
    model, session = trainer.model, trainer.session
    codes = np.random.default_rng(0).standard_normal([N_GENERATED, model.params["z_dim"]])
    matched, clusters = matched_classes(record), range(model.n_columns)
    figures = {
        "reconstructions": plot_reconstructions(trainer, record, data_set, title),
        "generated": plot_image_rows(
            pictures([model.generate(session, codes, cluster) for cluster in clusters], record),
            [_cluster_title(cluster, matched.get(cluster), record) for cluster in clusters],
            f"{title}: every cluster, {N_GENERATED} codes",
        ),
    }
    if trainer.samples:
        figures["samples"] = plot_samples(
            pictures(trainer.samples, record),
            f"{title}: every cluster from one code a row",
            column_labels=[str(cluster) for cluster in clusters],
            column_colours=[column_colour(matched, cluster) for cluster in clusters],
            fixed_samples=pictures(trainer.fixed_samples, record),
        )
    return figures


def _cluster_title(cluster: int, label: int | None, record: Record) -> str:
    return f"cluster {cluster}" + ("" if label is None else f" ({class_title(record, label)})")
