"""What the figures of several kinds of model share."""

from typing import TYPE_CHECKING, Any

import numpy as np

from moe_vae.data.checks import POINT_FEATURES
from moe_vae.data.dataset import Batch, DataSet
from moe_vae.evaluation.metrics import match_clusters
from moe_vae.model import Model
from moe_vae.plots.charts import plot_confusion, plot_image_rows, plot_points
from moe_vae.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "N_POINTS",
    "class_name",
    "draw_points",
    "draws_points",
    "matched_classes",
    "plot_reconstructions",
    "plot_test_confusion",
    "run_name",
    "some_examples",
]

N_POINTS = 1000  # in a panel
N_RECONSTRUCTED = 10  # images in a row

Record = dict[str, Any]


def run_name(record: Record) -> str:
    """Returns a run's data and seed, for a title; `record` is its `run_record`."""
    return f"{record['data']}, seed {record['seed']}"


def draws_points(model: Model) -> bool:
    """Whether a model's examples are points in the plane, and not images."""
    return model.n_features == POINT_FEATURES


def class_name(model: Model) -> str:
    """Returns what the classes of a model's data are called."""
    return "arm" if draws_points(model) else "digit"


def some_examples(data_set: DataSet, n: int) -> Batch:
    """Returns at most `n` examples, spread evenly over the whole data set."""
    n = min(n, data_set.num_examples)
    return data_set.examples(np.linspace(0, data_set.num_examples - 1, n).astype(int))


def matched_classes(record: Record) -> dict[int, int]:
    """Returns each cluster's class, as a run's test data match them one to one."""
    return match_clusters(np.array(record["test"]["confusion"]))


def plot_test_confusion(model: Model, record: Record, title: str) -> "Figure":
    """Draws how many test examples of each class went to each expert or cluster of a model."""
    accuracy = f"test data: clustering accuracy {record['test']['accuracy']:.3f}"
    table = record["test"]["confusion"]
    return plot_confusion(table, f"{title}\n{accuracy}", model.column, class_name(model))


def plot_reconstructions(trainer: Trainer, data_set: DataSet, title: str) -> "Figure":
    """Draws the first images of a data set, and the model's decodings below them."""
    images = data_set.images[:N_RECONSTRUCTED]
    decoded = trainer.model.reconstruct(trainer.session, images)
    return plot_image_rows([images, decoded], ["test image", "decoding"], title)


def draw_points(
    trainer: Trainer, record: Record, data_set: DataSet, title: str
) -> "dict[str, Figure]":
    """Draws points, their decodings and generated ones: dict of the name to the figure.

    Args:
      trainer: a `Trainer` of a model of points [n, 2] that clusters, decodes and generates.
      record: its `run_record`.
      data_set: points that it was not trained on.
      title: title of the figure.
    """
    model, session = trainer.model, trainer.session
    points, arms, *_ = some_examples(data_set, N_POINTS)
    random = np.random.default_rng(0)
    n_each = N_POINTS // model.n_columns
    generated = [
        model.generate(session, random.standard_normal([n_each, model.params["z_dim"]]), column)
        for column in range(model.n_columns)
    ]
    # An expert or a cluster has the colour of the arm that it is matched with.
    matched = matched_classes(record)
    columns = np.repeat([matched.get(c, c) for c in range(model.n_columns)], n_each)
    panels = {
        "test points": (points, arms),
        "their decodings": (model.reconstruct(session, points), arms),
        f"generated, by matched {model.column}": (np.concatenate(generated), columns),
    }
    return {"points": plot_points(panels, title, group_name="arm")}
