"""DMVAE: the relaxation against its limits, both objectives against NumPy, the schedule."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from moe_vae.compat import tf, tfd
from moe_vae.data.checks import DataError
from moe_vae.data.dataset import Batch
from moe_vae.data.spiral import make_spiral
from moe_vae.models.dmvae import build_dmvae
from moe_vae.params import ParameterError
from moe_vae.training import Trainer, fit_restarts, set_seeds

SMALL = {
    "n_clusters": 4,
    "encoder_layers": [8],
    "cluster_encoder_layers": [8],
    "decoder_layers": [8],
    "likelihood": "gaussian",
    "decoder_std": 0.8,
    "z_dim": 2,
    "prior_mean_std": 1.0,
    "batch_size": 20,
}


def start(params=None, shape=(2,), seed=5):
    with tf.Graph().as_default():
        set_seeds(seed)
        trainer = Trainer(build_dmvae({**SMALL, **(params or {})}, shape))
    # Clusters of different shapes, for a fresh graph's variances are all 1.
    spread = np.random.RandomState(0).normal(size=[80, trainer.model.params["z_dim"]])
    trainer.model.prior.fit(trainer.session, spread * 2)
    return trainer


@pytest.fixture(scope="module")
def data():
    return make_spiral(0, 40, 10, 10).train


@pytest.fixture(scope="module")
def exact():
    return start()


@pytest.fixture(scope="module")
def relaxed():
    return start({"objective": "relaxed"})


def noise(n_rows):
    random = np.random.RandomState(4)
    eps, gumbel = random.normal(size=[n_rows, 2]), random.gumbel(size=[n_rows, 4])
    return eps.astype(np.float32), gumbel.astype(np.float32)


def softmax(logits):
    return np.exp(logits - logsumexp(logits, axis=1, keepdims=True))


def gaussian_kl(mu, var, prior_mu, prior_var):
    inner = np.log(prior_var / var) + (var + (mu - prior_mu) ** 2) / prior_var - 1
    return 0.5 * inner.sum(axis=-1)


def values(trainer, x, eps, gumbel=None, **more):
    """Returns the tensors that a loss consists of, as a dict of arrays."""
    model = trainer.model
    fetches = {
        "mu": model.encoder_mu,
        "var": model.encoder_var,
        "logits": model.cluster_logits,
        "decoded": model.decoded,
        "prior_mu": model.prior.mu,
        "prior_var": model.prior.var,
        "loss": model.loss,
    }
    feed = {model.inputs: x, model.eps: eps, **more.get("feed", {})}
    if gumbel is not None:
        feed[model.gumbel] = gumbel
    return trainer.session.run(fetches, feed)


def reconstruction_and_cluster_terms(x, got):
    q = softmax(got["logits"])
    reconstruction = -stats.norm.logpdf(x, got["decoded"], 0.8).sum(axis=1)
    return reconstruction, (q * np.log(q * q.shape[1])).sum(axis=1)


def test_exact_loss_is_the_expectation_over_clusters(exact, data):
    x = data.images[::20]
    got = values(exact, x, noise(len(x))[0])
    kls = gaussian_kl(got["mu"][:, None], got["var"][:, None], got["prior_mu"], got["prior_var"])
    code = (softmax(got["logits"]) * kls).sum(axis=1)
    expected = (sum(reconstruction_and_cluster_terms(x, got)) + code).mean()
    np.testing.assert_allclose(got["loss"], expected, rtol=1e-4)


def test_relaxed_loss_is_the_papers(relaxed, data):
    x = data.images[::20]
    eps, gumbel = noise(len(x))
    got = values(relaxed, x, eps, gumbel)
    zeta = softmax((got["logits"] + gumbel) / 0.2)
    prior_var = np.exp(zeta @ np.log(got["prior_var"]))
    code = gaussian_kl(got["mu"], got["var"], zeta @ got["prior_mu"], prior_var)
    expected = (sum(reconstruction_and_cluster_terms(x, got)) + code).mean()
    np.testing.assert_allclose(got["loss"], expected, rtol=1e-4)


def test_relaxed_prior_tends_to_the_discrete_one(relaxed, data):
    model, session = relaxed.model, relaxed.session
    x = data.images[::20]
    gumbel = noise(len(x))[1]
    logits, mu, var = session.run(
        [model.cluster_logits, model.prior.mu, model.prior.var], {model.inputs: x}
    )
    chosen = (logits + gumbel).argmax(axis=1)
    assert len(np.unique(chosen)) > 1
    distances = []
    for temperature in (1.0, 0.1, 1e-4):
        relaxed_mu, relaxed_var = session.run(
            [model.relaxed_mu, model.relaxed_var],
            {model.inputs: x, model.gumbel: gumbel, model.temperature: temperature},
        )
        distances.append(
            np.abs(relaxed_mu - mu[chosen]).mean() + np.abs(relaxed_var - var[chosen]).mean()
        )
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 1e-4


def test_relaxed_loss_tends_on_average_to_the_exact_one(relaxed, data):
    model, n = relaxed.model, 40_000
    x = np.repeat(data.images[60:61], n, axis=0)
    random = np.random.RandomState(1)
    gumbel = random.gumbel(size=[n, 4]).astype(np.float32)
    got = values(relaxed, x, np.zeros([n, 2]), gumbel, feed={model.temperature: 1e-3})
    exact_kls = gaussian_kl(got["mu"][0], got["var"][0], got["prior_mu"], got["prior_var"])
    q = softmax(got["logits"][:1])[0]
    assert q.max() < 0.999
    reconstruction, cluster = reconstruction_and_cluster_terms(x[:1], got)
    expected = reconstruction[0] + cluster[0] + q @ exact_kls
    np.testing.assert_allclose(got["loss"], expected, rtol=0.02)


def test_zeta_is_distributed_as_tfds(relaxed):
    model, n = relaxed.model, 20_000
    logits = np.array([1.0, 0.0, -0.5, 0.3], np.float32)
    ours = relaxed.session.run(
        model.zeta,
        {
            model.cluster_logits: np.tile(logits, [n, 1]),
            model.temperature: 0.7,
        },
    )
    with tf.Graph().as_default(), tf.Session() as session:
        set_seeds(3)
        theirs = session.run(tfd.RelaxedOneHotCategorical(0.7, logits=logits).sample(n))
    for column in range(4):
        assert stats.ks_2samp(ours[:, column], theirs[:, column]).pvalue > 1e-3
    np.testing.assert_allclose(ours.sum(axis=1), 1, rtol=1e-4)


def test_exact_bound_is_below_the_likelihood(data):
    trainer = start()
    trainer.fit(data, 20, sample=False)
    gaps = []
    for x in data.images[::40]:
        x = np.repeat(x[None], 20_000, axis=0)
        eps = np.random.RandomState(2).normal(size=[len(x), 2]).astype(np.float32)
        got = values(trainer, x, eps)
        mu, std = got["mu"], np.sqrt(got["var"])
        z = mu + std * eps
        clusters = stats.norm.logpdf(z[:, None], got["prior_mu"], np.sqrt(got["prior_var"]))
        log_prior = logsumexp(clusters.sum(axis=2), axis=1) - np.log(4)
        log_x = stats.norm.logpdf(x, got["decoded"], 0.8).sum(axis=1)
        weights = log_x + log_prior - stats.norm.logpdf(z, mu, std).sum(axis=1)
        gaps.append(logsumexp(weights) - np.log(len(x)) + got["loss"])
    assert min(gaps) > -0.01
    assert np.mean(gaps) < 5


def test_temperature_is_annealed_by_equal_factors():
    model = start(
        {"temperature_start": 1.6, "temperature": 0.1, "anneal_epochs": 4, "warm_up_epochs": 2}
    ).model
    scheduled = [model.schedule("loss", epoch) for epoch in range(6)]
    np.testing.assert_allclose(
        [values[model.temperature] for values in scheduled], [1.6, 0.8, 0.4, 0.2, 0.1, 0.1]
    )
    assert [values[model.kl_weight] for values in scheduled] == [0, 0.5, 1, 1, 1, 1]


def test_schedule_reaches_the_training_steps(data):
    # With the prior's terms at weight 0 in the first epoch the prior cannot move; in the second
    # it does.
    trainer = start({"warm_up_epochs": 2})
    prior = trainer.model.prior
    means = [trainer.session.run(prior.mu)]
    for _ in range(2):
        trainer.fit(data, 1, sample=False)
        means.append(trainer.session.run(prior.mu))
    np.testing.assert_array_equal(means[0], means[1])
    assert np.abs(means[2] - means[1]).max() > 1e-3


def test_fewer_outputs_than_clusters_are_refused():
    with tf.Graph().as_default(), pytest.raises(ParameterError, match="'n_over_clusters' is 4: it"):
        build_dmvae({"n_clusters": 5, "n_over_clusters": 4})


@pytest.mark.parametrize("groups", [{}, {"n_over_clusters": 6, "normalise": True}])
def test_a_held_cluster_encoder_stays_as_it_is_while_the_rest_learns(data, groups):
    trainer = start({"held_epochs": 1, **groups})
    model = trainer.model
    before = model.predict_proba(trainer.session, data.images)
    codes = model.mean_codes(trainer.session, data.images)
    trainer.fit(data, 1, sample=False)
    np.testing.assert_array_equal(model.predict_proba(trainer.session, data.images), before)
    assert np.abs(model.mean_codes(trainer.session, data.images) - codes).max() > 1e-2
    trainer.fit(data, 1, sample=False)
    after = model.predict_proba(trainer.session, data.images)
    assert np.abs(after - before).max() > 1e-3


def test_the_learning_rate_falls_along_a_cosine():
    trainer = start({"cosine_decay": True, "epochs": 4, "learning_rate": 0.01})
    rates = [trainer._rate("loss", epoch) for epoch in range(5)]
    assert rates == pytest.approx([0.01, 0.008536, 0.005, 0.001464, 0], abs=1e-6)
    assert trainer._rate("auto_encode", 3) == 0.01
    assert start({"epochs": 4})._rate("loss", 3) == 0.002


def test_evaluation_is_at_the_final_temperature_and_weight():
    trainer = start({"temperature_start": 5.0, "anneal_epochs": 3, "warm_up_epochs": 3})
    model = trainer.model
    temperature, weight = trainer.session.run([model.temperature, model.kl_weight])
    assert temperature == pytest.approx(0.2)
    assert weight == 1


def test_prior_weights_stay_uniform(data):
    trainer = start()
    trainer.fit(data, 2, sample=False)
    log_weights = trainer.session.run(trainer.model.prior.log_weights)
    np.testing.assert_allclose(np.exp(log_weights), 0.25, rtol=1e-6)


def test_uniform_prior_does_not_take_another_models_weights(tmp_path):
    learned = start({"cluster_prior": "learned"})
    assert np.ptp(learned.session.run(learned.model.prior.log_weights)) > 0.1
    learned.save(tmp_path / "model")
    uniform = start()
    assert "dmvae/gaussian_mixture/mu" in uniform.begin_with(tmp_path / "model")
    log_weights = uniform.session.run(uniform.model.prior.log_weights)
    np.testing.assert_allclose(np.exp(log_weights), 0.25, rtol=1e-6)


def logits_of(trainer):
    (logits,) = (v for v in trainer._variables if v.op.name == "dmvae/gaussian_mixture/logits")
    return logits


def test_learned_prior_is_in_the_loss(data):
    trainer = start({"cluster_prior": "learned"})
    logits = np.array([1.0, 0.0, -2.0, 0.5], np.float32)
    logits_of(trainer).load(logits, trainer.session)
    x = data.images[::20]
    got = values(trainer, x, noise(len(x))[0])
    q, weights = softmax(got["logits"]), softmax(logits[None])[0]
    kls = gaussian_kl(got["mu"][:, None], got["var"][:, None], got["prior_mu"], got["prior_var"])
    reconstruction = reconstruction_and_cluster_terms(x, got)[0]
    cluster = (q * np.log(q / weights)).sum(axis=1)
    expected = (reconstruction + (q * kls).sum(axis=1) + cluster).mean()
    np.testing.assert_allclose(got["loss"], expected, rtol=1e-4)


def test_learned_prior_is_drawn_to_the_mean_of_q(data):
    x = data.images[::20]
    with tf.Graph().as_default(), tf.Session() as session:
        set_seeds(5)
        model = build_dmvae({**SMALL, "cluster_prior": "learned"}, (2,))
        (logits,) = (v for v in tf.trainable_variables() if "mixture/logits" in v.op.name)
        gradient = tf.gradients(model.loss, logits)[0]
        session.run(tf.global_variables_initializer())
        logits.load([1.0, 0.0, -2.0, 0.5], session)
        computed, log_q, log_weights = session.run(
            [gradient, model.log_probs, model.prior.log_weights], {model.inputs: x}
        )
    expected = np.exp(log_weights) - np.exp(log_q).mean(axis=0)
    np.testing.assert_allclose(computed, expected, atol=1e-5)


def test_learned_prior_starts_uniform_and_is_trained(data):
    with tf.Graph().as_default():
        set_seeds(5)
        trainer = Trainer(build_dmvae({**SMALL, "cluster_prior": "learned"}, (2,)))
    prior = trainer.model.prior
    np.testing.assert_allclose(np.exp(trainer.session.run(prior.log_weights)), 0.25, rtol=1e-6)
    trainer.fit(data, 2, sample=False)
    assert np.ptp(trainer.session.run(prior.log_weights)) > 1e-3


def test_predict_is_the_cluster_encoders(exact, data):
    model, session = exact.model, exact.session
    logits = session.run(model.cluster_logits, {model.inputs: data.images})
    probs = model.predict_proba(session, data.images)
    np.testing.assert_allclose(probs, softmax(logits), atol=1e-5)
    assert np.array_equal(model.predict(session, data.images), logits.argmax(axis=1))


def test_generate_row_has_one_example_a_cluster(exact):
    row = exact.model.generate_row(exact.session, np.zeros([1, 2]))
    assert row.shape == (4, 2)
    assert len(np.unique(row.round(5), axis=0)) == 4


def test_one_seed_gives_one_history():
    def history(seed):
        trainer = start({"objective": "relaxed"}, seed=seed)
        return trainer.fit(make_spiral(0, 40, 10, 10).train, 2).history["loss"]

    first, again = history(1), history(1)
    assert first == again
    assert first[0] != first[1]


def test_restarts_keep_the_lowest_held_out_loss():
    data_sets = make_spiral(0, 40, 10, 10)
    trainers = {}

    def start_and_remember(seed):
        # Learning rates far apart, so that the restarts end far apart.
        trainers[seed] = start({"learning_rate": [1e-6, 1e-2, 1e-5][seed]}, seed=seed)
        return trainers[seed]

    kept, losses = fit_restarts(
        start_and_remember, data_sets.train, data_sets.validation, [0, 1, 2], epochs=3
    )
    assert kept is trainers[1]
    assert min(losses, key=losses.get) == 1
    assert losses[1] == pytest.approx(kept.evaluate(data_sets.validation)["loss"], rel=0.1)
    with pytest.raises(RuntimeError, match="closed"):
        trainers[2].evaluate(data_sets.validation)
    with pytest.raises(ParameterError, match="seeds is empty: it must hold at least one"):
        fit_restarts(start, data_sets.train, data_sets.validation, [])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"temperature": 0}, "parameter 'temperature' is 0: it must be a number above 0"),
        ({"temperature": -0.2}, "parameter 'temperature' is -0.2: it must be a number above 0"),
        ({"temperature_start": float("nan")}, "'temperature_start' is nan: it must be a number"),
        ({"objective": "gumbel"}, "'objective' is 'gumbel': it must be one of relaxed, exact"),
        ({"cluster_prior": "flat"}, "'cluster_prior' is 'flat': it must be one of uniform, lear"),
        ({"n_clusters": 0}, "parameter 'n_clusters' is 0: it must be a whole number of at least 1"),
        ({"cluster_encoder_layers": []}, "'cluster_encoder_layers' is .*: it must be a non-empty"),
        ({"n_samples": 3}, "unknown parameter 'n_samples': allowed are"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with tf.Graph().as_default(), pytest.raises(ParameterError, match=message):
        build_dmvae({**SMALL, **params}, (2,))


def test_bad_inputs_are_turned_away(exact, data):
    bad = data.images.copy()
    bad[3] = np.inf
    with pytest.raises(DataError, match="points hold 2 NaN or infinite values"):
        exact.model.predict_proba(exact.session, bad)
    with pytest.raises(DataError, match="points have dtype float64: it must be float32"):
        exact.model.feed(Batch(data.images.astype(float), data.labels))
