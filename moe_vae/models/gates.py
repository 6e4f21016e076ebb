"""The gates of a mixture of experts, and their register `GATES`.

To add a gate, write its class here and give it an entry in `GATES`. Parameters, command line,
figures and tables read the register. `VaDE` and `DMVAE` are gates, too.
"""

from typing import Any, NamedTuple

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_SHAPE
from moe_vae.data.dataset import Batch, DataSet, Shape
from moe_vae.model import Model, Signature
from moe_vae.models.autoencoder import check_inputs
from moe_vae.models.clustering_vae import ClusteringVAE
from moe_vae.models.dmvae import DMVAE, DMVAE_PARAMS
from moe_vae.models.information_encoder import INFORMATION_PARAMS
from moe_vae.models.vade import VADE_PARAMS, VaDE
from moe_vae.nn.cluster_encoder import ClusterEncoder
from moe_vae.nn.gaussian_mixture import FullGaussianMixture, GaussianMixture
from moe_vae.nn.networks import encoder_layers
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import ParameterError

__all__ = [
    "GATES",
    "DeepGate",
    "Gate",
    "GateEntry",
    "GaussianMixtureGate",
    "HierarchicalGate",
    "PretrainedGate",
    "SoftmaxGate",
]


class Gate(Model):
    """A gate that has no loss of its own: it learns from the task, or not at all.

    A gate is a `Model`. A mixture of experts reads its `n_clusters` and these tensors as well:

    Attributes:
      log_probs: float tensor [batch, n_clusters], log g(x) in the loss.
      predicted_log_probs: float tensor [batch, n_clusters], log g(x) in a prediction.
      features: float tensor [batch, size of the gate's last hidden layer], or None without one.

    Args:
      params: dict of the gate's parameters, already checked; `n_clusters` is among them.
      inputs: float tensor [batch, n_features].
      shape: (height, width) of the images, or (n_features,) of points.
    """

    answer = "expert"
    log_probs: Tensor
    predicted_log_probs: Tensor
    features: Tensor = None

    def __init__(self, params: dict[str, Any], inputs: Tensor, shape: Shape = IMAGE_SHAPE) -> None:
        self.params = params
        self.inputs = inputs
        self.shape = shape
        self.n_features = int(inputs.shape[1])
        self.n_clusters = self.n_columns = params["n_clusters"]
        self.loss = tf.zeros([], name="loss")

    @property
    def losses(self) -> dict[str, Tensor]:
        """Dict of name to scalar tensor: none."""
        return {}

    @property
    def batch_means(self) -> list[Tensor]:
        """Tensors that are means over the batch: none."""
        return []

    @property
    def phases(self) -> dict[str, Tensor]:
        """Dict of phase to loss: none."""
        return {}

    def feed(self, batch: Batch) -> dict[Tensor, Any]:
        """Returns the feed dict for a batch; its labels and targets are not used."""
        return {self.inputs: self.check(batch.images)}

    def check(self, inputs: Any) -> np.ndarray:
        """Returns `inputs` if the gate can read them, or raises `DataError`."""
        return check_inputs(inputs, self.n_features, "gaussian")

    def predict_proba(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns g(x), float array [n, n_clusters], for float32 inputs [n, n_features]."""
        feed = {self.inputs: self.check(inputs)}
        return np.exp(run_in_chunks(session, self.predicted_log_probs, feed))

    def predict(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns each example's likeliest expert, whole-number array [n]."""
        return self.predict_proba(session, inputs).argmax(axis=1)

    def signatures(self) -> dict[str, Signature]:
        """Returns what an export can compute, "route"; see `Model.signatures`."""
        with tf.name_scope("signatures"):
            return {"route": Signature({"inputs": self.inputs}, self._route_probs())}

    def _route_probs(self) -> Tensor:
        return tf.exp(self.predicted_log_probs)


class SoftmaxGate(Gate):
    """The classic gate: g(x) = softmax(V x + a).

    Attributes:
      log_probs, predicted_log_probs: float tensors [batch, n_clusters], both log g(x).

    Args:
      params: dict with `n_clusters`.
      inputs, shape: as for `Gate`.
      scope: name of the gate's variable scope.

    Source: the paper, section 4.
    """

    def __init__(
        self,
        params: dict[str, Any],
        inputs: Tensor,
        shape: Shape = IMAGE_SHAPE,
        scope: str = "gate",
    ) -> None:
        super().__init__(params, inputs, shape)
        with tf.variable_scope(scope):
            logits = tf.layers.dense(self._hidden(inputs), self.n_clusters)
            self.log_probs = tf.nn.log_softmax(logits, name="log_probs")
        self.predicted_log_probs = self.log_probs

    def _hidden(self, inputs: Tensor) -> Tensor:
        return inputs


class HierarchicalGate(Gate):
    """A gate of gates, which makes the mixture a hierarchical mixture of experts (HME).

    The upper gate chooses a branch i, and the branch's own gate chooses one of its experts. Expert
    k is number j of branch i, and

        g_k(x) = g_i(x) g_j|i(x),  g(x) = softmax(V x + a),  g_.|i(x) = softmax(V_i x + a_i)

    The branches have equal numbers of experts, `n_clusters / n_branches`. Where this is no whole
    number, the first branches have one expert more than the others. Experts are numbered branch by
    branch.

    Attributes:
      upper: the `SoftmaxGate` over the branches, whose `log_probs` [batch, n_branches] are log g_i.
      lower: list of each branch's `SoftmaxGate` over its experts, log g_j|i.
      log_probs, predicted_log_probs: float tensors [batch, n_clusters], both log g_k(x).

    Args:
      params: dict with `n_clusters`, the number of experts, and `n_branches`.
      inputs, shape: as for `Gate`.

    Raises:
      ParameterError: there are more branches than experts.

    Source: the paper, section 4, which names it; Jordan and Jacobs, Hierarchical mixtures of
      experts and the EM algorithm, 1994.
    """

    def __init__(self, params: dict[str, Any], inputs: Tensor, shape: Shape = IMAGE_SHAPE) -> None:
        super().__init__(params, inputs, shape)
        n_branches = params["n_branches"]
        if n_branches > self.n_clusters:
            raise ParameterError(
                f"parameter 'n_branches' is {n_branches}: it must be at most 'n_clusters', "
                f"{self.n_clusters}"
            )
        n_each, n_left = divmod(self.n_clusters, n_branches)
        with tf.variable_scope("gate"):
            self.upper = SoftmaxGate({"n_clusters": n_branches}, inputs, shape, "upper")
            self.lower = [
                SoftmaxGate(
                    {"n_clusters": n_each + (branch < n_left)}, inputs, shape, f"lower_{branch}"
                )
                for branch in range(n_branches)
            ]
            self.log_probs = tf.concat(
                [
                    self.upper.log_probs[:, branch, None] + gate.log_probs
                    for branch, gate in enumerate(self.lower)
                ],
                axis=1,
                name="log_probs",
            )
        self.predicted_log_probs = self.log_probs


class DeepGate(SoftmaxGate):
    """The gate of "Deep MoE": a softmax on top of hidden layers.

    Args:
      params: dict with `n_clusters` and the parameters of its `encoder_layers`, "gate".
      inputs, shape, scope: as for `SoftmaxGate`.

    Source: the paper, section 4.
    """

    def _hidden(self, inputs: Tensor) -> Tensor:
        self.features = encoder_layers(inputs, self.params, "gate", self.shape)
        return self.features


class PretrainedGate(Gate):
    """A deep gate with the information encoder's network, whose training it can begin with.

    The network is a `ClusterEncoder`, and g(x) = q(c|x). If the gate begins with a trained
    `InformationEncoder`, it has the features with which DVMoE's gate begins on images. It has no
    decoder, and learns from the task alone. Batch normalisation uses moving averages, as in DMVAE.

    Attributes:
      log_probs, predicted_log_probs: float tensors [batch, n_clusters], both log g(x).

    Args:
      params: dict with `n_clusters` and the parameters of `ClusterEncoder`.
      inputs, shape: as for `Gate`.
    """

    def __init__(self, params: dict[str, Any], inputs: Tensor, shape: Shape = IMAGE_SHAPE) -> None:
        super().__init__(params, inputs, shape)
        with tf.variable_scope("gate"):
            self._encoder = ClusterEncoder(params, self.n_clusters, shape)
            self.features, self._outputs = self._encoder.features_and_outputs(inputs)
            logits = self._encoder.logits(self._outputs)
            self.log_probs = tf.nn.log_softmax(logits, name="log_probs")
        self.predicted_log_probs = self.log_probs

    def _route_probs(self) -> Tensor:
        return self._encoder.probs(self._outputs)


class GaussianMixtureGate(Gate):
    """The naive gate: the responsibilities p(c|x) of a Gaussian mixture fitted to the inputs.

    EM fits the mixture before the experts are trained; training the experts does not change it. Its
    covariances are diagonal with the `covariance` "diag", and unrestricted with "full".

    Attributes:
      mixture: the `GaussianMixture` or `FullGaussianMixture` of the inputs.
      log_probs, predicted_log_probs: float tensors [batch, n_clusters], both log p(c|x).

    Args:
      params: dict with `n_clusters`, `gmm_restarts`, `gmm_examples` and `covariance`.
      inputs, shape: as for `Gate`.

    Raises:
      ParameterError: `gmm_examples` is above 0 and below `n_clusters`.

    Source: the paper, section 2.2.
    """

    def __init__(self, params: dict[str, Any], inputs: Tensor, shape: Shape = IMAGE_SHAPE) -> None:
        super().__init__(params, inputs, shape)
        if 0 < params["gmm_examples"] < self.n_clusters:
            raise ParameterError(
                f"parameter 'gmm_examples' is {params['gmm_examples']}: it must be 0, for all "
                f"examples, or at least 'n_clusters', {self.n_clusters}"
            )
        with tf.variable_scope("gate"):
            self.mixture = self._build_mixture()
            self.log_probs = self.mixture.log_responsibilities(inputs)
        self.predicted_log_probs = self.log_probs

    def _build_mixture(self) -> GaussianMixture:
        if self.params["covariance"] == "full":
            return FullGaussianMixture(self.n_clusters, self.n_features)
        return GaussianMixture(self.n_clusters, self.n_features, trainable=False)

    def pretrain(self, trainer: Any, train_set: DataSet) -> None:
        """Fits the mixture to the images of `train_set` by EM.

        With `gmm_examples` above 0 it reads at most that many, spread evenly over the set.
        """
        n_all = train_set.num_examples
        rows = np.linspace(0, n_all - 1, min(self.params["gmm_examples"] or n_all, n_all))
        rows = rows.astype(int)
        self.mixture.fit(trainer.session, train_set.images[rows], self.params["gmm_restarts"])


class GateEntry(NamedTuple):
    """What a mixture of experts and the tables need to know of a gate.

    Attributes:
      gate: the gate's class, called with its parameters and the inputs.
      defaults: dict of the gate's own parameters; `n_clusters` is among them.
      label: what figures and tables call a mixture of experts with this gate.
      mixture_defaults: dict of parameters of the mixture whose defaults differ with this gate.
      begins_with: the step of the clustering study whose trained model the tables' runs begin
        with, or None.
    """

    gate: type[Gate] | type[ClusteringVAE]
    defaults: dict[str, Any]
    label: str
    mixture_defaults: dict[str, Any] = {}  # noqa: RUF012, never written to
    begins_with: str | None = None


# With a VAE as the gate, `gate_epochs` is how long it is trained alone, and `gate_weight` is the
# weight of its loss beside the task's.
_VAE_GATE = {"gate_weight": 1.0, "gate_epochs": 100}

_ENCODER_PARAMS = (
    "network",
    "n_clusters",
    "n_over_clusters",
    "cluster_encoder_layers",
    "activation",
    "normalise",
    "input_std",
)

# The gates by the value of the parameter `gate`, in the order of the tables.
GATES: dict[str, GateEntry] = {
    "softmax": GateEntry(SoftmaxGate, {"n_clusters": 10}, "softmax ME"),
    "hierarchical": GateEntry(
        HierarchicalGate, {"n_clusters": 10, "n_branches": 2}, "hierarchical ME"
    ),
    "gmm": GateEntry(
        GaussianMixtureGate,
        {"n_clusters": 10, "gmm_restarts": 5, "gmm_examples": 0, "covariance": "diag"},
        "GMM-gated ME",
    ),
    "deep": GateEntry(
        DeepGate,
        {"network": "dense", "n_clusters": 10, "gate_layers": [512, 256], "activation": "relu"},
        "Deep MoE",
    ),
    "pretrained": GateEntry(
        PretrainedGate,
        {name: INFORMATION_PARAMS[name] for name in _ENCODER_PARAMS},
        "pretrained Deep MoE",
        begins_with="information",
    ),
    # VaDE's q(c|x) is a function of one sample of z. The paper takes the expectation over that
    # sample outside the logarithm.
    "vade": GateEntry(
        VaDE,
        VADE_PARAMS,
        "VaDE-ME",
        {**_VAE_GATE, "task_objective": "expected_likelihood"},
        begins_with="vade",
    ),
    "dmvae": GateEntry(DMVAE, DMVAE_PARAMS, "DVMoE", _VAE_GATE, begins_with="dmvae"),
}
