"""The gates of a mixture of experts, and their register."""

import numpy as np

from moe_vae.compat import tf
from moe_vae.models.clustering_vae import check_inputs
from moe_vae.models.dmvae import DMVAE, DMVAE_PARAMS
from moe_vae.models.vade import VADE_PARAMS, VaDE
from moe_vae.nn.gaussian_mixture import GaussianMixture
from moe_vae.nn.layers import hidden_layers

__all__ = ["CLUSTERING_GATES", "GATES", "SYSTEMS", "DeepGate", "GaussianMixtureGate", "SoftmaxGate"]

_SOFTMAX_GATE_PARAMS = {"n_clusters": 10}


_DEEP_GATE_PARAMS = {"n_clusters": 10, "gate_layers": [512, 256], "activation": "relu"}


_GAUSSIAN_MIXTURE_GATE_PARAMS = {"n_clusters": 10, "gmm_restarts": 5, "gmm_examples": 0}


_VAE_GATE_PARAMS = {"gate_weight": 1.0, "gate_epochs": 100}


class _Gate:
    """What the gates that learn from the task alone have in common: no loss of their own."""

    def __init__(self, params, inputs):
        self.params = params
        self.inputs = inputs
        self.n_features = int(inputs.shape[1])
        self.n_clusters = params["n_clusters"]
        self.loss = tf.zeros([], name="loss")
        self.losses, self.phases, self.batch_means = {}, {}, []

    def check(self, inputs):
        """Returns `inputs` if the gate can read them, or raises `DataError`."""
        return check_inputs(inputs, self.n_features, "gaussian")

    def pretrain(self, trainer, train_set):
        """Does nothing: the gate learns together with the experts."""


class SoftmaxGate(_Gate):
    """The classic gate: g(x) = softmax(V x + a).

    Attributes:
      log_probs, predicted_log_probs: float tensors [batch, n_clusters], both log g(x).

    Args:
      params: dict with `n_clusters`.
      inputs: float tensor [batch, n_features].
      scope: name of the gate's variable scope.

    Source: the paper, section 4.
    """

    def __init__(self, params, inputs, scope="gate"):
        super().__init__(params, inputs)
        with tf.variable_scope(scope):
            logits = tf.layers.dense(self._features(inputs), self.n_clusters)
            self.log_probs = tf.nn.log_softmax(logits, name="log_probs")
        self.predicted_log_probs = self.log_probs

    def _features(self, inputs):
        return inputs


class DeepGate(SoftmaxGate):
    """The gate of "Deep MoE": a softmax on top of hidden layers.

    Args:
      params: dict with `n_clusters`, `gate_layers` and `activation`.
      inputs, scope: as for `SoftmaxGate`.

    Source: the paper, section 4.
    """

    def _features(self, inputs):
        return hidden_layers(inputs, self.params["gate_layers"], self.params["activation"])


class GaussianMixtureGate(_Gate):
    """The naive gate: the responsibilities p(c|x) of a Gaussian mixture fitted to the inputs.

    EM fits it before the experts are trained; their training leaves it as it is.

    Attributes:
      mixture: the `GaussianMixture` of the inputs.
      log_probs, predicted_log_probs: float tensors [batch, n_clusters], both log p(c|x).

    Args:
      params: dict with `n_clusters`, `gmm_restarts` and `gmm_examples`.
      inputs: float tensor [batch, n_features].

    Source: the paper, section 2.2.
    """

    def __init__(self, params, inputs):
        super().__init__(params, inputs)
        with tf.variable_scope("gate"):
            self.mixture = GaussianMixture(self.n_clusters, self.n_features, trainable=False)
            self.log_probs = self.mixture.log_responsibilities(inputs)
        self.predicted_log_probs = self.log_probs

    def pretrain(self, trainer, train_set):
        """Fits the mixture to the images of `train_set` by EM.

        With `gmm_examples` above 0 to so many of them at most, spread over the whole set.
        """
        n_all = train_set.num_examples
        rows = np.linspace(0, n_all - 1, min(self.params["gmm_examples"] or n_all, n_all))
        rows = rows.astype(int)
        self.mixture.fit(trainer.session, train_set.images[rows], self.params["gmm_restarts"])


# Each gate's class and parameters, by the name that the parameter `gate` has.
GATES = {
    "softmax": (SoftmaxGate, _SOFTMAX_GATE_PARAMS),
    "deep": (DeepGate, _DEEP_GATE_PARAMS),
    "gmm": (GaussianMixtureGate, _GAUSSIAN_MIXTURE_GATE_PARAMS),
    "vade": (VaDE, VADE_PARAMS),
    "dmvae": (DMVAE, DMVAE_PARAMS),
}


# The paper's names of the mixtures, by gate, in the tables' order.
SYSTEMS = {
    "softmax": "softmax ME",
    "gmm": "GMM-gated ME",
    "deep": "Deep MoE",
    "vade": "VaDE-ME",
    "dmvae": "DVMoE",
}


# The gates that begin with a clustering of the same name.
CLUSTERING_GATES = ("vade", "dmvae")
