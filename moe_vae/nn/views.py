"""Random views of an image: small affine maps."""

from moe_vae.compat import Tensor, tf
from moe_vae.data.checks import DataError
from moe_vae.data.dataset import Shape
from moe_vae.nn.noise import noise_seed

__all__ = ["N_DRAWS", "affine_view", "random_view"]

N_DRAWS = 5  # that decide a view

# The largest differences between a view and its image, in either direction.
ROTATION = 0.2  # radians
SCALE = 0.12
SHEAR = 0.25
SHIFT = 0.075  # of the image's width or height


def random_view(images: Tensor, image_shape: Shape) -> Tensor:
    """Applies `affine_view`, which has the same Args, Returns and Raises, with random draws."""
    draws = tf.random.stateless_uniform([tf.shape(images)[0], N_DRAWS], noise_seed(), -1.0, 1.0)
    return affine_view(images, draws, image_shape)


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
