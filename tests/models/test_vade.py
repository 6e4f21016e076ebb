"""VaDE: its terms against closed forms, its bound against the likelihood, its start by EM."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from moe_vae.compat import tf, tfd
from moe_vae.data.checks import DataError
from moe_vae.data.dataset import Batch, DataSet
from moe_vae.data.spiral import make_spiral
from moe_vae.evaluation.clustering import accuracy_listener
from moe_vae.models.vade import build_vade
from moe_vae.nn.losses import kl_between_categoricals, kl_between_gaussians
from moe_vae.params import ParameterError
from moe_vae.training.trainer import Trainer, set_seeds

SMALL = {
    "n_clusters": 3,
    "encoder_layers": [8],
    "decoder_layers": [8],
    "likelihood": "gaussian",
    "decoder_std": 0.8,
    "z_dim": 2,
    "prior_mean_std": 1.0,
    "pretrain_epochs": 2,
    "batch_size": 20,
}


def start(params=None, shape=(2,), seed=5):
    with tf.Graph().as_default():
        set_seeds(seed)
        return Trainer(build_vade({**SMALL, **(params or {})}, shape))


@pytest.fixture(scope="module")
def trainer():
    trainer = start()
    trainer.model.prior.fit(trainer.session, np.random.RandomState(0).normal(size=[60, 2]) * 2)
    return trainer


@pytest.fixture(scope="module")
def points():
    return make_spiral(0, 40, 10, 10).train.images


def evaluate(*tensors):
    with tf.Session() as session:
        return session.run(tensors)


def random_gaussians():
    random = np.random.RandomState(1)
    mu, prior_mu = random.normal(size=[2, 4, 3])
    var, prior_var = random.uniform(0.3, 2, size=[2, 4, 3])
    return [array.astype(np.float32) for array in (mu, var, prior_mu, prior_var)]


def test_kl_between_gaussians_is_that_of_tfd():
    mu, var, prior_mu, prior_var = random_gaussians()
    with tf.Graph().as_default():
        expected = tfd.kl_divergence(
            tfd.MultivariateNormalDiag(mu, np.sqrt(var)),
            tfd.MultivariateNormalDiag(prior_mu, np.sqrt(prior_var)),
        )
        computed, expected = evaluate(kl_between_gaussians(mu, var, prior_mu, prior_var), expected)
    np.testing.assert_allclose(computed, expected, rtol=1e-5)


def test_kl_between_gaussians_is_its_monte_carlo_estimate():
    mu, var, prior_mu, prior_var = random_gaussians()
    with tf.Graph().as_default():
        (computed,) = evaluate(kl_between_gaussians(mu, var, prior_mu, prior_var))
    z = mu + np.sqrt(var) * np.random.RandomState(2).normal(size=[200_000, 4, 3])
    log_ratio = stats.norm.logpdf(z, mu, np.sqrt(var)) - stats.norm.logpdf(
        z, prior_mu, np.sqrt(prior_var)
    )
    np.testing.assert_allclose(computed, log_ratio.sum(axis=2).mean(axis=0), atol=0.03)


def test_kl_between_categoricals_is_that_of_tfd():
    logits = np.random.RandomState(1).normal(size=[2, 5, 4]).astype(np.float32)
    with tf.Graph().as_default():
        log_q, log_p = tf.nn.log_softmax(logits[0]), tf.nn.log_softmax(logits[1])
        computed, expected = evaluate(
            kl_between_categoricals(log_q, log_p),
            tfd.kl_divergence(tfd.Categorical(logits=logits[0]), tfd.Categorical(logits=logits[1])),
        )
    np.testing.assert_allclose(computed, expected, rtol=1e-5)


def prior_arrays(trainer):
    prior = trainer.model.prior
    return trainer.session.run([prior.log_weights, prior.mu, prior.var])


def log_joint(z, log_weights, mu, var):
    return log_weights + stats.norm.logpdf(z[:, None, :], mu, np.sqrt(var)).sum(axis=2)


def test_responsibilities_are_bayes_rule(trainer):
    z = np.random.RandomState(3).normal(size=[7, 2]).astype(np.float32)
    computed = trainer.session.run(trainer.model.responsibilities, {trainer.model.z: z})
    joint = log_joint(z, *prior_arrays(trainer))
    np.testing.assert_allclose(
        computed, np.exp(joint - logsumexp(joint, axis=1, keepdims=True)), atol=1e-5
    )


def test_responsibilities_are_finite_100_sigma_away(trainer):
    _, mu, var = prior_arrays(trainer)
    z = np.concatenate([mu + 100 * np.sqrt(var), mu - 100 * np.sqrt(var), mu + 1e4])
    model = trainer.model
    log_probs, probs = trainer.session.run([model.log_probs, model.responsibilities], {model.z: z})
    assert np.isfinite(log_probs).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)


def test_loss_is_the_papers_objective(trainer, points):
    model, session = trainer.model, trainer.session
    x = points[:9]
    eps = np.random.RandomState(4).normal(size=[9, 2]).astype(np.float32)
    loss, mu, var, z, decoded = session.run(
        [model.loss, model.encoder_mu, model.encoder_var, model.z, model.decoded],
        {model.inputs: x, model.eps: eps},
    )
    log_pi, prior_mu, prior_var = prior_arrays(trainer)
    joint = log_joint(z, log_pi, prior_mu, prior_var)
    gamma = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    mu, var = mu[:, None, :], var[:, None, :]
    inner = np.log(prior_var) + var / prior_var + (mu - prior_mu) ** 2 / prior_var
    objective = (
        stats.norm.logpdf(x, decoded, 0.8).sum(axis=1)
        - 0.5 * (gamma * inner.sum(axis=2)).sum(axis=1)
        + (gamma * (log_pi - np.log(gamma))).sum(axis=1)
        + 0.5 * (1 + np.log(var)).sum(axis=(1, 2))
    )
    np.testing.assert_allclose(loss, -objective.mean(), rtol=1e-4)


def bound_and_likelihood(trainer, x, n_samples=20_000):
    """Returns, for one example [1, n], the mean bound and the importance-sampled log p(x)."""
    model, session = trainer.model, trainer.session
    mu, var = session.run([model.encoder_mu, model.encoder_var], {model.inputs: x})
    eps = np.random.RandomState(6).normal(size=[n_samples, mu.shape[1]]).astype(np.float32)
    z = mu + np.sqrt(var) * eps
    loss = session.run(model.loss, {model.inputs: np.repeat(x, n_samples, axis=0), model.eps: eps})
    log_prior = logsumexp(log_joint(z, *prior_arrays(trainer)), axis=1)
    log_proposal = stats.norm.logpdf(z, mu, np.sqrt(var)).sum(axis=1)
    decoded = session.run(model.decoded, {model.z: z})
    log_x = stats.norm.logpdf(x, decoded, 0.8).sum(axis=1)
    weights = log_x + log_prior - log_proposal
    return -loss, logsumexp(weights) - np.log(n_samples)


def test_bound_is_below_the_likelihood(points):
    trainer = start()
    data = make_spiral(0, 40, 10, 10).train
    for epochs in (0, 30):
        trainer.fit(data, epochs, sample=False)
        pairs = np.array([bound_and_likelihood(trainer, x[None]) for x in data.images[::40]])
        assert (pairs[:, 0] < pairs[:, 1] + 0.01).all()
    # Near enough after training that the comparison says something.
    assert (pairs[:, 1] - pairs[:, 0]).mean() < 5


def test_initial_prior_predicts_as_scikit_learn_does(points):
    trainer = start({"n_clusters": 4})
    model, session = trainer.model, trainer.session
    codes = model.mean_codes(session, points)
    fitted = model.initialise_prior(session, points)
    probs = session.run(model.responsibilities, {model.z: codes})
    assert len(np.unique(fitted.predict(codes))) == 4
    assert np.array_equal(probs.argmax(axis=1), fitted.predict(codes))
    np.testing.assert_allclose(probs, fitted.predict_proba(codes), atol=1e-3)


def test_predict_proba_is_the_mean_over_samples(trainer, points):
    model, session = trainer.model, trainer.session
    x = points[:6]
    eps = np.random.RandomState(7).normal(size=[6, 4, 2]).astype(np.float32)
    log_probs = session.run(model.predicted_log_probs, {model.inputs: x, model.eps_samples: eps})
    each = [
        session.run(model.responsibilities, {model.inputs: x, model.eps: eps[:, i]})
        for i in range(4)
    ]
    np.testing.assert_allclose(np.exp(log_probs), np.mean(each, axis=0), atol=1e-5)


def test_predict_proba_varies_less_with_more_samples(trainer, points):
    model, session = trainer.model, trainer.session

    def spread(n_samples):
        draws = [model.predict_proba(session, points, n_samples) for _ in range(8)]
        np.testing.assert_allclose(np.sum(draws, axis=2), 1, rtol=1e-4)
        return np.std(draws, axis=0).mean()

    assert spread(100) < 0.5 * spread(1)


def test_the_accuracy_after_an_epoch_follows_from_the_seed_and_the_epoch(points):
    labels = np.arange(len(points)) % 3
    record = accuracy_listener(DataSet(points, labels, shape=(2,)))

    def recorded(trainer, n_epochs):
        trainer.seconds = [1.0] * n_epochs
        record(trainer, None)
        return trainer.history["accuracy"][-1]

    vague = {"n_samples": 1, "prior_mean_std": 0.1}
    first, resumed = start(vague), start(vague)
    accuracies = [recorded(first, n_epochs) for n_epochs in (1, 2, 3)]
    assert len(set(accuracies)) > 1
    assert recorded(resumed, 3) == accuracies[2]


def test_pretraining_moves_the_autoencoder_and_then_the_prior(points):
    data = make_spiral(0, 40, 10, 10).train
    trainer = start({"pretrain_epochs": 60})
    before = trainer.evaluate(data)["loss_reconstruction"]
    trainer.model.pretrain(trainer, data)
    assert trainer.evaluate(data)["loss_reconstruction"] < 0.5 * before
    codes = trainer.model.mean_codes(trainer.session, data.images)
    weights, mu, _ = prior_arrays(trainer)
    np.testing.assert_allclose(np.exp(weights) @ mu, codes.mean(axis=0), atol=1e-2)


def test_generate_draws_at_the_clusters_gaussian(trainer):
    model, session = trainer.model, trainer.session
    _, mu, var = prior_arrays(trainer)
    noise = np.random.RandomState(8).normal(size=[5, 2])
    expected = session.run(model.decoded, {model.z: mu[2] + np.sqrt(var[2]) * noise})
    np.testing.assert_allclose(model.generate(session, noise, 2), expected, rtol=1e-4)
    assert model.generate(session, 11, 0).shape == (11, 2)
    row = model.generate_row(session, noise[:1])
    np.testing.assert_allclose(row[2], expected[0], rtol=1e-4)
    assert row.shape == (3, 2)


def test_encode_and_decode_share_the_models_weights():
    with tf.Graph().as_default():
        set_seeds(0)
        model = build_vade(SMALL, (2,))
        n_variables = len(tf.global_variables())
        mu, _ = model.encode(model.inputs)
        decoded = model.decode(model.z)
        assert len(tf.global_variables()) == n_variables
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            feed = {model.inputs: np.ones([3, 2], np.float32)}
            values = session.run([mu, model.encoder_mu, decoded, model.decoded], feed)
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[2], values[3])


def test_reconstruct_decodes_the_mean_code(trainer, points):
    model, session = trainer.model, trainer.session
    codes = model.mean_codes(session, points)
    expected = session.run(model.decoded, {model.z: codes})
    np.testing.assert_allclose(model.reconstruct(session, points), expected, rtol=1e-5)


def test_bernoulli_reconstruction_is_the_cross_entropy():
    trainer = start({"likelihood": "bernoulli"}, shape=(2, 2))
    model, session = trainer.model, trainer.session
    x = np.random.RandomState(9).uniform(size=[5, 4]).astype(np.float32)
    loss, decoded = session.run(
        [model.loss_reconstruction, model.decoded],
        {model.inputs: x, model.z: np.ones([5, 2], np.float32)},
    )
    expected = -(x * np.log(decoded) + (1 - x) * np.log(1 - decoded)).sum(axis=1).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert ((decoded > 0) & (decoded < 1)).all()


def test_one_seed_gives_one_history():
    def history(seed):
        data = make_spiral(0, 40, 10, 10).train
        trainer = start(seed=seed)
        trainer.model.pretrain(trainer, data)
        return trainer.fit(data, 2).history["loss"]

    first, again = history(1), history(1)
    assert first == again
    assert first[0] != first[1]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_clusters": 0}, "parameter 'n_clusters' is 0: it must be a whole number of at least 1"),
        ({"likelihood": "poisson"}, "'likelihood' is 'poisson': it must be one of bernoulli, gaus"),
        ({"decoder_std": 0}, "parameter 'decoder_std' is 0: it must be a number above 0"),
        ({"pretrain_epochs": -1}, "parameter 'pretrain_epochs' is -1: it must be a whole number"),
        ({"temperature": 1.0}, "unknown parameter 'temperature': allowed are"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with tf.Graph().as_default(), pytest.raises(ParameterError, match=message):
        build_vade({**SMALL, **params}, (2,))


def test_bad_inputs_are_turned_away(trainer, points):
    model, session = trainer.model, trainer.session
    bad = points.copy()
    bad[0, 0] = np.nan
    with pytest.raises(DataError, match="points hold 1 NaN or infinite values"):
        model.predict(session, bad)
    with pytest.raises(DataError, match=r"points have shape \[200, 1\]: it must be \[n, 2\]"):
        model.reconstruct(session, points[:, :1])
    with pytest.raises(DataError, match="points hold 1 NaN"):
        model.feed(Batch(bad, np.zeros(len(bad), int)))
    with pytest.raises(ParameterError, match="n_samples is 0: it must be at least 1"):
        model.predict_proba(session, points, 0)
    for cluster in (-1, 3):
        message = f"cluster is {cluster}: it must be in 0 to 2"
        with pytest.raises(ParameterError, match=message):
            model.generate(session, 1, cluster)


def test_bernoulli_turns_points_away(points):
    with tf.Graph().as_default():
        model = build_vade({**SMALL, "likelihood": "bernoulli"}, (2,))
    with pytest.raises(DataError, match="with likelihood 'bernoulli' every value must be in"):
        model.feed(Batch(points, np.zeros(len(points), int)))


def test_unknown_phase_is_named(trainer):
    with pytest.raises(ParameterError, match="phase is 'gmm': it must be one of auto_encode, loss"):
        trainer.fit(make_spiral(0, 40, 10, 10).train, 1, phase="gmm")


def test_more_training_samples_average_the_responsibilities(points):
    trainer = start({"n_training_samples": 3})
    model, session = trainer.model, trainer.session
    x = points[:6]
    random = np.random.RandomState(8)
    eps, others = random.normal(size=[6, 2]), random.normal(size=[6, 2, 2])
    gamma, mu, var, z = session.run(
        [model.responsibilities, model.encoder_mu, model.encoder_var, model.z],
        {model.inputs: x, model.eps: eps, model.eps_training: others},
    )
    samples = [z, *(mu + np.sqrt(var) * others[:, i] for i in range(2))]
    joints = [log_joint(sample, *prior_arrays(trainer)) for sample in samples]
    each = [np.exp(joint - logsumexp(joint, axis=1, keepdims=True)) for joint in joints]
    np.testing.assert_allclose(gamma, np.mean(each, axis=0), atol=1e-5)


def test_more_training_samples_change_nothing_before_the_bound(points):
    data = make_spiral(0, 40, 10, 10).train
    histories, weights = [], []
    for n_samples in (1, 4):
        trainer = start({"n_training_samples": n_samples})
        np.random.seed(0)
        trainer.model.pretrain(trainer, data.shuffled(0))
        histories.append(trainer.history["loss_reconstruction"])
        weights.append(prior_arrays(trainer))
    assert histories[0] == histories[1]
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
