import zlib

import numpy as np
import pytest

from moe_vae.data import chunks
from moe_vae.data.checks import DataError
from moe_vae.data.dataset import DataSet
from moe_vae.data.stored import StoredImages

BYTES = np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2) * 10
VALUES = (BYTES / 255).reshape(6, 4).astype(np.float32)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Makes every pass take several chunks, the last of them short."""
    monkeypatch.setattr(chunks, "CHUNK_VALUES", 16)


@pytest.fixture(params=["held", "mapped"])
def pixels(request, tmp_path):
    if request.param == "held":
        return BYTES
    np.save(tmp_path / "pixels.npy", BYTES)
    return np.load(tmp_path / "pixels.npy", mmap_mode="r")


@pytest.mark.parametrize(
    "rows", [slice(None), slice(1, 5, 2), np.array([5, 0, 0]), [2], np.arange(6) > 3]
)
def test_stored_images_are_read_as_an_array_of_their_values_is(pixels, rows):
    stored = StoredImages(pixels)
    assert (stored.shape, stored.dtype, stored.ndim, len(stored)) == ((6, 4), np.float32, 2, 6)
    assert stored[rows].dtype == np.float32
    np.testing.assert_allclose(stored[rows], VALUES[rows], rtol=1e-6)
    np.testing.assert_allclose(np.asarray(stored), VALUES, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(stored, np.float64), VALUES, rtol=1e-6)


def test_stored_images_have_an_order_of_their_own(pixels):
    stored = StoredImages(pixels, np.array([4, 1, 3]))
    np.testing.assert_allclose(stored[:2], VALUES[[4, 1]], rtol=1e-6)
    np.testing.assert_allclose(stored[np.array([2])], VALUES[[3]], rtol=1e-6)
    assert stored.shape == (3, 4)


def test_all_16_bits_count():
    stored = StoredImages(np.array([[0, 1, 65535]], np.uint16))
    np.testing.assert_allclose(stored[:], [[0, 1 / 65535, 1]], rtol=1e-6)


def test_stored_images_can_be_inverted_and_kept_as_numbers(pixels):
    np.testing.assert_allclose(StoredImages(pixels, inverted=True)[:], 1 - VALUES, atol=1e-7)
    np.testing.assert_array_equal(StoredImages(pixels, largest=1)[:], BYTES.reshape(6, 4))


@pytest.mark.parametrize("row", [3, np.int64(3), np.zeros([2, 2], int)])
def test_one_row_alone_cannot_be_taken(row):
    with pytest.raises(IndexError, match="must be a slice or a list of rows"):
        StoredImages(BYTES)[row]


def test_numpy_is_told_that_reading_makes_a_copy():
    with pytest.raises(ValueError, match="copy must not be False"):
        np.asarray(StoredImages(BYTES), copy=False)


def test_a_data_set_of_stored_images_is_one_of_their_values(pixels):
    labels = np.arange(6)
    stored = DataSet(StoredImages(pixels), labels, shape=(2, 2))
    held = DataSet(np.asarray(StoredImages(pixels)), labels, shape=(2, 2))
    assert stored.checksum() == held.checksum()
    np.random.seed(1)
    batch = stored.take_batch(4)
    np.random.seed(1)
    np.testing.assert_array_equal(batch.images, held.take_batch(4).images)
    again = stored.shuffled(0)
    np.testing.assert_array_equal(again.images[:], held.shuffled(0).images)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "images hold NaN: every value must be in [0, 1]"),
        (2, "images range from 0.0 to 2.0: every value must be in [0, 1]"),
    ],
)
@pytest.mark.parametrize("row", [0, 5])
def test_every_chunk_is_checked(value, message, row):
    images = np.zeros([6, 4], np.float32)
    images[row, 3] = value
    with pytest.raises(DataError) as caught:
        DataSet(StoredImages(images), shape=(2, 2))
    assert str(caught.value) == message


def test_sums_over_chunks_are_those_of_the_whole_array():
    values = np.random.default_rng(0).normal(size=[11, 3]).astype(np.float32)
    assert chunks.crc32(values, 7) == zlib.crc32(values.tobytes(), 7)
    assert chunks.value_range(values) == (values.min(), values.max())
    values[[0, 10, 10], [1, 0, 2]] = np.nan, np.inf, -np.inf
    assert chunks.count_not_finite(values) == 3
    assert np.isnan(chunks.value_range(values)).all()
