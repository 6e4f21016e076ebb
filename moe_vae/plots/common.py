"""What the figures of several kinds of model share."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from moe_vae.data.dataset import Batch, DataSet
from moe_vae.evaluation.metrics import match_clusters
from moe_vae.plots.charts import expert_colour, plot_confusion, plot_image_rows, plot_points
from moe_vae.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "N_POINTS",
    "class_legend",
    "class_name",
    "class_title",
    "column_colour",
    "draw_confusion",
    "draw_points",
    "draws_points",
    "matched_classes",
    "pictures",
    "plane",
    "plot_reconstructions",
    "point_groups",
    "principal_axes",
    "run_name",
    "some_examples",
]

N_POINTS = 1000  # in a panel
N_RECONSTRUCTED = 10  # images in a row

# What a class is called, by the name of the data. Whole numbers of other data may mean anything.
_CLASS_NAMES = {
    "spiral": "arm",
    "MNIST": "digit",
    "sample of 5,000 MNIST digits": "digit",
    "8 x 8 digits": "digit",
}

NO_CLASS_COLOUR = "silver"  # lighter than the grey among the experts' colours

Record = dict[str, Any]


def run_name(record: Record) -> str:
    """Returns a run's data and seed, for a title; `record` is its `run_record`."""
    return f"{record['data']}, seed {record['seed']}"


def draws_points(record: Record) -> bool:
    """Whether a run's examples are points, and not images; `record` is its `run_record`."""
    return len(record["shape"]) == 1


def class_name(record: Record) -> str:
    """Returns what the classes of a run's data are called."""
    if record["class_names"] is not None:
        return "class"
    return _CLASS_NAMES.get(record["data"], "class")


def class_title(record: Record, label: int) -> str:
    """Returns the name of one class of a run's data, such as "digit 3" or "cat"."""
    names = record["class_names"]
    return f"{class_name(record)} {label}" if names is None else names[label]


def pictures(images: ArrayLike, record: Record) -> np.ndarray:
    """Returns images [..., height * width] as [..., height, width]."""
    images = np.asarray(images)
    return images.reshape(*images.shape[:-1], *record["shape"])


def plane(points: np.ndarray, axes: np.ndarray | None = None) -> np.ndarray:
    """Returns points in the plane: points of two features as they are, others along `axes`."""
    return points if axes is None else points @ axes


def principal_axes(points: np.ndarray) -> np.ndarray | None:
    """Returns the two axes of largest variance [n_features, 2], or None for two features."""
    n_features = points.shape[1]
    if n_features == 2:
        return None
    if n_features == 1:
        return np.array([[1.0, 0.0]])
    # A single point has only one row, and so only one axis without the full matrices.
    _, _, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=len(points) < 2)
    return axes[:2].T


def some_examples(data_set: DataSet, n: int) -> Batch:
    """Returns at most `n` examples, spread evenly over the whole data set."""
    n = min(n, data_set.num_examples)
    return data_set.examples(np.linspace(0, data_set.num_examples - 1, n).astype(int))


def matched_classes(record: Record) -> dict[int, int]:
    """Returns each cluster's class, as a run's test data match them one to one.

    Without labels it is empty.
    """
    confusion = record["test"].get("confusion")
    return {} if confusion is None else match_clusters(np.array(confusion))


def draw_confusion(
    record: Record, title: str, accuracy: float | None, column: str, name: str
) -> "dict[str, Figure]":
    """Draws how many test examples of each class went to each expert or cluster of a model.

    Without labels it draws how many went to each.

    Args:
      record: the model's `run_record`.
      title: title of the figure; a line with the accuracy is added.
      accuracy: the clustering accuracy, or None without labels.
      column: what a column of the table is called, "expert" or "cluster".
      name: the figure's name.

    Returns:
      Dict of the name to the figure.
    """
    if accuracy is None:
        sizes = np.array([record["test"]["sizes"]])
        return {name: plot_confusion(sizes, f"{title}\ntest data", column, "", ["examples"])}
    title = f"{title}\ntest data: clustering accuracy {accuracy:.3f}"
    table, names = record["test"]["confusion"], record["class_names"]
    return {name: plot_confusion(table, title, column, class_name(record), names)}


def plot_reconstructions(
    trainer: Trainer, record: Record, data_set: DataSet, title: str
) -> "Figure":
    """Draws the first images of a data set, and the model's decodings below them."""
    images = data_set.images[:N_RECONSTRUCTED]
    decoded = trainer.model.reconstruct(trainer.session, images)
    rows = pictures([images, decoded], record)
    return plot_image_rows(rows, ["test image", "decoding"], title)


def draw_points(
    trainer: Trainer, record: Record, data_set: DataSet, title: str
) -> "dict[str, Figure]":
    """Draws points, their decodings and generated ones: dict of the name to the figure.

    Args:
      trainer: a `Trainer` of a model of points that clusters, decodes and generates. Points of more
        than two features are drawn along the two axes of the test points' largest variance.
      record: its `run_record`.
      data_set: points that it was not trained on.
      title: title of the figure.
    """
    model, session = trainer.model, trainer.session
    points, labels, *_ = some_examples(data_set, N_POINTS)
    if labels is None:  # a point has the colour of its own expert or cluster
        groups, shown = model.predict(session, points), f", by {model.column}"
    else:
        groups, shown = labels, f", by {class_name(record)}"
    axes = principal_axes(points)
    random = np.random.default_rng(0)
    n_each = max(1, N_POINTS // model.n_columns)
    generated = [
        model.generate(session, random.standard_normal([n_each, model.params["z_dim"]]), column)
        for column in range(model.n_columns)
    ]
    groups_of_columns, texts, colours = _column_groups(record, model.n_columns, model.column)
    columns = np.repeat(groups_of_columns, n_each)
    panels = {
        f"test points{shown}": (plane(points, axes), groups),
        "their decodings": (plane(model.reconstruct(session, points), axes), groups),
        f"generated, by {model.column}": (plane(np.concatenate(generated), axes), columns),
    }
    name = model.column if labels is None else class_name(record)
    figure = plot_points(panels, title, group_name=name, group_labels=texts, group_colours=colours)
    return {"points": figure}


def _column_groups(
    record: Record, n_columns: int, column: str
) -> tuple[list[int], dict[int, str], dict[int, str]]:
    """Returns each column's group, what the legend says of a group, and colours of groups.

    An expert or a cluster is in the group of the class that it is matched with. Those without a
    class are a group of their own.
    """
    matched, names = matched_classes(record), record["class_names"]
    if not matched:
        return list(range(n_columns)), dict(enumerate(names or ())), {}
    n_classes = len(record["test"]["confusion"])
    groups, texts = [], {label: names[label] if names else str(label) for label in range(n_classes)}
    for number in range(n_columns):
        group = matched.get(number, n_classes)
        texts[group] = f"{texts.get(group, 'none')} ({column} {number})"
        groups.append(group)
    return groups, texts, {n_classes: NO_CLASS_COLOUR}


def column_colour(matched: dict[int, int], column: int) -> Any:
    """Returns the colour of a column's class, or its own if no column has a class.

    Args:
      matched: what `matched_classes` returns.
      column: number of the expert or cluster.
    """
    if matched and column not in matched:
        return NO_CLASS_COLOUR
    return expert_colour(matched.get(column, column))


def point_groups(points: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Returns the labels, by which points are coloured, or one group without labels."""
    return np.zeros(len(points), int) if labels is None else labels


def class_legend(record: Record, labels: np.ndarray | None) -> dict[str, Any]:
    """Returns what `plot_points` takes for a legend of the classes; no legend without labels."""
    if labels is None:
        return {"group_name": None}
    names = record["class_names"] or ()
    return {"group_name": class_name(record), "group_labels": dict(enumerate(names))}
