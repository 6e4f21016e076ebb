"""Figures of models that cluster."""

import numpy as np
from sklearn.manifold import TSNE

from moe_vae.data.checks import POINT_FEATURES
from moe_vae.evaluation.metrics import match_clusters
from moe_vae.plots.charts import (
    expert_colour,
    plot_confusion,
    plot_image_rows,
    plot_losses,
    plot_points,
    plot_samples,
)

__all__ = ["class_name", "draw_clustering_vae", "draw_points"]

N_RECONSTRUCTED = 10


N_GENERATED = 12  # pictures a cluster


N_POINTS = 1000  # in a drawing, reconstructed or generated


N_CODES = 2000  # in a t-SNE


def draw_clustering_vae(trainer, record, data_set):
    """Draws a trained VaDE or DMVAE: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: images or points that it was not trained on.

    Source: the paper, sections 3 and 6, figures.
    """
    title = f"{type(trainer.model).__name__} ({record['data']}, seed {record['seed']})"
    test = record["test"]
    # Of the autoencoder alone the bound is so bad that the curves would show nothing else.
    n_alone = trainer.n_epochs - trainer.epochs_done["loss"]
    after = f", after {n_alone} epochs of the autoencoder alone" if n_alone else ""
    draw = draw_points if trainer.model.n_features == POINT_FEATURES else _draw_images
    return {
        "losses": plot_losses(
            {name: values[n_alone:] for name, values in trainer.history.items()},
            {
                "loss_reconstruction": "reconstruction",
                "loss_code": "KL of the code",
                "loss_cluster": "KL of the cluster",
                "loss": "total loss",
            },
            title + after,
        ),
        "confusion": plot_confusion(
            test["confusion"],
            f"{title}\nclustering accuracy {test['accuracy']:.3f}",
            "cluster",
            class_name(trainer.model),
        ),
        "codes": _plot_codes(trainer, data_set, title),
        **draw(trainer, record, data_set, title),
    }


def draw_information_encoder(trainer, record, data_set):
    """Draws a trained information encoder: dict of name to figure.

    Args:
      trainer: a `Trainer` after `fit`.
      record: its `run_record`.
      data_set: not used: it draws no pictures.
    """
    del data_set
    title = f"Information encoder ({record['data']}, seed {record['seed']})"
    names = {
        "information": "information of the clusters (nats)",
        "over_information": "information of the outputs (nats)",
    }
    return {
        "losses": plot_losses(trainer.history, names, title),
        "confusion": plot_confusion(
            record["test"]["confusion"],
            f"{title}\nclustering accuracy {record['test']['accuracy']:.3f}",
            "cluster",
            class_name(trainer.model),
        ),
    }


def _draw_images(trainer, record, data_set, title):
    model, session = trainer.model, trainer.session
    images = data_set.images[:N_RECONSTRUCTED]
    codes = np.random.default_rng(0).standard_normal([N_GENERATED, model.params["z_dim"]])
    matched = match_clusters(np.array(record["test"]["confusion"]))
    clusters = range(model.n_clusters)
    return {
        "reconstructions": plot_image_rows(
            [images, model.reconstruct(session, images)], ["test image", "decoding"], title
        ),
        "generated": plot_image_rows(
            [model.generate(session, codes, cluster) for cluster in clusters],
            [f"cluster {cluster} ({matched.get(cluster, '-')})" for cluster in clusters],
            f"{title}: every cluster, {N_GENERATED} codes",
        ),
        "samples": plot_samples(
            trainer.samples,
            f"{title}: one code, every cluster",
            20,
            [str(cluster) for cluster in clusters],
            [expert_colour(matched.get(cluster, cluster)) for cluster in clusters],
        ),
    }


def draw_points(trainer, record, data_set, title):
    """Draws points, their decodings and generated ones: dict of the name to the figure.

    Args:
      trainer: a `Trainer` of a model of points [n, 2] that clusters, decodes and generates.
      record: its `run_record`.
      data_set: points that it was not trained on.
      title: str.
    """
    model, session = trainer.model, trainer.session
    points, arms = _some(data_set, N_POINTS)
    matched = match_clusters(np.array(record["test"]["confusion"]))
    random = np.random.default_rng(0)
    n_each = N_POINTS // model.n_columns
    drawn = [
        model.generate(session, random.standard_normal([n_each, model.params["z_dim"]]), cluster)
        for cluster in range(model.n_columns)
    ]
    # A cluster has the colour of the arm that it is matched with.
    clusters = np.repeat([matched.get(c, c) for c in range(model.n_columns)], n_each)
    return {
        "points": plot_points(
            {
                "test points, by arm": (points, arms),
                "their decodings, by arm": (model.reconstruct(session, points), arms),
                "generated, by cluster": (np.concatenate(drawn), clusters),
            },
            title,
        )
    }


def _plot_codes(trainer, data_set, title):
    inputs, labels = _some(data_set, N_CODES)
    codes = trainer.model.mean_codes(trainer.session, inputs)
    plane = TSNE(random_state=0).fit_transform(codes)
    panel = f"t-SNE of {len(codes)} mean codes, by {class_name(trainer.model)}"
    return plot_points({panel: (plane, labels)}, title)


def class_name(model):
    """Returns what the classes of a model's data are called."""
    return "arm" if model.n_features == POINT_FEATURES else "digit"


def _some(data_set, n):
    """Returns `n` examples, spread over the whole data set, and their labels."""
    rows = np.linspace(0, data_set.num_examples - 1, min(n, data_set.num_examples)).astype(int)
    return data_set.examples(rows)[:2]
