"""Picture files as grey images: PNG, JPEG and whatever else Pillow reads."""

import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from moe_vae.data.checks import DataError
from moe_vae.data.limits import check_features, check_unpacked, existing
from moe_vae.data.notices import notice
from moe_vae.data.pixels import fit_to_size, has_colours, to_grey
from moe_vae.messages import progress_bar

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Pictures", "Size", "counted", "read_pictures"]

Size = tuple[int, int]
N_NAMED = 3  # of the pictures that were left out
# What Pillow raises for damaged files, of its many formats.
FAULTS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    NotImplementedError,
    struct.error,
    zlib.error,
)


class Pictures(NamedTuple):
    """Pictures of one size.

    Attributes:
      pixels: uint8 or uint16 array [n, height, width].
      kept: whole-number array [n]: which of the files they are, if some were left out.
    """

    pixels: np.ndarray
    kept: np.ndarray


def read_pictures(
    paths: Sequence[str | Path], image_size: Size | None = None, skip_bad: bool = False
) -> Pictures:
    """Reads picture files of one size, or scales them to one.

    Notices say how many were in colour, transparent, resized or left out.

    Args:
      paths: at least one regular file.
      image_size: (height, width) to which a picture is scaled, its proportions kept; see
        `fit_to_size`. None leaves its size.
      skip_bad: whether files that cannot be read are left out; else they are refused.

    Returns:
      A `Pictures`, 16-bit if one of the files is.

    Raises:
      DataError: a file is missing, no regular file, no picture, damaged, or a picture of so many
        pixels that Pillow takes it for an attack; all are left out; a picture has another size than
        the one before; or they need too much memory.
    """
    notes = _Notes()
    pixels: np.ndarray | None = None
    kept: list[int] = []
    # With disable=None there is a bar in a terminal and none in a log.
    progress = progress_bar(paths, "pictures", disable=None if len(paths) > 1 else True)
    for number, path in enumerate(progress):
        try:
            picture = _read_grey(existing(path, folders=False), image_size, notes)
        except DataError as error:
            if not skip_bad:
                raise
            notes.bad.append(str(error))
            continue
        if pixels is None:
            pixels = _space(len(paths), picture, path)
        if picture.shape != pixels.shape[1:]:
            raise DataError(
                f"{path}: has {_written(picture.shape)} pixels, but {paths[kept[0]]} has "
                f"{_written(pixels.shape[1:])}: all must have one size, or image_size must be given"
            )
        if picture.dtype != pixels.dtype:
            pixels, picture = _deepened(pixels), _deepened(picture)
        pixels[len(kept)] = picture
        kept.append(number)
    notes.tell(len(paths))
    if pixels is None:
        raise DataError(f"no picture can be read: {notes.bad[0]}")
    return Pictures(pixels[: len(kept)], np.array(kept))


def _written(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"


def _space(n: int, picture: np.ndarray, path: str | Path) -> np.ndarray:
    check_features(picture.size, path)
    check_unpacked(n * picture.nbytes, f"{n} pictures like {path}")
    return np.empty([n, *picture.shape], picture.dtype)


def _deepened(pixels: np.ndarray) -> np.ndarray:
    """Returns 8-bit pixels as 16-bit ones of the same brightness, and others as they are."""
    return pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * np.uint16(257)


@dataclass
class _Notes:
    """What is said once of all pictures."""

    coloured: int = 0
    transparent: int = 0
    resized: int = 0
    size: Size = (0, 0)
    bad: list[str] = field(default_factory=list)

    def tell(self, n_pictures: int) -> None:
        """Prints the notices."""
        if self.coloured:
            notice(f"{counted(self.coloured, 'colour picture')} made grey.")
        if self.transparent:
            notice(f"{counted(self.transparent, 'transparent picture')} laid on white or black.")
        if self.resized:
            height, width = self.size
            notice(f"{counted(self.resized, 'picture')} resized to {width} x {height} pixels.")
        if self.bad:
            more = "; ..." if len(self.bad) > N_NAMED else ""
            named = "; ".join(self.bad[:N_NAMED])
            were = "was" if len(self.bad) == 1 else "were"
            notice(f"{len(self.bad)} of {n_pictures} pictures {were} left out ({named}{more}).")


def counted(number: int, noun: str) -> str:
    """Returns "1 picture was", "2 pictures were"."""
    return f"{number} {noun} was" if number == 1 else f"{number} {noun}s were"


def _read_grey(path: Path, image_size: Size | None, notes: _Notes) -> np.ndarray:
    """Returns the pixels of a picture: uint8 or uint16 array [height, width]."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd but readable files
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                # Cameras store how the picture was held.
                channels = _channels(ImageOps.exif_transpose(picture), path)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: has too many pixels: there may be at most {Image.MAX_IMAGE_PIXELS}, else "
            "unpacking it might fill the memory"
        ) from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: is not a picture that Pillow reads") from error
    except DataError:
        raise
    except FAULTS as error:
        raise DataError(f"{path}: is damaged ({' '.join(str(error).split())})") from error
    notes.coloured += has_colours(channels)
    notes.transparent += channels.shape[-1] in (2, 4)
    grey = to_grey(channels[None])[0]
    if image_size is None or grey.shape == image_size:
        return grey
    notes.resized += 1
    notes.size = image_size
    return fit_to_size(grey, image_size)


def _channels(picture: "Image", path: Path) -> np.ndarray:
    """Returns a picture of any mode as an array [height, width, n_channels] of 1 to 4 channels."""
    if picture.mode.startswith("I") or picture.mode == "F":
        return _deep_grey(np.asarray(picture), path)[..., None]
    is_grey = picture.mode in ("1", "L", "LA", "La")
    if picture.has_transparency_data:
        rgba = np.asarray(picture.convert("RGBA"))
        opaque = rgba[..., 3].min() == 255
        channels = rgba[..., [0, 3]] if is_grey else rgba
        return channels[..., :-1] if opaque else channels
    values = np.asarray(picture.convert("L" if is_grey else "RGB"))
    return values.reshape(*values.shape[:2], -1)


def _deep_grey(values: np.ndarray, path: Path) -> np.ndarray:
    """Returns the pixels of a grey picture of more than 8 bits as uint16."""
    largest = 1 if values.dtype.kind == "f" else np.iinfo(np.uint16).max
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= largest):
        raise DataError(f"{path}: has values from {low} to {high}: they must be in 0 to {largest}")
    if values.dtype.kind == "f":
        values = np.rint(values * np.iinfo(np.uint16).max)
    return values.astype(np.uint16)
