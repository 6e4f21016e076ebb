"""Post 3: ten VAEs and a manager that learns, without labels, which of them an image goes to.

The module follows the post's cells, each under its mark: 1 (imports), 2 (data), 3 (parameters),
4 (`VAE`), 5 (`Manager`; inside it 7, what training asks for, and what a trained mixture can do),
6 (graph), 8 and 9 (figures). Notebook 02 has what is not here: the optimiser, the training loop,
the figures.
"""

# Post 3, cell 1: the imports. The cell's two seeds are set by `moe_vae.set_seeds`.

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_SHAPE, check_examples
from moe_vae.data.dataset import Batch, Form, Shape
from moe_vae.model import Model, Signature, builds_model
from moe_vae.nn.layers import gaussian_code, reparametrise, weighted_sum
from moe_vae.nn.losses import gaussian_reconstruction_loss, kl_to_standard_normal
from moe_vae.nn.networks import decoder_layers, decoder_output, encoder_layers
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import ParameterError, check_params

__all__ = [
    "MIXTURE_OF_VAES_PARAMS",
    "VAE",
    "Manager",
    "build_experts",
    "build_mixture_of_vaes",
]

# Post 3, cell 2: the data come from `moe_vae.read_data_sets`. The cell's `INPUT_SIZE` is
# the number of pixels of `IMAGE_SHAPE`; its `NUM_DIGITS` is the parameter `n_experts`.

# Post 3, cell 3: the parameters. `network`, `n_experts` and `output_activation` are ours: "conv"
# for convolutions, another number of experts, and "linear" for experts that draw points.

MIXTURE_OF_VAES_PARAMS: dict[str, Any] = {
    "network": "dense",
    "n_experts": 10,
    "manager_layers": [128],
    "encoder_layers": [128],
    "decoder_layers": [128],
    "activation": "sigmoid",
    "output_activation": "sigmoid",
    "decoder_std": 0.5,
    "z_dim": 10,
    "balancing_weight": 0.1,
    "epochs": 100,
    "batch_size": 100,
    "learning_rate": 0.001,
}

# Graph collection in which each VAE leaves its number, so that every graph counts from 0.
_VAE_COLLECTION = "moe_vae/vae"


# Post 3, cell 4: one expert.


class VAE:
    """One expert: a variational autoencoder with its own encoder and decoder.

    With x an image, x' its decoding and sigma the `decoder_std`:

        q(z|x) = N(encoder_mu, encoder_var),  x' = decoder(z)
        loss   = -log N(x; x', sigma) + KL(q(z|x) || N(0, I)),  for each image, in nats

    The variables stand in the scopes `encode_{id}` and `decode_{id}`; instances count from 0 in
    each graph.

    Attributes:
      encoder_mu, encoder_var, eps, z: float tensors [batch, z_dim]; `eps` and `z` may be fed.
      decoded_images: float tensor [batch, n_features]; by the post in (0, 1), as images are.
      loss: float tensor [batch].

    Args:
      params: dict; see `MIXTURE_OF_VAES_PARAMS` for names and defaults.
      images: float tensor [batch, n_features], of the post's 784 pixels in [0, 1] or of anything
        else, for which `output_activation` can be "linear".
      shape: (height, width) of the images, or (n_features,) of points.

    Raises:
      ParameterError: a parameter is unknown or impossible.

    Source: post 3, cell 4.
    """

    def __init__(
        self, params: Mapping[str, Any], images: Tensor, shape: Shape = IMAGE_SHAPE
    ) -> None:
        self.shape = shape
        self.params = check_params(params, MIXTURE_OF_VAES_PARAMS)
        self.n_features = int(images.shape[1])
        self.id = len(tf.get_collection(_VAE_COLLECTION))
        tf.add_to_collection(_VAE_COLLECTION, self.id)

        with tf.name_scope(f"expert_{self.id}"):
            self.encoder_mu, self.encoder_var = self.encode(images)
            self.eps, self.z = reparametrise(self.encoder_mu, self.encoder_var)
            self.decoded_images = self.decode(self.z)
            reconstruction = gaussian_reconstruction_loss(
                images, self.decoded_images, self.params["decoder_std"]
            )
            prior = kl_to_standard_normal(self.encoder_mu, self.encoder_var)
            self.loss = tf.add(reconstruction, prior, name="loss")

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns `mu` and `var` [batch, z_dim] of q(z|x); the weights are shared by all calls."""
        with tf.variable_scope(f"encode_{self.id}", reuse=tf.AUTO_REUSE):
            h = encoder_layers(images, self.params, "encoder", self.shape)
            return gaussian_code(h, self.params["z_dim"])

    def decode(self, z: Tensor) -> Tensor:
        """Returns the image [batch, n_features] of a code; the weights are shared by all calls."""
        with tf.variable_scope(f"decode_{self.id}", reuse=tf.AUTO_REUSE):
            h = decoder_layers(z, self.params, self.shape)
            activation = self.params["output_activation"]
            return decoder_output(h, self.params, self.shape, self.n_features, activation)


# Post 3, cell 5: the manager.


class Manager(Model):
    """The manager: sends each image to the experts, and learns from how well they did.

    With L [batch, experts] the experts' losses and p [batch, experts] the manager's output:

        expected_expert_loss = mean over the batch of sum_experts p * L
        balancing_loss       = variance over the experts of sum_batch p
        loss                 = expected_expert_loss + balancing_weight * balancing_loss

    `balancing_loss` sums over the batch before it squares: on 55,000 images it is of the order
    of 1e5 to 1e6, on a batch of 100 of the order of 1.

    Attributes:
      probs: float tensor [batch, experts]; rows sum to 1.
      expert_losses: float tensor [batch, experts].
      prob_sums: float tensor [experts], the sum of `probs` over the batch.
      expected_expert_loss, balancing_loss, loss: scalar tensors.

    Args:
      params: dict; see `MIXTURE_OF_VAES_PARAMS` for names and defaults.
      experts: list of `VAE`, all on `images`.
      images, shape: as for `VAE`.

    Raises:
      ParameterError: a parameter is unknown or impossible, or there is no expert.

    Source: post 3, cell 5.
    """

    defaults: Mapping[str, Any] = MIXTURE_OF_VAES_PARAMS
    column = answer = "expert"
    draws = True

    def __init__(
        self,
        params: Mapping[str, Any],
        experts: Sequence[Any],
        images: Tensor,
        shape: Shape = IMAGE_SHAPE,
    ) -> None:
        self.shape = shape
        self.params = check_params(params, self.defaults)
        if not experts:
            raise ParameterError("experts is empty: it must hold at least one VAE")
        self.experts = list(experts)
        self.n_columns = self.params["n_experts"] = len(self.experts)
        self.n_features = int(images.shape[1])
        self.images = images

        with tf.name_scope("manager"):
            self.probs = self.calc_probs(images)
            self.expert_losses = self._calc_expert_losses()
            self._build_mixture_losses()

    def calc_probs(self, images: Tensor) -> Tensor:
        """Returns p(expert | image), float tensor [batch, experts]; calls share their weights."""
        with tf.variable_scope("prob", reuse=tf.AUTO_REUSE):
            h = encoder_layers(images, self.params, "manager", self.shape)
            logits = tf.layers.dense(h, len(self.experts))
            return tf.nn.softmax(logits)

    def _calc_expert_losses(self) -> Tensor:
        return tf.stack([expert.loss for expert in self.experts], axis=1)

    def _build_mixture_losses(self) -> None:
        with tf.name_scope("expected_expert_loss"):
            self._example_losses = tf.reduce_sum(self.probs * self.expert_losses, axis=1)
            self.expected_expert_loss = tf.reduce_mean(self._example_losses)
        with tf.name_scope("balancing_loss"):
            self.prob_sums = tf.reduce_sum(self.probs, axis=0)
            self.balancing_loss = self._calc_balancing_loss()
        self.loss = tf.add(
            self.expected_expert_loss,
            self.params["balancing_weight"] * self.balancing_loss,
            name="loss",
        )

    def _calc_balancing_loss(self) -> Tensor:
        return tf.math.reduce_variance(self.prob_sums)

    # Post 3, cell 7: what the training loop feeds, records and draws. Notebook 02 has the loop, and
    # so has the `Trainer`.

    @property
    def losses(self) -> dict[str, Tensor]:
        """Dict of name to scalar tensor: the losses that a history records."""
        return {
            "expected_expert_loss": self.expected_expert_loss,
            "balancing_loss": self.balancing_loss,
            "loss": self.loss,
        }

    @property
    def batch_means(self) -> list[Tensor]:
        """Tensors that are means over the batch, from which the losses follow."""
        return [self.expected_expert_loss]

    @property
    def batch_sums(self) -> list[Tensor]:
        """Tensors that are sums over the batch, from which the losses follow."""
        return [self.prob_sums]

    def feed(self, batch: Batch) -> dict[Tensor, Any]:
        """Returns the feed dict for a batch; its labels are not used.

        Raises:
          DataError: the images have another type or shape than the model reads.
        """
        images = batch.images
        # Its values were checked by the data set; again they would cost some percent of a step.
        if images.dtype != np.float32 or images.shape[1:] != (self.n_features,):
            self._check(images)
        return {self.images: images}

    def generate_row(self, session: Session, z: np.ndarray) -> np.ndarray:
        """Lets every expert draw one and the same code.

        Args:
          session: a session that holds trained variables.
          z: float array [1, z_dim].

        Returns:
          Float array [experts, n_features].

        Source: post 3, cell 7.
        """
        drawn = session.run(
            [expert.decoded_images for expert in self.experts],
            {expert.z: z for expert in self.experts},
        )
        return np.concatenate(drawn)

    # Beyond the post: what a trained mixture can do.

    def generate(self, session: Session, z: np.ndarray, column: Any) -> np.ndarray:
        """Draws with one expert.

        Args:
          session: a session that holds trained variables.
          z: float array [n, z_dim].
          column: number of the expert, from 0.

        Returns:
          Float array [n, n_features].

        Raises:
          ParameterError: there is no such expert.
        """
        self._check_expert(column)
        expert = self.experts[column]
        return run_in_chunks(session, expert.decoded_images, {expert.z: z})

    def _check_expert(self, expert: int) -> None:
        if not 0 <= expert < self.n_columns:
            raise ParameterError(f"expert is {expert}: it must be in 0 to {self.n_columns - 1}")

    def predict_proba(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns p(expert | image), float array [n, experts], for float32 [n, n_features]."""
        return run_in_chunks(session, self.probs, {self.images: self._check(inputs)})

    def example_losses(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns each image's expected expert loss at its mean codes, float array [n], in nats."""
        images = self._check(inputs)
        no_noise = np.zeros([len(images), self.params["z_dim"]], np.float32)
        feed = {self.images: images, **dict.fromkeys(self._noises, no_noise)}
        return run_in_chunks(session, self._example_losses, feed)

    @property
    def _noises(self) -> list[Tensor]:
        """The noise of every expert's code, float tensors [batch, z_dim]."""
        return [expert.eps for expert in self.experts]

    def _check(self, inputs: np.ndarray) -> np.ndarray:
        are_images = self.params["output_activation"] == "sigmoid"
        return check_examples(inputs, self.n_features, are_images)

    def predict(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns each image's likeliest expert, whole-number array [n]."""
        return self.predict_proba(session, inputs).argmax(axis=1)

    def reconstruct(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the decoding of each image's mean code by its likeliest expert.

        Args:
          session: a session that holds trained variables.
          inputs: float32 array [n, n_features].

        Returns:
          Float array [n, n_features].
        """
        chosen = self.predict(session, inputs)
        decoded = np.empty_like(inputs)
        for number in np.unique(chosen):
            rows, expert = chosen == number, self.experts[number]
            no_noise = np.zeros([rows.sum(), self.params["z_dim"]], np.float32)
            decoded[rows] = run_in_chunks(
                session, expert.decoded_images, {self.images: inputs[rows], expert.eps: no_noise}
            )
        return decoded

    def mean_codes(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns each image's mean code by its likeliest expert.

        Args:
          session: a session that holds trained variables.
          inputs: float32 array [n, n_features].

        Returns:
          Float array [n, z_dim].
        """
        chosen = self.predict(session, inputs)
        codes = np.empty([len(inputs), self.params["z_dim"]], np.float32)
        for number in np.unique(chosen):
            rows, expert = chosen == number, self.experts[number]
            codes[rows] = run_in_chunks(session, expert.encoder_mu, {self.images: inputs[rows]})
        return codes

    def signatures(self) -> dict[str, Signature]:
        """Returns what an export can compute; see `Model.signatures`."""
        with tf.name_scope("signatures"):
            inputs, given = {"inputs": self.images}, self._without_noise()
            vaes, probs = self._choices()
            chosen = tf.one_hot(tf.argmax(probs, axis=1), len(vaes))
            z = tf.placeholder(tf.float32, [None, self.params["z_dim"]], "z")
            columns, weights = self._column_inputs()
            decoded = [vae.decoded_images for vae in vaes]
            codes = weighted_sum(chosen, [vae.encoder_mu for vae in vaes])
            return {
                "route": Signature(inputs, self._route_probs(), given),
                "encode": Signature(inputs, codes, given),
                "reconstruct": Signature(inputs, weighted_sum(chosen, decoded), given),
                "generate": Signature(
                    {"z": z, **columns},
                    weighted_sum(weights, decoded),
                    {vae.z: z for vae in vaes},
                ),
            }

    def comparisons(self) -> dict[str, Signature]:
        """Returns each expert's decoding and loss; see `Model.comparisons`."""
        with tf.name_scope("comparisons"):
            inputs, given = {"inputs": self.images}, self._without_noise()
            decodings, losses = self._expert_results()
            return {
                "compare": Signature(inputs, decodings, given),
                "measure": Signature(inputs, losses, given),
            }

    def _expert_results(self) -> tuple[Tensor, Tensor]:
        """Returns the experts' decodings [batch, experts, n_features] and losses."""
        decodings = [expert.decoded_images for expert in self.experts]
        return tf.stack(decodings, axis=1), self.expert_losses

    def _without_noise(self) -> dict[Tensor, Tensor]:
        """Returns what takes the place of which tensor in a signature: mean codes, of codes."""
        return {vae.z: vae.encoder_mu for vae in self._choices()[0]}

    def _route_probs(self) -> Tensor:
        """Returns p(expert | image) of a trained mixture, float tensor [batch, experts]."""
        return self.probs

    def _choices(self) -> tuple[list[VAE], Tensor]:
        """Returns the VAEs, and the probability of each, float tensor [batch, VAEs]."""
        return self.experts, self._route_probs()

    def _column_inputs(self) -> tuple[dict[str, Tensor], Tensor]:
        """Returns the inputs that choose a VAE, and each one's weight [batch, VAEs]."""
        column = tf.placeholder(tf.float32, [None, self.n_columns], "column")
        return {"column": column}, column


# Post 3, cell 6: the graph. Notebook 02 and the `Trainer` add Adam on the manager's loss.


def build_experts(params: Mapping[str, Any], shape: Shape) -> tuple[Tensor, list[VAE]]:
    """Builds the placeholder of the images and the experts on it in the current graph.

    Args:
      params: dict as for `VAE`; `n_experts` is the number of experts.
      shape: (height, width) of the images, or (n_features,) of points.

    Returns:
      The placeholder, float tensor [batch, n_features], and the list of the `VAE`s.

    Raises:
      ParameterError: a parameter is unknown or impossible.
    """
    params = check_params(params, MIXTURE_OF_VAES_PARAMS)
    images = tf.placeholder(tf.float32, [None, Form(shape).n_features], name="images")
    return images, [VAE(params, images, shape) for _ in range(params["n_experts"])]


@builds_model
def build_mixture_of_vaes(params: Mapping[str, Any], shape: Shape = IMAGE_SHAPE) -> Manager:
    """Builds the post's placeholder, experts and manager in the current graph.

    Args:
      params: dict; see `MIXTURE_OF_VAES_PARAMS` for names and defaults.
      shape: (height, width) of the images, or (n_features,) of points.

    Returns:
      The `Manager`; its `experts` are the VAEs.

    Raises:
      ParameterError: a parameter is unknown or impossible.

    Source: post 3, cell 6.
    """
    images, experts = build_experts(params, shape)
    return Manager(params, experts, images, shape)


# Post 3, cell 8: the losses' curves are drawn by `moe_vae.plots.charts.plot_losses`.


# Post 3, cell 9: the experts' pictures of twenty epochs are drawn by
# `moe_vae.plots.charts.plot_samples`.
