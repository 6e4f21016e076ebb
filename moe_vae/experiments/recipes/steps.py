"""What a recipe is made of: steps, and the experiments that train them."""

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Experiment", "Recipe", "Step"]


class Step(NamedTuple):
    """The settings of a run, and the run that comes before it.

    Attributes:
      model: the model's name.
      before: the name of the step whose trained model it begins with; None without one.
      params: dict of the parameters that differ from the model's defaults.
      seeded: the names of the parameters that are the run's seed, such as `targets_seed`.
      scores_epochs, engine: see `TrainOptions`.
      title: the cells that name it in the study's tables; () where these name it otherwise.
    """

    model: str
    before: str | None = None
    params: dict[str, Any] = {}  # noqa: RUF012, never written to
    seeded: tuple[str, ...] = ()
    scores_epochs: bool = False
    engine: str = "plain"
    title: tuple[str, ...] = ()


class Experiment(NamedTuple):
    """A step, the data that it is trained on, and the number of its seeds, from 0.

    Attributes:
      step: a key of the recipe's steps.
      data: a key of `SOURCES`.
      n_seeds: number of runs.
      measure: function of a trained run's `Trainer`, its `DataSets` and its record that returns
        a dict that JSON can hold, which the record keeps as `measured`; None measures nothing.
    """

    step: str
    data: str
    n_seeds: int
    measure: Callable[..., dict[str, Any]] | None = None


class Recipe(NamedTuple):
    """A study of single runs, each of which is trained, evaluated and recorded.

    Attributes:
      summary: what it trains, for the command's help.
      steps: dict of name to `Step`.
      experiments: the `Experiment`s, in the order in which they are trained.
      draw: function of the list of all records that returns a dict of name to figure, which take
        the place of the runs' own figures; None keeps these.
      evaluates: whether the records have an `evaluation` beside the test scores of the training.
        That of a clustering of images takes minutes, for the baselines on its codes.
    """

    summary: str
    steps: dict[str, Step]
    experiments: tuple[Experiment, ...]
    draw: Callable[..., dict[str, Any]] | None = None
    evaluates: bool = True
