"""What a recipe is made of: steps, and the experiments that train them."""

from typing import Any, NamedTuple

__all__ = ["ClusteringStep", "Experiment", "Recipe"]


class ClusteringStep(NamedTuple):
    """The settings of a run, and the run that comes before it.

    Attributes:
      model: the model's name.
      before: the name of the step whose trained model it begins with; None without one.
      params: dict of the parameters that differ from the model's defaults.
    """

    model: str
    before: str | None = None
    params: dict[str, Any] = {}  # noqa: RUF012, never written to


class Experiment(NamedTuple):
    """A step, the data that it is trained on, and the number of its seeds, from 0."""

    step: str
    data: str
    n_seeds: int


class Recipe(NamedTuple):
    """A study of single runs, each of which is trained, evaluated and recorded.

    Attributes:
      summary: what it trains, for the command's help.
      steps: dict of name to `ClusteringStep`.
      experiments: the `Experiment`s, in the order in which they are trained.
    """

    summary: str
    steps: dict[str, ClusteringStep]
    experiments: tuple[Experiment, ...]
