"""The spiral and the affine targets: the paper's formulas, and bad data turned away."""

import numpy as np
import pytest

from moe_vae.data.checks import DataError, check_points
from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.data.spiral import make_spiral
from moe_vae.data.targets import add_affine_targets, make_affine_targets


@pytest.fixture(scope="module")
def spiral():
    return make_spiral(seed=3)


def radius_and_angle(points):
    return np.hypot(*points.T), np.arctan2(points[:, 0], points[:, 1])


def test_spiral_has_the_papers_sizes(spiral):
    assert spiral.train.images.shape == (25000, 2)
    assert spiral.test.images.shape == (5000, 2)
    assert np.bincount(spiral.train.labels).tolist() == [5000] * 5
    assert np.bincount(spiral.test.labels).tolist() == [1000] * 5


def test_spiral_radius_grows_in_equal_steps(spiral):
    radius, _ = radius_and_angle(spiral.train.images)
    expected = np.tile(np.linspace(2.5, 10, 5000), 5)
    np.testing.assert_allclose(radius, expected, rtol=1e-5)


def test_spiral_angle_turns_with_normal_noise(spiral):
    _, angle = radius_and_angle(spiral.train.images)
    arms, along = np.repeat(np.arange(5), 5000), np.tile(np.linspace(0, 1, 5000), 5)
    noise = np.angle(np.exp(1j * (angle - 1.25 * (arms + along))))
    assert np.array_equal(spiral.train.labels, arms)
    assert abs(noise.mean()) < 0.002
    assert 0.049 < noise.std() < 0.051
    assert 0.66 < (np.abs(noise) < 0.05).mean() < 0.70


def test_spiral_follows_from_its_seed(spiral):
    again, other = make_spiral(seed=3), make_spiral(seed=4)
    assert np.array_equal(spiral.train.images, again.train.images)
    assert not np.array_equal(spiral.train.images, other.train.images)
    assert not np.array_equal(spiral.validation.images, spiral.test.images)


def test_spiral_leaves_numpys_global_generator_alone():
    np.random.seed(0)
    expected = np.random.normal()
    np.random.seed(0)
    points, labels = make_spiral(1, 2, 2, 2).train.examples(slice(None))[:2]
    make_affine_targets(points, labels, 1, seed=1)
    assert np.random.normal() == expected


def fitted_map(points, targets):
    design = np.column_stack([points, np.ones(len(points))])
    return np.linalg.lstsq(design.astype(np.float64), targets.astype(np.float64), rcond=None)[0]


def test_targets_are_one_affine_map_an_arm_on_all_parts(spiral):
    data_sets = add_affine_targets(spiral, n_outputs=2, seed=7)
    maps = []
    for arm in range(5):
        train, test = data_sets.train, data_sets.test
        own = [
            fitted_map(part.images[part.labels == arm], part.targets[part.labels == arm])
            for part in (train, test)
        ]
        np.testing.assert_allclose(own[0], own[1], atol=1e-4)
        rows = test.labels == arm
        predicted = np.column_stack([test.images[rows], np.ones(rows.sum())]) @ own[0]
        np.testing.assert_allclose(predicted, test.targets[rows], atol=1e-4)
        maps.append(own[0])
    assert min(np.abs(maps[i] - maps[j]).max() for i in range(5) for j in range(i)) > 0.1


def test_parts_without_the_last_of_many_classes_have_the_same_maps():
    random = np.random.default_rng(0)
    points = random.normal(size=[60, 2]).astype(np.float32)
    labels = np.arange(60) % 12
    parts = [DataSet(points[labels < n], labels[labels < n], shape=(2,)) for n in (12, 11, 10)]
    data_sets = add_affine_targets(DataSets(*parts, name="twelve"), n_outputs=3, seed=7)
    for n, part in zip((11, 10), data_sets[1:3], strict=True):
        np.testing.assert_array_equal(part.targets, data_sets.train.targets[labels < n])


def test_targets_of_ten_classes_at_most_are_drawn_for_ten():
    generator = np.random.default_rng(7)
    weights, biases = generator.standard_normal([10, 2, 3]), generator.standard_normal([10, 3])
    labels = np.arange(4)
    points = np.ones([4, 2], np.float32)
    expected = weights[:4].sum(axis=1) + biases[:4]
    for n_classes in (None, 4, 10):
        targets = make_affine_targets(points, labels, 3, 7, n_classes)
        np.testing.assert_allclose(targets, expected, rtol=1e-5)


def test_targets_maps_are_standard_normal():
    pixels = np.eye(784, dtype=np.float32)
    labels = np.zeros(784, int)
    weights = make_affine_targets(pixels, labels, 5, seed=1)
    assert abs(weights.std(axis=0).mean() - 1) < 0.05
    other = make_affine_targets(pixels, labels, 5, seed=2)
    assert not np.allclose(weights, other)


def test_batches_keep_targets_beside_their_points(spiral):
    batch = add_affine_targets(spiral, 3, seed=1).train.take_batch(50)
    expected = make_affine_targets(batch.images, batch.labels, 3, 1)
    np.testing.assert_allclose(batch.targets, expected, rtol=1e-5)


def test_batches_as_the_tutorials_are_pairs(spiral):
    for data_set in (spiral.train, add_affine_targets(spiral, 3, seed=1).train):
        points, labels = data_set.next_batch(5)
        assert points.shape == (5, 2)
        assert labels.shape == (5,)


def test_a_batch_has_targets_and_partners_only_if_the_data_set_does(spiral):
    batch = spiral.train.take_batch(5)
    assert batch.targets is None
    assert batch.partners is None


POINTS = np.zeros([4, 2], np.float32)
LABELS = np.arange(4)


def nan_points():
    points = POINTS.copy()
    points[1, 1] = np.nan
    return points


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: check_points(nan_points()), "points hold 1 NaN or infinite values: every value"),
        (lambda: check_points(POINTS + np.float32(np.inf)), "points hold 8 NaN or infinite"),
        (lambda: check_points(POINTS.astype(float)), "points have dtype float64: it must be float"),
        (lambda: check_points(POINTS[0]), r"points have shape \[2\]: it must be \[n, n_features\]"),
        (lambda: check_points(POINTS, 3), r"points have shape \[4, 2\]: it must be \[n, 3\]"),
        (lambda: check_points(POINTS[:0]), r"points have shape \[0, 2\]: it must be"),
        (lambda: make_spiral(0, n_test=0), "n_test is 0: it must be at least 1"),
        (
            lambda: make_affine_targets(POINTS, LABELS, 0, 1),
            "n_outputs is 0: it must be at least 1",
        ),
        (
            lambda: make_affine_targets(POINTS, LABELS - 1, 1, 1),
            "labels range from -1 to 2: every label must be at least 0",
        ),
        (
            lambda: DataSet(POINTS, LABELS, np.zeros([3, 1], np.float32), (2,)),
            r"targets have shape \[3, 1\]: it must be \[4, n_outputs\]",
        ),
        (
            lambda: DataSet(POINTS, LABELS, np.zeros([4, 0], np.float32), (2,)),
            r"targets have shape \[4, 0\]: it must be",
        ),
        (
            lambda: DataSet(POINTS, LABELS, nan_points(), (2,)),
            "targets hold 1 NaN or infinite values",
        ),
        (
            lambda: DataSet(POINTS, LABELS, np.zeros([4, 1]), (2,)),
            "targets have dtype float64: it must be float32",
        ),
        (lambda: DataSet(POINTS, LABELS), r"images have shape \[4, 2\]"),
    ],
)
def test_bad_data_is_turned_away(attempt, message):
    with pytest.raises(DataError, match=message) as caught:
        attempt()
    assert "\n" not in str(caught.value)
