"""TensorBoard logs of a training: curves, gradient norms, pictures and the graph."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from moe_vae.compat import tf
from moe_vae.data.dataset import DataSet
from moe_vae.training.trainer import Trainer

__all__ = ["TensorBoardLog"]


class TensorBoardLog:
    """Writes event files after each epoch; one of `Trainer.listeners`.

    Steps are epochs, counted over all phases. It writes

    - `losses/...`: the losses over the training set;
    - `learning_rate`: the rate that was fed in the epoch;
    - `gradient_norm/...`: for each part of the network, in the epoch's last step;
    - `seconds_an_epoch`: the time of the training steps;
    - `samples`: the model's pictures from one code, side by side, if it draws any;
    - the graph, once.

    Args:
      directory: the directory of the event files; created if it is missing.
      trainer: a `Trainer`, new or restored from a checkpoint. TensorBoard then hides what was
        logged before for the epochs that are trained again.
    """

    def __init__(self, directory: Path, trainer: Trainer) -> None:
        # With the suffix, two starts within one second write different files.
        suffix = f".after-epoch-{trainer.n_epochs:06d}"
        self._writer = tf.summary.FileWriter(os.fspath(directory), filename_suffix=suffix)
        self._writer.add_graph(trainer.session.graph)
        restart = tf.SessionLog(status=tf.SessionLog.START)
        self._writer.add_session_log(restart, global_step=trainer.n_epochs + 1)
        self._writer.flush()

    def __call__(self, trainer: Trainer, train_set: DataSet) -> None:
        """Logs the last epoch."""
        values: dict[str, Any] = {}
        for name, history in trainer.history.items():
            last: Any = history[-1]
            if isinstance(last, list):  # the experts' shares
                values |= {f"{name}/{number}": value for number, value in enumerate(last)}
            else:
                values[f"losses/{name}"] = last
        values["learning_rate"] = trainer.rate
        values |= {f"gradient_norm/{part}": n for part, n in trainer.gradient_norms.items()}
        values["seconds_an_epoch"] = trainer.seconds[-1]
        summary = tf.Summary()
        for tag, value in values.items():
            summary.value.add(tag=tag, simple_value=value)
        if trainer.samples and len(train_set.shape) == 2:
            pictures = trainer.samples[-1].reshape(-1, *train_set.shape)
            summary.value.add(tag="samples", image=_picture(pictures))
        self._writer.add_summary(summary, trainer.n_epochs)
        self._writer.flush()

    def close(self) -> None:
        """Closes the event file; nothing can be logged afterwards."""
        self._writer.close()


def _picture(images: np.ndarray) -> Any:
    """Returns images [n, height, width] side by side, white on black, as a summary's image."""
    from PIL import Image

    pixels = np.rint(np.clip(255 * np.concatenate(list(images), axis=1), 0, 255)).astype(np.uint8)
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, format="PNG")
    height, width = pixels.shape
    return tf.Summary.Image(
        height=height, width=width, colorspace=1, encoded_image_string=png.getvalue()
    )
