"""What is done to pixels, from a picture file or an array: grey, one size, light on dark."""

import numpy as np

from moe_vae.data.chunks import CHUNK_VALUES, Rows

__all__ = ["fit_to_size", "has_colours", "is_dark_on_light", "light_on_dark", "to_grey"]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue: ITU-R BT.601
COLOUR_SPREAD = 8 / 255  # a grey picture that was saved as a colour JPEG has smaller ones
DARK_ON_LIGHT_MEAN = 2 / 3
N_SAMPLED = 10_000  # images from which the mean is taken


def _largest(pixels: np.ndarray) -> float:
    return np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1


def has_colours(pixels: np.ndarray) -> bool:
    """Whether red, green and blue of an image [height, width, n_channels] differ visibly."""
    if pixels.shape[-1] < 3:
        return False
    colours = pixels[..., :3].astype(np.float32)
    return bool(np.ptp(colours, axis=-1).max() > COLOUR_SPREAD * _largest(pixels))


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Makes colour images grey, and lays transparent ones on a background.

        grey = 0.299 red + 0.587 green + 0.114 blue

    The background of a transparent image is white where its visible part is darker than middle
    grey, else black, so that the visible part stands out.

    Args:
      pixels: array [n, height, width, n_channels]: grey; grey and opacity; red, green and blue; or
        these and opacity. uint8, uint16, or float in [0, 1].

    Returns:
      Array [n, height, width] of the same type.
    """
    n_channels = pixels.shape[-1]
    if n_channels == 1:
        return pixels[..., 0]
    colours = pixels.astype(np.float32)
    grey = colours[..., :3] @ LUMA if n_channels >= 3 else colours[..., 0]
    if n_channels in (2, 4):
        largest = _largest(pixels)
        opacity = colours[..., -1] / largest
        visible = np.maximum(opacity.sum(axis=(1, 2)), np.finfo(np.float32).tiny)
        is_dark = (grey * opacity).sum(axis=(1, 2)) < visible * largest / 2
        # An image of which nothing is visible is black.
        background = largest * (is_dark & opacity.any(axis=(1, 2))).astype(np.float32)
        grey = grey * opacity + background[:, None, None] * (1 - opacity)
    return np.rint(grey).astype(pixels.dtype) if pixels.dtype.kind == "u" else grey


def fit_to_size(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a grey image, keeping its proportions.

    The image is scaled with Lanczos' filter until it just fits, and put in the middle. What remains
    at two sides gets the median of the image's border. MNIST's digits were made in this way too:
    stretching would turn a narrow 1 into a square.

    Args:
      pixels: array [height, width]: uint8, uint16, or float in [0, 1].
      size: (height, width) of the result.

    Returns:
      Array of this size and the type of `pixels`.
    """
    from PIL import Image

    if pixels.shape == size:
        return pixels
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    scale = min(size[0] / pixels.shape[0], size[1] / pixels.shape[1])
    height, width = (max(1, round(scale * length)) for length in pixels.shape)
    values = np.asarray(
        Image.fromarray(pixels.astype(np.float32)).resize((width, height), Image.Resampling.LANCZOS)
    ).clip(0, _largest(pixels))  # the filter overshoots at edges
    fitted = np.full(size, np.median(border), np.float32)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    fitted[top : top + height, left : left + width] = values
    return (np.rint(fitted) if pixels.dtype.kind == "u" else fitted).astype(pixels.dtype)


def is_dark_on_light(images: Rows) -> bool:
    """Whether the mean of images with values in [0, 1] is above two thirds.

    Writing on white paper has a mean of 0.8 and more, photographs one of about 0.5. Of more than
    10,000 images, every so-many-th counts.

    Args:
      images: array or `StoredImages` [n, n_features].
    """
    places = np.arange(0, len(images), max(1, len(images) // N_SAMPLED))
    n_groups = 1 + len(places) * images.shape[1] // CHUNK_VALUES
    sums = [images[group].sum(dtype=np.float64) for group in np.array_split(places, n_groups)]
    return bool(sum(sums) / len(places) / images.shape[1] > DARK_ON_LIGHT_MEAN)


def light_on_dark(images: np.ndarray, invert: bool | None = None) -> tuple[np.ndarray, int]:
    """Exchanges black and white, of all images or of each that is dark on light.

    Args:
      images: float32 array [n, n_pixels] in [0, 1].
      invert: whether all images are inverted; None decides for each by `is_dark_on_light`.

    Returns:
      The images, and how many were inverted.
    """
    if invert is None:
        dark = np.array([is_dark_on_light(image[None]) for image in images], bool)
    else:
        dark = np.full(len(images), invert)
    return np.where(dark[:, None], 1 - images, images), int(dark.sum())
