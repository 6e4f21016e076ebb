"""The mixture of experts: objectives against NumPy, its limits, and every gate trained."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import log_softmax, logsumexp
from sklearn.linear_model import LinearRegression
from sklearn.metrics import log_loss

from moe_vae.compat import tf
from moe_vae.data.checks import DataError
from moe_vae.data.dataset import Batch
from moe_vae.data.spiral import make_spiral
from moe_vae.data.targets import add_affine_targets
from moe_vae.model import ModelError
from moe_vae.models.gates import GATES
from moe_vae.models.mixture_of_experts import build_mixture_of_experts, mixture_of_experts_params
from moe_vae.params import ParameterError
from moe_vae.training.trainer import Trainer, set_seeds

GATE_SETTINGS = {
    "softmax": {},
    "deep": {"gate_layers": [16]},
    "gmm": {"gmm_restarts": 1},
    "vade": {
        "encoder_layers": [8],
        "decoder_layers": [8],
        "likelihood": "gaussian",
        "z_dim": 2,
        "pretrain_epochs": 1,
        "gmm_restarts": 1,
        "gate_epochs": 1,
    },
    "dmvae": {
        "encoder_layers": [8],
        "cluster_encoder_layers": [8],
        "decoder_layers": [8],
        "likelihood": "gaussian",
        "z_dim": 2,
        "prior_mean_std": 1.0,
        "gate_epochs": 1,
    },
}
CLASSIFICATION = {"task": "classification", "n_outputs": 5}


def start(gate, params=None, seed=5):
    settings = {"n_clusters": 3, "n_outputs": 2, "batch_size": 20, **GATE_SETTINGS.get(gate, {})}
    with tf.Graph().as_default():
        set_seeds(seed)
        return Trainer(build_mixture_of_experts({**settings, **(params or {})}, gate, (2,)))


@pytest.fixture(scope="module")
def data():
    return add_affine_targets(make_spiral(0, 40, 20, 20), 2, seed=3).train


def run(trainer, fetches, data_set):
    return trainer.session.run(fetches, trainer.model.feed(data_set.examples(slice(None))))


def regression_arrays(trainer, data_set):
    model = trainer.model
    return run(trainer, [model.gate.log_probs, model.experts.means, model.experts.var], data_set)


def test_regression_losses_are_numpys(data):
    trainer = start("deep")
    log_g, means, var = regression_arrays(trainer, data)
    y = data.targets[:, None, :]
    log_p = stats.norm.logpdf(y, means, np.sqrt(var)).sum(axis=2)
    squares = ((y - means) ** 2).sum(axis=2)
    mixture = (np.exp(log_g)[:, :, None] * means).sum(axis=1)
    expected = {
        "likelihood": -logsumexp(log_g + log_p, axis=1).mean(),
        "expected_likelihood": -(np.exp(log_g) * log_p).sum(axis=1).mean(),
        "mixture_mean": 0.5 * ((mixture - data.targets) ** 2).sum(axis=1).mean(),
        "batch_sum": -logsumexp(log_g - 0.5 * squares),
    }
    for objective, value in expected.items():
        # The same seed, so the same weights under every objective.
        other = start("deep", {"task_objective": objective})
        loss = run(other, other.model.loss, data)
        np.testing.assert_allclose(loss, value, rtol=1e-4, err_msg=objective)
    np.testing.assert_allclose(
        trainer.model.predict_log_likelihood(trainer.session, data.images, data.targets),
        logsumexp(log_g + log_p, axis=1),
        rtol=1e-4,
    )
    np.testing.assert_allclose(
        trainer.model.predict(trainer.session, data.images), mixture, rtol=1e-4, atol=1e-4
    )
    error = trainer.evaluate(data)["error"]
    np.testing.assert_allclose(error, 2 * expected["mixture_mean"], rtol=1e-4)


def test_classification_losses_are_numpys(data):
    trainer = start("deep", CLASSIFICATION)
    log_g, probs = run(trainer, [trainer.model.gate.log_probs, trainer.model.experts.means], data)
    np.testing.assert_allclose(probs.sum(axis=2), 1, rtol=1e-5)
    own = probs[np.arange(len(probs)), :, data.labels]
    mixture = (np.exp(log_g)[:, :, None] * probs).sum(axis=1)
    one_hot = np.eye(5)[data.labels]
    squares = ((one_hot[:, None] - probs) ** 2).sum(axis=2)
    expected = {
        "likelihood": -np.log((np.exp(log_g) * own).sum(axis=1)).mean(),
        "expected_likelihood": -(np.exp(log_g) * np.log(own)).sum(axis=1).mean(),
        "mixture_mean": 0.5 * ((mixture - one_hot) ** 2).sum(axis=1).mean(),
        "batch_sum": -logsumexp(log_g - 0.5 * squares),
    }
    for objective, value in expected.items():
        other = start("deep", {**CLASSIFICATION, "task_objective": objective})
        loss = run(other, other.model.loss, data)
        np.testing.assert_allclose(loss, value, rtol=1e-3, err_msg=objective)
    predicted = trainer.model.predict(trainer.session, data.images)
    assert np.array_equal(predicted, mixture.argmax(axis=1))
    wrong = (predicted != data.labels).mean()
    np.testing.assert_allclose(trainer.evaluate(data)["error"], wrong, atol=1e-6)


@pytest.mark.parametrize("objective", ["likelihood", "batch_sum"])
def test_losses_are_finite_for_far_targets(objective, data):
    trainer = start("softmax", {"task_objective": objective})
    model, n = trainer.model, len(data.targets)
    feed = model.feed(Batch(data.images, data.labels, np.full([n, 2], 1e6, np.float32)))
    assert np.isfinite(trainer.session.run(model.loss, feed))


def test_one_expert_is_a_linear_gaussian_regression(data):
    trainer = start("deep", {"n_clusters": 1, "epochs": 150, "learning_rate": 0.05})
    design = np.column_stack([data.images, np.ones(len(data.images))])
    weights = np.linalg.lstsq(design, data.targets, rcond=None)[0]
    _, means, var = regression_arrays(trainer, data)
    log_p = stats.norm.logpdf(data.targets, means[:, 0], np.sqrt(var[0])).sum(axis=1)
    np.testing.assert_allclose(run(trainer, trainer.model.loss, data), -log_p.mean(), rtol=1e-5)

    trainer.fit(data, sample=False)
    predicted = trainer.model.predict(trainer.session, data.images)
    np.testing.assert_allclose(predicted, design @ weights, atol=0.6)
    residual_var = ((data.targets - design @ weights) ** 2).mean(axis=0)
    np.testing.assert_allclose(
        trainer.session.run(trainer.model.experts.var)[0], residual_var, rtol=0.1
    )


def test_one_expert_is_a_softmax_regression(data):
    trainer = start("softmax", {"n_clusters": 1, **CLASSIFICATION})
    probs = run(trainer, trainer.model.experts.means, data)[:, 0]
    probs = probs.astype(float)
    expected = log_loss(data.labels, probs / probs.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(run(trainer, trainer.model.loss, data), expected, rtol=1e-4)


def start_tree():
    return start("hierarchical", {"n_clusters": 4, "n_branches": 2})


def test_tree_of_gates_is_a_hierarchical_mixture(data):
    trainer = start_tree()
    gate = trainer.model.gate
    lower = [each.log_probs for each in gate.lower]
    top, *below = run(trainer, [gate.upper.log_probs, *lower], data)
    _, means, var = regression_arrays(trainer, data)
    likelihood = 0
    for i in range(2):
        for j in range(2):
            leaf = 2 * i + j
            p = stats.norm.pdf(data.targets, means[:, leaf], np.sqrt(var[leaf])).prod(axis=1)
            likelihood += np.exp(top[:, i] + below[i][:, j]) * p
    computed = trainer.model.predict_log_likelihood(trainer.session, data.images, data.targets)
    usable = likelihood > 1e-200
    assert usable.mean() > 0.9
    np.testing.assert_allclose(computed[usable], np.log(likelihood[usable]), rtol=1e-3)


def test_tree_whose_lower_gates_are_constant_is_a_flat_gate(data):
    # With lower gates that do not look at x, log p(i, j) is linear in x up to normalisation: a
    # flat softmax gate with weights V_i and biases a_i + log p(j | i) is the same gate.
    tree, flat = start_tree(), start("softmax", {"n_clusters": 4})
    random = np.random.RandomState(2)
    top_kernel, top_bias = random.normal(size=[2, 2]), random.normal(size=2)
    below_bias = random.normal(size=[2, 2])
    load(tree, "gate/upper", top_kernel, top_bias)
    for i in range(2):
        load(tree, f"gate/lower_{i}", np.zeros([2, 2]), below_bias[i])
    flat_bias = top_bias[:, None] + log_softmax(below_bias, axis=1)
    load(flat, "gate", np.repeat(top_kernel, 2, axis=1), flat_bias.ravel())
    kernel, bias = np.random.RandomState(3).normal(size=[2, 8]), np.zeros(8)
    for trainer in (tree, flat):
        load(trainer, "experts", kernel, bias)
    losses = [run(trainer, trainer.model.loss, data) for trainer in (tree, flat)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def load(trainer, scope, kernel, bias):
    """Gives the dense layer in `scope` its weights, fed to its initialiser."""
    graph = trainer.model.loss.graph
    for name, value in (("kernel", kernel), ("bias", bias)):
        variable = next(
            v
            for v in graph.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)
            if v.name == f"{scope}/dense/{name}:0"
        )
        trainer.session.run(variable.initializer, {variable.initializer.inputs[1]: value})


@pytest.mark.parametrize(
    ("gate", "params"), [*((gate, {}) for gate in GATES), ("dmvae", CLASSIFICATION)]
)
def test_every_gate_trains(gate, params, data):
    trainer = start(gate, {"learning_rate": 0.02, **params})
    trainer.model.pretrain(trainer, data)
    before = trainer.evaluate(data)
    trainer.fit(data, 8)
    after = trainer.evaluate(data)
    assert after["loss_task"] < before["loss_task"]
    assert after["error"] < before["error"]
    probs = trainer.model.predict_gate(trainer.session, data.images)
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-4)


def test_deep_gate_learns_what_one_map_cannot(data):
    trainer = start("deep", {"n_clusters": 5, "learning_rate": 0.02})
    trainer.fit(data, 60)
    design = np.column_stack([data.images, np.ones(len(data.images))])
    _, residuals, *_ = np.linalg.lstsq(design, data.targets, rcond=None)
    assert trainer.history["error"][-1] < 0.3 * residuals.sum() / len(design)


def test_naive_gate_is_em_and_stays(data):
    trainer = start("gmm", {"n_clusters": 5})
    trainer.model.pretrain(trainer, data)
    before = trainer.model.predict_gate(trainer.session, data.images)
    assert len(np.unique(before.argmax(axis=1))) == 5
    trainer.fit(data, 3)
    after = trainer.model.predict_gate(trainer.session, data.images)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(("n_examples", "step"), [(0, 1), (1000, 1), (100, 2)])
def test_naive_gate_is_fitted_to_as_many_examples_as_it_is_told(data, n_examples, step):
    trainer = start("gmm", {"gmm_examples": n_examples})
    np.random.seed(0)
    trainer.model.pretrain(trainer, data)
    np.random.seed(0)
    rows = np.linspace(0, 199, 200 // step).astype(int)
    fitted = trainer.model.gate.mixture.fit(trainer.session, data.images[rows], 1)
    means = trainer.session.run(trainer.model.gate.mixture.mu)
    np.testing.assert_allclose(means, fitted.means_, rtol=1e-6)
    np.random.seed(0)
    trainer.model.pretrain(trainer, data)
    np.testing.assert_array_equal(trainer.session.run(trainer.model.gate.mixture.mu), means)


@pytest.fixture(scope="module", params=["vade", "dmvae"])
def vae_gated(request):
    return start(request.param, {"gate_weight": 0.25})


def test_vae_gates_add_their_bound(vae_gated, data):
    model = vae_gated.model
    task, own, loss = run(vae_gated, [model.loss_task, model.gate.loss, model.loss], data)
    np.testing.assert_allclose(loss, task + 0.25 * own, rtol=1e-5)
    losses = vae_gated.evaluate(data)
    expected = losses["loss_task"] + 0.25 * losses["loss_gate"]
    np.testing.assert_allclose(losses["loss"], expected, rtol=1e-5)


def test_gate_phase_leaves_the_experts_alone(vae_gated, data):
    experts = vae_gated.model.experts.var
    before = vae_gated.session.run(experts)
    vae_gated.model.pretrain(vae_gated, data)
    np.testing.assert_array_equal(before, vae_gated.session.run(experts))
    vae_gated.fit(data, 1)
    assert not np.array_equal(before, vae_gated.session.run(experts))


def test_vae_gates_draw_examples_with_their_experts_answer(vae_gated, data):
    model, session = vae_gated.model, vae_gated.session
    z = np.random.RandomState(0).normal(size=[6, 2])
    inputs, means = model.generate_pairs(session, z, 1)
    np.testing.assert_array_equal(inputs, model.gate.generate(session, z, 1))
    every = session.run(model.experts.means, {model.inputs: inputs})
    np.testing.assert_allclose(means, every[:, 1], rtol=1e-5)
    assert vae_gated.fit(data, 1).samples[-1].shape == (3, 2)


def test_default_objectives_are_the_papers():
    objectives = {gate: mixture_of_experts_params(gate)["task_objective"] for gate in GATES}
    assert objectives.pop("vade") == "expected_likelihood"
    assert set(objectives.values()) == {"likelihood"}


def test_gates_schedule_runs_only_while_it_is_trained_alone():
    with tf.Graph().as_default():
        annealed = {"temperature_start": 1.0, "anneal_epochs": 10}
        model = build_mixture_of_experts({**GATE_SETTINGS["dmvae"], **annealed}, "dmvae", (2,))
    assert model.schedule("gate", 0)[model.gate.temperature] == 1.0
    assert model.schedule("loss", 0) == {}
    assert start("deep").model.schedule("gate", 0) == {}


def test_one_seed_gives_one_history():
    def history(seed):
        data = add_affine_targets(make_spiral(0, 40, 20, 20), 2, seed=3).train
        return start("deep", seed=seed).fit(data, 2).history["loss"]

    first = history(1)
    assert first == history(1)
    assert first != history(2)


@pytest.mark.parametrize(
    ("gate", "params", "message"),
    [
        ("tree", {}, f"'gate' is 'tree': it must be one of {', '.join(GATES)}"),
        ("deep", {"n_clusters": 0}, "parameter 'n_clusters' is 0: it must be a whole number of at"),
        ("deep", {"task": "ranking"}, "'task' is 'ranking': it must be one of regression, classif"),
        ("deep", {"task_objective": "mse"}, "'task_objective' is 'mse': it must be one of likelih"),
        ("deep", {"n_outputs": 0}, "parameter 'n_outputs' is 0: it must be a whole number of at"),
        ("deep", {"min_expert_var": 0}, "parameter 'min_expert_var' is 0: it must be a number abo"),
        ("deep", {"gate_weight": 1.0}, "unknown parameter 'gate_weight': allowed are"),
        ("softmax", {"gate_layers": [3]}, "unknown parameter 'gate_layers': allowed are"),
        ("dmvae", {"temperature": 0}, "parameter 'temperature' is 0: it must be a number above 0"),
        ("dmvae", {"gate_weight": -1}, "parameter 'gate_weight' is -1: it must be a number of at"),
    ],
)
def test_bad_parameters_are_named(gate, params, message):
    with tf.Graph().as_default(), pytest.raises(ParameterError, match=message):
        build_mixture_of_experts(params, gate, (2,))


def test_bad_targets_are_turned_away(data):
    model = start("softmax").model
    x, labels, y = data.images, data.labels, data.targets
    with pytest.raises(DataError, match=r"targets have shape \[200, 1\]: it must be \[200, 2\]"):
        model.feed(Batch(x, labels, y[:, :1]))
    with pytest.raises(DataError, match=r"targets have shape \[5, 2\]: it must be \[200, 2\]"):
        model.feed(Batch(x, labels, y[:5]))
    with pytest.raises(DataError, match="targets hold 400 NaN or infinite values"):
        model.feed(Batch(x, labels, y * np.float32(np.nan)))
    with pytest.raises(DataError, match="targets are None: task 'regression' needs them"):
        model.feed(Batch(x, labels))
    with pytest.raises(DataError, match="points hold 400 NaN or infinite values"):
        model.feed(Batch(x * np.float32(np.nan), labels, y))


def test_bad_labels_are_turned_away(data):
    trainer = start("softmax", CLASSIFICATION)
    model = trainer.model
    with pytest.raises(DataError, match="labels range from 1 to 5: every label must be in 0 to 4"):
        model.feed(Batch(data.images, data.labels + 1))
    with pytest.raises(DataError, match="labels range from -1 to 3: every label must be in 0 to 4"):
        model.predict_log_likelihood(trainer.session, data.images, data.labels - 1)
    with pytest.raises(DataError, match="labels have dtype float64: it must be a whole-number"):
        model.feed(Batch(data.images, data.labels * 1.0))
    with pytest.raises(DataError, match="labels are None: task 'classification' needs them"):
        model.feed(Batch(data.images, None))


def test_gates_without_a_decoder_cannot_draw():
    trainer = start("deep")
    message = "a mixture of experts with the gate 'deep' has no decoder and draws nothing"
    with pytest.raises(ModelError, match=message):
        trainer.model.generate(trainer.session, 1, 0)
    assert not trainer.model.draws


def test_em_fits_experts_as_scikit_learn_does_by_weighted_least_squares(data):
    trainer = start("softmax", {"min_expert_var": 1e-6})
    model = trainer.model
    random = np.random.default_rng(0)
    weights = random.dirichlet(np.ones(3), len(data.images))
    model.experts.fit(trainer.session, data.images, data.targets, weights)
    means, var = trainer.session.run(
        [model.experts.means, model.experts.var], {model.inputs: data.images}
    )
    for k in range(3):
        fitted = LinearRegression().fit(data.images, data.targets, weights[:, k])
        expected = fitted.predict(data.images)
        np.testing.assert_allclose(means[:, k], expected, atol=2e-3)
        squares = np.square(data.targets - expected)
        expected_var = np.average(squares, axis=0, weights=weights[:, k])
        np.testing.assert_allclose(var[k], expected_var, rtol=1e-2)


def test_em_never_lowers_the_likelihood(data):
    trainer = start("deep")
    likelihoods = [trainer.evaluate(data)["loss"]]
    for _ in range(4):
        trainer.model.fit_experts(trainer.session, data, 2)
        likelihoods.append(trainer.evaluate(data)["loss"])
    assert likelihoods[1] < likelihoods[0]
    assert np.diff(likelihoods[1:]).max() < 1e-3


def test_em_is_for_regressions():
    params = {"gate": "softmax", "task": "classification", "n_outputs": 3, "expert_em_steps": 1}
    with tf.Graph().as_default(), pytest.raises(ParameterError, match="'expert_em_steps' is 1"):
        build_mixture_of_experts(params)


def test_a_gate_that_is_named_twice_is_one_gate():
    message = "'gate' is 'softmax', and the argument gate is 'dmvae': they must be the same"
    with tf.Graph().as_default(), pytest.raises(ParameterError, match=message):
        build_mixture_of_experts({"gate": "softmax"}, "dmvae")
