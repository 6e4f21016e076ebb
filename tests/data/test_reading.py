"""Which paths `read_data_sets` takes for your own data, and which for MNIST's directory."""

import numpy as np
import pytest
from PIL import Image

import moe_vae
from moe_vae.data import reading
from moe_vae.data.checks import DataError
from moe_vae.data.mnist import MNIST_FILES
from moe_vae.data.own import ReadOptions, read_own

POINTS = np.random.default_rng(0).normal(size=[20, 3])


@pytest.fixture
def asked(monkeypatch):
    """The arguments with which MNIST was read."""
    calls = []
    monkeypatch.setattr(reading, "read_mnist", lambda *arguments: calls.append(arguments))
    return calls


def assert_same(one, other):
    assert one.name == other.name
    for part, same in zip(one[:3], other[:3], strict=True):
        np.testing.assert_array_equal(part.images, same.images)


@pytest.mark.parametrize("as_path", [str, lambda path: path], ids=["text", "path"])
def test_a_file_is_read_as_your_own(tmp_path, asked, as_path):
    np.save(tmp_path / "points.npy", POINTS)
    read = moe_vae.read_data_sets(as_path(tmp_path / "points.npy"))
    assert_same(read, read_own(tmp_path / "points.npy"))
    assert read.train.shape == (3,)
    assert not asked


def test_a_folder_of_pictures_is_read_as_your_own(tmp_path, asked):
    (tmp_path / ".thumbnails").touch()
    for number in range(10):
        pixels = np.full([4, 6], number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    assert_same(moe_vae.read_data_sets(tmp_path), read_own(tmp_path))
    assert moe_vae.read_data_sets(tmp_path).train.shape == (4, 6)
    assert not asked


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_folder_with_a_file_of_mnists_is_mnists(tmp_path, asked, ending):
    (tmp_path / "picture.png").touch()
    (tmp_path / f"{MNIST_FILES[-1]}{ending}").touch()
    moe_vae.read_data_sets(tmp_path)
    assert asked == [(tmp_path, "auto")]


@pytest.mark.parametrize("name", ["MNIST_data", "named", "empty"])
def test_missing_folders_of_mnists_and_empty_ones_are_where_mnist_goes(
    tmp_path, asked, name, monkeypatch
):
    monkeypatch.setenv("MOE_VAE_DATA", str(tmp_path / "named"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/.hidden").touch()
    moe_vae.read_data_sets(tmp_path / name)
    assert asked == [(tmp_path / name, "auto")]


def test_a_mistyped_path_is_refused(tmp_path, asked):
    with pytest.raises(DataError, match="pictrues: does not exist; it must be a file or folder"):
        moe_vae.read_data_sets(tmp_path / "pictrues")
    moe_vae.read_data_sets(tmp_path / "pictrues", "mnist")
    assert asked == [(tmp_path / "pictrues", "mnist")]


def test_without_a_path_and_with_a_named_set_mnist_is_read(tmp_path, asked):
    np.save(tmp_path / "points.npy", POINTS)
    moe_vae.read_data_sets()
    moe_vae.read_data_sets(tmp_path, "mnist")
    assert asked == [(None, "auto"), (tmp_path, "mnist")]


def test_with_options_the_data_are_always_your_own(tmp_path, asked):
    np.save(tmp_path / "points.npy", POINTS)
    read = moe_vae.read_data_sets(tmp_path / "points.npy", options=ReadOptions(test=0.5))
    assert read.test.num_examples == 10
    with pytest.raises(DataError, match="No such file"):
        moe_vae.read_data_sets(tmp_path / "missing", options=ReadOptions())
    assert not asked


@pytest.mark.parametrize("arguments", [(None, "auto"), (".", "mnist")])
def test_options_without_a_path_of_your_own_are_refused(arguments):
    with pytest.raises(DataError, match="options are for your own data"):
        moe_vae.read_data_sets(*arguments, options=ReadOptions())
