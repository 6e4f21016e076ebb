"""The information encoder: its parts against SciPy and scikit-learn, and what it learns."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import softmax
from scipy.stats import norm
from sklearn.metrics import mutual_info_score
from sklearn.neighbors import NearestNeighbors

from moe_vae.compat import tf
from moe_vae.data.checks import DataError
from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.data.neighbours import deskew, nearest_neighbours, walk_steps
from moe_vae.data.spiral import make_spiral
from moe_vae.evaluation.metrics import clustering_scores
from moe_vae.experiments.sources import prepare_data
from moe_vae.models.dmvae import build_dmvae
from moe_vae.models.information_encoder import build_information_encoder
from moe_vae.nn.mutual_information import (
    grouped_information,
    joint_probs,
    merge_by_information,
    move_by_information,
    mutual_information,
)
from moe_vae.nn.noise import key_value, noise_key
from moe_vae.nn.views import GRID, affine_view, elastic_view
from moe_vae.params import ParameterError
from moe_vae.training.state import CheckpointError
from moe_vae.training.trainer import start_trainer

SMALL = {
    "n_clusters": 3,
    "n_over_clusters": 6,
    "cluster_encoder_layers": [16],
    "n_neighbours": 5,
    "pretrain_epochs": 6,
    "epochs": 4,
    "batch_size": 100,
    "learning_rate": 0.01,
}


def evaluate(tensor):
    with tf.Session() as session:
        return session.run(tensor)


def test_mutual_information_of_certain_clusters_is_scikit_learns():
    random = np.random.default_rng(0)
    first = random.integers(0, 4, 500)
    second = np.where(random.random(500) < 0.7, first, random.integers(0, 4, 500))
    one_hot = np.eye(4, dtype=np.float32)
    with tf.Graph().as_default():
        joint = joint_probs(one_hot[first], one_hot[second])
        found = evaluate(mutual_information(joint))
    # The views are interchangeable, so that each pair counts both ways.
    both = np.concatenate([first, second]), np.concatenate([second, first])
    assert found == pytest.approx(mutual_info_score(*both), rel=1e-5)


def test_mutual_information_has_its_limits():
    with tf.Graph().as_default():
        certain, independent = (
            evaluate(mutual_information(tf.constant(joint, tf.float32)))
            for joint in (7 * np.eye(10), np.full([10, 10], 3.0))
        )
    assert certain == pytest.approx(np.log(10), rel=1e-6)
    assert independent == pytest.approx(0, abs=1e-6)


def test_the_gradient_of_the_information_is_finite_where_a_cluster_is_empty():
    with tf.Graph().as_default():
        joint = tf.constant([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 0]])
        assert np.isfinite(evaluate(tf.gradients(mutual_information(joint), joint)[0])).all()


@pytest.mark.parametrize("width", [20, 14])
@pytest.mark.parametrize("axis", range(5))
def test_a_view_is_scipys_affine_transform(axis, width):
    shape = (20, width)
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    draws = np.zeros([1, 5], np.float32)
    draws[0, axis] = 0.8
    with tf.Graph().as_default():
        view = evaluate(affine_view(tf.constant(image.reshape(1, -1)), draws, shape)).reshape(shape)
    turn, scale, shear, along, down = draws[0] * [0.2, 0.12, 0.25, 0.075 * width, 0.075 * 20]
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = (1 + scale) * rotation @ [[1, shear], [0, 1]]
    centre = np.array([(width - 1) / 2, 9.5])
    offset = centre - matrix @ centre + [along, down]
    swap = [[0, 1], [1, 0]]  # SciPy counts rows first, TensorFlow columns
    expected = ndimage.affine_transform(
        image, swap @ matrix @ swap, swap @ offset, order=1, mode="grid-constant"
    )
    np.testing.assert_allclose(view, expected, atol=1e-4)
    assert np.abs(view - image).max() > 0.1


@pytest.mark.parametrize("std", [0.04, 0.6])
def test_an_elastic_view_is_scipys_map_of_coordinates(std):
    shape = (20, 14)
    random = np.random.default_rng(0)
    images = random.random([400, 20, 14]).astype(np.float32)
    draws = random.standard_normal([400, 2, GRID, GRID]).astype(np.float32)
    with tf.Graph().as_default():
        found = elastic_view(tf.constant(images.reshape(400, -1)), draws, shape, std)
        views = evaluate(found).reshape(images.shape)
    # The smoothing is a zoom by Gaussian weights whose squares have the sum 1.
    weights = []
    for side in shape:
        points = np.linspace(0, side - 1, GRID)
        kernel = norm.pdf(np.arange(side)[:, None], points, points[1])
        weights.append(kernel / np.sqrt(np.square(kernel).sum(axis=1, keepdims=True)))
    fields = weights[0] @ draws @ weights[1].T * std * np.reshape(shape, [2, 1, 1])
    assert fields.std(axis=0) / np.reshape(shape, [2, 1, 1]) == pytest.approx(std, rel=0.2)
    for view, image, field in zip(views[:20], images, fields, strict=False):
        places = np.indices(shape) + field
        expected = ndimage.map_coordinates(image, places, order=1, mode="grid-constant")
        np.testing.assert_allclose(view, expected, atol=1e-4)
        assert np.abs(view - image).max() > 0.1


@pytest.mark.parametrize("shape", [(12,), (1, 12)])
def test_a_view_asks_for_images(shape):
    with tf.Graph().as_default(), pytest.raises(DataError, match="at least 2 x 2 pixels"):
        affine_view(tf.zeros([3, 12]), tf.zeros([3, 5]), shape)


def test_merging_puts_together_the_parts_of_a_block():
    random = np.random.default_rng(0)
    truth = np.array([0, 1, 2, 0, 1, 2, 0, 0])
    joint = 0.01 * random.random([8, 8]) + np.equal.outer(truth, truth) * random.random([8, 8])
    groups = merge_by_information(joint + joint.T, 3)
    assert clustering_scores(truth, groups, 3, 3)["accuracy"] == 1
    np.testing.assert_array_equal(np.sort(merge_by_information(joint + joint.T, 8)), np.arange(8))


def information_of(labels, others, joint):
    """Scikit-learn's information of the groups of a joint table of counts."""
    rows, columns = np.indices(joint.shape)
    pairs = np.repeat(np.c_[rows.ravel(), columns.ravel()], joint.ravel(), axis=0)
    return mutual_info_score(labels[pairs[:, 0]], others[pairs[:, 1]])


def random_counts(n):
    counts = np.random.default_rng(0).integers(0, 30, [n, n])
    return counts + counts.T


def test_the_information_of_groups_is_scikit_learns():
    counts, groups = random_counts(6), np.array([0, 1, 1, 2, 0, 2])
    expected = information_of(groups, groups, counts)
    assert grouped_information(counts, groups) == pytest.approx(expected, rel=1e-9)


def test_a_merger_is_the_one_that_loses_least():
    counts = random_counts(6)
    ways = []
    for kept in range(6):
        for dropped in range(kept + 1, 6):
            groups = np.arange(6)
            groups[dropped] = kept
            ways.append((information_of(groups, groups, counts), kept, dropped))
    _, kept, dropped = max(ways)
    found = merge_by_information(counts, 5)
    assert found[kept] == found[dropped]
    assert len(set(found)) == 5


def test_moves_end_where_no_single_one_gains():
    """Begun with one part in a wrong group, which a merger cannot undo."""
    counts, truth = random_counts(8), np.array([0, 1, 2, 0, 1, 2, 0, 0])
    counts += 400 * np.equal.outer(truth, truth)
    wrong = truth.copy()
    wrong[3] = 1
    found = move_by_information(counts, wrong)
    np.testing.assert_array_equal(found, truth)
    least = grouped_information(counts, found)
    for cluster in range(8):
        for group in range(3):
            moved = found.copy()
            moved[cluster] = group
            assert information_of(moved, moved, counts) <= least + 1e-9


def test_a_slanted_stroke_becomes_upright():
    row, column = np.mgrid[:20, :20].astype(np.float32)
    images = [
        np.exp(-np.square(column - 8.5 - slant * (row - 11.5)) / 4 - np.square(row - 11.5) / 8)
        for slant in (-0.4, 0.0, 0.4)
    ]
    upright = deskew(np.array(images, np.float32).reshape(3, -1), (20, 20)).reshape(3, 20, 20)
    for image in upright:
        mass = image.sum()
        middle = [(image * axis).sum() / mass for axis in (row, column)]
        np.testing.assert_allclose(middle, 9.5, atol=0.05)
        covariance = (image * (row - middle[0]) * (column - middle[1])).sum() / mass
        assert covariance == pytest.approx(0, abs=0.05)
    apart = np.abs(upright - upright[1]).max(axis=(1, 2))
    assert apart.max() < 0.05
    assert not deskew(np.zeros([1, 400], np.float32), (20, 20)).any()


def test_nearest_neighbours_are_scikit_learns():
    examples = np.random.default_rng(0).random([1300, 7], np.float32)
    found = nearest_neighbours(examples, 4)
    expected = NearestNeighbors(n_neighbors=5).fit(examples).kneighbors(return_distance=False)
    np.testing.assert_array_equal(np.sort(found), np.sort(expected[:, :4]))


def test_nearest_neighbours_are_kept_for_these_examples_alone(tmp_path):
    examples = np.random.default_rng(0).random([50, 3], np.float32)
    found = nearest_neighbours(examples, 2, tmp_path)
    (path,) = tmp_path.iterdir()
    np.save(path, found[:, ::-1])
    np.testing.assert_array_equal(nearest_neighbours(examples, 2, tmp_path), found[:, ::-1])
    np.testing.assert_array_equal(
        nearest_neighbours(examples[::-1], 2, tmp_path), nearest_neighbours(examples[::-1], 2)
    )
    assert {path.suffix for path in tmp_path.iterdir()} == {".npy"}


def test_more_neighbours_than_examples_are_refused():
    with pytest.raises(ParameterError, match="'n_neighbours' is 3: it must be in 1 to 2"):
        nearest_neighbours(np.zeros([3, 2], np.float32), 3)


def test_a_walk_is_as_long_as_its_reach_asks_where_neighbours_are_near():
    """On a ring of n places both neighbours are 2 sin(pi / n) away, and D^2 is 2."""
    angles = 2 * np.pi * np.arange(60) / 60
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    neighbours = nearest_neighbours(ring, 2)
    for reach in (0.3, 0.5):
        expected = int(reach**2 * 2 / (2 * np.sin(np.pi / 60)) ** 2)
        assert expected > 10
        assert walk_steps(ring, neighbours, reach) == expected
    assert walk_steps(ring, neighbours, 0) == 1


def test_a_neighbour_as_far_as_anybody_is_one_step_away():
    examples = np.random.default_rng(0).standard_normal([200, 500]).astype(np.float32)
    assert walk_steps(examples, nearest_neighbours(examples, 3), 0.25) == 1


def test_neighbours_that_are_all_copies_lead_nowhere():
    copies = np.repeat(np.arange(4, dtype=np.float32)[:, None], 3, axis=0)
    with pytest.raises(ParameterError, match="'n_neighbours' is 2: it must be more where every"):
        walk_steps(copies, nearest_neighbours(copies, 2), 0.25)


def test_fewer_outputs_than_clusters_are_refused():
    with tf.Graph().as_default(), pytest.raises(ParameterError, match="'n_over_clusters' is 6"):
        build_information_encoder({"n_over_clusters": 6})


def bars(n_examples=600):
    """Images of 6 x 6 with a bar that is spread over two of six rows: three clusters."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, n_examples)
    images = 0.1 * random.random([n_examples, 6, 6], np.float32)
    share = random.random([n_examples, 1], np.float32)
    for row, brightness in ((0, share), (1, 1 - share)):
        images[np.arange(n_examples), 2 * labels + row] += 0.9 * brightness
    data_set = DataSet(images.reshape(n_examples, -1), labels, shape=(6, 6))
    data_set.neighbours = nearest_neighbours(data_set.images, 5)
    return data_set


def start(seed=0, **params):
    def build(params):
        return build_information_encoder(params, shape=(6, 6))

    return start_trainer(build, {**SMALL, "augment": False, **params}, seed)


def test_it_finds_clusters_and_their_information():
    data_set = bars()
    trainer = start().fit_to_the_end(data_set)
    predicted = trainer.model.predict(trainer.session, data_set.images)
    assert clustering_scores(data_set.labels, predicted, 3, 3)["accuracy"] > 0.98
    assert trainer.history["information"][-1] == pytest.approx(np.log(3), abs=0.1)
    assert trainer.epochs_done == {"over": 6, "loss": 4}


def test_without_regrouping_the_outputs_are_put_together_once():
    seen = []

    def note(trainer, _):
        seen.append(trainer.model.encoder.assigned(trainer.session))

    trainer = start(regroup=False)
    trainer.listeners.append(note)
    trainer.fit_to_the_end(bars())
    evenly = np.arange(6) % 3
    assert all(np.array_equal(groups, evenly) for groups in seen[:6])
    assert all(np.array_equal(groups, seen[6]) for groups in seen[7:])
    assert not np.array_equal(seen[6], evenly)


def test_a_walk_among_neighbours_ends_so_many_steps_away():
    points = np.arange(40, dtype=np.float32)[:, None]
    ring = DataSet(points, np.zeros(40, int), shape=points.shape[1:])
    ring.neighbours = (np.arange(40)[:, None] + 1) % 40
    for steps in (1, 7):
        ring.neighbour_steps = steps
        _, _, _, partners = ring.examples(np.arange(40))
        np.testing.assert_array_equal(partners, (points + steps) % 40)


def test_the_spirals_arms_are_mixed_for_models_that_see_neighbours():
    spiral = make_spiral(0, 40, 10, 10)
    params = {"n_neighbours": 3, "neighbour_reach": 0.25, "deskew": False}
    prepared = prepare_data(spiral, params)
    assert all(len(set(part.labels[:8])) > 1 for part in prepared[:3])
    mixed = prepared.train
    assert mixed.neighbour_steps == walk_steps(mixed.images, mixed.neighbours, 0.25) > 1
    order = np.lexsort(mixed.images.T)
    before = np.lexsort(spiral.train.images.T)
    np.testing.assert_array_equal(mixed.images[order], spiral.train.images[before])
    np.testing.assert_array_equal(mixed.labels[order], spiral.train.labels[before])
    np.testing.assert_array_equal(mixed.neighbours, nearest_neighbours(mixed.images, 3))


def test_without_neighbours_the_views_are_of_one_image():
    data_set = bars()
    data_set.neighbours = None
    trainer = start().fit(data_set, 1)
    feed = trainer.model.feed(data_set.examples(slice(0, 5)))
    first, second = trainer.session.run(trainer.model.views, feed)
    np.testing.assert_array_equal(first, second)


def test_a_cluster_is_as_likely_as_its_outputs_together():
    trainer = start()
    model, data_set = trainer.model, bars(40)
    groups = np.array([0, 0, 1, 2, 2, 2])
    encoder = model.encoder
    encoder.assign(trainer.session, groups)
    outputs = trainer.session.run(model.outputs, model.feed(data_set.examples(slice(None))))
    expected = softmax(outputs, axis=1) @ np.eye(3)[groups]
    np.testing.assert_allclose(
        model.predict_proba(trainer.session, data_set.images), expected, rtol=1e-5
    )


def test_dmvae_begins_with_its_clusters(tmp_path):
    data_set = bars()
    trainer = start().fit_to_the_end(data_set)
    trainer.save(tmp_path / "model.ckpt")

    def build(params):
        return build_dmvae(params, shape=(6, 6))

    shared = {
        key: SMALL[key] for key in ("n_clusters", "n_over_clusters", "cluster_encoder_layers")
    }
    dmvae = start_trainer(build, {**shared, "normalise": True, "encoder_layers": [8]}, 1)
    taken = dmvae.begin_with(tmp_path / "model.ckpt")
    assert {name.split("/")[1] for name in taken} == {"encode_cluster", "groups"}
    np.testing.assert_allclose(
        dmvae.model.predict_proba(dmvae.session, data_set.images),
        trainer.model.predict_proba(trainer.session, data_set.images),
        rtol=1e-5,
    )


def test_beginning_with_another_shape_is_refused_and_changes_nothing(tmp_path):
    start().save(tmp_path / "model.ckpt")
    wider = start(cluster_encoder_layers=[17])
    before = wider.variables()
    message = r"dense/kernel with shape \[36, 16\]: in this model .*dense/kernel has \[36, 17\]"
    with pytest.raises(ParameterError, match=message):
        wider.begin_with(tmp_path / "model.ckpt")
    for name, value in wider.variables().items():
        np.testing.assert_array_equal(value, before[name])


def test_beginning_with_a_damaged_checkpoint_is_refused(tmp_path):
    trainer = start()
    trainer.save(tmp_path / "model.ckpt")
    (values,) = tmp_path.glob("model.ckpt.data*")
    values.write_bytes(values.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"model\.ckpt cannot be restored"):
        trainer.begin_with(tmp_path / "model.ckpt")


@pytest.mark.parametrize("regroup", [True, False])
@pytest.mark.parametrize("cut", [2, 6, 7])
def test_a_training_that_was_cut_off_ends_alike(tmp_path, cut, regroup):
    """Cut off while the outputs are trained, between the phases, and after the merger."""

    def stop(trainer, train_set):
        if trainer.n_epochs == cut:
            trainer.save(tmp_path / "model.ckpt")
            trainer.save_state(tmp_path / "state.npz", train_set)

    whole = start(regroup=regroup)
    whole.listeners.append(stop)
    np.random.seed(0)
    whole.fit_to_the_end(bars())
    resumed, data_set = start(seed=0, regroup=regroup), bars()
    resumed.restore(tmp_path / "model.ckpt")
    resumed.restore_state(tmp_path / "state.npz", data_set)
    resumed.fit_to_the_end(data_set)
    assert resumed.history == whole.history
    np.testing.assert_array_equal(
        resumed.model.predict_proba(resumed.session, data_set.images),
        whole.model.predict_proba(whole.session, data_set.images),
    )


def test_a_share_of_the_first_views_is_plain():
    params = {**SMALL, "plain_share": 0.5, "deskew": False}
    trainer = start_trainer(lambda p: build_information_encoder(p, shape=(6, 6)), params, 0)
    images = bars(400).images
    first, second = trainer.session.run(trainer.model.views, {trainer.model.inputs: images})
    is_plain = (first == images).all(axis=1)
    assert 160 < is_plain.sum() < 240
    assert not (second == images).all(axis=1).any()


def test_elastic_views_are_deformed_affine_ones():
    key = key_value(0, 0)
    views = []
    for std in (0.0, 0.1):
        trainer = start(augment=True, elastic_std=std)
        with trainer.session.graph.as_default():
            feed = {trainer.model.inputs: bars(50).images, noise_key(): key}
        views.append(trainer.session.run(trainer.model.views[0], feed))
    affine, elastic = views
    assert 0.01 < np.abs(affine - elastic).mean() < 0.2


def test_elastic_views_ask_for_augmentation():
    with pytest.raises(ParameterError, match=r"'elastic_std' is 0\.04: it must be 0 where"):
        start(augment=False, elastic_std=0.04)


def test_neighbours_are_looked_for_anew_among_the_features():
    data_set = bars()
    trainer = start().fit_to_the_end(data_set)
    model, session = trainer.model, trainer.session
    features = model.compute_features(session, data_set.images)
    assert features.shape == (600, 16)
    kernel = trainer.variables()["information/encode_cluster/dense_1/kernel"]
    logits = features @ kernel
    outputs = session.run(model.outputs, model.feed(data_set.examples(slice(None))))
    assert np.ptp(outputs - logits, axis=0).max() < 1e-3  # but for the bias
    params = {**model.params, "neighbour_space": "features"}
    data = DataSets(data_set, data_set, data_set, "bars")
    data_set.neighbours = None
    assert prepare_data(data, params).train.neighbours is None
    with pytest.raises(ParameterError, match="'neighbour_space' is 'features': the encoder must"):
        start(neighbour_space="features").fit_to_the_end(data_set)
    found = prepare_data(
        data, params, features=lambda images: model.compute_features(session, images)
    ).train.neighbours
    np.testing.assert_array_equal(found, nearest_neighbours(features, params["n_neighbours"]))


def test_the_last_epoch_ends_with_averages_of_the_variables():
    """The averages of every step, by hand."""
    seen = []

    class Noting:
        def __init__(self, session):
            self._session = session

        def __getattr__(self, name):
            return getattr(self._session, name)

        def run(self, fetches, feed=None):
            found = self._session.run(fetches, feed)
            if feed and trainer.learning_rate in feed:
                seen.append(trainer.variables())
            return found

    trainer = start(weight_averaging=0.7, pretrain_epochs=1, epochs=1, batch_size=100)
    trainer.session = Noting(trainer.session)
    averages = trainer.variables()
    trainer.fit_to_the_end(bars())
    for n, values in enumerate(seen):
        decay = min(0.7, (1 + n) / (10 + n))
        averages = {name: decay * averages[name] + (1 - decay) * values[name] for name in averages}
    assert len(seen) == 12
    for name, value in trainer.variables().items():
        if "groups" not in name:
            np.testing.assert_allclose(value, averages[name], rtol=1e-4, atol=1e-6)


def test_an_encoder_that_labels_itself_becomes_surer_of_its_views():
    data_set = bars()
    losses = {}
    for weight in (1e-9, 20.0):
        given = {"self_label_weight": weight, "self_label_threshold": 0.5}
        trainer = start(**given, pretrain_epochs=2, epochs=1).fit_to_the_end(data_set)
        losses[weight] = trainer.history["self_label_loss"][-1]
    assert losses[20.0] < 0.8 * losses[1e-9]
    model, feed = trainer.model, trainer.model.feed(data_set.examples(slice(0, 100)))
    information, over, own, loss = trainer.session.run(
        [model.information, model.over_information, model.self_label_loss, model.loss], feed
    )
    assert loss == pytest.approx(20 * own - information - over, rel=1e-5)


def test_information_does_not_depend_on_how_a_test_set_is_sorted():
    trainer, mixed = start(), bars(1200)
    trainer.shows_progress = False
    trainer.fit_to_the_end(bars())
    order = np.argsort(mixed.labels, kind="stable")
    by_class = DataSet(mixed.images[order], mixed.labels[order], shape=mixed.shape)
    found, expected = (trainer.evaluate(each)["information"] for each in (by_class, mixed))
    assert found == pytest.approx(expected, abs=0.03)
    assert expected > 0.5
