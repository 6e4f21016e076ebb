"""Networks with convolutions: their form, their faults, and what each model learns with them."""

import numpy as np
import pytest
from signature_cases import CONV, CONV_SHAPE

from moe_vae import DataSet, ParameterError
from moe_vae.compat import tf
from moe_vae.data.dataset import Form
from moe_vae.experiments.registry import MODELS, builder, default_params, inherited_networks
from moe_vae.nn.networks import decoder_layers, decoder_output, encoder_layers
from moe_vae.params import check_params, network_params
from moe_vae.posts.conditional_vae import CONDITIONAL_VAE_PARAMS
from moe_vae.training.trainer import start_trainer

N_CLASSES = 3
SMALL = {
    **CONV,
    "encoder_layers": [8],
    "decoder_layers": [8],
    "cluster_encoder_layers": [8],
    "n_over_clusters": 6,
    "n_neighbours": 2,
    "z_dim": 2,
    "n_experts": N_CLASSES,
    "n_clusters": N_CLASSES,
    "n_classes": N_CLASSES,
    "n_styles": 1,
    "n_outputs": N_CLASSES,
    "epochs": 4,
    "pretrain_epochs": 1,
    "routing_epochs": 1,
    "gate_epochs": 1,
    "gmm_restarts": 1,
    "batch_size": 20,
    "routing_batch_size": 20,
    "learning_rate": 0.02,
}
CLASSIFIED = {"task": "classification"}
CASES = {
    **{name: (name, {}) for name in MODELS if name != "moe"},
    "specialists": ("mixture-of-vaes", {"routing": "information"}),
    "deep": ("moe", {"gate": "deep", **CLASSIFIED}),
    "pretrained": ("moe", {"gate": "pretrained", **CLASSIFIED}),
    "experts behind dmvae": ("moe", {"gate": "dmvae", **CLASSIFIED}),
    "experts on features": (
        "moe",
        {"gate": "dmvae", "expert_inputs": "features", "expert_em_steps": 1, "task": "regression"},
    ),
}


def data_set(n_examples=120):
    """Images of 12 x 9 with a bar at one of three heights: three classes."""
    random = np.random.default_rng(0)
    labels = np.arange(n_examples) % N_CLASSES
    images = 0.1 * random.random([n_examples, *CONV_SHAPE], np.float32)
    for row in (0, 1):
        images[np.arange(n_examples), 4 * labels + row, 2:7] += 0.9 - 0.4 * row
    images = np.minimum(images, 1).reshape(n_examples, -1)
    targets = np.eye(N_CLASSES, dtype=np.float32)[labels] + images[:, :1]
    found = DataSet(images, labels, targets, CONV_SHAPE)
    found.neighbours = (np.arange(n_examples)[:, None] + [N_CLASSES, -N_CLASSES]) % n_examples
    return found


def start(case, engine="plain", **changed):
    name, given = CASES[case]
    params = {**SMALL, **given, **changed}
    defaults = default_params(name, Form(CONV_SHAPE, N_CLASSES), params)
    params = {key: value for key, value in params.items() if key in defaults}
    return start_trainer(builder(name, CONV_SHAPE, engine), params, 0)


# The networks.

STACK = {
    "network": "conv",
    "activation": "relu",
    "encoder_layers": [7],
    "decoder_layers": [6],
    "encoder_filters": [4, 5, 3],
    "encoder_kernels": [3, 2, 5],
    "decoder_filters": [3, 5, 4],
    "decoder_kernels": [5, 2, 3],
}


@pytest.mark.parametrize("shape", [(28, 28), (12, 9), (8, 8), (9, 31)])
def test_a_decoder_draws_images_of_the_encoders_shape(shape):
    n_features = shape[0] * shape[1]
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, n_features])
        h = encoder_layers(images, STACK, "encoder", shape)
        hidden = decoder_layers(h, STACK, shape)
        drawn = decoder_output(hidden, STACK, shape, n_features, "sigmoid")
        session.run(tf.global_variables_initializer())
        given = np.random.default_rng(0).random([2, n_features])
        assert session.run(h, {images: given}).shape == (2, 7)
        assert hidden.shape[1:].as_list() == [-(-shape[0] // 2), -(-shape[1] // 2), 4]
        assert session.run(drawn, {images: given}).shape == (2, n_features)
        sizes = [v.shape.as_list() for v in tf.trainable_variables() if len(v.shape) == 4]
    assert sizes == [
        *([3, 3, 1, 4], [2, 2, 4, 5], [5, 5, 5, 3]),
        *([5, 5, 5, 3], [2, 2, 4, 5], [3, 3, 1, 4]),  # [height, width, filters, channels]
    ]


# What is refused.


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"encoder_filters": [8]},
            "parameter 'encoder_filters' is set, which convolutions alone have: 'network' must be "
            "'conv'",
        ),
        (
            {"network": "conv", "encoder_filters": [8]},
            r"parameter 'encoder_kernels' is \[5, 3\]: it must have as many numbers as "
            "'encoder_filters', 1",
        ),
        ({"network": "conv", "decoder_kernels": [0, 3]}, "'decoder_kernels' is .* a non-empty"),
        ({"network": "conv", "encoder_normalise": 1}, "'encoder_normalise' is 1: it must be True"),
        ({"network": "conv", "n_filters": [8]}, "unknown parameter 'n_filters': allowed are"),
    ],
)
def test_a_parameter_that_means_nothing_is_refused(params, message):
    with pytest.raises(ParameterError, match=message):
        check_params(params, CONDITIONAL_VAE_PARAMS)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5,), "'network' is 'conv': .* the examples are points of 5 features; set it to 'dense'"),
        ((3, 20), "'encoder_filters' has 2 convolutions: images of 3 x 20 pixels are too small"),
    ],
)
@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("information", "moe")])
def test_convolutions_ask_for_images_that_are_large_enough(name, shape, message):
    with tf.Graph().as_default(), pytest.raises(ParameterError, match=message):
        builder(name, shape)({"network": "conv"})


def test_a_model_on_images_of_another_shape_is_refused():
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, 108])
        with pytest.raises(ParameterError, match=r"shape is \[28, 28\]: .* which have 108 pixels"):
            encoder_layers(images, STACK, "encoder", (28, 28))


def test_the_compiled_engine_refuses_the_averages_of_batch_normalisation():
    with pytest.raises(ParameterError, match="moving averages, which the compiled engine cannot"):
        start("conditional-vae", "compiled")


@pytest.mark.parametrize("gate", ["softmax", "hierarchical", "gmm", "vade"])
def test_experts_read_features_of_gates_that_have_some(gate):
    given = {"gate": gate, "expert_inputs": "features"}
    with (
        tf.Graph().as_default(),
        pytest.raises(ParameterError, match=f"with the gate '{gate}', wh"),
    ):
        builder("moe", (5,))(given)


# What a model begins with.


def test_a_model_begins_with_the_kind_of_network_of_another():
    record = {"params": network_params(MODELS["information"].defaults, {"network": "conv"})}
    vaes = default_params("mixture-of-vaes", Form(CONV_SHAPE), {"routing": "information"})
    assert inherited_networks(record, vaes) == {"cluster_encoder_network": "conv"}
    assert inherited_networks(record, MODELS["information"].defaults) == {"network": "conv"}
    dmvae = {"params": network_params(MODELS["dmvae"].defaults, {"network": "conv"})}
    both = {"network": "conv", "cluster_encoder_network": "conv"}
    assert inherited_networks(dmvae, MODELS["dmvae"].defaults) == both
    older = {"params": {"encoder_layers": [8]}}
    assert inherited_networks(older, MODELS["vade"].defaults) == {"network": "dense"}


def test_the_routers_network_may_differ_from_the_experts():
    trainer = start("specialists", network="dense", cluster_encoder_network="conv")
    names = [name for name in trainer.variables() if "conv2d" in name]
    assert names
    assert all("encode_cluster" in name for name in names)


# Training.


@pytest.mark.parametrize("case", CASES)
def test_a_model_with_convolutions_learns(case):
    trainer = start(case)
    trainer.shows_progress = False
    trainer.fit_to_the_end(data_set())
    losses = trainer.history["loss"][-trainer.epochs_done["loss"] :]
    assert losses[-1] < losses[0]
    trainer.session.close()


def test_a_training_that_was_cut_off_ends_alike(tmp_path):
    def stop(trainer, train_set):
        if trainer.n_epochs == 2:
            trainer.save(tmp_path / "model.ckpt")
            trainer.save_state(tmp_path / "state.npz", train_set)

    whole = start("conditional-vae")
    whole.listeners.append(stop)
    np.random.seed(0)
    whole.fit_to_the_end(data_set())
    resumed, examples = start("conditional-vae"), data_set()
    resumed.restore(tmp_path / "model.ckpt")
    resumed.restore_state(tmp_path / "state.npz", examples)
    resumed.fit_to_the_end(examples)
    assert resumed.history == whole.history


def averages(trainer):
    found = {name: value for name, value in trainer.variables().items() if "moving_" in name}
    return (
        {name: value for name, value in found.items() if "encode_cluster" in name},
        {name: value for name, value in found.items() if "encode_cluster" not in name},
    )


def changed(before, after):
    return {name for name in before if not np.array_equal(before[name], after[name])}


def test_a_phase_updates_the_averages_of_the_layers_that_it_trains():
    trainer, examples = start("specialists"), data_set()
    routers, experts = averages(trainer)
    trainer.fit(examples, 1, sample=False, phase="over")
    routers_then, experts_then = averages(trainer)
    assert changed(routers, routers_then) == routers.keys() != set()
    assert not changed(experts, experts_then)
    trainer.fit(examples, 1)
    assert not changed(routers_then, averages(trainer)[0])
    assert changed(experts_then, averages(trainer)[1]) == experts.keys() != set()


def test_a_trained_model_reads_each_image_for_itself():
    trainer, examples = start("conditional-vae"), data_set()
    trainer.fit(examples, 2)
    model, session = trainer.model, trainer.session
    before = averages(trainer)
    together = model.reconstruct(session, examples.images)
    alone = np.concatenate([model.reconstruct(session, each[None]) for each in examples.images[:3]])
    np.testing.assert_allclose(together[:3], alone, atol=1e-5)
    assert not changed(before[1], averages(trainer)[1])
