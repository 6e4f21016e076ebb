"""Post 3's mixture of VAEs, flat and hierarchical, as clusterings that also draw."""

from typing import Any

import numpy as np
from sklearn.base import ClusterMixin
from sklearn.utils.validation import check_is_fitted

from moe_vae.estimators.base import Coder, ModelEstimator
from moe_vae.nn.sessions import run_in_chunks

__all__ = ["HierarchicalMixtureClusterer", "MixtureOfVAEsClusterer"]


class _MixtureClusterer(Coder, ClusterMixin, ModelEstimator):
    """What the flat and the hierarchical mixture share."""

    # The fused engine is for training: its losses leave out experts that hardly count for an
    # example, and its variables have other names.
    engine = "plain"

    def fit(self, X: Any, y: Any = None) -> Any:  # noqa: N803
        """Trains on examples X [n, n_features]; returns the estimator. `y` is not used."""
        del y
        self._train(self._read_training(X))
        self.labels_ = self.predict(X)
        return self

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns each example's likeliest expert, whole-number array [n]."""
        check_is_fitted(self, "trainer_")
        return self.predict_proba(X).argmax(axis=1)

    @property
    def _n_vaes(self) -> int:
        return self.model_.n_columns * self.model_.n_styles

    @property
    def _n_features_out(self) -> int:
        return self.model_.params["z_dim"] + self._n_vaes

    def _vaes(self, inputs: np.ndarray) -> np.ndarray:
        """Returns the number of each example's likeliest VAE."""
        return self.model_.predict(self.session_, inputs)

    def transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns what `inverse_transform` decodes, float array [n, z_dim + VAEs].

        Each VAE has codes of its own. So the columns after the code of the likeliest VAE say which
        one it is: 1 for it, 0 for the others.
        """

        def coded(x: np.ndarray) -> np.ndarray:
            codes = self.model_.mean_codes(self.session_, x)
            chosen = np.eye(self._n_vaes, dtype=np.float32)[self._vaes(x)]
            return np.concatenate([codes, chosen], axis=1)

        return self._of(coded, X)

    def inverse_transform(self, Z: Any) -> np.ndarray:  # noqa: N803
        """Returns the decodings of codes, each by its VAE.

        Args:
          Z: float array [n, z_dim + VAEs], as `transform` returns.

        Returns:
          Float array [n, n_features], in the scale of X.

        Raises:
          ValueError: Z has another number of columns.
        """
        codes, chosen = np.split(self._read_codes(Z), [self.model_.params["z_dim"]], axis=1)
        numbers = chosen.argmax(axis=1)
        decoded = np.empty([len(codes), self.model_.n_features], np.float32)
        for number in np.unique(numbers):
            rows = numbers == number
            decoded[rows] = self._decode(codes[rows], int(number))
        return self._written(decoded)

    def _decode(self, codes: np.ndarray, number: int) -> np.ndarray:
        """Returns the decodings of codes by one VAE."""
        return self.model_.generate(self.session_, codes, number)


class MixtureOfVAEsClusterer(_MixtureClusterer):
    """Post 3's mixture of VAEs: each example goes to one of several experts, which draw.

    `score_samples` is minus the expected expert loss.

    Args:
      n_experts: number of experts, in 1 to the number of examples.
      routing: how the manager learns. "post": as in the post. "balanced": balanced by entropy.
        "information": by mutual information between two views of an example, so that each expert
        gets one kind of example; on images the views are shifted, turned and sheared.
      z_dim: number of dimensions of the code, at least 1.
      encoder_layers, decoder_layers, manager_layers: sizes of the hidden layers, lists of
        whole numbers of at least 1; a routing without a manager of its own ignores
        `manager_layers`.
      balancing_weight: weight of the balancing loss; "information" ignores it.
      decoder_std: standard deviation of p(x|z), above 0.
      network, epochs, batch_size, learning_rate, image_shape: as for `ConditionalVAEClassifier`.
      random_state, warm_start, verbose, callbacks, params: as for it, too.

    Attributes:
      labels_: the likeliest expert of each training example.
      And those of `ModelEstimator`.

    Raises:
      ValueError: in `fit`, X cannot be used, or a parameter is not allowed.

    Source: post 3.
    """

    _model = "mixture-of-vaes"
    _handed_on = (
        "n_experts",
        "routing",
        "z_dim",
        "encoder_layers",
        "decoder_layers",
        "manager_layers",
        "network",
        "balancing_weight",
        "decoder_std",
        "epochs",
        "batch_size",
        "learning_rate",
    )

    def __init__(
        self,
        n_experts: int = 10,
        *,
        routing: str = "post",
        z_dim: int = 10,
        encoder_layers: Any = None,
        decoder_layers: Any = None,
        manager_layers: Any = None,
        network: str = "dense",
        balancing_weight: float | None = None,
        decoder_std: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        image_shape: tuple[int, int] | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        callbacks: Any = None,
        params: Any = None,
    ) -> None:
        self.n_experts = n_experts
        self.routing = routing
        self.z_dim = z_dim
        self.encoder_layers = encoder_layers
        self.decoder_layers = decoder_layers
        self.manager_layers = manager_layers
        self.network = network
        self.balancing_weight = balancing_weight
        self.decoder_std = decoder_std
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.image_shape = image_shape
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.callbacks = callbacks
        self.params = params


class HierarchicalMixtureClusterer(_MixtureClusterer):
    """A mixture whose experts are mixtures of VAEs, one for each style, routed by information.

    Args:
      n_experts: number of experts, in 1 to the number of examples.
      n_styles: number of VAEs of an expert, at least 1.
      style_routing: "post": styles that help the decoders most. "information": styles that differ
        in shape.
      z_dim: number of dimensions of the code, at least 1.
      encoder_layers, decoder_layers, manager_layers: sizes of the hidden layers, lists
        of whole numbers of at least 1.
      decoder_std: standard deviation of p(x|z), above 0.
      network, epochs, batch_size, learning_rate, image_shape: as for `ConditionalVAEClassifier`.
      random_state, warm_start, verbose, callbacks, params: as for it, too.

    Attributes:
      labels_: the likeliest expert of each training example.
      And those of `ModelEstimator`.

    Raises:
      ValueError: in `fit`, X cannot be used, or a parameter is not allowed.
    """

    _model = "hierarchy"
    _handed_on = (
        "n_experts",
        "n_styles",
        "style_routing",
        "z_dim",
        "encoder_layers",
        "decoder_layers",
        "manager_layers",
        "network",
        "decoder_std",
        "epochs",
        "batch_size",
        "learning_rate",
    )

    def __init__(
        self,
        n_experts: int = 10,
        *,
        n_styles: int = 3,
        style_routing: str = "post",
        z_dim: int = 10,
        encoder_layers: Any = None,
        decoder_layers: Any = None,
        manager_layers: Any = None,
        network: str = "dense",
        decoder_std: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        image_shape: tuple[int, int] | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        callbacks: Any = None,
        params: Any = None,
    ) -> None:
        self.n_experts = n_experts
        self.n_styles = n_styles
        self.style_routing = style_routing
        self.z_dim = z_dim
        self.encoder_layers = encoder_layers
        self.decoder_layers = decoder_layers
        self.manager_layers = manager_layers
        self.network = network
        self.decoder_std = decoder_std
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.image_shape = image_shape
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.callbacks = callbacks
        self.params = params

    def _vaes(self, inputs: np.ndarray) -> np.ndarray:
        model: Any = self.model_
        experts, styles = model.predict_leaves(self.session_, inputs)
        return experts * model.n_styles + styles

    def _decode(self, codes: np.ndarray, number: int) -> np.ndarray:
        model: Any = self.model_
        expert, style = divmod(number, model.n_styles)
        vae = model.experts[expert][style]
        return run_in_chunks(self.session_, vae.decoded_images, {vae.z: codes})
