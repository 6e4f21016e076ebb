import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from moe_vae.data import chunks, neighbours
from moe_vae.data.checks import DataError
from moe_vae.data.large import approximate_neighbours, principal_components
from moe_vae.data.neighbours import compared_examples, deskew, nearest_neighbours
from moe_vae.data.stored import StoredImages

DIGITS = load_digits().data.astype(np.float32) / 16


def recall(found, expected):
    return (found[:, :, None] == expected[:, None, :]).any(axis=1).mean()


def exactly(points, n_neighbours):
    search = NearestNeighbors(n_neighbors=n_neighbours).fit(points)
    return search.kneighbors(return_distance=False)


@pytest.mark.parametrize("offset", [0, 10_000])
def test_neighbours_far_from_0_are_scikit_learns(tmp_path, offset):
    points = (offset + np.random.default_rng(0).normal(size=[500, 2])).astype(np.float32)
    search = NearestNeighbors(n_neighbors=4).fit(points.astype(np.float64))
    # Of points as coarse as these, several may be equally near: the distances are compared.
    expected = search.kneighbors()[0]
    found = nearest_neighbours(points, 4, tmp_path)
    apart = points[found].astype(np.float64) - points[:, None]
    np.testing.assert_allclose(np.sort(np.linalg.norm(apart, axis=2)), expected, atol=1e-5)
    assert not (found == np.arange(500)[:, None]).any()
    # Near 0 the examples are searched as they are. Far from it, what older versions kept is wrong.
    (path,) = tmp_path.iterdir()
    assert (f"{chunks.crc32(points):08x}" in path.name) == (offset == 0)


def test_coordinates_are_those_of_scikit_learn(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_VALUES", 64 * 500)
    coordinates = principal_components(DIGITS, lambda block: block, 10)
    expected = PCA(10, svd_solver="full").fit_transform(DIGITS)
    assert coordinates.dtype == np.float32
    # The sign of a component is free.
    np.testing.assert_allclose(np.abs(coordinates), np.abs(expected), atol=1e-3)


def test_large_sets_are_compared_by_coordinates_of_deskewed_images(monkeypatch):
    pytest.importorskip("faiss")
    stored = StoredImages(np.rint(DIGITS * 255).astype(np.uint8).reshape(-1, 8, 8))
    small = compared_examples(stored, (8, 8), deskewed=True)
    np.testing.assert_array_equal(small, deskew(stored[:], (8, 8)))
    np.testing.assert_array_equal(compared_examples(DIGITS, (8, 8)), DIGITS)
    monkeypatch.setattr(neighbours, "MAX_EXACT", 1000)
    large = compared_examples(stored, (8, 8), deskewed=True)
    assert large.shape == (len(DIGITS), 50)
    # 50 of 64 components keep nearly all distances.
    assert recall(exactly(large, 5), exactly(small, 5)) > 0.98


def test_most_neighbours_are_found_in_large_sets(monkeypatch, tmp_path):
    pytest.importorskip("faiss")
    monkeypatch.setattr(neighbours, "MAX_EXACT", 1000)
    found = nearest_neighbours(DIGITS, 5, tmp_path)
    assert found.dtype == np.int32
    assert recall(found, exactly(DIGITS, 5)) > 0.95
    assert not (found == np.arange(len(DIGITS))[:, None]).any()
    np.testing.assert_array_equal(nearest_neighbours(DIGITS, 5, tmp_path), found)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_neighbours_of_a_large_set_are_the_same_each_time():
    pytest.importorskip("faiss")
    first, again = (approximate_neighbours(DIGITS, 5) for _ in range(2))
    np.testing.assert_array_equal(again, first)


def test_copies_and_lists_that_are_too_short():
    pytest.importorskip("faiss")
    # Forty copies each of a few points: K-means finds no more centres than points.
    points = np.repeat(np.arange(12, dtype=np.float32)[:, None] * [1, 0], 40, axis=0)
    found = approximate_neighbours(points, 60)
    assert found.shape == (480, 60)
    assert (found >= 0).all()
    assert not (found == np.arange(480)[:, None]).any()
    assert all(len(set(row)) == 60 for row in found.tolist())
    # All 39 copies are among the 60.
    assert ((found // 40) == (np.arange(480) // 40)[:, None]).sum(axis=1).min() == 39


def test_large_sets_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setattr(neighbours, "MAX_EXACT", 1000)
    for search in (compared_examples, lambda digits: nearest_neighbours(digits, 5)):
        with pytest.raises(DataError, match=r"1797 examples need .*faiss-cpu.*'moe_vae\[large\]'$"):
            search(DIGITS)
