"""An independent judge of generated digits: a small convolutional classifier.

It shares nothing with the models that it judges. It is trained on labels that they may not see.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_PIXELS, IMAGE_SIDE, NUM_CLASSES, check_images
from moe_vae.data.dataset import Batch, DataSet, DataSets
from moe_vae.model import Model
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import check_params
from moe_vae.training.trainer import Trainer, start_trainer

__all__ = ["N_READ", "RECOGNISER_PARAMS", "Recogniser", "build_recogniser", "train_recogniser"]

RECOGNISER_PARAMS = {
    "epochs": 5,
    "batch_size": 50,
    "learning_rate": 0.001,
}

# How many drawings of a digit or an expert it reads to judge them.
N_READ = 200


class Recogniser(Model):
    """Two strided 5x5 convolutions (16 and 32 channels), a dense layer of 128, ten logits.

    The loss is the mean softmax cross entropy, in nats.

    Attributes:
      digit_logits, digit_prob: float tensors [batch, 10].
      loss: scalar tensor.

    Args:
      params: dict; see `RECOGNISER_PARAMS` for names and defaults.
      images: float tensor [batch, 784] in [0, 1].
      digits: whole-number tensor [batch] in 0 to 9.

    Raises:
      ParameterError: a parameter is unknown or impossible.
    """

    column = answer = "digit"
    n_columns = NUM_CLASSES

    def __init__(self, params: Mapping[str, Any], images: Tensor, digits: Tensor) -> None:
        self.params = check_params(params, RECOGNISER_PARAMS)
        self.n_features = IMAGE_PIXELS
        self.images = images
        self.digits = digits
        with tf.variable_scope("recogniser"):
            h = tf.reshape(images, [-1, IMAGE_SIDE, IMAGE_SIDE, 1])
            h = tf.layers.conv2d(h, 16, 5, strides=2, padding="same", activation=tf.nn.relu)
            h = tf.layers.conv2d(h, 32, 5, strides=2, padding="same", activation=tf.nn.relu)
            h = tf.layers.dense(tf.layers.flatten(h), 128, activation=tf.nn.relu)
            self.digit_logits = tf.layers.dense(h, NUM_CLASSES)
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
        """Returns p(digit | image), float array [n, 10], for float32 images [n, 784]."""
        return run_in_chunks(session, self.digit_prob, {self.images: check_images(inputs)})

    def predict(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the likeliest digit, whole-number array [n], for float32 images [n, 784]."""
        return self.predict_proba(session, inputs).argmax(axis=1)


def build_recogniser(params: Mapping[str, Any]) -> Recogniser:
    """Builds placeholders and the classifier in the current graph; see `Recogniser`."""
    images = tf.placeholder(tf.float32, [None, IMAGE_PIXELS], name="images")
    digits = tf.placeholder(tf.int32, [None], name="digits")
    return Recogniser(params, images, digits)


def train_recogniser(data_sets: DataSets, seed: int = 0) -> tuple[Trainer, float]:
    """Trains the independent classifier that judges generated digits.

    Args:
      data_sets: a `DataSets`; the classifier learns from the training labels.
      seed: seed of its weights and batches.

    Returns:
      Its `Trainer`, and its accuracy on the test images.
    """
    trainer = start_trainer(build_recogniser, {}, seed)
    # A new data set, without the neighbours or targets that other models read.
    trainer.fit(DataSet(data_sets.train.images, data_sets.train.labels))
    predicted = trainer.model.predict(trainer.session, data_sets.test.images)
    return trainer, float((predicted == data_sets.test.labels).mean())
