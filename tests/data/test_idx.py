import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from moe_vae.data.checks import DataError
from moe_vae.data.idx import is_idx, read_idx
from moe_vae.data.own import ReadOptions, read_own

CODES = {"u1": 0x08, "i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def idx(values):
    code = next(code for name, code in CODES.items() if np.dtype(name) == values.dtype)
    head = struct.pack(f">HBB{values.ndim}I", 0, code, values.ndim, *values.shape)
    return head + values.tobytes()


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4), (2, 3, 4, 3)])
@pytest.mark.parametrize("packed", [True, False])
def test_files_of_every_type_and_shape_are_read(tmp_path, dtype, shape, packed):
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    path = tmp_path / ("a-idx3-ubyte.gz" if packed else "a-idx3-ubyte")
    path.write_bytes(gzip.compress(idx(values)) if packed else idx(values))
    read = read_idx(path)
    assert read.dtype == values.dtype
    np.testing.assert_array_equal(read, values)
    assert isinstance(read, np.memmap) != packed


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train-images-idx3-ubyte", True),
        ("emnist-letters-train-labels-idx1-ubyte.gz", True),
        ("a.idx", True),
        ("a.idx.gz", True),
        ("index.png", False),
        ("a.npy", False),
    ],
)
def test_files_are_told_by_their_names(tmp_path, name, expected):
    assert is_idx(tmp_path / name) == expected


WHOLE = idx(np.arange(6, dtype=np.uint8).reshape(1, 2, 3))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing: an IDX file begins with 00 00"),
        (b"\x89PNG\r\n", "begins with 89 50 4e 47: an IDX file begins with 00 00"),
        (WHOLE[:7], "begins with 00 00 08 03: an IDX file"),
        (WHOLE[:-1], "holds 21 bytes, but its header promises shape [1, 2, 3], 22 bytes"),
        (
            struct.pack(">HBB65I", 0, 8, 65, *[1] * 65) + b"\0",
            "its header promises 65 dimensions: there may be at most 64",
        ),
        (WHOLE + b"\0" * 9, "holds more than 22 bytes, but its header promises shape [1, 2, 3]"),
    ],
)
def test_damaged_files_are_named(tmp_path, content, message, packed):
    path = tmp_path / ("a.idx.gz" if packed else "a.idx")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_gzip_bomb_is_unpacked_no_further_than_its_header_says(tmp_path):
    path = tmp_path / "a.idx.gz"
    path.write_bytes(gzip.compress(WHOLE + bytes(50_000_000)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="holds more than 22 bytes"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_header_that_promises_too_much_is_refused(tmp_path):
    path = tmp_path / "a.idx.gz"
    path.write_bytes(gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 1 << 30, 28, 28)))
    with pytest.raises(DataError, match=r"would take 784 GiB of memory: it must be at most 8"):
        read_idx(path)


def write_set(folder, name, n, seed):
    random = np.random.default_rng(seed)
    images = random.integers(0, 100, (n, 3, 5)).astype(np.uint8)
    labels = np.arange(n).astype(np.uint8) % 2
    folder.mkdir(exist_ok=True)
    (folder / f"{name}images-idx3-ubyte").write_bytes(idx(images))
    (folder / f"{name}labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return images, labels


def test_a_folder_of_idx_files_is_read_in_its_parts(tmp_path):
    train = write_set(tmp_path / "set", "train-", 20, 0)
    images, labels = write_set(tmp_path / "set", "t10k-", 6, 1)
    data_sets = read_own(tmp_path / "set")
    np.testing.assert_allclose(data_sets.test.images, images.reshape(6, 15) / 255, rtol=1e-6)
    np.testing.assert_array_equal(data_sets.test.labels, labels)
    assert data_sets.test.shape == (3, 5)
    assert (data_sets.train.num_examples, data_sets.validation.num_examples) == (18, 2)
    both = np.concatenate([data_sets.train.images, data_sets.validation.images])
    assert sorted(map(tuple, np.rint(both * 255))) == sorted(map(tuple, train[0].reshape(20, 15)))
    assert data_sets.class_names is None
    assert data_sets.name == "set"


def test_one_idx_file_is_images_without_labels(tmp_path):
    write_set(tmp_path / "set", "", 20, 0)
    data_sets = read_own(tmp_path / "set" / "images-idx3-ubyte")
    assert data_sets.train.labels is None
    assert [part.num_examples for part in data_sets[:3]] == [14, 2, 4]


def test_idx_files_need_one_role_each(tmp_path):
    folder = tmp_path / "set"
    write_set(folder, "train-", 20, 0)
    (folder / "digits-images-idx3-ubyte").write_bytes(WHOLE)
    with pytest.raises(DataError, match=r"digits-images.* and train-images.* both hold images for"):
        read_own(folder)


def test_idx_labels_need_images(tmp_path):
    folder = tmp_path / "set"
    write_set(folder, "train-", 20, 0)
    write_set(folder, "t10k-", 20, 0)
    (folder / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match=r"t10k-labels.*: holds labels, but .* has no images"):
        read_own(folder)


def test_a_part_of_the_files_cannot_be_given_again(tmp_path):
    write_set(tmp_path / "set", "train-", 20, 0)
    write_set(tmp_path / "set", "t10k-", 20, 0)
    with pytest.raises(DataError, match="has test examples of its own: test must not be a path"):
        read_own(tmp_path / "set", ReadOptions(test=tmp_path / "set"))
