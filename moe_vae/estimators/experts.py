"""Mixtures of linear experts as a regression and as a classification."""

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from moe_vae.estimators.base import ModelEstimator
from moe_vae.estimators.targets import encoded_classes

__all__ = ["MixtureOfExpertsClassifier", "MixtureOfExpertsRegressor"]


class _MixtureOfExperts(ModelEstimator):
    """What the regression and the classification share."""

    _task: str
    gate: str

    _model = "moe"
    _handed_on = (
        "gate",
        "n_clusters",
        "network",
        "gate_epochs",
        "epochs",
        "batch_size",
        "learning_rate",
    )

    def _defaults(self) -> dict[str, Any]:
        return {**super()._defaults(), "task": self._task}

    def predict_gate(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns the gate's probability of each expert, float array [n, n_clusters]."""
        check_is_fitted(self, "trainer_")
        model: Any = self.model_
        return self._of(lambda x: model.predict_gate(self._quiet_session, x), X)


class MixtureOfExpertsRegressor(RegressorMixin, _MixtureOfExperts):
    """A mixture of linear experts that predicts numbers.

    The targets are scaled to mean 0 and standard deviation 1 for the training.

    Args:
      gate: what weighs the experts: "softmax", "hierarchical", "gmm", "deep", "pretrained", "vade"
        or "dmvae"; "pretrained" has the network of an `InformationEncoder`, which begins untrained.
      n_clusters: number of experts, in 1 to the number of examples.
      network: the gate's, as for `ConditionalVAEClassifier`; the gates "softmax", "hierarchical"
        and "gmm" have none and ignore it.
      gate_epochs: number of epochs in which a VAE gate is trained alone; other gates have none.
      epochs, batch_size, learning_rate, image_shape: as for `ConditionalVAEClassifier`.
      random_state, warm_start, verbose, callbacks, engine, params: as for it, too.

    Attributes: those of `ModelEstimator`.

    Raises:
      ValueError: in `fit`, X or y cannot be used, or a parameter is not allowed.

    Source: the paper, sections 4, 5 and 7.
    """

    _task = "regression"

    def __init__(
        self,
        gate: str = "dmvae",
        *,
        n_clusters: int = 10,
        network: str = "dense",
        gate_epochs: int | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        image_shape: tuple[int, int] | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        callbacks: Any = None,
        engine: str = "plain",
        params: Any = None,
    ) -> None:
        self.gate = gate
        self.n_clusters = n_clusters
        self.network = network
        self.gate_epochs = gate_epochs
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.image_shape = image_shape
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.callbacks = callbacks
        self.engine = engine
        self.params = params

    def fit(self, X: Any, y: Any) -> "MixtureOfExpertsRegressor":  # noqa: N803
        """Trains on examples X [n, n_features] and numbers y [n] or [n, n_outputs]."""
        X, y = validate_data(  # noqa: N806
            self,
            X,
            y,
            dtype=np.float32,
            ensure_min_samples=2,
            multi_output=True,
            y_numeric=True,
        )
        self._is_column = y.ndim == 1
        targets = y.reshape(len(y), -1).astype(np.float64)
        self._train(X, targets=targets, n_outputs=targets.shape[1])
        return self

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns the predicted numbers, float array of y's form."""
        check_is_fitted(self, "trainer_")
        predicted = self._of(lambda x: self.model_.predict(self._quiet_session, x), X)
        values = predicted * self._y_scale + self._y_mean
        return values[:, 0] if self._is_column else values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class MixtureOfExpertsClassifier(ClassifierMixin, _MixtureOfExperts):
    """A mixture of linear experts that predicts classes.

    Args: those of `MixtureOfExpertsRegressor`.

    Attributes:
      classes_: the labels.
      And those of `ModelEstimator`.

    Raises:
      ValueError: in `fit`, X or y cannot be used, or a parameter is not allowed.

    Source: the paper, sections 4 and 8.
    """

    _task = "classification"

    def __init__(
        self,
        gate: str = "dmvae",
        *,
        n_clusters: int = 10,
        network: str = "dense",
        gate_epochs: int | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        image_shape: tuple[int, int] | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        callbacks: Any = None,
        engine: str = "plain",
        params: Any = None,
    ) -> None:
        self.gate = gate
        self.n_clusters = n_clusters
        self.network = network
        self.gate_epochs = gate_epochs
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.image_shape = image_shape
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.callbacks = callbacks
        self.engine = engine
        self.params = params

    def fit(self, X: Any, y: Any) -> "MixtureOfExpertsClassifier":  # noqa: N803
        """Trains on examples X [n, n_features] and their labels y [n]."""
        X, y = validate_data(  # noqa: N806
            self, X, y, dtype=np.float32, ensure_min_samples=2
        )
        labels, self.classes_ = encoded_classes(y)
        self._train(X, labels, n_outputs=len(self.classes_))
        return self

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns the probability of each class, float array [n, n_classes]."""
        return self._probabilities(X)

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns the likeliest class of each example."""
        check_is_fitted(self, "trainer_")
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
