import io
import os

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from moe_vae import DataSet, Trainer, build_mixture_of_vaes
from moe_vae.compat import tf
from moe_vae.evaluation.specialists import share_listener
from moe_vae.nn.noise import key_value, noise_key
from moe_vae.training.tensorboard import TensorBoardLog, _picture
from moe_vae.training.trainer import start_trainer

PARAMS = {
    "encoder_layers": [8],
    "decoder_layers": [8],
    "manager_layers": [8],
    "z_dim": 2,
    "batch_size": 50,
    "epochs": 3,
}
SIZES = {"compressedHistograms": 0, "images": 0, "scalars": 0, "tensors": 0}  # 0: all


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A directory that a training of three epochs was logged to, and its trainer."""
    directory = tmp_path_factory.mktemp("tensorboard")
    trainer = start_trainer(build_mixture_of_vaes, {**PARAMS, "n_experts": 2}, 0)
    generator = np.random.default_rng(0)
    data = DataSet(generator.random([200, 784], np.float32), generator.integers(0, 10, 200))
    trainer.listeners.append(TensorBoardLog(directory, trainer))
    return directory, trainer.fit(data)


@pytest.fixture(scope="module")
def events(logged):
    return EventAccumulator(os.fspath(logged[0]), SIZES).Reload()


def curve(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_every_loss_is_a_curve_over_epochs(logged, events):
    for name, values in logged[1].history.items():
        expected = list(enumerate(np.float32(values), start=1))
        assert curve(events, f"losses/{name}") == expected


def test_learning_rate_and_seconds_are_curves(logged, events):
    assert curve(events, "learning_rate") == [(n, np.float32(0.001)) for n in (1, 2, 3)]
    seconds = [value for _, value in curve(events, "seconds_an_epoch")]
    assert seconds == [np.float32(value) for value in logged[1].seconds]


def test_every_part_of_the_network_has_its_gradients_norm(logged, events):
    parts = {"prob", "encode_0", "decode_0", "encode_1", "decode_1"}
    tags = {tag for tag in events.Tags()["scalars"] if tag.startswith("gradient_norm/")}
    assert tags == {f"gradient_norm/{part}" for part in parts}
    for part in parts:
        values = [value for _, value in curve(events, f"gradient_norm/{part}")]
        assert len(values) == 3
        assert min(values) > 0
        assert values[-1] == np.float32(logged[1].gradient_norms[part])


def test_a_norm_is_that_of_the_gradients():
    images = np.full([50, 784], 0.3, np.float32)  # alike, so that their order does not matter
    with tf.Graph().as_default():
        tf.set_random_seed(7)
        model = build_mixture_of_vaes({**PARAMS, "n_experts": 2, "learning_rate": 1e-30})
        variables = tf.trainable_variables("encode_1")
        gradients = tf.gradients(model.loss, variables)
        key = noise_key()
        trainer = Trainer(model).fit(DataSet(images, np.zeros(50, int)), 1)
    # The first step, which left the weights as they were: the same noise as there.
    feed = {model.images: images, key: key_value(7, 0)}
    gradients = trainer.session.run(gradients, feed)
    expected = np.sqrt(sum((gradient.astype(float) ** 2).sum() for gradient in gradients))
    assert expected > 1
    assert trainer.gradient_norms["encode_1"] == pytest.approx(expected, rel=1e-5)


def test_the_pictures_are_the_samples_side_by_side(logged, events):
    pictures = events.Images("samples")
    assert [event.step for event in pictures] == [1, 2, 3]
    pixels = np.asarray(Image.open(io.BytesIO(pictures[-1].encoded_image_string)))
    assert pixels.shape == (28, 56)
    second = logged[1].samples[-1][1].reshape(28, 28)
    np.testing.assert_allclose(pixels[:, 28:] / 255, second, atol=0.5 / 255 + 1e-6)


def test_a_pixel_beyond_black_or_white_is_black_or_white():
    picture = _picture(np.array([[[-0.5, 0.0], [1.0, 1.5]]]))
    pixels = np.asarray(Image.open(io.BytesIO(picture.encoded_image_string)))
    assert pixels.tolist() == [[0, 0], [255, 255]]


def test_the_graph_shows_the_models_parts(events):
    graph = tf.GraphDef.FromString(events.Graph().SerializeToString())
    scopes = {node.name.split("/")[0] for node in graph.node}
    assert {"expert_0", "expert_1", "manager", "noise_key", "gradient_norms"} <= scopes


def test_a_run_taken_up_again_hides_what_it_does_again(logged, tmp_path):
    trainer = logged[1]
    for start, steps in ((0, (1, 2, 3)), (2, (3,))):
        trainer.seconds = [1.0] * start
        log = TensorBoardLog(tmp_path, trainer)
        for step in steps:
            trainer.seconds = [float(10 * start + step)] * step
            log(trainer, DataSet(np.zeros([1, 784], np.float32)))
    events = EventAccumulator(os.fspath(tmp_path), SIZES).Reload()
    assert curve(events, "seconds_an_epoch") == [(1, 1), (2, 2), (3, 23)]


def test_the_experts_shares_are_a_curve_each(tmp_path):
    trainer = start_trainer(build_mixture_of_vaes, {**PARAMS, "n_experts": 2}, 0)
    random = np.random.default_rng(0)
    data = DataSet(random.random([100, 784], np.float32), random.integers(0, 10, 100))
    log = TensorBoardLog(tmp_path, trainer)
    trainer.listeners += [share_listener(data), log]
    trainer.fit(data, 1)
    log.close()
    written = EventAccumulator(os.fspath(tmp_path), SIZES).Reload()
    shares = [curve(written, f"shares/{expert}") for expert in range(2)]
    assert shares == [[(1, np.float32(share))] for share in trainer.history["shares"][0]]
