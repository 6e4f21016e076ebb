"""Models whose training XLA compiled, against the same models' plain training."""

import os

import numpy as np
import pytest
from reference import DATA, assert_weights_close, load_trace, train_and_compare, weights_in

from moe_vae import DataSet, build_conditional_vae, build_dmvae, build_vade, build_vae
from moe_vae.compat import tf
from moe_vae.engines.compiled import CompiledTrainer, compiled
from moe_vae.engines.fused import build_fused_mixture_of_vaes
from moe_vae.engines.looped import LoopedTrainer
from moe_vae.models.information_encoder import build_information_encoder
from moe_vae.models.mixture_of_experts import build_mixture_of_experts
from moe_vae.params import ParameterError
from moe_vae.training.trainer import start_trainer

pytestmark = pytest.mark.engines

N_FEATURES = 784
# Sigmoids: what rounding makes of relu's kinks grows from step to step.
SMOOTH = {"z_dim": 3, "batch_size": 20, "activation": "sigmoid"}
POST = {
    **SMOOTH,
    "encoder_layers": [16],
    "decoder_layers": [16],
    "digit_classification_layers": [16],
    "epochs": 2,
}
CLUSTERING = {**SMOOTH, "encoder_layers": [16, 8], "decoder_layers": [8, 16], "epochs": 2}
LEARNED = {**CLUSTERING, "likelihood": "gaussian", "decoder_variance": "learned"}
VADE = {**CLUSTERING, "cosine_decay": True}
DMVAE = {**CLUSTERING, "cluster_encoder_layers": [16], "normalise": True, "n_over_clusters": 14}
RELAXED = {**DMVAE, "objective": "relaxed", "temperature_start": 1.0, "anneal_epochs": 2}
HELD = {**DMVAE, "warm_up_epochs": 2, "held_epochs": 1, "cosine_decay": True}
CLASSIFIED = {"task": "classification", "n_outputs": 10}
GATED = {**VADE, **CLASSIFIED, "gate": "vade", "n_clusters": 4}
REGRESSED = {"gate": "deep", "gate_layers": [8], "n_outputs": 2, "batch_size": 20, "epochs": 2}
ENCODED = {
    "cluster_encoder_layers": [16],
    "n_clusters": 3,
    "n_over_clusters": 6,
    "n_neighbours": 0,
    "activation": "sigmoid",
    "batch_size": 20,
    "epochs": 2,
    "pretrain_epochs": 2,
    "regroup": False,  # what rounding makes of two groups that are nearly equally good
}
LABELLED = {**ENCODED, "plain_share": 0.5, "self_label_weight": 1.0, "self_label_threshold": 0.2}
MODELS = {
    "conditional VAE": (build_conditional_vae, POST),
    "VAE, learned variance": (build_vae, LEARNED),
    "VaDE": (build_vade, VADE),
    "DMVAE, relaxed": (build_dmvae, RELAXED),
    "DMVAE, held": (build_dmvae, HELD),
    "experts behind VaDE": (build_mixture_of_experts, GATED),
    "experts of a regression": (build_mixture_of_experts, REGRESSED),
    "information": (build_information_encoder, ENCODED),
    "information, neighbours": (build_information_encoder, {**ENCODED, "n_neighbours": 2}),
}


def data_set(n_examples=250, n_outputs=0):
    """Twelve steps an epoch of batches of 20: one run of ten and one of two."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, n_examples)
    kinds = generator.random([10, N_FEATURES]) < 0.3
    images = (kinds[labels] * generator.random([n_examples, N_FEATURES])).astype(np.float32)
    targets = generator.random([n_examples, n_outputs], np.float32) if n_outputs else None
    return DataSet(images, labels, targets)


def fit(trainer, params):
    """Trains every phase, without what EM makes of rounding between two of them."""
    np.random.seed(0)
    is_regressed = "n_outputs" in params and "task" not in params
    train_set = data_set(n_outputs=params["n_outputs"] if is_regressed else 0)
    if params.get("n_neighbours"):
        train_set.neighbours = np.arange(250)[:, None] + np.array([[-1, -2]])
    for phase in trainer.train_steps:
        trainer.fit(train_set, phase=phase)
    return trainer


def variables_in(path):
    reader = tf.train.load_checkpoint(str(path))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_training_is_the_plain_one(tmp_path, name):
    build, params = MODELS[name]
    plain, fused = start_trainer(build, params, 3), start_trainer(compiled(build), params, 3)
    assert isinstance(fused, CompiledTrainer)
    plain.save(tmp_path / "first.ckpt")
    fused.restore(tmp_path / "first.ckpt")
    for trainer in (plain, fused):
        fit(trainer, params)
    assert fused.epochs_done == plain.epochs_done
    for loss, values in plain.history.items():
        np.testing.assert_allclose(fused.history[loss], values, rtol=1e-5, atol=1e-5, err_msg=loss)
    assert fused.gradient_norms.keys() == plain.gradient_norms.keys()
    for part, norm in plain.gradient_norms.items():
        assert fused.gradient_norms[part] == pytest.approx(norm, rel=1e-3), part


# With sigmoids the gradient is as small as its rounding, which Adam's first step does not forgive.
ENCODED_STEPS = [
    {**params, "activation": "relu", "cluster_encoder_layers": [64]}
    for params in (ENCODED, LABELLED)
]


@pytest.mark.parametrize("params", ENCODED_STEPS)
def test_a_compiled_step_makes_the_same_views_and_averages(tmp_path, params):
    histories, averages = [], []
    for build in (build_information_encoder, compiled(build_information_encoder)):
        trainer = start_trainer(build, params, 3)
        if histories:
            trainer.restore(tmp_path / "first.ckpt")
        else:
            trainer.save(tmp_path / "first.ckpt")
        batch = DataSet(data_set(20).images)
        for phase in trainer.train_steps:  # a step each
            trainer.fit(batch, 1, phase=phase)
        histories.append(trainer.history)
        values = trainer.variables()
        averages.append({name: values[name] for name in values if "/moving_" in name})
    plain, fused = histories
    for loss, values in plain.items():
        np.testing.assert_allclose(fused[loss], values, rtol=1e-5, atol=1e-6, err_msg=loss)
    assert len(averages[0]) == 2
    for name, value in averages[0].items():
        assert np.ptp(value) > 1e-4  # moved from where all begin
        np.testing.assert_allclose(averages[1][name], value, rtol=1e-5, atol=1e-7, err_msg=name)


def test_a_checkpoint_goes_from_engine_to_engine_without_a_change(tmp_path):
    build = build_conditional_vae
    builds = {"fused": compiled(build), "plain": build, "again": compiled(build)}
    before = None
    for seed, (name, build) in enumerate(builds.items()):
        trainer = start_trainer(build, POST, seed)
        if before is None:
            fit(trainer, POST)
        else:
            trainer.restore(before)
        before = tmp_path / f"{name}.ckpt"
        trainer.save(before)
    first, *others = (variables_in(tmp_path / f"{name}.ckpt") for name in builds)
    assert "dense_3/kernel/Adam_1" in first
    for other in others:
        assert other.keys() == first.keys()
        for name, value in first.items():
            np.testing.assert_array_equal(other[name], value)


def test_training_goes_on_from_a_tensorflow_1_checkpoint(monkeypatch):
    monkeypatch.setattr(LoopedTrainer, "_steps_a_run", 1)
    trace = load_trace("post2_trace.npz")
    params = {**POST, "batch_size": len(trace["images"][0])}
    trainer = start_trainer(compiled(build_conditional_vae), params, 0)
    trainer.restore(DATA / "post2_ckpt" / "model.ckpt-3")
    model, (noise,) = trainer.model, trainer._outside["loss"].values()

    def feed(i):
        batch = {model.images: trace["images"][i], model.digits: trace["digits"][i]}
        batches = trainer._batches["loss"].items()
        of_loop = {of_all: batch[tensor][None] for tensor, of_all in batches}
        of_loop |= {trainer._n_steps: 1, trainer._first_key: [0, 0], noise: trace["eps"][i][None]}
        return {**batch, model.eps: trace["eps"][i], **of_loop}

    step = trainer.train_steps["loss"]
    with trainer.session.graph.as_default():
        train_and_compare(trainer.session, step, model.losses, feed, trace, range(3, 6))
        assert_weights_close(trainer.session, weights_in(trace, "final"))


def test_a_compiled_model_takes_values_from_em_and_from_another_model(tmp_path):
    vade = start_trainer(compiled(build_vade), VADE, 0)
    fitted = vade.model.initialise_prior(vade.session, data_set().images)
    np.testing.assert_allclose(vade.session.run(vade.model.prior.mu), fitted.means_, rtol=1e-5)
    vade.save(tmp_path / "vade.ckpt")
    dmvae = start_trainer(compiled(build_dmvae), HELD, 1)
    assert "dmvae/encode/dense/kernel" in dmvae.begin_with(tmp_path / "vade.ckpt")
    images = data_set().images
    theirs, ours = (t.model.mean_codes(t.session, images) for t in (vade, dmvae))
    np.testing.assert_array_equal(ours, theirs)


def test_a_run_has_its_seed_and_no_other():
    first, second, other = (
        fit(start_trainer(compiled(build_conditional_vae), POST, seed), POST).history
        for seed in (3, 3, 4)
    )
    assert first == second != other


def test_large_operations_are_split_over_the_cores_where_they_are_few():
    cores = len(os.sched_getaffinity(0))
    for build, n_threads in ((build_conditional_vae, 1), (compiled(build_conditional_vae), cores)):
        config = start_trainer(build, POST, 0).session._config
        assert config.intra_op_parallelism_threads == n_threads
        assert config.inter_op_parallelism_threads == cores


def test_of_the_noise_outside_only_its_shape_is_asked():
    trainer = start_trainer(compiled(build_dmvae), RELAXED, 0)
    feed = {
        batches: np.zeros([10, 20, N_FEATURES]) for batches in trainer._batches["loss"].values()
    }
    feed |= {trainer._n_steps: 10, trainer._first_key: [0, 0], **trainer._scheduled("loss", 0)}
    options, recorded = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), tf.RunMetadata()
    trainer.session.run(trainer.train_steps["loss"], feed, options, recorded)
    labels = [
        n.timeline_label for device in recorded.step_stats.dev_stats for n in device.node_stats
    ]
    assert sum("= StatelessRandom" in label for label in labels) > 10
    assert not [label for label in labels if "MatMul" in label]


def test_what_cannot_be_compiled_is_refused():
    averaged = {**ENCODED, "weight_averaging": 0.9}
    with pytest.raises(ParameterError, match="with an engine other than plain it must be 0"):
        start_trainer(compiled(build_information_encoder), averaged, 0)
    noisy = {**POST, "activation": lambda x: x + tf.random.stateless_truncated_normal([1], [0, 0])}
    with pytest.raises(
        ValueError, match="draws noise of another kind than StatelessRandomNormalV2"
    ):
        start_trainer(compiled(build_conditional_vae), noisy, 0)
    # Its gradient would be that of the batch that the original reads.
    with pytest.raises(
        ValueError, match="defines a gradient of its own, which a copy would not have"
    ):
        start_trainer(compiled(build_fused_mixture_of_vaes), {"n_experts": 2, "z_dim": 3}, 0)
