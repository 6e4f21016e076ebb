"""Post 2's conditional VAE as a classifier that also draws."""

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from moe_vae.estimators.base import Coder, ModelEstimator
from moe_vae.estimators.targets import encoded_classes
from moe_vae.nn.sessions import run_in_chunks

__all__ = ["ConditionalVAEClassifier"]


class ConditionalVAEClassifier(ClassifierMixin, Coder, ModelEstimator):
    """Post 2's conditional VAE: classifies examples, and draws examples of a class.

    `transform` returns what the decoder reads: the mean code and the class probabilities, side by
    side. `score` is the accuracy; `score_samples` is the VAE's bound.

    Args:
      z_dim: number of dimensions of the code, at least 1.
      encoder_layers, decoder_layers, digit_classification_layers: sizes of the hidden layers, lists
        of whole numbers of at least 1.
      network: "dense", or "conv" for convolutions, which read images alone. The sizes of the layers
        are those after an encoder's convolutions and before a decoder's; `params` may hold the
        convolutions' own, such as `encoder_filters`.
      digit_classification_weight: weight of the classifier's loss, at least 0.
      decoder_std: standard deviation of p(x|z, class), above 0.
      epochs: number of epochs, at least 1. None, here as elsewhere, means the model's default.
      batch_size: number of examples in a step, at least 1; a larger number than there are examples
        means all of them.
      learning_rate: Adam's, above 0.
      image_shape: (height, width) if the rows of X are images with values in [0, 1]; None takes
        them for points, which are scaled to mean 0 and standard deviation 1.
      random_state: seed or generator of the initial weights, the batches and the noise; None takes
        new ones each time.
      warm_start: whether `fit` trains the fitted model for `epochs` more epochs, in its first scale
        of X and with a new order of the examples. If any parameter but `epochs`, `random_state`,
        `verbose` and `callbacks`, the number of features or the classes have changed, it begins
        anew.
      verbose: 0 for silence, 1 to print the progress.
      callbacks: list of functions of the estimator, or None; each is called after every epoch of
        the model's last phase. If one returns True, the training ends. A method `begin` is called
        before the first epoch.
      engine: how the model is computed: "plain", or "compiled" with XLA.
      params: dict of other parameters of the model, or None; they go before those named above.

    Attributes:
      classes_: the labels, sorted.
      And those of `ModelEstimator`.

    Raises:
      ValueError: in `fit`, X or y cannot be used, or a parameter is not allowed.

    Source: post 2.
    """

    _model = "conditional-vae"
    _handed_on = (
        "z_dim",
        "encoder_layers",
        "decoder_layers",
        "digit_classification_layers",
        "network",
        "digit_classification_weight",
        "decoder_std",
        "epochs",
        "batch_size",
        "learning_rate",
    )

    def __init__(
        self,
        z_dim: int = 10,
        *,
        encoder_layers: Any = None,
        decoder_layers: Any = None,
        digit_classification_layers: Any = None,
        network: str = "dense",
        digit_classification_weight: float | None = None,
        decoder_std: float | None = None,
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
        self.z_dim = z_dim
        self.encoder_layers = encoder_layers
        self.decoder_layers = decoder_layers
        self.digit_classification_layers = digit_classification_layers
        self.network = network
        self.digit_classification_weight = digit_classification_weight
        self.decoder_std = decoder_std
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

    def fit(self, X: Any, y: Any) -> "ConditionalVAEClassifier":  # noqa: N803
        """Trains on examples X [n, n_features] and their labels y [n]; returns the estimator."""
        X, y = validate_data(  # noqa: N806
            self, X, y, dtype=np.float32, ensure_min_samples=2
        )
        labels, self.classes_ = encoded_classes(y)
        self._train(X, labels, n_classes=len(self.classes_))
        return self

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns the likeliest class of each example."""
        check_is_fitted(self, "trainer_")
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns mean codes and class probabilities, float array [n, z_dim + n_classes]."""

        def read_by_decoder(x: np.ndarray) -> np.ndarray:
            codes = self.model_.mean_codes(self.session_, x)
            return np.concatenate([codes, self.model_.predict_proba(self.session_, x)], axis=1)

        return self._of(read_by_decoder, X)

    @property
    def _n_features_out(self) -> int:
        return self.model_.params["z_dim"] + self.model_.n_columns

    def inverse_transform(self, Z: Any) -> np.ndarray:  # noqa: N803
        """Returns the decodings of codes and class probabilities.

        Args:
          Z: float array [n, z_dim + n_classes], as `transform` returns.

        Returns:
          Float array [n, n_features], in the scale of X.

        Raises:
          ValueError: Z has another number of columns.
        """
        read = self._read_codes(Z)
        model: Any = self.model_
        codes, probabilities = np.split(read, [model.params["z_dim"]], axis=1)
        feed = {model.z: codes, model.digit_prob: probabilities}
        return self._written(run_in_chunks(self.session_, model.decoded_images, feed))
