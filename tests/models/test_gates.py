"""The gates against SciPy and scikit-learn."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.mixture import GaussianMixture

from moe_vae.compat import tf
from moe_vae.data.checks import DataError
from moe_vae.data.spiral import make_spiral
from moe_vae.data.targets import add_affine_targets
from moe_vae.models.gates import GATES
from moe_vae.models.information_encoder import build_information_encoder
from moe_vae.models.mixture_of_experts import build_mixture_of_experts
from moe_vae.params import ParameterError, check_params
from moe_vae.training import Trainer, set_seeds, start_trainer


@pytest.fixture(scope="module")
def data():
    return make_spiral(0, 40, 10, 10).train


def start(name, **params):
    """A gate in a session, and its variables by the last words of their names."""
    entry = GATES[name]
    with tf.Graph().as_default():
        set_seeds(3)
        inputs = tf.placeholder(tf.float32, [None, 2])
        gate = entry.gate(check_params({"n_clusters": 4, **params}, entry.defaults), inputs)
        variables = {v.op.name.split("/", 1)[1]: v for v in tf.global_variables()}
        session = tf.Session()
        session.run(tf.global_variables_initializer())
    return gate, session, variables


def test_softmax_gate_is_a_softmax_of_a_linear_map(data):
    gate, session, variables = start("softmax")
    kernel, bias = session.run([variables["dense/kernel"], variables["dense/bias"]])
    expected = softmax(data.images @ kernel + bias, axis=1)
    np.testing.assert_allclose(gate.predict_proba(session, data.images), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("n_branches", "sizes"), [(1, [4]), (2, [2, 2]), (3, [2, 1, 1]), (4, [1, 1, 1, 1])]
)
def test_hierarchical_gate_is_a_product_of_softmaxes(n_branches, sizes, data):
    gate, session, variables = start("hierarchical", n_branches=n_branches)
    values = session.run(variables)

    def layer(scope):
        # A wide spread, so that a wrong pair of branch and expert would show.
        return softmax(data.images @ values[f"{scope}/dense/kernel"], axis=1)

    upper, lower = layer("upper"), [layer(f"lower_{branch}") for branch in range(n_branches)]
    assert [probs.shape[1] for probs in lower] == sizes
    expected = [
        upper[:, branch] * probs[:, expert]
        for branch, probs in enumerate(lower)
        for expert in range(sizes[branch])
    ]
    probs = gate.predict_proba(session, data.images)
    np.testing.assert_allclose(probs, np.transpose(expected), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)


def test_hierarchical_gate_needs_an_expert_for_each_branch():
    message = "parameter 'n_branches' is 5: it must be at most 'n_clusters', 4"
    with pytest.raises(ParameterError, match=message):
        start("hierarchical", n_branches=5)
    with pytest.raises(ParameterError, match="'n_branches' is 0: it must be a whole number of at"):
        start("hierarchical", n_branches=0)


def test_deep_gate_has_hidden_layers_below_the_softmax(data):
    gate, session, variables = start("deep", gate_layers=[6])
    values = session.run(variables)
    h = np.maximum(data.images @ values["dense/kernel"] + values["dense/bias"], 0)
    expected = softmax(h @ values["dense_1/kernel"] + values["dense_1/bias"], axis=1)
    np.testing.assert_allclose(gate.predict_proba(session, data.images), expected, rtol=1e-4)


def test_pretrained_gate_begins_as_the_information_encoder_and_learns_from_the_task(tmp_path, data):
    network = {"n_clusters": 4, "n_over_clusters": 6, "cluster_encoder_layers": [8]}
    training = {"epochs": 1, "pretrain_epochs": 1, "batch_size": 50}
    no_images = {"augment": False, "deskew": False}
    encoder = start_trainer(
        lambda params: build_information_encoder(params, (2,)),
        {**network, **training, **no_images},
        0,
    )
    encoder.fit_to_the_end(data)
    encoder.save(tmp_path / "encoder")
    mixture = start_trainer(
        lambda params: build_mixture_of_experts(params, "pretrained", (2,)),
        {**network, "epochs": 2, "batch_size": 50},
        0,
    )
    variables = (v.op.name for v in mixture.model.loss.graph.get_collection("variables"))
    gate = {name for name in variables if name.startswith("gate/") and "/Adam" not in name}
    assert set(mixture.begin_with(tmp_path / "encoder")) == gate
    expected = encoder.model.predict_proba(encoder.session, data.images)
    begun = mixture.model.predict_gate(mixture.session, data.images)
    np.testing.assert_allclose(begun, expected, rtol=1e-4, atol=1e-6)
    mixture.fit(add_affine_targets(make_spiral(0, 40, 10, 10), 1, 0).train, 1)
    assert np.abs(mixture.model.predict_gate(mixture.session, data.images) - begun).max() > 1e-3


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_gaussian_mixture_gate_gives_the_fitted_mixtures_responsibilities(data, covariance):
    gate, session, _ = start("gmm", gmm_restarts=1, covariance=covariance)
    trainer = Trainer.__new__(Trainer)  # all that `pretrain` reads of a trainer is its session
    trainer.session = session
    np.random.seed(0)
    gate.pretrain(trainer, data)
    np.random.seed(0)
    mixture = GaussianMixture(4, covariance_type=covariance, reg_covar=1e-4).fit(
        data.images.astype(float)
    )
    expected = mixture.predict_proba(data.images.astype(float))
    np.testing.assert_allclose(gate.predict_proba(session, data.images), expected, atol=1e-3)


def test_gaussian_mixture_gate_is_fitted_to_an_example_for_each_cluster_at_least():
    message = "parameter 'gmm_examples' is 3: it must be 0, for all examples, or at least "
    with pytest.raises(ParameterError, match=f"^{message}'n_clusters', 4$"):
        start("gmm", gmm_examples=3)
    for allowed in (0, 4):
        start("gmm", gmm_examples=allowed)


def test_gaussian_mixture_gate_has_covariances_of_two_kinds():
    message = "parameter 'covariance' is 'tied': it must be one of diag, full"
    with pytest.raises(ParameterError, match=message):
        start("gmm", covariance="tied")


@pytest.mark.parametrize("name", ["softmax", "hierarchical", "deep", "pretrained", "gmm"])
def test_a_gate_reads_finite_points_of_its_width(name, data):
    gate, session, _ = start(name)
    with pytest.raises(DataError, match=r"must be \[n, 2\]"):
        gate.predict(session, data.images[:, :1])
    with pytest.raises(DataError, match="NaN or infinite"):
        gate.feed(data.take_batch(3)._replace(images=np.full([3, 2], np.nan, np.float32)))
