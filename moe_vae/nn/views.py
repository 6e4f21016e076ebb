"""Random views of an image: small affine maps and elastic deformations."""

import numpy as np

from moe_vae.compat import Tensor, tf
from moe_vae.data.checks import DataError
from moe_vae.data.dataset import Shape
from moe_vae.nn.noise import noise_seed

__all__ = ["N_DRAWS", "affine_view", "elastic_view", "random_view"]

N_DRAWS = 5  # that decide a view

# The largest differences between a view and its image, in either direction.
ROTATION = 0.2  # radians
SCALE = 0.12
SHEAR = 0.25
SHIFT = 0.075  # of the image's width or height

# An elastic deformation has this many displacements along each side, and they are smoothed over the
# distance between two of them: 4 of 28 pixels, as Simard, Steinkraus and Platt (2003) have it.
GRID = 8


def random_view(images: Tensor, image_shape: Shape, elastic_std: float = 0.0) -> Tensor:
    """Applies `affine_view` and then, with an `elastic_std` above 0, `elastic_view`.

    Both take random draws. Args, Returns and Raises are theirs.
    """
    n_images = tf.shape(images)[0]
    draws = tf.random.stateless_uniform([n_images, N_DRAWS], noise_seed(), -1.0, 1.0)
    views = affine_view(images, draws, image_shape)
    if elastic_std == 0:
        return views
    draws = tf.random.stateless_normal([n_images, 2, GRID, GRID], noise_seed())
    return elastic_view(views, draws, image_shape, elastic_std)


def affine_view(images: Tensor, draws: Tensor, image_shape: Shape) -> Tensor:
    """Applies a small affine map about its centre to each image.

    A pixel of the view shows the place in the image that the map

        (1 + s) R(r) [[1, h], [0, 1]],  then a shift by t

    takes it to. The rotation r, the scale s, the shear h and both shifts t are the draws times 0.2
    radians, 0.12, 0.25 and 7.5 % of the width and of the height. The image is interpolated linearly
    between pixels and is 0 beyond its edge.

    Args:
      images: float tensor [batch, height * width].
      draws: float tensor [batch, 5] in [-1, 1], for r, s, h, and t along a row and down a column.
      image_shape: (height, width).

    Returns:
      Float tensor [batch, height * width], which passes no gradient on to `images`.

    Raises:
      DataError: the examples are points, or images of one row or column.
    """
    if len(image_shape) != 2 or min(image_shape) < 2:
        raise DataError(
            f"examples have shape {list(image_shape)}: "
            "views are made of images of at least 2 x 2 pixels; set augment=false"
        )
    height, width = image_shape
    with tf.name_scope("affine_view"):
        angle, scale, shear = ROTATION * draws[:, 0], 1 + SCALE * draws[:, 1], SHEAR * draws[:, 2]
        cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)
        rows = [[cos, shear * cos - sin], [sin, shear * sin + cos]]
        centre = (width - 1) / 2, (height - 1) / 2
        # This order of the operations gives square images the recorded numbers, bit for bit.
        ratio = centre[1] / centre[0]
        shifts = [
            centre[axis] - centre[0] * (row[0] + ratio * row[1]) + SHIFT * side * draws[:, 3 + axis]
            for axis, (row, side) in enumerate(zip(rows, (width, height), strict=True))
        ]
        zeros = tf.zeros_like(angle)
        views = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.reshape(images, [-1, height, width, 1]),
            transforms=tf.stack([*rows[0], shifts[0], *rows[1], shifts[1], zeros, zeros], axis=1),
            output_shape=[height, width],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        )
        return tf.stop_gradient(tf.reshape(views, [-1, height * width]))


def elastic_view(images: Tensor, draws: Tensor, image_shape: Shape, elastic_std: float) -> Tensor:
    """Deforms each image elastically: neighbouring pixels are displaced by similar amounts.

    The pixel at row y and column x of the view shows the place (y + u, x + v) of the image, with

        u[y, x] = elastic_std * height * sum_ij K[y, i] draws[0, i, j] L[x, j]

    and v likewise, with the width and draws[1]. K and L are Gaussian kernels about points that lie
    evenly along the side, with their distance as standard deviation. Each row of K and L has the
    Euclidean norm 1, so u / height and v / width have the standard deviation `elastic_std` for
    standard-normal draws. The image is interpolated linearly between pixels and is 0 beyond its
    edge.

    Args:
      images: float tensor [batch, height * width].
      draws: float tensor [batch, 2, 8, 8].
      image_shape: (height, width).
      elastic_std: the displacements' standard deviation as a share of the side, at least 0.

    Returns:
      Float tensor [batch, height * width], which passes no gradient on to `images`.

    Source: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied
    to visual document analysis", 2003, who smooth uniform draws of every pixel.
    """
    height, width = image_shape
    with tf.name_scope("elastic_view"):
        fields = tf.einsum("yi,bkij,xj->bkyx", _kernel(height), draws, _kernel(width))
        rows, columns = (
            tf.clip_by_value(start + elastic_std * side * field, -1.0, float(side))
            for start, side, field in (
                (np.arange(height, dtype=np.float32)[:, None], height, fields[:, 0]),
                (np.arange(width, dtype=np.float32), width, fields[:, 1]),
            )
        )
        # Zeros around the image, so that each place has four pixels about it.
        padded = tf.pad(tf.reshape(images, [-1, height, width]), [[0, 0], [1, 2], [1, 2]])
        pixels = tf.reshape(padded, [-1, (height + 3) * (width + 3)])
        top, left = tf.floor(rows), tf.floor(columns)
        below, right = rows - top, columns - left
        corner = tf.cast((top + 1) * (width + 3) + left + 1, tf.int32)

        def shown(offset: int) -> Tensor:
            return tf.gather(pixels, corner + offset, batch_dims=1)

        upper = (1 - right) * shown(0) + right * shown(1)
        lower = (1 - right) * shown(width + 3) + right * shown(width + 4)
        views = (1 - below) * upper + below * lower
        return tf.stop_gradient(tf.reshape(views, [-1, height * width]))


def _kernel(n_pixels: int) -> np.ndarray:
    """Returns float32 [n_pixels, GRID]: how much each pixel takes of each displacement."""
    points = np.linspace(0, n_pixels - 1, GRID)
    distances = (np.arange(n_pixels)[:, None] - points) / (points[1] - points[0])
    kernel = np.exp(-(distances**2) / 2)
    return (kernel / np.linalg.norm(kernel, axis=1, keepdims=True)).astype(np.float32)
