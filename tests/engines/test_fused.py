"""The fused engine against the plain one and TensorFlow 1.15."""

import numpy as np
import pytest
from reference import DATA, load_trace

from moe_vae import DataSet, ParameterError, build_mixture_of_vaes
from moe_vae.compat import tf
from moe_vae.engines.fused import (
    FusedManager,
    build_fused_hierarchical_mixture,
    build_fused_mixture_of_vaes,
)
from moe_vae.engines.fused_layers import FusedLayers, InkedImages, Part
from moe_vae.engines.looped import LoopedTrainer
from moe_vae.models.hierarchy import build_hierarchical_mixture
from moe_vae.training.trainer import Trainer, start_trainer

pytestmark = pytest.mark.engines

N_EXPERTS = 3
PARAMS = {
    "manager_layers": [12],
    "encoder_layers": [16],
    "decoder_layers": [16],
    "z_dim": 3,
    "batch_size": 25,
    "epochs": 2,
}
DEEP = {**PARAMS, "manager_layers": [12, 8], "encoder_layers": [16, 9], "decoder_layers": [11, 16]}
BALANCED = {**PARAMS, "routing": "balanced"}
# One epoch of five steps: differences by rounding grow from step to step. After ten steps the
# balancing loss differed by 1.5e-5 on one kind of processor.
WIDE = {
    **PARAMS,
    "encoder_layers": [128],
    "decoder_layers": [128],
    "manager_layers": [128],
    "batch_size": 50,
    "epochs": 1,
}
# Few steps, for the same reason.
CONV = {
    "network": "conv",
    "encoder_filters": [4, 6],
    "decoder_filters": [6, 4],
    "manager_filters": [4, 4],
    "encoder_kernels": [5, 3],
    "decoder_kernels": [3, 5],
    "manager_kernels": [3, 3],
    "encoder_layers": [16],
    "decoder_layers": [16],
    "manager_layers": [12],
    "z_dim": 3,
    "batch_size": 50,
    "epochs": 1,
}
ENGINES = {"plain": build_mixture_of_vaes, "fused": build_fused_mixture_of_vaes}
DEEP_ENGINES = {"plain": build_hierarchical_mixture, "fused": build_fused_hierarchical_mixture}


def start(engine, params=PARAMS, seed=0, n_experts=N_EXPERTS):
    engines = DEEP_ENGINES if "n_styles" in params else ENGINES
    return start_trainer(engines[engine], {**params, "n_experts": n_experts}, seed)


def random_data(n_examples=250):
    generator = np.random.default_rng(0)
    images = generator.random([n_examples, 784], np.float32)
    images[:, :100] = 0  # always blank, as at MNIST's edges
    images[:, 100:300] *= generator.random([n_examples, 200]) < 0.02  # blank in some batches
    return DataSet(images, generator.integers(0, 10, n_examples))


def separable_data():
    """Images of three kinds, for a router that is to have something to go by but rounding."""
    data_set = random_data()
    kind = np.arange(data_set.num_examples) % 3
    places = np.arange(784) // 262
    shown = (0.2 + 0.8 * (places == kind[:, None])).astype(np.float32)
    return DataSet(data_set.images * shown, data_set.labels)


def variables_in(path):
    reader = tf.train.load_checkpoint(str(path))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def pair(tmp_path, params=PARAMS, source="plain", n_experts=N_EXPERTS):
    """A trainer of each engine, with the weights of the one that is the source."""
    trainers = {engine: start(engine, params, 5, n_experts) for engine in ENGINES}
    trainers[source].save(tmp_path / "model.ckpt")
    for trainer in trainers.values():
        trainer.restore(tmp_path / "model.ckpt")
    return trainers["plain"], trainers["fused"]


@pytest.mark.parametrize(
    ("params", "n_experts", "source"),
    [
        (PARAMS, 3, "plain"),
        (PARAMS, 3, "fused"),
        (DEEP, 3, "plain"),
        (BALANCED, 3, "plain"),
        (WIDE, 10, "plain"),
        (PARAMS, 1, "fused"),
        (CONV, 3, "plain"),
        (CONV, 3, "fused"),
        ({**CONV, "routing": "balanced"}, 3, "plain"),
    ],
)
def test_both_engines_learn_the_same_from_the_same_weights_batches_and_noise(
    tmp_path, monkeypatch, params, n_experts, source
):
    monkeypatch.setattr(LoopedTrainer, "_steps_a_run", 4)  # so that an epoch is more than one run
    trainers = pair(tmp_path, params, source, n_experts)
    histories = []
    for trainer in trainers:  # ten steps an epoch
        np.random.seed(0)
        histories.append(trainer.fit_to_the_end(random_data()).history)
    plain, fused = histories
    for name, values in plain.items():
        # The balancing loss is a small difference of sums, and 0 for one expert.
        np.testing.assert_allclose(fused[name], values, rtol=1e-5, atol=1e-4, err_msg=name)


ROUTED = {
    **{name: value for name, value in PARAMS.items() if name != "manager_layers"},
    "routing": "information",
    "cluster_encoder_layers": [16],
    "n_over_clusters": 6,
    "n_neighbours": 0,
    "pretrain_epochs": 2,
    "routing_epochs": 2,
    "routing_batch_size": 50,
}


CONV_EXPERTS = {
    **{name: value for name, value in CONV.items() if not name.startswith("manager")},
    "cluster_encoder_network": "dense",
}


@pytest.mark.parametrize("routed", [{}, {"information_weight": 5.0}, CONV_EXPERTS])
def test_specialists_learn_the_same_in_both_engines(tmp_path, routed):
    params = {**ROUTED, **routed, "epochs": 2}
    histories = []
    for trainer in pair(tmp_path, params):
        np.random.seed(0)
        histories.append(trainer.fit_to_the_end(separable_data()).history)
        assert trainer.epochs_done == {"over": 2, "routing": 2, "loss": 2}
    plain, fused = histories
    for name, values in plain.items():
        np.testing.assert_allclose(fused[name], values, rtol=1e-5, atol=1e-5, err_msg=name)


STYLES = {name: value for name, value in ROUTED.items() if name != "routing"} | {
    "manager_layers": [12],
    "n_styles": 2,
    "balancing_weight": 0.3,
    "epochs": 1,  # as for `WIDE`
}


@pytest.mark.parametrize(
    "routed",
    [{}, {"information_weight": 5.0}, {"style_routing": "information", "n_over_clusters": 9}],
)
def test_styles_learn_the_same_in_both_engines(tmp_path, routed):
    params = {**STYLES, **routed}
    trainers, histories = pair(tmp_path, params), []
    for trainer in trainers:
        np.random.seed(0)
        histories.append(trainer.fit_to_the_end(separable_data()).history)
    plain, fused = histories
    for name, values in plain.items():
        np.testing.assert_allclose(fused[name], values, rtol=1e-5, atol=1e-4, err_msg=name)
    images = separable_data().images
    z = np.random.default_rng(1).standard_normal([4, 3]).astype(np.float32)
    plain, fused = (
        [
            trainer.model.predict_leaves(trainer.session, images),
            trainer.model.generate(trainer.session, z, 2),
            trainer.model.reconstruct(trainer.session, images),
        ]
        for trainer in trainers
    )
    for ours, theirs in zip(fused, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("params", [PARAMS, CONV])
def test_an_image_costs_nothing_where_it_does_not_count(tmp_path, params):
    plain, fused = pair(tmp_path, params)
    images = random_data().images
    probs = np.full([len(images), N_EXPERTS], 1e-9, np.float32)
    probs[:, 0] = 1
    probs[:40, 1] = 0.5
    feed = dict.fromkeys(fused.model.eps, np.zeros([len(images), 3]))
    computed, by_weights = fused.session.run(
        [fused.model.expert_losses, fused.model.expected_expert_loss],
        {fused.model.images: images, fused.model.probs: probs, **feed},
    )
    feed = dict.fromkeys((expert.eps for expert in plain.model.experts), np.zeros([len(images), 3]))
    every, expected = plain.session.run(
        [plain.model.expert_losses, plain.model.expected_expert_loss],
        {plain.model.images: images, plain.model.probs: probs, **feed},
    )
    np.testing.assert_allclose(computed[:, 0], every[:, 0], rtol=1e-5)
    np.testing.assert_allclose(computed[:40, 1], every[:40, 1], rtol=1e-5)
    assert not computed[40:, 1].any()
    # What is small for every image is not small beside the largest.
    np.testing.assert_allclose(computed[:, 2], every[:, 2], rtol=1e-5)
    assert by_weights == pytest.approx(expected, rel=1e-5)


def test_blank_pixels_are_left_out_and_get_no_gradient():
    images = np.zeros([4, 784], np.float32)
    images[1, [3, 500]] = 0.5
    with tf.Graph().as_default():
        pixels = InkedImages(tf.constant(images))
        layers = FusedLayers("first", [Part("plain", 784, 2)])
        product = pixels @ layers
        (gradient,) = tf.gradients(product, layers.variable)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            read, by_weights, weights, outputs = session.run(
                [pixels._pixels, gradient, layers.variable, product]
            )
    assert read.shape == (4, 4)  # two pixels, ones and zeros
    assert list(np.flatnonzero(by_weights.any(axis=1))) == [3, 500, 784]
    np.testing.assert_allclose(by_weights[[3, 500, 784], 0], [0.5, 0.5, 4])
    np.testing.assert_allclose(outputs, images @ weights[:-1] + weights[-1], rtol=1e-5)


def test_training_goes_on_from_a_tensorflow_1_checkpoint(monkeypatch):
    monkeypatch.setattr(FusedManager, "trainer_class", Trainer)  # whose noise can be fed
    trace = load_trace("post3_trace.npz")
    small = {"encoder_layers": [16], "decoder_layers": [16], "manager_layers": [16], "z_dim": 3}
    trainer = start("fused", small, n_experts=4)
    trainer.restore(DATA / "post3_ckpt" / "model.ckpt-3")
    model, session = trainer.model, trainer.session
    for step in range(3, 6):
        feed = {model.images: trace["images"][step]}
        feed |= dict(zip(model.eps, trace["eps"][step], strict=True))
        losses = session.run({**model.losses, "expert_losses": model.expert_losses}, feed)
        for name, value in losses.items():
            expected = trace[f"expected/{name}"][step]
            np.testing.assert_allclose(value, expected, rtol=1e-5, err_msg=name)
        session.run(trainer.train_steps["loss"], feed)


def test_a_checkpoint_goes_from_engine_to_engine_without_a_change(tmp_path):
    trainer = start("fused").fit(random_data(), 1)
    trainer.save(tmp_path / "fused.ckpt")
    plain = start("plain", seed=1)
    plain.restore(tmp_path / "fused.ckpt")
    plain.save(tmp_path / "plain.ckpt")
    again = start("fused", seed=2)
    again.restore(tmp_path / "plain.ckpt")
    again.save(tmp_path / "again.ckpt")
    first, second, third = (
        variables_in(tmp_path / f"{n}.ckpt") for n in ("fused", "plain", "again")
    )
    assert first.keys() == second.keys() == third.keys()
    assert "encode_2/dense_2/kernel/Adam_1" in first
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])
        np.testing.assert_array_equal(value, third[name])


@pytest.mark.parametrize("params", [PARAMS, DEEP, CONV])
def test_both_engines_predict_and_draw_the_same(tmp_path, params):
    trainers = pair(tmp_path, params)
    images = random_data().images
    z = np.random.default_rng(1).standard_normal([4, 3]).astype(np.float32)
    plain, fused = (
        [
            trainer.model.predict_proba(trainer.session, images),
            trainer.model.generate(trainer.session, z, 2),
            trainer.model.generate_row(trainer.session, z[:1]),
            trainer.model.reconstruct(trainer.session, images),
        ]
        for trainer in trainers
    )
    for ours, theirs in zip(fused, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_weights_start_as_the_plain_layers_do(tmp_path):
    start("fused", WIDE, n_experts=10).save(tmp_path / "model.ckpt")
    sizes = {"encode_3/dense": (784, 128), "encode_9/dense_2": (128, 3), "prob/dense": (784, 128)}
    variables = variables_in(tmp_path / "model.ckpt")
    for name, (n_inputs, n_outputs) in sizes.items():
        kernel = variables[f"{name}/kernel"]
        limit = np.sqrt(6 / (n_inputs + n_outputs))
        assert kernel.shape == (n_inputs, n_outputs)
        assert 0.95 * limit < np.abs(kernel).max() <= limit
        assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.1)
        assert not variables[f"{name}/bias"].any()


def test_a_run_has_its_seed_and_no_other():
    first, second, other = (start("fused", seed=s).fit(random_data(), 1) for s in (3, 3, 4))
    assert first.history == second.history != other.history


def test_experts_of_points_are_refused():
    with pytest.raises(ParameterError, match="'output_activation' is 'linear': with the fused"):
        start("fused", {**PARAMS, "output_activation": "linear"})


@pytest.mark.parametrize("part", ["encoder", "decoder", "manager"])
def test_batch_normalisation_of_experts_is_refused(part):
    with pytest.raises(ParameterError, match=f"'{part}_normalise' is True: the fused engine has"):
        start("fused", {**CONV, f"{part}_normalise": True})


def test_no_experts_and_no_such_expert_are_refused():
    with pytest.raises(ParameterError, match="parameter 'n_experts' is 0: it must be a whole"):
        start("fused", n_experts=0)
    trainer = start("fused")
    with pytest.raises(ParameterError, match="expert is 3: it must be in 0 to 2"):
        trainer.model.generate(trainer.session, np.zeros([1, 3]), 3)
