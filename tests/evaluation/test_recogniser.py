"""The judge of drawings, and the scores that it gives, against counts by hand."""

import functools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import log_softmax

from moe_vae import DataSet, DataSets
from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_SHAPE, DataError
from moe_vae.data.dataset import Batch
from moe_vae.evaluation.conditional_vae import score_conditional_vae, score_generation
from moe_vae.evaluation.recogniser import (
    RECOGNISER_PARAMS,
    build_recogniser,
    read_drawings,
    train_recogniser,
)
from moe_vae.evaluation.specialists import score_specialists
from moe_vae.training.trainer import start_trainer


def bars(n_examples, seed):
    """Returns a set of images, a noisy bar whose height is the label."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, n_examples)
    images = 0.3 * random.random([n_examples, 28, 28])
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 4 : 2 * label + 6] += 0.6
    return DataSet(images.reshape(-1, 784).astype(np.float32), labels)


def test_the_network_has_the_layers_described():
    with tf.Graph().as_default():
        build_recogniser({}, IMAGE_SHAPE, 10)
        shapes = [each.shape.as_list() for each in tf.trainable_variables()]
    kernels = [shape for shape in shapes if len(shape) > 1]
    # Two strides of 2 leave 7 x 7 of 28 x 28 pixels.
    assert kernels == [[5, 5, 1, 16], [5, 5, 16, 32], [7 * 7 * 32, 128], [128, 10]]
    assert [shape for shape in shapes if len(shape) == 1] == [[16], [32], [128], [10]]


def test_the_loss_is_the_mean_cross_entropy():
    data = bars(12, 0)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        model = build_recogniser({}, IMAGE_SHAPE, 10)
        session.run(tf.global_variables_initializer())
        feed = model.feed(Batch(data.images, data.labels))
        loss, logits = session.run([model.loss, model.digit_logits], feed)
    by_hand = -log_softmax(logits, axis=1)[np.arange(12), data.labels]
    assert loss == pytest.approx(by_hand.mean(), rel=1e-5)


def test_drawings_beyond_black_and_white_count_as_these():
    random = np.random.default_rng(0)
    drawn = random.normal(0.5, 1, [50, 784]).astype(np.float32)
    build = functools.partial(build_recogniser, shape=IMAGE_SHAPE, n_classes=10)
    trainer = start_trainer(build, {}, 0)
    with trainer.session:
        read = read_drawings(trainer, drawn)
        shown = trainer.model.predict(trainer.session, drawn.clip(0, 1))
    np.testing.assert_array_equal(read, shown)
    assert len(set(read)) > 1


def test_a_trained_recogniser_comes_with_its_share_of_right_answers(monkeypatch):
    monkeypatch.setitem(RECOGNISER_PARAMS, "epochs", 2)
    train, test = bars(1500, 1), bars(150, 2)
    # A third of the test labels is wrong, so that accuracy and error differ from 0 and from 1.
    wrong = DataSet(test.images, np.where(np.arange(150) % 3, test.labels, (test.labels + 1) % 10))
    trainer, accuracy = train_recogniser(DataSets(train, train, wrong, "bars"))
    assert trainer.epochs_done["loss"] == 2
    right = trainer.model.predict(trainer.session, test.images) == wrong.labels
    assert accuracy == pytest.approx(right.mean())
    assert 0.6 < accuracy < 0.7
    trainer.session.close()


class Drawer:
    """A model of four experts or digits that draws, in place of pixels, what will be read."""

    n_columns = 4
    params = {"z_dim": 3}  # noqa: RUF012, never written to

    def __init__(self):
        self.codes = []

    def generate(self, session, z, column):
        self.codes.append(z)
        return np.stack([np.broadcast_to(column, len(z)), np.arange(len(z)) % 200], axis=1) / 200

    def predict(self, session, inputs):
        return inputs[:, 0].astype(int)


class Reader:
    """Reads a drawing of column c as c, but the first 20 c of 200 as 3."""

    def predict(self, session, inputs):
        column, number = (200 * inputs.T).round().astype(int)
        return np.where(number < 20 * column, 3, column)


def of(model):
    return SimpleNamespace(model=model, session=None, evaluate=lambda data_set: {"loss": 1.5})


def test_generation_is_scored_by_the_digits_read():
    drawer = Drawer()
    scores = score_generation(of(drawer), of(Reader()), seed=7)
    # Of 200 drawings a digit.
    assert scores["share_by_digit"] == pytest.approx([1, 0.9, 0.8, 1])
    assert scores["share"] == pytest.approx(0.925)
    (codes,) = drawer.codes
    np.testing.assert_array_equal(codes, np.random.default_rng(7).standard_normal([800, 3]))


def test_specialists_are_scored_by_the_digits_they_were_matched_with():
    drawer = Drawer()
    # Experts 0 and 1 have changed places, so that they never draw the digits of their clusters.
    confusion = np.eye(4, dtype=int)[[1, 0, 2, 3]] * 50
    scores = score_specialists(of(drawer), of(Reader()), confusion, seed=7)
    assert scores["digit_by_expert"] == [1, 0, 2, 3]
    assert scores["share_by_expert"] == pytest.approx([0, 0, 0.8, 1])
    assert scores["share"] == pytest.approx(0.45)
    assert scores["n_digits"] == 4
    random = np.random.default_rng(7)
    for codes in drawer.codes:
        np.testing.assert_array_equal(codes, random.standard_normal([200, 3]))


def test_an_expert_without_a_digit_counts_in_no_mean():
    confusion = np.eye(3, 4, dtype=int) * 50  # three digits, four experts
    scores = score_specialists(of(Drawer()), of(Reader()), confusion)
    assert scores["digit_by_expert"] == [0, 1, 2, None]
    assert scores["share_by_expert"] == pytest.approx([1, 0.9, 0.8, None])
    assert scores["share"] == pytest.approx(0.9)


def test_two_experts_that_draw_one_digit_count_once():
    class Same:
        def predict(self, session, inputs):
            return np.maximum(200 * inputs[:, 0], 1).round().astype(int)

    scores = score_specialists(of(Drawer()), of(Same()), np.eye(4, dtype=int))
    assert scores["share_by_expert"] == [0, 1, 1, 1]
    assert scores["n_digits"] == 3


def test_a_classifier_is_scored_by_its_share_of_right_digits():
    digits = np.array([0, 1, 2, 3, 3])
    points = np.array([[0, 0], [1, 0], [2, 0], [3, 0], [2, 0]], np.float32)
    data_set = DataSet(points, digits, shape=(2,))
    scores = score_conditional_vae(of(Drawer()), data_set)
    assert scores == {"accuracy": pytest.approx(0.8), "losses": {"loss": 1.5}}


def test_training_images_without_labels_are_refused():
    labelled = bars(20, 0)
    parts = DataSet(labelled.images), labelled, labelled
    with pytest.raises(DataError, match="a recogniser needs images with labels"):
        train_recogniser(DataSets(*parts, "bars"))
