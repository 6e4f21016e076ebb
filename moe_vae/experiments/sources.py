"""Data sets by name, prepared for a model."""

from moe_vae.data.checks import POINT_FEATURES, SMALL_PIXELS
from moe_vae.data.dataset import DataSets
from moe_vae.data.neighbours import deskew, nearest_neighbours, walk_steps
from moe_vae.data.targets import add_affine_targets

__all__ = ["N_FEATURES", "prepare_data"]

SHUFFLE_SEED = 0


# Of the data sources that are no images of `IMAGE_PIXELS`.
N_FEATURES = {"spiral": POINT_FEATURES, "digits": SMALL_PIXELS}


def prepare_data(data_sets, params, cache=None):
    """Gives data sets what a model's parameters ask for: targets to regress on, or neighbours.

    Args:
      data_sets: a `DataSets`.
      params: dict of all the model's parameters.
      cache: see `nearest_neighbours`.

    Returns:
      A `DataSets` with targets by `add_affine_targets`, or the same one, its training set with
      `neighbours` where the model has the parameter `n_neighbours` above 0; the spiral, which
      comes arm by arm, is in random order then.
    """
    if params.get("task") == "regression":
        return add_affine_targets(data_sets, params["n_outputs"], params["targets_seed"])
    if params.get("n_neighbours"):
        if data_sets.name == "spiral":
            parts = (data_sets.train, data_sets.validation, data_sets.test)
            data_sets = DataSets(*(part.shuffled(SHUFFLE_SEED) for part in parts), data_sets.name)
        train = data_sets.train
        compared = deskew(train.images) if params["deskew"] else train.images
        train.neighbours = nearest_neighbours(compared, params["n_neighbours"], cache)
        train.neighbour_steps = walk_steps(compared, train.neighbours, params["neighbour_reach"])
    return data_sets
