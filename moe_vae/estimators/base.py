"""What all estimators share: parameters, scales, the training, and what a fitted one keeps."""

import contextlib
import copy
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from moe_vae.data.dataset import DataSet, DataSets, Form, Shape
from moe_vae.estimators.inputs import check_image_shape, check_range
from moe_vae.experiments.registry import MODELS, builder, default_params
from moe_vae.experiments.sources import SHUFFLE_SEED, prepare_data
from moe_vae.interrupts import Terminated
from moe_vae.model import Model
from moe_vae.models.mixture_of_experts import MixtureOfExperts
from moe_vae.models.vade import VaDE
from moe_vae.params import MAX_SEED, ParameterError, check_params
from moe_vae.training.trainer import StopTraining, Trainer, start_trainer

__all__ = ["Coder", "ModelEstimator"]

# A batch of one row is multiplied in another order than a larger one. With at least this many rows
# an example's result does not depend on the other examples.
MIN_ROWS = 32

# Trainings take turns, since NumPy's global generator gives the batches their order.
_TRAINING = threading.RLock()


@contextlib.contextmanager
def _own_generator() -> Iterator[None]:
    """Leaves NumPy's global generator as it was."""
    with _TRAINING:
        state = np.random.get_state()
        try:
            yield
        finally:
            np.random.set_state(state)


class ModelEstimator(BaseEstimator):
    """A model as an estimator; see the classes derived from it.

    A subclass names its model, lists the parameters that it hands on, and trains by `_train`.

    Attributes:
      n_features_in_, feature_names_in_: as in scikit-learn.
      shape_: shape of one example, (height, width) or (n_features,).
      n_iter_: number of epochs of all phases together.
      history_: dict of loss name to a list with one value an epoch.
      model_: the fitted `Model`.
      session_: the session that holds its variables.
    """

    _model: ClassVar[str]
    # The parameters of the estimator that are parameters of the model.
    _handed_on: ClassVar[tuple[str, ...]]

    # Named by every subclass.
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    image_shape: tuple[int, int] | None
    random_state: Any
    warm_start: bool
    verbose: int
    callbacks: Any
    engine: str  # "plain" or "compiled"; a class may have one alone
    params: Mapping[str, Any] | None

    # Learned in `fit`.
    trainer_: Trainer
    shape_: Shape
    _kept_made_with: str
    _seed: int  # of the fit that began
    _y_mean: np.ndarray  # of a regression's targets
    _y_scale: np.ndarray

    # Training.

    def _read(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns new examples as the model reads them, float32 array [n, n_features]."""
        X = validate_data(self, X, dtype=np.float32, reset=False)  # noqa: N806
        if len(self.shape_) == 2:
            check_range(X)
        return self._scaled(X)

    def _read_training(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns examples to train on, checked, float32 array [n, n_features]."""
        return validate_data(self, X, dtype=np.float32, ensure_min_samples=2)

    def _check_form(self, X: np.ndarray) -> Shape:  # noqa: N803
        """Returns the shape of one of the examples to train on."""
        n_features = X.shape[1]
        if self.image_shape is None:
            return (n_features,)
        shape = check_image_shape(self.image_shape, n_features)
        check_range(X)
        return shape

    def _learn_scale(self, X: np.ndarray, targets: np.ndarray | None) -> None:  # noqa: N803
        """Learns the scale of examples and of their targets, if any."""
        if len(self.shape_) == 2:
            self._mean, self._scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
        else:
            scaler = StandardScaler().fit(X)
            self._mean, self._scale = scaler.mean_, scaler.scale_
        if targets is not None:
            scaler = StandardScaler().fit(targets)
            self._y_mean, self._y_scale = scaler.mean_, scaler.scale_

    def _scaled(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        return np.ascontiguousarray((X - self._mean) / self._scale, np.float32)

    def _scaled_targets(self, targets: np.ndarray) -> np.ndarray:
        return ((targets - self._y_mean) / self._y_scale).astype(np.float32)

    def _written(self, examples: np.ndarray) -> np.ndarray:
        """Returns the model's examples in the scale of X."""
        return (examples * self._scale + self._mean).astype(np.float32)

    def _train(
        self,
        X: np.ndarray,  # noqa: N803
        labels: np.ndarray | None = None,
        targets: np.ndarray | None = None,
        **decided: Any,
    ) -> None:
        """Trains the model on checked examples.

        Args:
          X: what `_read_training` returned.
          labels: as for `DataSet`.
          targets: float64 array [n, n_outputs] in the scale of y, or None.
          decided: parameters of the model that follow from the data.
        """
        seed = int(check_random_state(self.random_state).randint(MAX_SEED, dtype=np.uint32))
        self.shape_ = self._check_form(X)
        params = self._model_params(len(X), decided)
        made_with = self._made_with(params)
        goes_on = self._goes_on and self._kept_made_with == made_with
        if not goes_on:  # what a model has learned is in its first scale
            self._learn_scale(X, targets)
        scaled_targets = None if targets is None else self._scaled_targets(targets)
        data = DataSet(self._scaled(X), labels, scaled_targets, self.shape_)
        if "n_neighbours" in params:
            # X may be sorted by class, and the model measures information in batches.
            data = data.shuffled(SHUFFLE_SEED)
        with _own_generator():
            train_set = prepare_data(DataSets(data, data, data, "X"), params).train
            if goes_on:
                # Nothing else seeds the order of the batches; the epochs make it a new one.
                np.random.seed([self._seed, self._n_epochs])
            else:
                self._params, self._seed, self._kept_made_with = params, seed, made_with
                self.trainer_ = self._start()
            try:
                self._go_on(train_set, params["epochs"])
            except BaseException:
                del self.trainer_  # a model that is half trained is not fitted
                raise
        self.n_iter_ = self._n_epochs

    @property
    def _n_epochs(self) -> int:
        """The epochs of all phases; the trainer's own count leaves out those before a load."""
        return sum(self.trainer_.epochs_done.values())

    @property
    def _goes_on(self) -> bool:
        """Whether `fit` may go on with what is fitted."""
        return self.warm_start and "trainer_" in vars(self)

    def _made_with(self, params: Mapping[str, Any]) -> str:
        """Returns what must stay the same for a warm start, as text that a file can keep."""
        classes = vars(self).get("classes_")
        fixed = {name: value for name, value in params.items() if name != "epochs"}
        parts = [fixed, self.shape_, self.engine, None if classes is None else classes.tolist()]
        return json.dumps(parts, sort_keys=True, default=str)

    def _model_params(self, n_examples: int, decided: Mapping[str, Any]) -> dict[str, Any]:
        """Returns all parameters of the model, checked.

        Raises:
          ParameterError: a parameter is unknown or its value is not allowed, or there are more
            clusters, experts or classes than examples.
        """
        named = {name: getattr(self, name) for name in self._handed_on}
        given = {name: value for name, value in named.items() if value is not None}
        given = {**self._defaults(), **decided, **given}
        own = dict(self.params or {})
        n_classes = int(decided["n_classes"]) if "n_classes" in decided else None
        defaults = default_params(self._model, Form(self.shape_, n_classes), {**given, **own})
        # A gate or a routing may lack what the estimator names for the others.
        had = {name: value for name, value in given.items() if name in defaults}
        params = check_params({**had, **own}, defaults)
        counter = MODELS[self._model].counter
        if counter in params and params[counter] > n_examples:
            raise ParameterError(
                f"parameter {counter!r} is {params[counter]}: with n_samples={n_examples} it must "
                "be at most that"
            )
        for name in ("batch_size", "routing_batch_size"):
            if name in params:
                params[name] = min(params[name], n_examples)
        if "n_neighbours" in params:
            params["n_neighbours"] = min(params["n_neighbours"], n_examples - 1)
        return params

    def _defaults(self) -> dict[str, Any]:
        """Returns the parameters that differ from the model's defaults for every data set."""
        if self.image_shape is not None:
            return {}
        return {"input_std": 1.0}  # the points have been scaled

    def _start(self) -> Trainer:
        build = builder(self._model, self.shape_, self.engine)
        trainer = start_trainer(build, self._params, self._seed)
        trainer.shows_progress = bool(self.verbose)
        return trainer

    def _go_on(self, train_set: DataSet, epochs: int) -> None:
        """Trains from the beginning, or for more epochs."""
        for callback in self.callbacks or ():
            if callable(begin := getattr(callback, "begin", None)):
                begin()
        trainer = self.trainer_
        done, params = trainer.epochs_done["loss"], trainer.model.params
        if done and params.get("cosine_decay") and done >= params["epochs"]:
            raise ParameterError(
                "warm_start is True: with the parameter 'cosine_decay' the learning rate has "
                "fallen to 0, and the training cannot go on"
            )
        trainer.listeners.append(self._after_epoch)
        try:
            if done:
                trainer.fit(train_set, epochs, sample=False)
            else:
                trainer.fit_to_the_end(train_set)
        finally:
            trainer.listeners.clear()
        if trainer.interrupted:  # so that a search ends as well
            raise Terminated if trainer.terminated else KeyboardInterrupt

    def _after_epoch(self, trainer: Trainer, train_set: DataSet) -> None:
        del train_set
        for drawn in (trainer.samples, trainer.fixed_samples):
            drawn.clear()  # what each epoch draws is not kept
        # Before phase "loss" there is nothing that predicts.
        if trainer.epochs_done["loss"]:
            stops = [callback(self) for callback in self.callbacks or ()]
            if any(stops):
                raise StopTraining

    # What a fitted estimator keeps.

    @property
    def model_(self) -> Model:
        """The fitted model."""
        return self.trainer_.model

    @property
    def session_(self) -> Any:
        """The session of its variables."""
        return self.trainer_.session

    @property
    def history_(self) -> dict[str, list[float]]:
        """Dict of loss name to a list with one value an epoch."""
        return self.trainer_.history

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        trainer = state.pop("trainer_", None)
        if trainer is not None:
            state["_variables"] = trainer.variables()
            # A copy that trains on must not change what it was copied from.
            state["_history"] = copy.deepcopy(trainer.history)
            state["_epochs_done"] = dict(trainer.epochs_done)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        kept = {name: state.pop(name, None) for name in ("_variables", "_history", "_epochs_done")}
        super().__setstate__(state)
        if kept["_variables"] is not None:
            self._restore(kept["_variables"])
            self.trainer_.history = kept["_history"]
            self.trainer_.epochs_done = kept["_epochs_done"]

    def _restore(self, variables: Mapping[str, np.ndarray]) -> None:
        with _own_generator():
            self.trainer_ = self._start()
        self.trainer_.load_variables(variables)

    def save(self, path: str | Path) -> None:
        """Writes the fitted estimator to one file, which `moe_vae.estimators.load` reads.

        The file holds no pickle. It also is a model file as `moe_vae export --to npz` writes.

        Args:
          path: the file; its name should end in `.npz`.

        Raises:
          sklearn.exceptions.NotFittedError: the estimator is not fitted.
          OSError: the file cannot be written.
        """
        from moe_vae.estimators.files import save

        save(self, Path(path))

    def export(self, path: str | Path, to: str = "savedmodel") -> list[str]:
        """Exports the fitted model, for programs without this package; see `export_model`.

        Points are read and returned in the model's own scale, mean 0 and standard deviation 1.

        Args:
          path: the file or directory to write.
          to: "savedmodel", "onnx" or "npz".

        Returns:
          The names of the signatures.

        Raises:
          sklearn.exceptions.NotFittedError: the estimator is not fitted.
          ValueError: `to` is another word.
          MissingPackageError: the optional packages are not installed.
          OSError: the file cannot be written.
        """
        from moe_vae.estimators.files import export

        return export(self, Path(path), to)

    # What a fitted estimator can do.

    def _of(self, function: Callable[[np.ndarray], np.ndarray], X: Any) -> np.ndarray:  # noqa: N803
        """Returns a function's rows for checked inputs, the same for any company of examples."""
        check_is_fitted(self, "trainer_")
        inputs = self._read(X)
        n = len(inputs)
        if n < MIN_ROWS:
            inputs = np.resize(inputs, [MIN_ROWS, inputs.shape[1]])
        return function(inputs)[:n]

    @property
    def _quiet_session(self) -> Any:
        """The session, in which VaDE's predictions are taken at the mean code."""
        model = self.model_
        candidates = [
            model,
            *([cast(MixtureOfExperts, model).gate] if self._model == "moe" else []),
        ]
        for each in candidates:
            if isinstance(each, VaDE):
                return _QuietSession(self.session_, each)
        return self.session_

    def _probabilities(self, X: Any) -> np.ndarray:  # noqa: N803
        return self._of(lambda x: self.model_.predict_proba(self._quiet_session, x), X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self.image_shape is not None
        return tags


class Coder(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """An estimator with codes: `transform`, `inverse_transform`, `sample` and `score`."""

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns the probability of each class, expert or cluster, float array [n, n_columns]."""
        return self._probabilities(X)

    def score_samples(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns each example's bound on log p(x) at its mean code, float array [n], in nats.

        It leaves out the noise of the code. Of the mixtures of VAEs it is minus the expected expert
        loss, which leaves out the KL divergence of the choice of the expert too, so it is no bound.
        For points it counts the scaled features.
        """
        return self._of(lambda x: -self.model_.example_losses(self.session_, x), X)

    def score(self, X: Any, y: Any = None) -> float:  # noqa: N803
        """Returns the mean of `score_samples`: minus the mean loss, in nats an example."""
        del y
        return float(np.mean(self.score_samples(X)))

    def transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns each example's mean code, float array [n, z_dim]."""
        return self._of(lambda x: self.model_.mean_codes(self.session_, x), X)

    def _read_codes(self, Z: Any) -> np.ndarray:  # noqa: N803
        """Returns checked codes, float32 array.

        Raises:
          ValueError: Z has not as many columns as `transform` returns.
        """
        check_is_fitted(self, "trainer_")
        codes = check_array(Z, dtype=np.float32, input_name="Z")
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"Z has {codes.shape[1]} columns: it must have {self._n_features_out}, as "
                "`transform` returns"
            )
        return codes

    @property
    def _n_features_out(self) -> int:
        return self.model_.params["z_dim"]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def sample(
        self, n_samples: int = 1, column: int | None = None, random_state: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws examples.

        Args:
          n_samples: number of examples, at least 1.
          column: number of the class, expert or cluster to draw from, from 0; None takes each in
            turn.
          random_state: seed or generator of the codes; None takes new ones each time.

        Returns:
          The examples, float array [n_samples, n_features] in the scale of X, and the numbers of
          their columns, whole-number array [n_samples].

        Raises:
          ValueError: an argument is out of range.
        """
        check_is_fitted(self, "trainer_")
        model = self.model_
        if n_samples < 1:
            raise ValueError(f"n_samples is {n_samples}: it must be at least 1")
        if column is not None and column not in range(model.n_columns):
            raise ValueError(f"column is {column!r}: it must be in 0 to {model.n_columns - 1}")
        columns = (
            np.arange(n_samples) % model.n_columns if column is None else np.full(n_samples, column)
        )
        z = check_random_state(random_state).standard_normal([n_samples, model.params["z_dim"]])
        drawn = np.empty([n_samples, model.n_features], np.float32)
        for each in np.unique(columns):
            rows = columns == each
            drawn[rows] = model.generate(self.session_, z[rows], int(each))
        return self._written(drawn), columns


class _QuietSession:
    """A session in which VaDE's q(c|x) is p(c|z) at the mean code, without noise."""

    def __init__(self, session: Any, model: VaDE) -> None:
        self._session, self._model = session, model

    def run(self, fetches: Any, feed: Mapping[Any, Any]) -> Any:
        n = len(feed[self._model.inputs])
        no_noise = np.zeros([n, 1, self._model.params["z_dim"]], np.float32)
        quiet = {self._model.n_samples: 1, self._model.eps_samples: no_noise}
        return self._session.run(fetches, {**feed, **quiet})
