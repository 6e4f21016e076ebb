"""What VaDE and DMVAE have in common: a variational autoencoder whose prior is a mixture."""

import numpy as np

from moe_vae.compat import tf
from moe_vae.data.checks import DataError, check_points
from moe_vae.nn.gaussian_mixture import GaussianMixture
from moe_vae.nn.layers import gaussian_code, hidden_layers, reparametrise
from moe_vae.nn.losses import (
    bernoulli_reconstruction_loss,
    gaussian_reconstruction_loss,
    kl_between_categoricals,
    kl_between_gaussians,
)
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import ParameterError
from moe_vae.training.schedules import cosine_decay

__all__ = ["SPIRAL_PARAMS", "ClusteringVAE", "check_inputs"]

# What `make_spiral` asks of either model beside the model's own defaults.
SPIRAL_PARAMS = {"n_clusters": 5, "likelihood": "gaussian", "input_std": 5.0, "epochs": 60}


def check_inputs(inputs, n_features, likelihood):
    """Checks that `inputs` can come from a model's decoder.

    Args:
      inputs: array-like.
      n_features: number of columns.
      likelihood: "bernoulli" asks for values in [0, 1], "gaussian" for finite ones.

    Returns:
      `inputs`, as they are.

    Raises:
      DataError: wrong type, shape or values; the message says what came.
    """
    inputs = check_points(inputs, n_features)
    low, high = inputs.min(), inputs.max()
    if likelihood == "bernoulli" and (low < 0 or high > 1):
        raise DataError(
            f"inputs range from {low} to {high}: "
            "with likelihood 'bernoulli' every value must be in [0, 1]"
        )
    return inputs


class ClusteringVAE:
    """A VAE with the generative story c ~ Cat(pi), z|c ~ N(mu_c, diag var_c), x|z ~ decoder(z).

    A subclass says what q(c|x) is (`_build_cluster_probs`) and of which terms its loss consists
    (`_build_losses`). The decoder's likelihood is Bernoulli with mean sigmoid(.), or Gaussian
    with the standard deviation `decoder_std`. The encoders read `inputs / input_std`, and a
    Gaussian decoder's mean is `input_std` times its last layer: `input_std` near the inputs' own
    standard deviation spares the networks learning the scale, and no unit changes.

    Attributes:
      encoder_mu, encoder_var, eps, z: float tensors [batch, z_dim], z = mu + sqrt(var) eps with
        eps ~ N(0, I); `eps` and `z` may be fed.
      prior: the `GaussianMixture` of the codes.
      log_probs: float tensor [batch, n_clusters], log q(c|x) as the loss has it.
      predicted_log_probs: float tensor [batch, n_clusters], log q(c|x) as a prediction has it.
      decoded: float tensor [batch, n_features], the mean of p(x|z).
      loss_reconstruction: scalar, the mean over the batch of -log p(x|z), in nats.
      loss: scalar, the negative bound, in nats for each example.
      learning_rate: scalar; may be fed.
      n_columns: number of pictures in a row, one a cluster.

    Args:
      params: dict, already checked.
      inputs: float tensor [batch, n_features].
    """

    def __init__(self, params, inputs):
        self.params = params
        self.inputs = inputs
        self.n_features = int(inputs.shape[1])
        self.n_clusters = self.n_columns = params["n_clusters"]
        self.learning_rate = tf.placeholder_with_default(
            float(params["learning_rate"]), [], "learning_rate"
        )
        with tf.variable_scope(type(self).__name__.lower()) as self._scope:
            self._build_network()
            self._build_losses()

    def _build_network(self):
        with tf.name_scope("encoder"):
            self.encoder_mu, self.encoder_var = self._encode(self.inputs)
        self.eps, self.z = reparametrise(self.encoder_mu, self.encoder_var)
        with tf.name_scope("prior"):
            self.prior = self._build_prior()
        with tf.name_scope("cluster_probs"):
            self._build_cluster_probs()
        with tf.name_scope("decoder"):
            self._decoder_output = self._decode_output(self.z)
            self.decoded = self._decoder_mean(self._decoder_output)

    def _build_prior(self):
        return GaussianMixture(self.n_clusters, self.params["z_dim"], self.params["prior_mean_std"])

    def encode(self, inputs):
        """Returns `mu` and `var` [batch, z_dim] of q(z|x); the weights are shared by all calls."""
        with tf.variable_scope(self._scope, auxiliary_name_scope=False):
            return self._encode(inputs)

    def _encode(self, inputs):
        with tf.variable_scope("encode", reuse=tf.AUTO_REUSE):
            h = hidden_layers(
                inputs / self.params["input_std"],
                self.params["encoder_layers"],
                self.params["activation"],
            )
            return gaussian_code(h, self.params["z_dim"])

    def decode(self, z):
        """Returns the mean [batch, n_features] of p(x|z); the weights are shared by all calls."""
        with tf.variable_scope(self._scope, auxiliary_name_scope=False):
            return self._decoder_mean(self._decode_output(z))

    def _decode_output(self, z):
        with tf.variable_scope("decode", reuse=tf.AUTO_REUSE):
            h = hidden_layers(z, self.params["decoder_layers"], self.params["activation"])
            return tf.layers.dense(h, self.n_features)

    def _decoder_mean(self, output):
        if self.params["likelihood"] == "bernoulli":
            return tf.sigmoid(output)
        return self.params["input_std"] * output

    def _reconstruction_loss(self, output):
        """Returns -log p(x|z), in nats, float tensor [batch], for a decoder's output."""
        if self.params["likelihood"] == "bernoulli":
            return bernoulli_reconstruction_loss(self.inputs, output)
        return gaussian_reconstruction_loss(
            self.inputs, self._decoder_mean(output), self.params["decoder_std"]
        )

    def _build_reconstruction_loss(self):
        with tf.name_scope("loss_reconstruction"):
            self.loss_reconstruction = tf.reduce_mean(
                self._reconstruction_loss(self._decoder_output)
            )

    def _expected_code_kl(self):
        """Computes the mean over the batch of sum_c q(c|x) KL(q(z|x) || N(mu_c, diag var_c))."""
        kls = kl_between_gaussians(
            self.encoder_mu[:, None, :], self.encoder_var[:, None, :], self.prior.mu, self.prior.var
        )
        return tf.reduce_mean(tf.reduce_sum(tf.exp(self.log_probs) * kls, axis=1))

    def _cluster_kl(self):
        """Computes the mean over the batch of KL(q(c|x) || pi)."""
        return tf.reduce_mean(kl_between_categoricals(self.log_probs, self.prior.log_weights))

    # What the training loop needs of a model.

    @property
    def phases(self):
        """Dict of phase to the loss that it minimises: the autoencoder alone, then the bound.

        The autoencoder is trained with its noise, so that the variances of q(z|x) are learned
        too. Left at their start, near 1, they are far wider than the clusters of a noiseless
        autoencoder's codes: on the spiral the first epoch of the bound then gave all points to
        one cluster.
        """
        return {"auto_encode": self.loss_reconstruction, "loss": self.loss}

    @property
    def losses(self):
        """Dict of name to scalar tensor: the losses that a history records."""
        return {
            "loss_reconstruction": self.loss_reconstruction,
            "loss_code": self.loss_code,
            "loss_cluster": self.loss_cluster,
            "loss": self.loss,
        }

    @property
    def batch_means(self):
        """Tensors that are means over the batch, from which the losses follow."""
        return [self.loss_reconstruction, self.loss_code, self.loss_cluster]

    @property
    def batch_sums(self):
        """Tensors that are sums over the batch, from which the losses follow: none."""
        return []

    def schedule(self, phase, epoch):
        """Returns the learning rate in an epoch's steps: with `cosine_decay` it falls to 0."""
        decays = self.params["cosine_decay"] and phase == "loss"
        share = cosine_decay(epoch, self.params["epochs"]) if decays else 1.0
        return {self.learning_rate: share * self.params["learning_rate"]}

    def feed(self, inputs, labels=None, targets=None):
        """Returns the feed dict for a batch; labels and targets are not used."""
        del labels, targets
        return {self.inputs: self.check(inputs)}

    def check(self, inputs):
        """Returns `inputs` if the model can read them, or raises `DataError`."""
        return check_inputs(inputs, self.n_features, self.params["likelihood"])

    def pretrain(self, trainer, train_set):
        """Trains the autoencoder alone, then fits the prior to its codes by EM.

        Of the autoencoder's epochs only those are trained that are not over.

        Args:
          trainer: the `Trainer` of this model, or of a model whose gate this is.
          train_set: a `DataSet`; its labels are not used.
        """
        epochs = self.params["pretrain_epochs"]
        if epochs:
            left = epochs - trainer.epochs_done["auto_encode"]
            trainer.fit(train_set, left, sample=False, phase="auto_encode")
            self.initialise_prior(trainer.session, train_set.images)

    def initialise_prior(self, session, inputs):
        """Fits the prior to the mean codes of `inputs` [n, n_features] by EM.

        Returns:
          The fitted `sklearn.mixture.GaussianMixture`.
        """
        return self.prior.fit(
            session, self.mean_codes(session, inputs), self.params["gmm_restarts"]
        )

    def generate_row(self, session, z):
        """Draws one example from every cluster, all with the same noise.

        Args:
          session: a session that holds trained variables.
          z: float array [1, z_dim], standard-normal noise.

        Returns:
          Float array [n_clusters, n_features].
        """
        return np.concatenate(
            [self.generate(session, z, cluster) for cluster in range(self.n_clusters)]
        )

    # What can be done with a trained model.

    def generate(self, session, z, cluster):
        """Draws examples from one cluster: the decoder's means at mu_c + sqrt(var_c) z.

        Args:
          session: a session that holds trained variables.
          z: float array [n, z_dim], standard-normal noise; or n, for noise from NumPy's global
            generator.
          cluster: number of the cluster, from 0.

        Returns:
          Float array [n, n_features].

        Raises:
          ParameterError: there is no such cluster.
        """
        if not 0 <= cluster < self.n_clusters:
            raise ParameterError(f"cluster is {cluster}: it must be in 0 to {self.n_clusters - 1}")
        if np.ndim(z) == 0:
            z = np.random.normal(size=[z, self.params["z_dim"]])
        mu, var = session.run([self.prior.mu, self.prior.var])
        return run_in_chunks(
            session, self.decoded, {self.z: mu[cluster] + np.sqrt(var[cluster]) * z}
        )

    def mean_codes(self, session, inputs):
        """Returns the mean code `encoder_mu` of each example, float array [n, z_dim]."""
        return run_in_chunks(session, self.encoder_mu, {self.inputs: self.check(inputs)})

    def predict(self, session, inputs):
        """Returns each example's likeliest cluster, whole-number array [n]."""
        return self.predict_proba(session, inputs).argmax(axis=1)

    def reconstruct(self, session, inputs):
        """Returns the decoding of each example's mean code (eps = 0), float [n, n_features]."""
        codes = self.mean_codes(session, inputs)
        return run_in_chunks(session, self.decoded, {self.z: codes})
