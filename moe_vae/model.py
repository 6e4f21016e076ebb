"""The contract: what a trainer, an engine, a cluster, a command or a figure may ask of a model.

Every model derives from `Model` and gives what is abstract there. Everything else has a default,
so that a model names only what is special about it.
"""

import abc
import functools
import numbers
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import check_codes, check_columns, check_unit_range
from moe_vae.data.dataset import Batch, DataSet
from moe_vae.schedules import Schedule

if TYPE_CHECKING:
    from moe_vae.training.trainer import Trainer

__all__ = ["Model", "ModelError", "Signature", "builds_model"]

P = ParamSpec("P")
M = TypeVar("M")


class ModelError(ValueError):
    """A model was asked for something that it cannot do."""


def builds_model(build: Callable[P, M]) -> Callable[P, M]:
    """Makes a function that builds a model refuse a graph that cannot take it.

    Two models in one graph would share their variables.

    Args:
      build: a function that builds a model in the current graph.

    Returns:
      The function; it raises `ModelError` if the graph is finalised or holds a model.
    """

    @functools.wraps(build)
    def checked(*args: P.args, **settings: P.kwargs) -> M:
        graph = tf.get_default_graph()
        held = "is finalised" if graph.finalized else _BUILT.get(graph)
        if held is not None:
            raise ModelError(
                f"the current graph {held}: build a model in a graph of its own, with "
                "start_trainer(build, params, seed) or `with tf.Graph().as_default():`"
            )
        model = build(*args, **settings)
        _BUILT[graph] = f"holds a {type(model).__name__} already"
        return model

    return checked


# The graphs that hold a model, and what is said of them.
_BUILT: "weakref.WeakKeyDictionary[Any, str]" = weakref.WeakKeyDictionary()


def _with_checked_arguments(generate: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    @functools.wraps(generate)
    def checked(model: "Model", session: Session, z: Any, column: Any) -> np.ndarray:
        z_dim = getattr(model, "params", {}).get("z_dim")
        n_codes = None
        if z_dim is not None and not isinstance(z, numbers.Integral):  # how many to draw
            check_codes(z, z_dim)
            n_codes = len(z)
        # Only a conditional VAE draws each code as another digit.
        check_columns(model.column, column, n_codes if model.column == "digit" else None)
        return generate(model, session, z, column)

    return checked


class Signature(NamedTuple):
    """One thing that a trained model computes without noise: what an export is made of.

    Attributes:
      inputs: dict of name to the float tensor that is fed, its first axis the batch.
      output: float tensor, its first axis the batch.
      given: dict of a tensor of the graph to the tensor that takes its place, such as a noisy code
        to its mean.
    """

    inputs: dict[str, Tensor]
    output: Tensor
    given: dict[Tensor, Tensor] = {}  # noqa: RUF012, never written to


class Model(abc.ABC):
    """A graph with losses, and what a trained one can do.

    Attributes that a model sets:
      params: dict of all its parameters, with `epochs`, `batch_size` and `learning_rate`.
      loss: scalar tensor, what the last phase minimises.
      n_features: number of columns of its inputs.
      n_columns: number of digits, experts or clusters; 1 if the prior has no parts.
      column: what `generate` counts by its last argument, "digit", "expert" or "cluster"; "prior"
        if the prior has no parts.
      draws: whether there is a decoder: `generate`, `generate_row` and `reconstruct`.
      answer: what `predict` returns the number of, the same or "class"; "value" for a regression,
        and "code" for a VAE without clusters.
      n_styles: number of VAEs of an expert.
      mixes_examples: whether the losses of a batch depend on which examples are in it together.
      trainer_class: the class of the `Trainer` that an engine needs; None means `Trainer`.
    """

    def __init_subclass__(cls, **settings: Any) -> None:
        """Checks what any model's `generate` is given, before it reaches the graph."""
        super().__init_subclass__(**settings)
        if "generate" in vars(cls):
            cls.generate = _with_checked_arguments(vars(cls)["generate"])  # type: ignore[method-assign]

    params: dict[str, Any]
    loss: Tensor
    n_features: int
    n_columns: int = 0
    column: str = "cluster"
    draws: bool = False
    answer: str = "cluster"
    n_styles: int = 1
    mixes_examples: bool = False
    trainer_class: "type[Trainer] | None" = None

    # Training.

    @property
    @abc.abstractmethod
    def losses(self) -> dict[str, Tensor]:
        """Dict of name to scalar tensor: the losses that a history records."""

    @property
    @abc.abstractmethod
    def batch_means(self) -> list[Tensor]:
        """Tensors that are means over the batch, from which the losses follow."""

    @abc.abstractmethod
    def feed(self, batch: Batch) -> dict[Tensor, Any]:
        """Returns the feed dict for a batch, its arrays checked.

        Raises:
          DataError: the arrays are not what the model reads.
        """

    @property
    def batch_sums(self) -> list[Tensor]:
        """Tensors that are sums over the batch, from which the losses follow: none by default."""
        return []

    @property
    def phases(self) -> dict[str, Tensor]:
        """Dict of phase to the loss that it minimises, in their order; the last is "loss"."""
        return {"loss": self.loss}

    def batch_size(self, phase: str) -> int:
        """Returns the number of examples in a batch of a phase."""
        del phase
        return self.params["batch_size"]

    def rate_schedule(self, phase: str) -> Schedule:
        """Returns how a phase's learning rate changes: constant, or along `cosine_decay`."""
        if phase == "loss" and self.params.get("cosine_decay"):
            return Schedule("cosine", self.params["epochs"])
        return Schedule()

    def schedule(self, phase: str, epoch: int) -> dict[Tensor, float]:
        """Returns what else is fed in the steps of an epoch: dict of scalar tensor to value.

        Args:
          phase: a key of `phases`.
          epoch: the epoch in that phase, from 0.
        """
        del phase, epoch
        return {}

    def check_training_set(self, train_set: DataSet) -> None:
        """Checks once what `feed` does not check again in every batch.

        By default that is the range of the values: a decoder whose `output_activation` is
        "sigmoid" can draw nothing outside [0, 1].

        Raises:
          DataError: a value is outside it.
        """
        if self.params.get("output_activation") == "sigmoid":
            check_unit_range("images", train_set.images, "output_activation 'sigmoid'")

    def pretrain(self, trainer: "Trainer", train_set: DataSet) -> None:  # noqa: B027, a default
        """Does what comes before the phase "loss": by default nothing.

        Args:
          trainer: the `Trainer` of this model, or of a model that contains it.
          train_set: a `DataSet`.
        """

    def after_epoch(  # noqa: B027, a default
        self, phase: str, session: Session, sums: list[np.ndarray]
    ) -> None:
        """Does what follows an epoch beside gradient steps: by default nothing.

        Args:
          phase: the epoch's phase.
          session: the session that is trained in.
          sums: values of `batch_sums` over the training set.
        """

    def saver(self) -> Any:
        """Returns an object that saves and restores variables as a `tf.train.Saver` does."""
        return tf.train.Saver()

    # What a trained model can do.

    @abc.abstractmethod
    def predict(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the model's answer for each example.

        Args:
          session: a session that holds trained variables.
          inputs: float32 array [n, n_features].

        Returns:
          Whole-number array [n] of digits, experts, clusters or classes, as `answer` says; a float
          array [n, n_outputs] of values or [n, z_dim] of codes.
        """

    def predict_proba(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the probability of each answer, float array [n, n_answers]; rows sum to 1.

        Raises:
          ModelError: the model gives no probabilities.
        """
        raise ModelError(f"{type(self).__name__} has no classes, experts or clusters to name")

    def generate(self, session: Session, z: np.ndarray, column: Any) -> np.ndarray:
        """Draws examples from one digit, expert or cluster.

        Args:
          session: a session that holds trained variables.
          z: float array [n, z_dim], standard-normal noise.
          column: number of the digit, expert or cluster, from 0.

        Returns:
          Float array [n, n_features].

        Raises:
          DataError: `z` or `column` has another kind or shape.
          ModelError: the model draws nothing.
        """
        raise ModelError(f"{type(self).__name__} has no decoder and draws nothing")

    def generate_row(self, session: Session, z: np.ndarray) -> np.ndarray:
        """Draws one example from every column, all from one code.

        Args:
          session: a session that holds trained variables.
          z: float array [1, z_dim], standard-normal noise.

        Returns:
          Float array [n_columns, n_features].

        Raises:
          ModelError: the model draws nothing.
        """
        if not self.draws:
            raise ModelError(f"{type(self).__name__} has no decoder and draws nothing")
        return np.concatenate(
            [self.generate(session, z, column) for column in range(self.n_columns)]
        )

    def reconstruct(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the decoding of each example's mean code, float array [n, n_features].

        Raises:
          ModelError: the model has no decoder.
        """
        raise ModelError(f"{type(self).__name__} has no decoder and reconstructs nothing")

    def example_losses(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns minus each example's bound on log p(x), taken at its mean code.

        A mixture of VAEs returns the expected expert loss. It leaves out the KL divergence of the
        choice of the expert, so minus that is no bound.

        Args:
          session: a session that holds trained variables.
          inputs: float32 array [n, n_features].

        Returns:
          Float array [n], in nats. The larger it is, the less an example is like those that the
          model was trained on.

        Raises:
          ModelError: the model gives examples no probability.
        """
        raise ModelError(f"{type(self).__name__} gives no probability to an example")

    def mean_codes(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns each example's mean code, float array [n, z_dim]; `reconstruct` decodes it.

        Raises:
          ModelError: the model has no codes.
        """
        raise ModelError(f"{type(self).__name__} has no codes")

    def signatures(self) -> dict[str, Signature]:
        """Returns what an export can compute, by name; none by default.

        The names and the methods whose results they give:

          route: from `inputs` [batch, n_features], the probabilities of the digits, experts or
            clusters, `predict_proba`.
          encode: from `inputs`, the mean code, `mean_codes`.
          reconstruct: from `inputs`, its decoding, `reconstruct`.
          generate: from `z` [batch, z_dim] and `column` [batch, n_columns], a 1 for the digit,
            expert or cluster in rows of 0, the examples of `generate`. With a prior without parts
            there is no `column`.
          predict: from `inputs`, what a mixture of experts predicts.

        It adds operations without noise to the current graph, which must be the model's and not be
        finalised. A result in which the model has noise is that at the mean code.
        """
        return {}

    def comparisons(self) -> dict[str, Signature]:
        """Returns what a page shows besides the signatures, to compare experts; none by default.

          compare: from `inputs`, each expert's decoding of its own mean code, float tensor
            [batch, n_columns, n_features].
          measure: from `inputs`, each expert's loss at its mean code, in nats [batch, n_columns].

        It adds operations to the current graph, as `signatures` does.
        """
        return {}
