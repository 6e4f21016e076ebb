"""Mixture of experts: a gate, linear experts and a task, with any of five gates.

A gate is an object with `n_clusters`, `log_probs` (log g(x) as the training has it),
`predicted_log_probs` (as a prediction has it), `loss` (the gate's own, 0 without one), `losses`,
`batch_means`, `phases`, `check(inputs)` and `pretrain(trainer, train_set)`. `VaDE` and `DMVAE`
are such objects as they are; the others stand here.
"""

import numpy as np
from scipy.special import softmax

from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_PIXELS, DataError, check_labels, check_targets
from moe_vae.models.clustering_vae import ClusteringVAE
from moe_vae.models.experts import (
    ClassificationExperts,
    RegressionExperts,
)
from moe_vae.models.gates import (
    _VAE_GATE_PARAMS,
    GATES,
)
from moe_vae.models.vade import VaDE
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import ParameterError, check_params
from moe_vae.training.schedules import cosine_decay

__all__ = ["MixtureOfExperts", "build_mixture_of_experts", "mixture_of_experts_params"]

_TRAINING_PARAMS = {
    "epochs": 100,
    "batch_size": 200,
    "learning_rate": 0.002,
    "cosine_decay": False,
}


_TASK_PARAMS = {
    "task": "regression",
    "task_objective": "likelihood",
    "n_outputs": 1,
    "targets_seed": 0,
    "min_expert_var": 1e-3,
    "expert_em_steps": 0,
}


def mixture_of_experts_params(gate):
    """Returns the defaults of a mixture of experts with a certain gate, the gate's own included.

    Before the training `expert_em_steps` steps of EM fit a regression's experts, the gate as it is
    (`MixtureOfExperts.fit_experts`): for a gate that has been trained by then. `targets_seed` says
    which affine maps a regression is put to (`add_affine_targets`).
    With a VAE as the gate `gate_epochs` is how long it is trained alone, and `gate_weight` how
    much its loss counts beside the task's. VaDE's q(c|x) is a function of one sample of z, and
    the paper takes its expectation outside the logarithm: `task_objective` is
    "expected_likelihood" for it.

    Raises:
      ParameterError: there is no such gate.

    Source: the paper, sections 5 and 7.
    """
    if gate not in GATES:
        raise ParameterError(f"gate is {gate!r}: it must be one of {', '.join(GATES)}")
    gate_class, gate_params = GATES[gate]
    params = {"gate": gate, **gate_params, **_TASK_PARAMS, **_TRAINING_PARAMS}
    if issubclass(gate_class, ClusteringVAE):
        params.update(_VAE_GATE_PARAMS)
    if gate_class is VaDE:
        params["task_objective"] = "expected_likelihood"
    return params


class MixtureOfExperts:
    """The mixture's graph: experts under a gate, losses, and what a trained model can do.

    With g the gate's probabilities, p_k the experts' likelihoods and y_k their means:

        loss_task = mean over the batch of -log sum_k g_k p_k(y|x)            "likelihood"
                    mean over the batch of -sum_k g_k log p_k(y|x)            "expected_likelihood"
                    mean over the batch of 1/2 |sum_k g_k y_k - y|^2          "mixture_mean"
                    -log sum over batch and k of g_k exp(-1/2 |y - y_k|^2)    "batch_sum"
        loss      = loss_task + gate_weight * (the gate's own loss, for a VAE)

    In a classification y is a one-hot row and y_k the classes' probabilities. "batch_sum" is
    what the authors minimised at the time of the report: an example that every expert misses
    adds nothing to the sum, and so is not learned. Over a data set it is the mean of the
    chunks' values.

    Attributes:
      gate: the gate; its `log_probs` are used in training, `predicted_log_probs` otherwise.
      experts: the `RegressionExperts` or `ClassificationExperts`.
      predicted: float tensor [batch, n_outputs], sum_k g_k y_k.
      log_likelihood: float tensor [batch], log sum_k g_k p_k(y|x), in nats.
      loss_task, loss: scalars.
      error: scalar, the experts' `error` of `predicted`.

    Args:
      params: dict; see `mixture_of_experts_params` for names and defaults.
      gate: a gate on `inputs`.
      inputs: float tensor [batch, n_features].
      labels: what is to be predicted: float tensor [batch, n_outputs] for a regression,
        whole-number tensor [batch] for a classification.

    Source: the paper, sections 4, 5 and 7; "mixture_mean" and "batch_sum": the authors' code.
    """

    def __init__(self, params, gate, inputs, labels):
        self.params = params
        self.gate = gate
        self.inputs = inputs
        self.labels = labels
        self.learning_rate = tf.placeholder_with_default(
            float(params["learning_rate"]), [], "learning_rate"
        )
        with tf.variable_scope("experts"):
            experts = {"regression": RegressionExperts, "classification": ClassificationExperts}
            self.experts = experts[params["task"]](params, inputs, gate.n_clusters, labels)
        self._build_prediction()
        self._build_losses()

    def _build_prediction(self):
        with tf.name_scope("prediction"):
            self.predicted = self._mixture_mean(self.gate.predicted_log_probs)
            self.log_likelihood = tf.reduce_logsumexp(
                self.gate.predicted_log_probs + self.experts.log_likelihoods, axis=1
            )

    def _mixture_mean(self, log_probs):
        return tf.reduce_sum(tf.exp(log_probs)[:, :, None] * self.experts.means, axis=1)

    def _build_losses(self):
        with tf.name_scope("loss_task"):
            objectives = {
                "likelihood": self._likelihood,
                "expected_likelihood": self._expected_likelihood,
                "mixture_mean": self._squared_error,
                "batch_sum": self._batch_sum,
            }
            self.loss_task = objectives[self.params["task_objective"]](self.gate.log_probs)
        with tf.name_scope("error"):
            self.error = self.experts.error(self.predicted, self.experts.targets)
        self.loss = tf.add(
            self.loss_task, self.params.get("gate_weight", 0) * self.gate.loss, name="loss"
        )

    def _likelihood(self, log_probs):
        joint = log_probs + self.experts.log_likelihoods
        return -tf.reduce_mean(tf.reduce_logsumexp(joint, axis=1))

    def _expected_likelihood(self, log_probs):
        expected = tf.reduce_sum(tf.exp(log_probs) * self.experts.log_likelihoods, axis=1)
        return -tf.reduce_mean(expected)

    def _squared_error(self, log_probs):
        squares = tf.math.squared_difference(self._mixture_mean(log_probs), self.experts.targets)
        return 0.5 * tf.reduce_mean(tf.reduce_sum(squares, axis=1))

    def _batch_sum(self, log_probs):
        differences = tf.math.squared_difference(
            self.experts.means, self.experts.targets[:, None, :]
        )
        return -tf.reduce_logsumexp(log_probs - 0.5 * tf.reduce_sum(differences, axis=2))

    # What the training loop needs of a model.

    @property
    def phases(self):
        """Dict of phase to the loss that it minimises: a VAE gate's own, then the mixture's."""
        gate_phases = dict(self.gate.phases)
        if gate_phases:
            gate_phases["gate"] = gate_phases.pop("loss")
        return {**gate_phases, "loss": self.loss}

    @property
    def losses(self):
        """Dict of name to scalar tensor: the losses that a history records."""
        gate_losses = dict(self.gate.losses)
        if gate_losses:
            gate_losses["loss_gate"] = gate_losses.pop("loss")
        return {**gate_losses, "loss_task": self.loss_task, "error": self.error, "loss": self.loss}

    @property
    def batch_means(self):
        """Tensors that are means over the batch, from which the losses follow."""
        return [*self.gate.batch_means, self.loss_task, self.error]

    @property
    def batch_sums(self):
        """Tensors that are sums over the batch, from which the losses follow: none."""
        return []

    def feed(self, inputs, labels=None, targets=None):
        """Returns the feed dict for a batch, its labels or targets checked by the task.

        Args:
          inputs: float32 array [n, n_features].
          labels: whole-number array [n] in 0 to n_outputs - 1; only a classification reads them.
          targets: float32 array [n, n_outputs]; only a regression reads them.

        Raises:
          DataError: the arrays are not of that form, or what the task needs is missing.
        """
        if self.params["task"] == "classification":
            return self._feed(inputs, labels)
        return self._feed(inputs, targets)

    def _feed(self, inputs, wanted):
        return {
            self.inputs: self.gate.check(inputs),
            self.labels: self._check_wanted(wanted, len(inputs)),
        }

    def _check_wanted(self, wanted, n_examples):
        task, n_outputs = self.params["task"], self.params["n_outputs"]
        name = "labels" if task == "classification" else "targets"
        if wanted is None:
            raise DataError(f"{name} are None: task {task!r} needs them for every example")
        if task == "classification":
            return check_labels(wanted, n_examples, n_outputs)
        return check_targets(wanted, n_examples, n_outputs)

    def schedule(self, phase, epoch):
        """Returns the learning rate, or what a VAE gate changes as it is trained alone.

        With `cosine_decay` the rate falls to 0 in the phase "loss".
        """
        if phase != "loss":
            return self.gate.schedule(phase, epoch)
        decays = self.params["cosine_decay"]
        share = cosine_decay(epoch, self.params["epochs"]) if decays else 1.0
        return {self.learning_rate: share * self.params["learning_rate"]}

    def pretrain(self, trainer, train_set):
        """Prepares the gate: EM for a Gaussian mixture, training alone for a VAE.

        Of a VAE's training only that is done which is not over.

        Args:
          trainer: the `Trainer` of this model.
          train_set: a `DataSet`; its labels and targets are not used.
        """
        done = trainer.epochs_done.get("gate", 0)
        if not done:
            self.gate.pretrain(trainer, train_set)
        if self.params.get("gate_epochs") and not trainer.interrupted:
            left = self.params["gate_epochs"] - done
            trainer.fit(train_set, left, sample=False, phase="gate")
        if self.params["expert_em_steps"] and not trainer.interrupted:
            self.fit_experts(trainer.session, train_set, self.params["expert_em_steps"])

    def fit_experts(self, session, data_set, n_steps):
        """Fits a regression's experts by EM, the gate as it is.

        An example's responsibilities are the gate's g_k(x) in the first step, and then in
        proportion to g_k(x) p_k(y|x), so that what the gate sends to a wrong expert spoils none.

        Args:
          session: an open session.
          data_set: a `DataSet` with targets.
          n_steps: number of E- and M-steps.

        Source: Jordan and Jacobs, Hierarchical mixtures of experts and the EM algorithm, 1994.
        """
        inputs, targets = data_set.images, data_set.targets
        feed = self._feed(inputs, targets)
        log_probs = run_in_chunks(session, self.gate.predicted_log_probs, {self.inputs: inputs})
        joint = log_probs
        for _ in range(n_steps):
            self.experts.fit(session, inputs, targets, softmax(joint, axis=1))
            joint = log_probs + run_in_chunks(session, self.experts.log_likelihoods, feed)

    def generate_row(self, session, z):
        """Lets a VAE gate draw one example from every cluster; see `ClusteringVAE`."""
        return self._drawing_gate().generate_row(session, z)

    # What can be done with a trained model.

    def sample(self, session, z, cluster):
        """Draws examples from one cluster of a VAE gate, and what its expert says of them.

        Args:
          session: a session that holds trained variables.
          z: float array [n, z_dim], standard-normal noise; or n, for noise from NumPy's global
            generator.
          cluster: number of the cluster, from 0.

        Returns:
          Float arrays [n, n_features] and [n, n_outputs]: the examples and the expert's means.

        Raises:
          ParameterError: the gate has no decoder, or there is no such cluster.
        """
        inputs = self._drawing_gate().generate(session, z, cluster)
        means = run_in_chunks(session, self.experts.means, {self.inputs: inputs})
        return inputs, means[:, cluster]

    def _drawing_gate(self):
        if not isinstance(self.gate, ClusteringVAE):
            raise ParameterError(
                f"gate is a {type(self.gate).__name__}: to draw it must be a VaDE or a DMVAE"
            )
        return self.gate

    def predict_gate(self, session, inputs):
        """Returns g(x), float array [n, n_clusters], for float32 inputs [n, n_features]."""
        feed = {self.inputs: self.gate.check(inputs)}
        return np.exp(run_in_chunks(session, self.gate.predicted_log_probs, feed))

    def predict_mean(self, session, inputs):
        """Returns sum_k g_k y_k, float array [n, n_outputs]: in a classification p(class | x)."""
        return run_in_chunks(session, self.predicted, {self.inputs: self.gate.check(inputs)})

    def predict(self, session, inputs):
        """Returns the prediction: the mean [n, n_outputs] of y, or the likeliest class [n]."""
        mean = self.predict_mean(session, inputs)
        return mean.argmax(axis=1) if self.params["task"] == "classification" else mean

    def predict_log_likelihood(self, session, inputs, wanted):
        """Computes log sum_k g_k p_k(y|x) for each example, float array [n], in nats.

        Args:
          session: a session that holds trained variables.
          inputs: float32 array [n, n_features].
          wanted: targets [n, n_outputs] for a regression, labels [n] for a classification.

        Raises:
          DataError: the arrays are not of that form.
        """
        return run_in_chunks(session, self.log_likelihood, self._feed(inputs, wanted))


def build_mixture_of_experts(params, gate=None, n_features=IMAGE_PIXELS):
    """Builds placeholders, gate and mixture in the current graph.

    Args:
      params: dict; see `mixture_of_experts_params` for names and defaults.
      gate: "softmax", "deep", "gmm", "vade" or "dmvae"; None means `params`' own `gate`, and
        "dmvae" without one.
      n_features: number of columns of the data: 784 for MNIST, 2 for the spiral.

    Returns:
      A `MixtureOfExperts`.

    Raises:
      ParameterError: the gate or a parameter is unknown, or a parameter is impossible.
    """
    gate = gate or params.get("gate", "dmvae")
    params = check_params({**params, "gate": gate}, mixture_of_experts_params(gate))
    gate_class, gate_params = GATES[gate]
    inputs = tf.placeholder(tf.float32, [None, n_features], name="inputs")
    if params["task"] == "classification":
        if params["expert_em_steps"]:
            raise ParameterError(
                f"parameter 'expert_em_steps' is {params['expert_em_steps']}: "
                "with task 'classification' it must be 0"
            )
        labels = tf.placeholder(tf.int32, [None], name="labels")
    else:
        labels = tf.placeholder(tf.float32, [None, params["n_outputs"]], name="targets")
    built = gate_class({name: params[name] for name in gate_params}, inputs)
    return MixtureOfExperts(params, built, inputs, labels)
