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
from scipy.stats import entropy

from moe_vae import VAE, DataError, Manager, ParameterError
from moe_vae.compat import tf
from moe_vae.data.dataset import Batch
from moe_vae.models.specialists import BALANCED_PARAMS, build_mixture_of_vaes
from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS

SMALL = {"encoder_layers": [16], "decoder_layers": [16], "manager_layers": [16], "z_dim": 3}
N_SMALL = 4
RECORDED = ("probs", "expert_losses", "expected_expert_loss", "balancing_loss", "loss")
# The manager's softmax wrote probs as small as 1e-7 into the trace; those of a loss are relative.
TOLERANCES = {"probs": {"rtol": 1e-5, "atol": 1e-7}}


@pytest.fixture
def small():
    """The small model of TensorFlow 1.15's trace, Adam, a session."""
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        manager = build_mixture_of_vaes({**SMALL, "n_experts": N_SMALL})
        step = tf.train.AdamOptimizer(0.001).minimize(manager.loss)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            yield manager, step, session


def batch(manager, trace, i):
    feed = {expert.eps: trace["eps"][i, k] for k, expert in enumerate(manager.experts)}
    return {**feed, manager.images: trace["images"][i]}


def train_on(small, trace, steps):
    manager, step, session = small
    recorded = {name: getattr(manager, name) for name in RECORDED}
    train_and_compare(
        session, step, recorded, lambda i: batch(manager, trace, i), trace, steps, TOLERANCES
    )


def test_losses_weights_and_pictures_are_those_of_tensorflow_1(small):
    manager, _, session = small
    trace = load_trace("post3_trace.npz")
    assign_weights(session, weights_in(trace, "initial"))
    decoded = session.run(
        [expert.decoded_images for expert in manager.experts], batch(manager, trace, 0)
    )
    np.testing.assert_allclose(decoded, trace["expected/decoded_images"], rtol=1e-5)
    train_on(small, trace, range(6))
    assert_weights_close(session, weights_in(trace, "final"))
    np.testing.assert_allclose(
        manager.generate_row(session, trace["sample_z"]),
        trace["expected/generated_after"][:, 0],
        rtol=1e-4,
    )


def test_training_goes_on_from_a_tensorflow_1_checkpoint(small):
    _, _, session = small
    trace = load_trace("post3_trace.npz")
    tf.train.Saver().restore(session, str(DATA / "post3_ckpt" / "model.ckpt-3"))
    train_on(small, trace, range(3, 6))
    assert_weights_close(session, weights_in(trace, "final"))


def test_variables_are_named_as_in_tensorflow_1_and_counted_afresh_in_every_graph():
    layers = [
        layer
        for i in range(2)
        for layer in (
            f"encode_{i}/dense",
            f"encode_{i}/dense_1",
            f"encode_{i}/dense_2",
            f"decode_{i}/dense",
            f"decode_{i}/dense_1",
        )
    ] + ["prob/dense", "prob/dense_1"]
    expected = [f"{layer}/{part}" for layer in layers for part in ("kernel", "bias")]
    for _ in range(2):
        with tf.Graph().as_default():
            build_mixture_of_vaes({"n_experts": 2})
            assert [variable.op.name for variable in tf.trainable_variables()] == expected


def test_encoding_and_decoding_again_share_the_weights(small):
    manager, _, session = small
    expert, before = manager.experts[1], len(tf.trainable_variables())
    images = np.random.default_rng(0).random([5, 784]).astype(np.float32)
    mu, _ = expert.encode(manager.images)
    decoded = expert.decode(mu)
    assert len(tf.trainable_variables()) == before
    again, original = session.run(
        [decoded, expert.decoded_images],
        {manager.images: images, expert.eps: np.zeros([5, 3])},
    )
    np.testing.assert_allclose(again, original, rtol=1e-5)


def test_losses_are_those_of_the_formulas():
    generator = np.random.default_rng(0)
    images = generator.random([7, 784]).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        manager = build_mixture_of_vaes({**SMALL, "n_experts": 3, "balancing_weight": 0.7})
        session.run(tf.global_variables_initializer())
        p, losses, expected, balancing, loss = session.run(
            [getattr(manager, name) for name in RECORDED], {manager.images: images}
        )
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(expected, (p * losses).sum(axis=1).mean(), rtol=1e-5)
    np.testing.assert_allclose(balancing, p.sum(axis=0).var(), rtol=1e-4)
    np.testing.assert_allclose(loss, expected + 0.7 * balancing, rtol=1e-6)


def test_balance_by_entropy_is_scipys_divergence_from_equal_shares():
    images = np.random.default_rng(0).random([7, 784]).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        manager = build_mixture_of_vaes(
            {**SMALL, "n_experts": 3, "routing": "balanced", "balancing_weight": 0.7}
        )
        session.run(tf.global_variables_initializer())
        p, expected, balancing, loss = session.run(
            [manager.probs, *(getattr(manager, name) for name in RECORDED[2:])],
            {manager.images: images},
        )
    found = entropy(p.mean(axis=0).astype(np.float64), np.full(3, 1 / 3))
    np.testing.assert_allclose(balancing, found, atol=1e-6)
    np.testing.assert_allclose(loss, expected + 0.7 * balancing, rtol=1e-6)


def test_near_balance_both_measures_weigh_the_same_in_the_posts_batches():
    shares = np.full(10, 0.1)
    shares[0], shares[1] = 0.1001, 0.0999
    by_variance = MIXTURE_OF_VAES_PARAMS["balancing_weight"] * np.var(100 * shares)
    by_entropy = BALANCED_PARAMS["balancing_weight"] * entropy(shares, np.full(10, 0.1))
    assert by_entropy == pytest.approx(by_variance, rel=1e-3)


def test_gradients_are_those_the_post_argues_with(small):
    manager, _, session = small
    images = np.random.default_rng(0).random([6, 784]).astype(np.float32)
    by_expert_losses, by_probs = tf.gradients(
        manager.expected_expert_loss, [manager.expert_losses, manager.probs]
    )
    p, losses, by_expert_losses, by_probs = session.run(
        [manager.probs, manager.expert_losses, by_expert_losses, by_probs],
        {manager.images: images},
    )
    # An expert learns from an image as much as the manager gives it, and the manager's output
    # for an expert falls as fast as that expert was wrong.
    np.testing.assert_allclose(by_expert_losses, p / len(images), rtol=1e-5)
    np.testing.assert_allclose(by_probs, losses / len(images), rtol=1e-5)


def test_experts_generate_one_by_one_as_in_a_row(small):
    manager, _, session = small
    z = np.random.default_rng(0).standard_normal([1, 3])
    row = manager.generate_row(session, z)
    for number in range(N_SMALL):
        np.testing.assert_allclose(manager.generate(session, z, number)[0], row[number], rtol=1e-5)


def test_an_image_is_reconstructed_by_its_likeliest_expert(small):
    manager, _, session = small
    # Random weights send all images to one expert; a larger output layer spreads them.
    kernel = next(v for v in tf.trainable_variables() if v.op.name == "prob/dense_1/kernel")
    kernel.load(50 * np.random.default_rng(1).standard_normal(kernel.shape.as_list()), session)
    images = np.random.default_rng(0).random([40, 784]).astype(np.float32)
    chosen = manager.predict(session, images)
    assert len(set(chosen)) > 1
    decoded = manager.reconstruct(session, images)
    for number, expert in enumerate(manager.experts):
        all_decoded = session.run(
            expert.decoded_images, {manager.images: images, expert.eps: np.zeros([40, 3])}
        )
        np.testing.assert_allclose(
            decoded[chosen == number], all_decoded[chosen == number], rtol=1e-4
        )


def test_an_expert_that_is_not_there_is_refused(small):
    manager, _, session = small
    with pytest.raises(ParameterError, match="expert is 4: it must be in 0 to 3"):
        manager.generate(session, np.zeros([1, 3]), 4)


@pytest.mark.parametrize("routing", ["post", "labels"])
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros([2, 4], np.float32), r"points have shape \[2, 4\]: it must be \[n, 9\]"),
        (np.zeros([2, 9]), "points have dtype float64: it must be float32"),
    ],
    ids=["shape", "dtype"],
)
def test_a_batch_of_another_form_is_refused(routing, images, message):
    params = {"routing": routing, "n_experts": 2, "output_activation": "linear"}
    with tf.Graph().as_default():
        manager = build_mixture_of_vaes(params, (9,))
    with pytest.raises(DataError, match=message):
        manager.feed(Batch(images, np.zeros(2, int)))


def test_a_manager_without_experts_is_refused():
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, 784])
        with pytest.raises(ParameterError, match="experts is empty"):
            Manager({}, [], images)


def test_a_bad_parameter_of_an_expert_is_refused():
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, 784])
        with pytest.raises(ParameterError, match="'decoder_layers' is"):
            VAE({"decoder_layers": []}, images)
