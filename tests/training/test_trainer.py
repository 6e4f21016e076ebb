import subprocess
import sys

import numpy as np
import pytest

from moe_vae import DataSet, ParameterError, Trainer
from moe_vae.compat import tf
from moe_vae.models.specialists import build_mixture_of_vaes
from moe_vae.posts.conditional_vae import build_conditional_vae
from moe_vae.training.state import CheckpointError
from moe_vae.training.trainer import start_trainer

SMALL = {
    "encoder_layers": [8],
    "decoder_layers": [8],
    "manager_layers": [8],
    "z_dim": 2,
    "batch_size": 50,
}
SMALL_CONDITIONAL = {
    "encoder_layers": [8],
    "decoder_layers": [8],
    "digit_classification_layers": [8],
    "z_dim": 2,
    "batch_size": 50,
}


def random_data(n_examples=1230):
    generator = np.random.default_rng(0)
    # Dark images: there is something to learn from the first step, which begins at grey.
    images = 0.2 * generator.random([n_examples, 784], np.float32)
    return DataSet(images, generator.integers(0, 10, n_examples))


def build_three_experts(params):
    return build_mixture_of_vaes({**params, "n_experts": 3})


@pytest.mark.parametrize(
    ("build", "params"),
    [(build_conditional_vae, SMALL_CONDITIONAL), (build_three_experts, SMALL)],
)
def test_two_runs_from_one_seed_are_identical(build, params):
    first, second = (start_trainer(build, params, seed=3).fit(random_data(), 2) for _ in range(2))
    assert first.history == second.history
    np.testing.assert_array_equal(first.samples, second.samples)
    other = start_trainer(build, params, seed=4).fit(random_data(), 2)
    assert first.history != other.history


def test_training_lowers_the_loss_and_records_every_epoch():
    trainer = start_trainer(build_three_experts, SMALL, seed=0).fit(random_data(), 4)
    losses = trainer.history["expected_expert_loss"]
    assert losses[-1] < losses[0] - 10
    assert {len(values) for values in trainer.history.values()} == {4}
    assert len(trainer.seconds) == 4
    assert np.shape(trainer.samples) == np.shape(trainer.fixed_samples) == (4, 3, 784)


def test_samples_have_a_new_code_in_each_epoch_and_fixed_samples_one_for_all():
    codes = []

    def remember(session, z):
        codes.append(z)
        return np.zeros([3, 784])

    trainers = [start_trainer(build_three_experts, SMALL, seed) for seed in (0, 0, 1)]
    for trainer in trainers:
        trainer.model.generate_row = remember
        trainer.fit(random_data(), 2)
    new, fixed = np.reshape(codes, [3, 2, 2, -1]).transpose(2, 0, 1, 3)
    assert len(np.unique(np.concatenate(new), axis=0)) == 6
    np.testing.assert_array_equal(fixed[:, 0], fixed[:, 1])
    np.testing.assert_array_equal(fixed[0], fixed[1])
    assert (fixed[0] != fixed[2]).all()


def test_the_code_of_fixed_samples_leaves_the_other_random_numbers_as_they_are():
    with_samples, without = (start_trainer(build_three_experts, SMALL, 0) for _ in range(2))
    trainer, data = with_samples.fit(random_data(), 2), random_data()
    np.random.seed(0)
    for _ in range(2):
        without.fit(data, 1, sample=False)
        np.random.normal(size=[1, SMALL["z_dim"]])  # the code of `samples`
    assert trainer.history == without.history


def test_a_state_of_an_older_version_has_no_fixed_samples(tmp_path):
    data, path = random_data(), tmp_path / "state.npz"
    trainer = start_trainer(build_three_experts, SMALL, 0).fit(data, 2)
    trainer.save_state(path, data)
    with np.load(path) as arrays:
        older = {name: arrays[name] for name in arrays.files if name != "fixed_samples"}
    np.savez(path, **older)
    trainer.restore_state(path, data)
    assert np.isnan(trainer.fixed_samples).all()
    assert np.shape(trainer.fixed_samples) == np.shape(trainer.samples) == (2, 3, 784)


def test_nothing_is_added_to_the_graph_once_it_is_built():
    trainer = start_trainer(build_three_experts, SMALL, seed=0)
    graph = trainer.session.graph
    before = len(graph.get_operations())
    trainer.fit(random_data(), 2)
    trainer.model.reconstruct(trainer.session, random_data().images)
    assert len(graph.get_operations()) == before
    with graph.as_default(), pytest.raises(RuntimeError, match="finalized"):
        tf.constant(1)


def test_evaluation_in_chunks_equals_the_one_shot_value():
    data = random_data(1230)  # not a multiple of the chunk
    trainer = start_trainer(build_three_experts, SMALL, seed=0).fit(data, 1)
    manager = trainer.model
    generator = np.random.default_rng(1)
    noise = {
        expert.eps: generator.standard_normal([1230, 2]).astype(np.float32)
        for expert in manager.experts
    }
    probs, losses = trainer.session.run(
        [manager.probs, manager.expert_losses], {manager.images: data.images, **noise}
    )
    # In double precision: hardly trained, the manager gives every expert nearly the same, and
    # the variance of three such sums loses in single precision what the bound asks for.
    expected = (probs.astype(float) * losses).sum(axis=1).mean()
    balancing = probs.astype(float).sum(axis=0).var()
    weight = manager.params["balancing_weight"]
    assert trainer.evaluate(data, noise) == pytest.approx(
        {
            "expected_expert_loss": expected,
            "balancing_loss": balancing,
            "loss": expected + weight * balancing,
        },
        rel=1e-5,
    )


def test_ctrl_c_ends_training_with_what_was_learned_so_far():
    trainer = start_trainer(build_three_experts, SMALL, seed=0)
    draw, drawn = trainer.model.generate_row, []

    def interrupt_in_third_epoch(session, z):
        if len(drawn) == 5:  # two an epoch: between those of the third
            raise KeyboardInterrupt
        drawn.append(draw(session, z))
        return drawn[-1]

    trainer.model.generate_row = interrupt_in_third_epoch
    trainer.fit(random_data(), 10)
    assert trainer.interrupted
    assert {len(values) for values in trainer.history.values()} == {2}
    assert len(trainer.samples) == len(trainer.fixed_samples) == len(trainer.seconds) == 2
    assert np.isfinite(trainer.evaluate(random_data())["loss"])


def test_a_checkpoint_brings_back_losses_and_training(tmp_path):
    data = random_data(100)
    noise_free = {**SMALL, "batch_size": 100}
    first = start_trainer(build_three_experts, noise_free, seed=0).fit(data, 3)
    first.save(tmp_path / "model.ckpt")
    second = start_trainer(build_three_experts, noise_free, seed=9)
    second.restore(tmp_path / "model.ckpt")
    noise = [np.zeros([100, 2], np.float32)] * 3
    for trainer in (first, second):
        experts = trainer.model.experts
        feed = trainer.model.feed(data.examples(slice(None)))
        feed |= {expert.eps: values for expert, values in zip(experts, noise, strict=True)}
        trainer.session.run(trainer.train_steps["loss"], feed)  # with Adam's slots as they were
    values = [t.session.run(t.model.probs, {t.model.images: data.images}) for t in (first, second)]
    np.testing.assert_array_equal(*values)


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"z_dim": 3}, "shape"), ({"decoder_layers": [8, 8]}, r"Key \S+ not found in checkpoint")],
)
def test_a_checkpoint_with_other_variables_is_refused_by_its_name(tmp_path, change, reason):
    start_trainer(build_three_experts, SMALL, seed=0).save(tmp_path / "model.ckpt")
    other = start_trainer(build_three_experts, {**SMALL, **change}, seed=0)
    message = rf"^\S+/model\.ckpt cannot be restored \(.*{reason}.*\)$"
    with pytest.raises(CheckpointError, match=message):
        other.restore(tmp_path / "model.ckpt")


def test_a_batch_larger_than_the_training_set_is_refused():
    trainer = start_trainer(build_three_experts, SMALL, seed=0)
    with pytest.raises(ParameterError, match=r"'batch_size' is 50.*at most.*40 examples"):
        trainer.fit(random_data(40))


def test_any_model_in_the_current_graph_can_be_trained():
    with tf.Graph().as_default():
        model = build_conditional_vae(SMALL_CONDITIONAL)
        trainer = Trainer(model).fit(random_data(200), 1)
    assert list(trainer.history) == ["loss_auto_encode", "loss_digit_classifier", "loss"]


# Linux counts what a process took before it became another program to that one's `ru_maxrss`, so
# that pytest's own memory would be in it; VmHWM begins afresh.
PEAK_MEMORY = """
from pathlib import Path
import numpy as np
from moe_vae import DataSet, build_mixture_of_vaes
from moe_vae.training.trainer import start_trainer

images = np.random.default_rng(0).random([55000, 784], np.float32)
data = DataSet(images, np.zeros(55000, int))
trainer = start_trainer(build_mixture_of_vaes, {"epochs": 1}, seed=0)
trainer.session.run(trainer.train_steps["loss"], trainer.model.feed(data.take_batch(100)))
trainer.evaluate(data)
(peak,) = (s for s in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in s)
print(int(peak.split()[1]) / 2**20)
"""


@pytest.mark.process
def test_post_3_on_the_whole_of_mnists_size_stays_under_1_2_gib():
    run = subprocess.run(
        [sys.executable, "-c", PEAK_MEMORY], capture_output=True, text=True, check=True
    )
    assert float(run.stdout) < 1.2
