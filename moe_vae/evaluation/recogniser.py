"""An independent judge of generated images: a small convolutional classifier.

It shares nothing with the models that it judges. It is trained on labels that they may not see.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import DataError, check_images
from moe_vae.data.dataset import Batch, DataSet, DataSets, Shape
from moe_vae.model import Model
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import check_params
from moe_vae.training.trainer import Trainer, start_trainer

__all__ = [
    "N_READ",
    "RECOGNISER_PARAMS",
    "Recogniser",
    "build_recogniser",
    "read_drawings",
    "train_recogniser",
]

RECOGNISER_PARAMS = {
    "epochs": 5,
    "batch_size": 50,
    "learning_rate": 0.001,
}

# How many drawings of a digit or an expert it reads to judge them.
N_READ = 200


class Recogniser(Model):
    """Two strided 5x5 convolutions (16 and 32 channels), a dense layer of 128, the logits.

    The loss is the mean softmax cross entropy, in nats.

    Attributes:
      digit_logits, digit_prob: float tensors [batch, n_classes].
      loss: scalar tensor.

    Args:
      params: dict; see `RECOGNISER_PARAMS` for names and defaults.
      images: float tensor [batch, height * width] in [0, 1].
      digits: whole-number tensor [batch] in 0 to n_classes - 1.
      shape: (height, width).
      n_classes: number of classes.

    Raises:
      ParameterError: a parameter is unknown or impossible.
    """

    column = answer = "digit"

    def __init__(
        self,
        params: Mapping[str, Any],
        images: Tensor,
        digits: Tensor,
        shape: Shape,
        n_classes: int,
    ) -> None:
        self.params = check_params(params, RECOGNISER_PARAMS)
        self.n_features, self.n_columns = int(images.shape[1]), n_classes
        self.images = images
        self.digits = digits
        with tf.variable_scope("recogniser"):
            h = tf.reshape(images, [-1, *shape, 1])
            h = tf.layers.conv2d(h, 16, 5, strides=2, padding="same", activation=tf.nn.relu)
            h = tf.layers.conv2d(h, 32, 5, strides=2, padding="same", activation=tf.nn.relu)
            h = tf.layers.dense(tf.layers.flatten(h), 128, activation=tf.nn.relu)
            self.digit_logits = tf.layers.dense(h, n_classes)
        self.digit_prob = tf.nn.softmax(self.digit_logits, name="digit_prob")
        with tf.name_scope("loss"):
            self.loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(
                    labels=digits, logits=self.digit_logits
                )
            )

    @property
    def losses(self) -> dict[str, Tensor]:
        """Dict of name to scalar tensor: the loss that a history records."""
        return {"loss": self.loss}

    @property
    def batch_means(self) -> list[Tensor]:
        """Tensors that are means over the batch, from which the loss follows."""
        return [self.loss]

    def feed(self, batch: Batch) -> dict[Tensor, Any]:
        """Returns the feed dict for a batch."""
        return {self.images: batch.images, self.digits: batch.labels}

    def predict_proba(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns p(digit | image), float array [n, n_classes], for float32 images."""
        images = check_images(inputs, self.n_features)
        return run_in_chunks(session, self.digit_prob, {self.images: images})

    def predict(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the likeliest digit, whole-number array [n], for float32 images."""
        return self.predict_proba(session, inputs).argmax(axis=1)


def build_recogniser(params: Mapping[str, Any], shape: Shape, n_classes: int) -> Recogniser:
    """Builds placeholders and the classifier in the current graph; see `Recogniser`."""
    images = tf.placeholder(tf.float32, [None, math.prod(shape)], name="images")
    digits = tf.placeholder(tf.int32, [None], name="digits")
    return Recogniser(params, images, digits, shape, n_classes)


def read_drawings(recogniser: Trainer, drawn: np.ndarray) -> np.ndarray:
    """Returns the digit that each drawing is read as, whole-number array [n].

    A decoder with a linear output can draw values outside [0, 1]. They count as 0 or 1, which is
    how figures show them.

    Args:
      recogniser: a `Recogniser`'s `Trainer`.
      drawn: float array [n, n_features], what a model's `generate` returns.
    """
    return recogniser.model.predict(recogniser.session, np.clip(drawn, 0, 1))


def train_recogniser(data_sets: DataSets, seed: int = 0) -> tuple[Trainer, float]:
    """Trains the independent classifier that judges generated images.

    Args:
      data_sets: a `DataSets`; the classifier learns from the training labels.
      seed: seed of its weights and batches.

    Returns:
      Its `Trainer`, and its accuracy on the test images.

    Raises:
      DataError: the data are points, or have no labels.
    """
    form, train = data_sets.form, data_sets.train
    if form.are_points or form.n_classes is None or train.labels is None:
        raise DataError(f"{data_sets.name}: a recogniser needs images with labels")
    build = functools.partial(build_recogniser, shape=form.shape, n_classes=form.n_classes)
    trainer = start_trainer(build, {}, seed)
    # A new data set, without the neighbours or targets that other models read.
    trainer.fit(DataSet(train.images, train.labels, shape=train.shape))
    predicted = trainer.model.predict(trainer.session, data_sets.test.images)
    return trainer, float((predicted == data_sets.test.needed_labels()).mean())
