"""What TensorBoard shows of a training: curves, gradient norms, pictures and the graph."""

import io
import os

import numpy as np
from PIL import Image

from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_PIXELS, IMAGE_SIDE

__all__ = ["TensorBoardLog"]


class TensorBoardLog:
    """Writes event files after each epoch; one of `Trainer.listeners`.

    Steps are epochs, counted over all phases. It writes

    - `losses/...`: the losses over the training set;
    - `learning_rate`: Adam's;
    - `gradient_norm/...`: of each part of the network, in the epoch's last step;
    - `seconds_an_epoch`: of the training steps;
    - `samples`: the model's pictures from one code, where it draws any, side by side;
    - the graph, once.

    Args:
      directory: a `pathlib.Path`; it is made where it is missing.
      trainer: a `Trainer`, not yet trained or brought back to where another stood. What was
        logged of epochs that are to be trained again, TensorBoard then leaves out.
    """

    def __init__(self, directory, trainer):
        # The suffix keeps apart the files of two starts within one second.
        suffix = f".after-epoch-{trainer.n_epochs:06d}"
        self._writer = tf.summary.FileWriter(os.fspath(directory), filename_suffix=suffix)
        self._writer.add_graph(trainer.session.graph)
        restart = tf.SessionLog(status=tf.SessionLog.START)
        self._writer.add_session_log(restart, global_step=trainer.n_epochs + 1)
        self._writer.flush()

    def __call__(self, trainer, train_set):
        """Logs the epoch that is just over."""
        del train_set
        values = {f"losses/{name}": history[-1] for name, history in trainer.history.items()}
        values["learning_rate"] = trainer.rate
        values |= {f"gradient_norm/{part}": n for part, n in trainer.gradient_norms.items()}
        values["seconds_an_epoch"] = trainer.seconds[-1]
        summary = tf.Summary()
        for tag, value in values.items():
            summary.value.add(tag=tag, simple_value=value)
        if trainer.samples and trainer.samples[-1].shape[1] == IMAGE_PIXELS:
            summary.value.add(tag="samples", image=_picture(trainer.samples[-1]))
        self._writer.add_summary(summary, trainer.n_epochs)
        self._writer.flush()


def _picture(images):
    """Returns images [n, 784] side by side, dark on white, as a summary's image."""
    row = np.concatenate([np.reshape(image, [IMAGE_SIDE, IMAGE_SIDE]) for image in images], axis=1)
    pixels = np.rint(255 * (1 - row)).astype(np.uint8)
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, format="PNG")
    height, width = pixels.shape
    return tf.Summary.Image(
        height=height, width=width, colorspace=1, encoded_image_string=png.getvalue()
    )
