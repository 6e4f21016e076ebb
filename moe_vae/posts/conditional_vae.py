"""Post 2: a variational autoencoder whose decoder is told which digit to draw.

The model predicts the digit from the image. So it can encode an image without a label, and it can
draw a digit without an image when the prediction is fed.

The module follows the post's cells, each under its mark: 1 (imports), 2 (data), 3 (parameters),
4 (networks), 5 (graph), 6 (losses), 7 (what training asks for), 8 and 9 (figures); then what a
trained model can do. Notebook 01 has what is not here: the optimiser, the training loop, the
figures.
"""

# Post 2, cell 1: the imports. The cell's two seeds are set by `moe_vae.set_seeds`.

from collections.abc import Mapping
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_SHAPE, NUM_CLASSES, DataError, check_examples, check_labels
from moe_vae.data.dataset import Batch, Form, Shape
from moe_vae.model import Model, Signature, builds_model
from moe_vae.nn.layers import gaussian_code, reparametrise
from moe_vae.nn.losses import gaussian_reconstruction_loss, kl_to_standard_normal
from moe_vae.nn.networks import decoder_layers, decoder_output, encoder_layers
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import check_params

__all__ = ["CONDITIONAL_VAE_PARAMS", "ConditionalVAE", "build_conditional_vae"]

# Post 2, cell 2: the data come from `moe_vae.read_data_sets`. The cell's `input_size` is
# the number of pixels of `IMAGE_SHAPE`; its `num_digits` is the parameter `n_classes`.

# Post 2, cell 3: the parameters. `network`, `n_classes` and `output_activation` are ours: "conv"
# for convolutions, another number of classes, and "linear" for data that are no images.

CONDITIONAL_VAE_PARAMS: dict[str, Any] = {
    "network": "dense",
    "encoder_layers": [128],
    "decoder_layers": [128],
    "digit_classification_layers": [128],
    "activation": "sigmoid",
    "output_activation": "sigmoid",
    "n_classes": NUM_CLASSES,
    "decoder_std": 0.5,
    "z_dim": 10,
    "digit_classification_weight": 10.0,
    "epochs": 20,
    "batch_size": 100,
    "learning_rate": 0.001,
}


class ConditionalVAE(Model):
    """The conditional VAE's graph: networks, losses, and what a trained model can do.

    With x an image, x' its decoding, sigma the `decoder_std` and c the digit's probabilities:

        q(z|x) = N(encoder_mu, encoder_var),  c = softmax(digit_logits(x)),  x' = decoder([z, c])
        loss_auto_encode      = mean over the batch of -log N(x; x', sigma) + KL(q(z|x) || N(0, I))
        loss_digit_classifier = digit_classification_weight * mean cross entropy of c
        loss                  = loss_auto_encode + loss_digit_classifier

    Attributes, all tensors; `eps`, `z` and `digit_prob` may be fed as well:
      encoder_mu, encoder_var, eps, z: float [batch, z_dim].
      digit_logits, digit_prob: float [batch, n_classes].
      decoded_images: float [batch, n_features]; by the post in (0, 1), as images are.
      loss_auto_encode, loss_digit_classifier, loss: scalars, in nats.

    Args:
      params: dict; see `CONDITIONAL_VAE_PARAMS` for names and defaults.
      images: float tensor [batch, n_features], of the post's 784 pixels in [0, 1] or of anything
        else, for which `output_activation` can be "linear".
      digits: whole-number tensor [batch] in 0 to n_classes - 1.
      shape: (height, width) of the images, or (n_features,) of points.

    Raises:
      ParameterError: a parameter is unknown or impossible.

    Source: post 2, cells 4 to 7.
    """

    column = answer = "digit"
    draws = True

    def __init__(
        self,
        params: Mapping[str, Any],
        images: Tensor,
        digits: Tensor,
        shape: Shape = IMAGE_SHAPE,
    ) -> None:
        self.shape = shape
        self.params = check_params(params, CONDITIONAL_VAE_PARAMS)
        self.n_columns = self.params["n_classes"]
        self.n_features = int(images.shape[1])
        self.images = images
        self.digits = digits
        self._build_network()
        self._build_losses()

    # Post 2, cell 4: the networks, each a stack of layers: by the post of dense ones.

    def encoder(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Adds layers from images [batch, n_features] to `mu` and `var` [batch, z_dim]."""
        h = encoder_layers(x, self.params, "encoder", self.shape)
        return gaussian_code(h, self.params["z_dim"])

    def decoder(self, z: Tensor) -> Tensor:
        """Adds layers from code and digit, side by side, to an image [batch, n_features]."""
        h = decoder_layers(z, self.params, self.shape)
        activation = self.params["output_activation"]
        return decoder_output(h, self.params, self.shape, self.n_features, activation)

    def digit_classifier(self, x: Tensor) -> Tensor:
        """Adds layers from images [batch, n_features] to the digits' logits."""
        h = encoder_layers(x, self.params, "digit_classification", self.shape)
        return tf.layers.dense(h, self.n_columns)

    # Post 2, cell 5: the graph.

    def _build_network(self) -> None:
        with tf.name_scope("encoder"):
            self.encoder_mu, self.encoder_var = self.encoder(self.images)
        self.eps, self.z = reparametrise(self.encoder_mu, self.encoder_var)
        with tf.name_scope("digit_classifier"):
            self.digit_logits = self.digit_classifier(self.images)
            self.digit_prob = tf.nn.softmax(self.digit_logits, name="digit_prob")
        with tf.name_scope("decoder"):
            self.decoded_images = self.decoder(tf.concat([self.z, self.digit_prob], axis=1))

    # Post 2, cell 6: the losses. Notebook 01 and the `Trainer` add Adam on their sum.

    def _build_losses(self) -> None:
        with tf.name_scope("loss_auto_encode"):
            reconstruction = gaussian_reconstruction_loss(
                self.images, self.decoded_images, self.params["decoder_std"]
            )
            prior = kl_to_standard_normal(self.encoder_mu, self.encoder_var)
            self._example_losses = reconstruction + prior
            self.loss_auto_encode = tf.reduce_mean(self._example_losses)
        with tf.name_scope("loss_digit_classifier"):
            cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels=self.digits, logits=self.digit_logits
            )
            self.loss_digit_classifier = self.params[
                "digit_classification_weight"
            ] * tf.reduce_mean(cross_entropy)
        self.loss = tf.add(self.loss_auto_encode, self.loss_digit_classifier, name="loss")

    # Post 2, cell 7: what the training loop feeds, records and draws. Notebook 01 has the loop, and
    # so has the `Trainer`.

    def feed(self, batch: Batch) -> dict[Tensor, Any]:
        """Returns the feed dict for a batch.

        Raises:
          DataError: the images have another type or shape than the model reads; the batch has no
            labels, or one that is no class.
        """
        images = batch.images
        # Its values were checked by the data set; again they would cost some percent of a step.
        if images.dtype != np.float32 or images.shape[1:] != (self.n_features,):
            self._check(images)
        if batch.labels is None:
            raise DataError("the data have no labels: the conditional VAE is trained on them")
        digits = check_labels(batch.labels, len(images), self.n_columns)
        return {self.images: images, self.digits: digits}

    @property
    def losses(self) -> dict[str, Tensor]:
        """Dict of name to scalar tensor: the losses that a history records."""
        return {
            "loss_auto_encode": self.loss_auto_encode,
            "loss_digit_classifier": self.loss_digit_classifier,
            "loss": self.loss,
        }

    @property
    def batch_means(self) -> list[Tensor]:
        """Tensors that are means over the batch, from which the losses follow."""
        return [self.loss_auto_encode, self.loss_digit_classifier]

    def generate_row(self, session: Session, z: np.ndarray) -> np.ndarray:
        """Draws every digit from one code.

        Args:
          session: a session that holds trained variables.
          z: float array [1, z_dim].

        Returns:
          Float array [n_classes, n_features]: the post's digits 0 to 9.

        Source: post 2, cell 7.
        """
        return self.generate(
            session, np.repeat(z, self.n_columns, axis=0), np.arange(self.n_columns)
        )

    # Post 2, cell 8: the losses' curves are drawn by `moe_vae.plots.charts.plot_losses`.

    # Post 2, cell 9: the digits of every epoch are drawn by `moe_vae.plots.charts.plot_samples`.

    # Beyond the post: what a trained model can do.

    def generate(self, session: Session, z: np.ndarray, column: Any) -> np.ndarray:
        """Draws digit `column[i]` from code `z[i]`.

        Args:
          session: a session that holds trained variables.
          z: float array [n, z_dim].
          column: the digits, whole numbers [n] in 0 to n_classes - 1, or one digit for all codes.

        Returns:
          Float array [n, n_features].

        Raises:
          DataError: a digit is out of range.
        """
        digits = np.broadcast_to(column, len(z))
        if digits.min() < 0 or digits.max() >= self.n_columns:
            raise DataError(
                f"digits are {digits.tolist()}: each must be in 0 to {self.n_columns - 1}"
            )
        one_hot = np.eye(self.n_columns, dtype=np.float32)[digits]
        return run_in_chunks(session, self.decoded_images, {self.z: z, self.digit_prob: one_hot})

    def predict_proba(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns p(digit | image), float array [n, n_classes], for float32 [n, n_features]."""
        return run_in_chunks(session, self.digit_prob, {self.images: self._check(inputs)})

    def predict(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the likeliest digit, whole-number array [n], for float32 [n, n_features]."""
        return self.predict_proba(session, inputs).argmax(axis=1)

    def reconstruct(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the decoding of each image's mean code (eps = 0), float array [n, n_features]."""
        images = self._check(inputs)
        no_noise = np.zeros([len(images), self.params["z_dim"]], np.float32)
        return run_in_chunks(
            session, self.decoded_images, {self.images: images, self.eps: no_noise}
        )

    def example_losses(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns each image's VAE loss at its mean code (eps = 0), float array [n], in nats."""
        images = self._check(inputs)
        no_noise = np.zeros([len(images), self.params["z_dim"]], np.float32)
        return run_in_chunks(
            session, self._example_losses, {self.images: images, self.eps: no_noise}
        )

    def _check(self, inputs: np.ndarray) -> np.ndarray:
        are_images = self.params["output_activation"] == "sigmoid"
        return check_examples(inputs, self.n_features, are_images)

    def mean_codes(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns each image's mean code, float array [n, z_dim], for float32 [n, n_features]."""
        return run_in_chunks(session, self.encoder_mu, {self.images: self._check(inputs)})

    def signatures(self) -> dict[str, Signature]:
        """Returns what an export can compute; see `Model.signatures`.

        The `column` of "generate" is the digit's probabilities, so it may also mix digits.
        """
        inputs = {"inputs": self.images}
        return {
            "route": Signature(inputs, self.digit_prob),
            "encode": Signature(inputs, self.encoder_mu),
            "reconstruct": Signature(inputs, self.decoded_images, {self.z: self.encoder_mu}),
            "generate": Signature({"z": self.z, "column": self.digit_prob}, self.decoded_images),
        }


# Post 2, cell 5: the placeholders, and the model on them.


@builds_model
def build_conditional_vae(params: Mapping[str, Any], shape: Shape = IMAGE_SHAPE) -> ConditionalVAE:
    """Builds placeholders and the model in the current graph.

    Args:
      params: dict as for `ConditionalVAE`.
      shape: (height, width) of the images, or (n_features,) of points.

    Returns:
      A `ConditionalVAE`.

    Source: post 2, cell 5.
    """
    images = tf.placeholder(tf.float32, [None, Form(shape).n_features], name="images")
    digits = tf.placeholder(tf.int32, [None], name="digits")
    return ConditionalVAE(params, images, digits, shape)
