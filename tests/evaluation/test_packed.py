"""Arrays as text in a result file."""

import json

import numpy as np

from moe_vae.evaluation.packed import pack_array, pack_pictures, unpack_array, unpack_pictures


def test_an_array_comes_back_from_json_as_it_was():
    for array in (
        np.arange(12, dtype=np.float32).reshape(3, 4).T,
        np.array([[-1.5, np.pi]]),
        np.zeros([0, 3], np.uint8),
    ):
        again = unpack_array(json.loads(json.dumps(pack_array(array))))
        assert again.dtype == array.dtype
        np.testing.assert_array_equal(again, array)


def test_pictures_come_back_to_half_a_step_of_256_greys():
    pictures = np.random.default_rng(0).random([2, 3, 784])
    pictures[0, 0, :2] = 0, 1
    again = unpack_pictures(pack_pictures(pictures))
    np.testing.assert_allclose(again, pictures, atol=0.5 / 255 + 1e-9)
    np.testing.assert_array_equal(again[0, 0, :2], [0, 1])


def test_a_pixel_beyond_black_or_white_is_black_or_white():
    again = unpack_pictures(pack_pictures(np.array([-0.5, 0.0, 1.0, 1.5])))
    assert again.tolist() == [0, 0, 1, 1]
