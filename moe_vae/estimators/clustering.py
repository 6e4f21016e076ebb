"""The paper's VaDE and DMVAE as clusterings that also draw."""

from typing import Any

import numpy as np
from sklearn.base import ClusterMixin
from sklearn.utils.validation import check_is_fitted

from moe_vae.estimators.base import Coder, ModelEstimator
from moe_vae.nn.sessions import run_in_chunks

__all__ = ["DMVAEClusterer", "VaDEClusterer"]


class _VAEClusterer(Coder, ClusterMixin, ModelEstimator):
    """What VaDE and DMVAE share."""

    def fit(self, X: Any, y: Any = None) -> Any:  # noqa: N803
        """Trains on examples X [n, n_features]; returns the estimator. `y` is not used."""
        del y
        self._train(self._read_training(X))
        self.labels_ = self.predict(X)
        return self

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns each example's likeliest cluster, whole-number array [n]."""
        check_is_fitted(self, "trainer_")
        return self.predict_proba(X).argmax(axis=1)

    def inverse_transform(self, Z: Any) -> np.ndarray:  # noqa: N803
        """Returns the decodings of codes.

        Args:
          Z: float array [n, z_dim].

        Returns:
          Float array [n, n_features], in the scale of X.

        Raises:
          ValueError: Z has another number of columns.
        """
        codes = self._read_codes(Z)
        model: Any = self.model_
        return self._written(run_in_chunks(self.session_, model.decoded, {model.z: codes}))


class VaDEClusterer(_VAEClusterer):
    """VaDE: a VAE whose prior is a Gaussian mixture. Its probabilities are p(c|z) at the mean code.

    Args:
      n_clusters: number of clusters, in 1 to the number of examples.
      z_dim: number of dimensions of the code, at least 1.
      encoder_layers, decoder_layers: sizes of the hidden layers, lists
        of whole numbers of at least 1.
      pretrain_epochs: number of epochs of the autoencoder alone, before the prior is fitted.
      decoder_std: standard deviation of p(x|z), above 0, where p(x|z) is Gaussian, as on points.
      network, epochs, batch_size, learning_rate, image_shape: as for `ConditionalVAEClassifier`.
      random_state, warm_start, verbose, callbacks, engine, params: as for it, too.

    Attributes:
      labels_: the likeliest cluster of each training example.
      And those of `ModelEstimator`.

    Raises:
      ValueError: in `fit`, X cannot be used, or a parameter is not allowed.

    Source: the paper, section 3.
    """

    _model = "vade"
    _handed_on = (
        "n_clusters",
        "z_dim",
        "encoder_layers",
        "decoder_layers",
        "network",
        "pretrain_epochs",
        "decoder_std",
        "epochs",
        "batch_size",
        "learning_rate",
    )

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        z_dim: int = 10,
        encoder_layers: Any = None,
        decoder_layers: Any = None,
        network: str = "dense",
        pretrain_epochs: int | None = None,
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
        self.n_clusters = n_clusters
        self.z_dim = z_dim
        self.encoder_layers = encoder_layers
        self.decoder_layers = decoder_layers
        self.network = network
        self.pretrain_epochs = pretrain_epochs
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


class DMVAEClusterer(_VAEClusterer):
    """DMVAE: as VaDE, with an encoder of its own for the cluster.

    Args:
      n_clusters: number of clusters, in 1 to the number of examples.
      z_dim: number of dimensions of the code, at least 1.
      encoder_layers, cluster_encoder_layers, decoder_layers: sizes of the hidden layers, lists
        of whole numbers of at least 1.
      objective: "exact" takes the expectation over the clusters, "relaxed" is the paper's.
      decoder_std: standard deviation of p(x|z), above 0, where p(x|z) is Gaussian, as on points.
      network, epochs, batch_size, learning_rate, image_shape: as for `ConditionalVAEClassifier`.
      random_state, warm_start, verbose, callbacks, engine, params: as for it, too.

    Attributes:
      labels_: the likeliest cluster of each training example.
      And those of `ModelEstimator`.

    Raises:
      ValueError: in `fit`, X cannot be used, or a parameter is not allowed.

    Source: the paper, section 6.
    """

    _model = "dmvae"
    _handed_on = (
        "n_clusters",
        "z_dim",
        "encoder_layers",
        "cluster_encoder_layers",
        "decoder_layers",
        "network",
        "objective",
        "decoder_std",
        "epochs",
        "batch_size",
        "learning_rate",
    )

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        z_dim: int = 10,
        encoder_layers: Any = None,
        cluster_encoder_layers: Any = None,
        decoder_layers: Any = None,
        network: str = "dense",
        objective: str = "exact",
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
        self.n_clusters = n_clusters
        self.z_dim = z_dim
        self.encoder_layers = encoder_layers
        self.cluster_encoder_layers = cluster_encoder_layers
        self.decoder_layers = decoder_layers
        self.network = network
        self.objective = objective
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
