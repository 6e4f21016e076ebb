import numpy as np
import pytest
from reference import (
    DATA,
    assert_weights_close,
    assign_weights,
    load_trace,
    train_and_compare,
    weights_in,
)

from moe_vae import ConditionalVAE, DataError, ParameterError
from moe_vae.compat import tf
from moe_vae.data.dataset import Batch
from moe_vae.posts.conditional_vae import build_conditional_vae

SMALL = {
    "encoder_layers": [16],
    "decoder_layers": [16],
    "digit_classification_layers": [16],
    "z_dim": 3,
}
LOSSES = ("loss_auto_encode", "loss_digit_classifier", "loss")


@pytest.fixture
def small():
    """The small model of TensorFlow 1.15's trace, Adam, a session."""
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        model = build_conditional_vae(SMALL)
        step = tf.train.AdamOptimizer(0.001).minimize(model.loss)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            yield model, step, session


def batch(model, trace, i):
    return {
        model.images: trace["images"][i],
        model.digits: trace["digits"][i],
        model.eps: trace["eps"][i],
    }


def train_on(small, trace, steps):
    model, step, session = small
    recorded = {name: getattr(model, name) for name in LOSSES}
    train_and_compare(session, step, recorded, lambda i: batch(model, trace, i), trace, steps)


def test_losses_and_weights_are_those_of_tensorflow_1(small):
    model, _, session = small
    trace = load_trace("post2_trace.npz")
    assign_weights(session, weights_in(trace, "initial"))
    recorded = {
        "mu": model.encoder_mu,
        "var": model.encoder_var,
        "digit_prob": model.digit_prob,
        "decoded_images": model.decoded_images,
    }
    for name, value in session.run(recorded, batch(model, trace, 0)).items():
        np.testing.assert_allclose(value, trace[f"expected/{name}"][0], rtol=1e-5, atol=1e-6)
    train_on(small, trace, range(6))
    assert_weights_close(session, weights_in(trace, "final"))


def test_training_goes_on_from_a_tensorflow_1_checkpoint(small):
    _, _, session = small
    trace = load_trace("post2_trace.npz")
    tf.train.Saver().restore(session, str(DATA / "post2_ckpt" / "model.ckpt-3"))
    train_on(small, trace, range(3, 6))
    assert_weights_close(session, weights_in(trace, "final"))


def test_variables_are_named_as_in_tensorflow_1_in_every_graph():
    layers = ["dense"] + [f"dense_{i}" for i in range(1, 7)]
    expected = [f"{layer}/{part}" for layer in layers for part in ("kernel", "bias")]
    for _ in range(2):
        with tf.Graph().as_default():
            build_conditional_vae({})
            assert [variable.op.name for variable in tf.trainable_variables()] == expected


def test_generation_decodes_the_code_with_the_digit_asked_for(small):
    model, _, session = small
    z = np.random.default_rng(0).standard_normal([3, 3]).astype(np.float32)
    drawn = model.generate(session, z, [4, 4, 7])
    weights = {v.op.name: session.run(v) for v in tf.trainable_variables()}

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    code = np.concatenate([z, np.eye(10)[[4, 4, 7]]], axis=1)
    h = sigmoid(code @ weights["dense_5/kernel"] + weights["dense_5/bias"])
    expected = sigmoid(h @ weights["dense_6/kernel"] + weights["dense_6/bias"])
    np.testing.assert_allclose(drawn, expected, rtol=1e-4)
    np.testing.assert_allclose(model.generate_row(session, z[:1])[4], drawn[0], rtol=1e-5)
    np.testing.assert_allclose(model.generate(session, z[:2], 4), drawn[:2], rtol=1e-5)


def test_prediction_and_reconstruction_work_on_images_alone(small):
    model, _, session = small
    images = np.random.default_rng(0).random([700, 784]).astype(np.float32)
    probabilities = model.predict_proba(session, images)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(model.predict(session, images), probabilities.argmax(axis=1))
    mean_code = session.run(model.encoder_mu, {model.images: images})
    expected = session.run(
        model.decoded_images, {model.z: mean_code, model.digit_prob: probabilities}
    )
    np.testing.assert_allclose(model.reconstruct(session, images), expected, rtol=1e-4)


def test_a_digit_out_of_range_is_refused(small):
    model, _, session = small
    with pytest.raises(DataError, match=r"digits are \[10\]: each must be in 0 to 9"):
        model.generate(session, np.zeros([1, 3]), 10)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros([2, 4], np.float32), r"points have shape \[2, 4\]: it must be \[n, 9\]"),
        (np.zeros([2, 9]), "points have dtype float64: it must be float32"),
    ],
    ids=["shape", "dtype"],
)
def test_a_batch_of_another_form_is_refused(images, message):
    with tf.Graph().as_default():
        model = build_conditional_vae({**SMALL, "output_activation": "linear"}, (9,))
    with pytest.raises(DataError, match=message):
        model.feed(Batch(images, np.zeros(2, int)))


def test_a_bad_parameter_is_refused_before_anything_is_built():
    with tf.Graph().as_default() as graph:
        images, digits = tf.placeholder(tf.float32, [None, 784]), tf.placeholder(tf.int32, [None])
        before = len(graph.get_operations())
        with pytest.raises(ParameterError, match="'z_dim' is 0"):
            ConditionalVAE({"z_dim": 0}, images, digits)
        assert len(graph.get_operations()) == before
