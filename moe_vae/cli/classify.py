"""`classify`: which digit, expert or cluster a picture belongs to."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from moe_vae.cli import options
from moe_vae.data.checks import IMAGE_SHAPE, IMAGE_SIDE
from moe_vae.evaluation.metrics import match_clusters
from moe_vae.experiments.run_files import read_record
from moe_vae.model import Model

__all__ = ["add_command", "read_picture", "run"]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "classify", run, "say which digit, expert or cluster a picture belongs to"
    )
    command.add_argument(
        "image",
        type=Path,
        help="a PNG, JPEG or other picture file that Pillow reads: 28 x 28 pixels, a light digit "
        "on a dark background. Models that were trained on other data or for a regression are "
        "refused",
    )
    options.add_trained(command)


def run(arguments: argparse.Namespace) -> None:
    """Prints the likeliest answer and its probability."""
    if arguments.run_dir is not None:  # said before TensorFlow is loaded
        _check_images(arguments.run_dir)
    image = read_picture(arguments.image)
    model, session, record = options.trained_by(arguments)
    print(_answer(model, model.predict_proba(session, image)[0], record))


def _check_images(run_dir: Path) -> None:
    record = read_record(run_dir)
    if tuple(record["shape"]) != IMAGE_SHAPE:
        raise options.CommandError(
            f"{run_dir} was trained on the {record['data']}, not on images of "
            f"{IMAGE_SIDE} x {IMAGE_SIDE} pixels"
        )


def _answer(model: Model, probabilities: np.ndarray, record: dict[str, Any]) -> str:
    likeliest = int(probabilities.argmax())
    sure = f"(probability {probabilities[likeliest]:.3f})"
    if model.answer in ("digit", "class"):
        return f"digit {likeliest} {sure}"
    digit = match_clusters(np.array(record["test"]["confusion"])).get(likeliest)
    drawn = "no digit" if digit is None else f"digit {digit}"
    return f"{model.answer} {likeliest} {sure}, matched with {drawn}"


def read_picture(path: Path) -> np.ndarray:
    """Reads a picture as one image: grey, 28 x 28, a light digit on a dark background.

    Returns:
      Float32 array [1, 784] in [0, 1].

    Raises:
      CommandError: the file is damaged, no picture, or of another size.
      OSError: it cannot be read.
    """
    with path.open("rb"):  # said before a library is loaded
        pass
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("L"), np.float32) / 255
    except UnidentifiedImageError as error:
        raise options.CommandError(f"{path} is not a picture") from error
    except OSError as error:
        if error.filename:
            raise
        raise options.CommandError(f"{path} is damaged ({error})") from error
    if pixels.shape != (IMAGE_SIDE, IMAGE_SIDE):
        height, width = pixels.shape
        raise options.CommandError(
            f"{path} is {width} x {height} pixels: it must be {IMAGE_SIDE} x {IMAGE_SIDE}"
        )
    return pixels.reshape(1, -1)
