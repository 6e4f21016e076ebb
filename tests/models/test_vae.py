"""The plain VAE, and a learned variance of every VAE's decoder, against SciPy's densities."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logsumexp

from moe_vae.data.checks import DataError
from moe_vae.data.dataset import DataSet
from moe_vae.data.spiral import make_spiral
from moe_vae.data.stored import StoredImages
from moe_vae.model import ModelError
from moe_vae.models.dmvae import build_dmvae
from moe_vae.models.vade import build_vade
from moe_vae.models.vae import build_vae
from moe_vae.params import ParameterError
from moe_vae.training import start_trainer

SMALL = {
    "encoder_layers": [8],
    "decoder_layers": [8],
    "likelihood": "gaussian",
    "decoder_std": 0.8,
    "input_std": 5.0,
    "z_dim": 2,
    "batch_size": 20,
}
LEARNED = {"decoder_variance": "learned"}
BUILDS = {
    "vae": (build_vae, {}),
    "vade": (build_vade, {"n_clusters": 3}),
    "dmvae": (build_dmvae, {"n_clusters": 3, "cluster_encoder_layers": [8]}),
}


def start(name="vae", shape=(2,), **params):
    build, own = BUILDS[name]
    return start_trainer(lambda given: build(given, shape), {**SMALL, **own, **params}, 5)


@pytest.fixture(scope="module")
def data():
    return make_spiral(0, 40, 10, 10).train


@pytest.fixture(scope="module")
def trained(data):
    trainer = start(epochs=30, learning_rate=0.02)
    trainer.fit_to_the_end(data)
    return trainer


def weights_of(trainer, scope):
    """The layers' kernels and biases in a scope, in their order."""
    layers = [v for v in trainer._variables if f"/{scope}/" in f"/{v.op.name}"]
    layers = [v for v in layers if "Adam" not in v.op.name]
    return trainer.session.run(layers)


def noise(n_rows):
    return np.random.default_rng(4).standard_normal([n_rows, 2]).astype(np.float32)


def code_kl(mu, var):
    return 0.5 * (mu**2 + var - 1 - np.log(var)).sum(axis=1)


def test_gaussian_loss_is_the_papers(trained, data):
    model, x = trained.model, data.images[::20]
    eps = noise(len(x))
    fetches = [model.loss, model.encoder_mu, model.encoder_var, model.z]
    loss, mu, var, z = trained.session.run(fetches, {model.inputs: x, model.eps: eps})
    np.testing.assert_allclose(z, mu + np.sqrt(var) * eps, rtol=1e-5)
    kernel, bias, last_kernel, last_bias = weights_of(trained, "decode")
    mean = 5.0 * (np.maximum(z @ kernel + bias, 0) @ last_kernel + last_bias)
    log_x = stats.norm.logpdf(x, mean, 0.8).sum(axis=1)
    np.testing.assert_allclose(loss, (code_kl(mu, var) - log_x).mean(), rtol=1e-4)


def test_bernoulli_loss_is_the_papers():
    trainer = start(shape=(2, 2), likelihood="bernoulli", input_std=1.0)
    model, x = trainer.model, np.random.default_rng(0).random([6, 4], np.float32)
    fetches = [model.loss, model.encoder_mu, model.encoder_var, model.z]
    loss, mu, var, z = trainer.session.run(fetches, {model.inputs: x, model.eps: noise(6)})
    kernel, bias, last_kernel, last_bias = weights_of(trainer, "decode")
    p = expit(np.maximum(z @ kernel + bias, 0) @ last_kernel + last_bias)
    log_x = (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1)
    np.testing.assert_allclose(loss, (code_kl(mu, var) - log_x).mean(), rtol=1e-4)
    with pytest.raises(DataError, match="with likelihood 'bernoulli' every value must be in"):
        model.predict(trainer.session, x + 1)


@pytest.mark.parametrize("name", BUILDS)
def test_a_learned_variance_is_in_the_density(name, data):
    trainer = start(name, **LEARNED)
    model, x = trainer.model, data.images[::20]
    trainer.fit(data, 2, sample=False)
    feed = {model.inputs: x, model.eps: noise(len(x))}
    fetches = [model.loss_reconstruction, model.z, model.decoded, model.decoded_std]
    loss, z, decoded, std = trainer.session.run(fetches, feed)
    kernel, bias, mean_kernel, mean_bias, raw_kernel, raw_bias = weights_of(trainer, "decode")
    h = np.maximum(z @ kernel + bias, 0)
    expected_std = 0.8 * np.sqrt(1e-5 + np.exp(h @ raw_kernel + raw_bias))
    assert np.ptp(expected_std) > 0.1
    np.testing.assert_allclose(std, expected_std, rtol=1e-4)
    np.testing.assert_allclose(decoded, 5.0 * (h @ mean_kernel + mean_bias), rtol=1e-3, atol=1e-3)
    log_x = stats.norm.logpdf(x, decoded, std).sum(axis=1)
    np.testing.assert_allclose(loss, -log_x.mean(), rtol=1e-4)


def test_a_learned_variance_nears_that_of_the_data():
    """A decoder that cannot see the code can do no better than the data's mean and variance."""
    random = np.random.default_rng(1)
    spread = np.array([0.5, 3.0])
    points = (1 + spread * random.standard_normal([2000, 2])).astype(np.float32)
    data = DataSet(points, np.zeros(len(points), int), shape=(2,))
    trainer = start(input_std=1.0, learning_rate=0.02, **LEARNED)
    model = trainer.model
    (kernel,) = (v for v in trainer._variables if v.op.name == "vae/decode/dense/kernel")
    for _ in range(8):
        trainer.fit(data, 1, sample=False)
        kernel.load(np.zeros([2, 8]), trainer.session)
    std = trainer.session.run(model.decoded_std, {model.z: np.zeros([1, 2])})[0]
    np.testing.assert_allclose(std, spread, rtol=0.15)


def test_the_autoencoder_is_trained_before_the_prior_counts(data):
    trainer = start(pretrain_epochs=3, epochs=1, learning_rate=0.02)
    before = trainer.evaluate(data)
    trainer.model.pretrain(trainer, data)
    after = trainer.evaluate(data)
    assert trainer.epochs_done == {"auto_encode": 3, "loss": 0}
    assert after["loss_reconstruction"] < before["loss_reconstruction"]
    assert after["loss_code"] > before["loss_code"]


@pytest.mark.parametrize("name", BUILDS)
def test_a_fixed_variance_has_no_variables(name):
    assert len(weights_of(start(name), "decode")) == 4
    assert len(weights_of(start(name, **LEARNED), "decode")) == 6
    assert start(name).model.decoded_std == 0.8


def test_the_bound_is_below_the_likelihood(trained, data):
    model, session = trained.model, trained.session
    gaps = []
    for x in data.images[::40]:
        x = np.repeat(x[None], 20_000, axis=0)
        eps = noise(len(x))
        fetches = [model.loss, model.encoder_mu, model.encoder_var, model.z, model.decoded]
        loss, mu, var, z, decoded = session.run(fetches, {model.inputs: x, model.eps: eps})
        weights = (
            stats.norm.logpdf(x, decoded, 0.8).sum(axis=1)
            + stats.norm.logpdf(z).sum(axis=1)
            - stats.norm.logpdf(z, mu, np.sqrt(var)).sum(axis=1)
        )
        gaps.append(logsumexp(weights) - np.log(len(x)) + loss)
    assert min(gaps) > -0.01
    assert np.mean(gaps) < 5


def test_examples_are_decoded_from_the_prior(trained, data):
    model, session = trained.model, trained.session
    z = noise(6)
    decoded = session.run(model.decoded, {model.z: z})
    np.testing.assert_allclose(model.generate(session, z, 0), decoded, rtol=1e-5)
    for n in (11, np.int64(11)):
        assert model.generate(session, n, 0).shape == (11, 2)
    with pytest.raises(ParameterError, match="prior is 1: it must be in 0 to 0"):
        model.generate(session, z, 1)
    codes = session.run(model.encoder_mu, {model.inputs: data.images})
    np.testing.assert_allclose(model.mean_codes(session, data.images), codes, rtol=1e-5)
    np.testing.assert_array_equal(
        model.predict(session, data.images), model.mean_codes(session, data.images)
    )
    decoded = session.run(model.decoded, {model.z: codes})
    np.testing.assert_allclose(model.reconstruct(session, data.images), decoded, rtol=1e-4)
    with pytest.raises(ModelError, match="PlainVAE has no classes, experts or clusters"):
        model.predict_proba(session, data.images)


@pytest.mark.parametrize("name", BUILDS)
def test_a_bernoulli_likelihood_has_no_variance_to_learn(name):
    message = (
        "parameter 'decoder_variance' is 'learned': with likelihood 'bernoulli' it must be 'fixed'"
    )
    with pytest.raises(ParameterError, match=message):
        start(name, **LEARNED, likelihood="bernoulli")
    with pytest.raises(ParameterError, match="'decoder_variance' is 'free': it must be one of fi"):
        start(name, decoder_variance="free")


def test_vade_can_begin_with_a_plain_vae(trained, data, tmp_path):
    trained.save(tmp_path / "vae")
    vade = start("vade")
    taken = vade.begin_with(tmp_path / "vae")
    assert {name.split("/")[1] for name in taken} == {"encode", "decode"}
    ours, theirs = (t.model.mean_codes(t.session, data.images) for t in (vade, trained))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", BUILDS)
def test_images_that_are_stored_as_bytes_give_the_same_training(name):
    pixels = np.random.default_rng(6).integers(0, 256, [60, 5, 4], np.uint8)
    stored = StoredImages(pixels)
    codes, losses = [], []
    for images in (stored, stored[:]):
        trainer = start(name, (5, 4), likelihood="bernoulli", epochs=2, pretrain_epochs=1)
        data = DataSet(images, shape=(5, 4))
        trainer.fit_to_the_end(data)
        losses.append(trainer.evaluate(data))
        codes.append(trainer.model.mean_codes(trainer.session, images))
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(*codes)
