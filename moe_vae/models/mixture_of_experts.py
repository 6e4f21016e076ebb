"""Mixture of experts: a gate, linear experts and a task. The gates stand in `gates`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_SHAPE, DataError, check_labels, check_targets
from moe_vae.data.dataset import Batch, DataSet, Form, Shape
from moe_vae.files import shown
from moe_vae.model import Model, ModelError, Signature, builds_model
from moe_vae.models.clustering_vae import ClusteringVAE
from moe_vae.models.experts import TASKS, RegressionExperts
from moe_vae.models.gates import GATES, Gate
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import ParameterError, check_choice, check_params, network_params

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
    "expert_inputs": "examples",
}


def mixture_of_experts_params(gate: str) -> dict[str, Any]:
    """Returns the defaults of a mixture of experts with a certain gate, the gate's own included.

    `expert_em_steps` steps of EM fit the experts of a regression before the training, while the
    gate stays fixed (`MixtureOfExperts.fit_experts`). Use them with a gate that is trained by then.
    The experts read the examples, or with the `expert_inputs` "features" the gate's last hidden
    layer, which they train as well. `targets_seed` chooses the affine maps of a regression
    (`add_affine_targets`).

    Raises:
      ParameterError: there is no such gate.

    Source: the paper, sections 5 and 7.
    """
    check_choice("gate", gate, GATES)
    entry = GATES[gate]
    return {
        "gate": gate,
        **entry.defaults,
        **_TASK_PARAMS,
        **_TRAINING_PARAMS,
        **entry.mixture_defaults,
    }


class MixtureOfExperts(Model):
    """The mixture's graph: experts under a gate, losses, and what a trained model can do.

    With g the gate's probabilities, p_k the experts' likelihoods and y_k their means:

        loss_task = mean over the batch of -log sum_k g_k p_k(y|x)            "likelihood"
                    mean over the batch of -sum_k g_k log p_k(y|x)            "expected_likelihood"
                    mean over the batch of 1/2 |sum_k g_k y_k - y|^2          "mixture_mean"
                    -log sum over batch and k of g_k exp(-1/2 |y - y_k|^2)    "batch_sum"
        loss      = loss_task + gate_weight * (the gate's own loss, for a VAE)

    In a classification y is a one-hot row and y_k the classes' probabilities. The authors minimised
    "batch_sum" at the time of the report. An example that every expert misses adds nothing to its
    sum, so the mixture does not learn it. Over a data set it is the mean of the chunks' values.

    Attributes:
      expert_inputs: float tensor [batch, features], what the experts read.
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

    def __init__(
        self, params: dict[str, Any], gate: Gate | ClusteringVAE, inputs: Tensor, labels: Tensor
    ) -> None:
        self.params = params
        self.gate = gate
        self.inputs = inputs
        self.labels = labels
        self.n_features = gate.n_features
        self.n_columns = gate.n_clusters
        self.draws = gate.draws
        self.answer = "class" if params["task"] == "classification" else "value"
        self.expert_inputs = self._choose_expert_inputs()
        with tf.variable_scope("experts"):
            self.experts = TASKS[params["task"]](
                params, self.expert_inputs, gate.n_clusters, labels
            )
        self._build_prediction()
        self._build_losses()

    def _choose_expert_inputs(self) -> Tensor:
        if self.params["expert_inputs"] == "examples":
            return self.inputs
        if self.gate.features is None:
            raise ParameterError(
                "parameter 'expert_inputs' is 'features': with the gate "
                f"{self.params['gate']!r}, whose probabilities come from no hidden layer, it must "
                "be 'examples'"
            )
        return self.gate.features

    def _build_prediction(self) -> None:
        with tf.name_scope("prediction"):
            self.predicted = self._mixture_mean(self.gate.predicted_log_probs)
            self.log_likelihood = tf.reduce_logsumexp(
                self.gate.predicted_log_probs + self.experts.log_likelihoods, axis=1
            )

    def _mixture_mean(self, log_probs: Tensor) -> Tensor:
        return tf.reduce_sum(tf.exp(log_probs)[:, :, None] * self.experts.means, axis=1)

    def _build_losses(self) -> None:
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

    def _likelihood(self, log_probs: Tensor) -> Tensor:
        joint = log_probs + self.experts.log_likelihoods
        return -tf.reduce_mean(tf.reduce_logsumexp(joint, axis=1))

    def _expected_likelihood(self, log_probs: Tensor) -> Tensor:
        expected = tf.reduce_sum(tf.exp(log_probs) * self.experts.log_likelihoods, axis=1)
        return -tf.reduce_mean(expected)

    def _squared_error(self, log_probs: Tensor) -> Tensor:
        squares = tf.math.squared_difference(self._mixture_mean(log_probs), self.experts.targets)
        return 0.5 * tf.reduce_mean(tf.reduce_sum(squares, axis=1))

    def _batch_sum(self, log_probs: Tensor) -> Tensor:
        differences = tf.math.squared_difference(
            self.experts.means, self.experts.targets[:, None, :]
        )
        return -tf.reduce_logsumexp(log_probs - 0.5 * tf.reduce_sum(differences, axis=2))

    # Training.

    @property
    def phases(self) -> dict[str, Tensor]:
        """Dict of phase to the loss that it minimises: a VAE gate's own, then the mixture's."""
        gate_phases = dict(self.gate.phases)
        if gate_phases:
            gate_phases["gate"] = gate_phases.pop("loss")
        return {**gate_phases, "loss": self.loss}

    @property
    def losses(self) -> dict[str, Tensor]:
        """Dict of name to scalar tensor: the losses that a history records."""
        gate_losses = dict(self.gate.losses)
        if gate_losses:
            gate_losses["loss_gate"] = gate_losses.pop("loss")
        return {**gate_losses, "loss_task": self.loss_task, "error": self.error, "loss": self.loss}

    @property
    def batch_means(self) -> list[Tensor]:
        """Tensors that are means over the batch, from which the losses follow."""
        return [*self.gate.batch_means, self.loss_task, self.error]

    def feed(self, batch: Batch) -> dict[Tensor, Any]:
        """Returns the feed dict for a batch.

        A classification reads the labels, whole numbers [n] in 0 to n_outputs - 1; a regression
        reads the targets, float32 [n, n_outputs].

        Raises:
          DataError: the arrays are not of that form, or the task's are missing.
        """
        is_classification = self.params["task"] == "classification"
        return self._feed(batch.images, batch.labels if is_classification else batch.targets)

    def _feed(self, inputs: np.ndarray, wanted: np.ndarray | None) -> dict[Tensor, Any]:
        return {
            self.inputs: self.gate.check(inputs),
            self.labels: self._check_wanted(wanted, len(inputs)),
        }

    def _check_wanted(self, wanted: np.ndarray | None, n_examples: int) -> np.ndarray:
        task, n_outputs = self.params["task"], self.params["n_outputs"]
        name = "labels" if task == "classification" else "targets"
        if wanted is None:
            raise DataError(f"{name} are None: task {task!r} needs them for every example")
        if task == "classification":
            return check_labels(wanted, n_examples, n_outputs)
        return check_targets(wanted, n_examples, n_outputs)

    def schedule(self, phase: str, epoch: int) -> dict[Tensor, float]:
        """Returns what the gate's own schedule feeds while a VAE gate is trained alone."""
        return {} if phase == "loss" else self.gate.schedule(phase, epoch)

    def pretrain(self, trainer: Any, train_set: DataSet) -> None:
        """Prepares the gate and the experts.

        EM fits a Gaussian mixture; a VAE is trained alone for the epochs that are left; EM fits the
        experts of a regression.

        Args:
          trainer: the `Trainer` of this model.
          train_set: a `DataSet`; its labels are not used, its targets only to fit the experts.
        """
        done = trainer.epochs_done.get("gate", 0)
        if not done:
            self.gate.pretrain(trainer, train_set)
        if self.params.get("gate_epochs") and not trainer.stopped:
            left = self.params["gate_epochs"] - done
            trainer.fit(train_set, left, sample=False, phase="gate")
        if self.params["expert_em_steps"] and not trainer.stopped:
            self.fit_experts(trainer.session, train_set, self.params["expert_em_steps"])

    def fit_experts(self, session: Session, data_set: DataSet, n_steps: int) -> None:
        """Fits a regression's experts by EM while the gate stays fixed.

        An example's responsibilities are the gate's g_k(x) in the first step and proportional to
        g_k(x) p_k(y|x) afterwards, so that an example that the gate sends to a wrong expert does
        not distort that expert's fit.

        Args:
          session: an open session.
          data_set: a `DataSet` with targets.
          n_steps: number of E- and M-steps.

        Raises:
          DataError: the data set has no targets.

        Source: Jordan and Jacobs, Hierarchical mixtures of experts and the EM algorithm, 1994.
        """
        from scipy.special import softmax

        inputs, targets = data_set.images, data_set.targets
        if targets is None or not isinstance(self.experts, RegressionExperts):
            raise DataError("EM fits the experts of a regression on a data set with targets")
        feed = self._feed(inputs, targets)
        log_probs = run_in_chunks(session, self.gate.predicted_log_probs, {self.inputs: inputs})
        read = run_in_chunks(session, self.expert_inputs, {self.inputs: inputs})
        joint = log_probs
        for _ in range(n_steps):
            self.experts.fit(session, read, targets, softmax(joint, axis=1))
            joint = log_probs + run_in_chunks(session, self.experts.log_likelihoods, feed)

    # What a trained mixture can do.

    def generate(self, session: Session, z: Any, column: Any) -> np.ndarray:
        """Draws examples from one cluster of a VAE gate; see `ClusteringVAE.generate`.

        Raises:
          ModelError: the gate has no decoder.
        """
        return self._drawing_gate().generate(session, z, column)

    def reconstruct(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns a VAE gate's decoding of each example's mean code, float [n, n_features].

        Raises:
          ModelError: the gate has no decoder.
        """
        return self._drawing_gate().reconstruct(session, inputs)

    def example_losses(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns a VAE gate's loss of each example, float array [n], in nats.

        Raises:
          ModelError: the gate gives examples no probability.
        """
        return self.gate.example_losses(session, inputs)

    def mean_codes(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns a VAE gate's mean code of each example, float array [n, z_dim].

        Raises:
          ModelError: the gate has no decoder.
        """
        return self._drawing_gate().mean_codes(session, inputs)

    def signatures(self) -> dict[str, Signature]:
        """Returns what an export can compute: what the gate can, and "predict".

        "route" gives the gate's probabilities, `predict_gate`; "predict" gives `predict_mean`.
        """
        signatures = self.gate.signatures()
        probs, means = signatures["route"].output, self.experts.means
        with tf.name_scope("signatures"):
            predicted = tf.reduce_sum(tf.expand_dims(probs, 2) * means, axis=1)
        return {**signatures, "predict": Signature({"inputs": self.inputs}, predicted)}

    def generate_pairs(
        self, session: Session, z: Any, column: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws examples from one cluster of a VAE gate, with its expert's prediction for each.

        Args:
          session: a session that holds trained variables.
          z: float array [n, z_dim], standard-normal noise; or n, for noise from NumPy's global
            generator.
          column: number of the cluster, from 0.

        Returns:
          Float arrays [n, n_features] and [n, n_outputs]: the examples and the expert's means.

        Raises:
          ModelError: the gate has no decoder.
          ParameterError: there is no such cluster.
        """
        inputs = self.generate(session, z, column)
        means = run_in_chunks(session, self.experts.means, {self.inputs: inputs})
        return inputs, means[:, column]

    def _drawing_gate(self) -> Gate | ClusteringVAE:
        if not self.draws:
            raise ModelError(
                f"a mixture of experts with the gate {self.params['gate']!r} has no decoder and "
                "draws nothing"
            )
        return self.gate

    def predict_gate(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns g(x), float array [n, n_clusters], for float32 inputs [n, n_features]."""
        feed = {self.inputs: self.gate.check(inputs)}
        return np.exp(run_in_chunks(session, self.gate.predicted_log_probs, feed))

    def predict_mean(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns sum_k g_k y_k, float array [n, n_outputs]: in a classification p(class | x)."""
        return run_in_chunks(session, self.predicted, {self.inputs: self.gate.check(inputs)})

    def predict_proba(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns p(class | x) of a classification, float array [n, n_outputs].

        Raises:
          ModelError: the task is a regression.
        """
        if self.params["task"] != "classification":
            raise ModelError("a mixture of experts for a regression has no class probabilities")
        return self.predict_mean(session, inputs)

    def predict(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the prediction: the mean [n, n_outputs] of y, or the likeliest class [n]."""
        mean = self.predict_mean(session, inputs)
        return mean.argmax(axis=1) if self.params["task"] == "classification" else mean

    def predict_log_likelihood(
        self, session: Session, inputs: np.ndarray, wanted: np.ndarray
    ) -> np.ndarray:
        """Computes log sum_k g_k p_k(y|x) for each example, float array [n], in nats.

        Args:
          session: a session that holds trained variables.
          inputs: float32 array [n, n_features].
          wanted: targets [n, n_outputs] for a regression, labels [n] for a classification.

        Raises:
          DataError: the arrays are not of that form.
        """
        return run_in_chunks(session, self.log_likelihood, self._feed(inputs, wanted))


@builds_model
def build_mixture_of_experts(
    params: Mapping[str, Any], gate: str | None = None, shape: Shape = IMAGE_SHAPE
) -> MixtureOfExperts:
    """Builds placeholders, gate and mixture in the current graph.

    Args:
      params: dict; see `mixture_of_experts_params` for names and defaults.
      gate: a key of `GATES`; None means the `gate` in `params`, or "dmvae" without one.
      shape: (height, width) of the images, or (n_features,) of points.

    Returns:
      A `MixtureOfExperts`.

    Raises:
      ParameterError: the gate or a parameter is unknown, a parameter is impossible, or `params` has
        another gate.
    """
    gate = gate or params.get("gate", "dmvae")
    if params.get("gate", gate) != gate:
        raise ParameterError(
            f"parameter 'gate' is {shown(params['gate'])}, and the argument gate is {gate!r}: they "
            "must be the same"
        )
    params = check_params({**params, "gate": gate}, mixture_of_experts_params(gate))
    entry = GATES[gate]
    inputs = tf.placeholder(tf.float32, [None, Form(shape).n_features], name="inputs")
    if params["task"] == "classification":
        if params["expert_em_steps"]:
            raise ParameterError(
                f"parameter 'expert_em_steps' is {params['expert_em_steps']}: "
                "with task 'classification' it must be 0"
            )
        labels = tf.placeholder(tf.int32, [None], name="labels")
    else:
        labels = tf.placeholder(tf.float32, [None, params["n_outputs"]], name="targets")
    own = network_params(entry.defaults, params)
    built = entry.gate({name: params[name] for name in own}, inputs, shape)
    return MixtureOfExperts(params, built, inputs, labels)
