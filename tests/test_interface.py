"""Bad input through Python: each case raises an error that names what came and what is allowed."""

import functools

import numpy as np
import pytest

import moe_vae
from moe_vae import (
    DataError,
    DataSet,
    ModelError,
    ParameterError,
    Trainer,
    build_conditional_vae,
    build_mixture_of_vaes,
    build_vade,
    build_vae,
    set_seeds,
    start_trainer,
)
from moe_vae.compat import reason_of, tf

SMALL = {"encoder_layers": [4], "decoder_layers": [4], "z_dim": 2, "batch_size": 5}
DATA = DataSet(np.random.default_rng(0).random([20, 784], np.float32))


@pytest.fixture(scope="module")
def trainer():
    started = start_trainer(build_vae, SMALL, seed=0)
    started.shows_progress = False
    return started.fit(DATA, epochs=1)


@pytest.mark.parametrize("train_set", [None, np.zeros([20, 784], np.float32), "mnist"])
def test_what_is_no_data_set_is_refused(trainer, train_set):
    with pytest.raises(DataError, match=r"the training set is .*: it must be a DataSet"):
        trainer.fit(train_set, epochs=1)
    with pytest.raises(DataError, match=r"the data set is .*: it must be a DataSet"):
        trainer.evaluate(train_set)


@pytest.mark.parametrize("epochs", [-1, 1.5, "1", True, 10**30, [1]])
def test_numbers_of_epochs_are_whole(trainer, epochs):
    with pytest.raises(ParameterError, match=r"epochs is .*: it must be a whole number in 0 to"):
        trainer.fit(DATA, epochs=epochs)


@pytest.mark.parametrize("size", [2.5, "2", None, True, 0, 21, 10**30])
def test_sizes_of_batches_are_whole(size):
    with pytest.raises(DataError, match=r"batch_size is .*: it must be a whole number in 1 "):
        DATA.next_batch(size)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "1", None, True])
def test_seeds_are_whole_and_32_bits(seed):
    with pytest.raises(ParameterError, match=r"seed is .*: it must be a whole number in 0 to"):
        set_seeds(seed)
    with pytest.raises(ParameterError, match="seed is"):
        start_trainer(build_vae, SMALL, seed)


CODES = {
    "NaN": ([[np.nan, 0]], "codes hold NaN or infinite values"),
    "too many": (np.zeros([1, 3]), r"codes have shape \[1, 3\]: it must be \[n, 2\]"),
    "one axis": (np.zeros(2), r"codes have shape \[2\]: it must be \[n, 2\]"),
    "texts": ([["a", "b"]], "codes have dtype <U1: they must be numbers"),
    "none": (None, "codes have dtype object"),
    "ragged": ([[1, 2], [3]], "codes are no array"),
}


@pytest.mark.parametrize("case", CODES)
def test_codes_are_finite_numbers_of_the_models_size(trainer, case):
    codes, message = CODES[case]
    with pytest.raises(DataError, match=message):
        trainer.model.generate(trainer.session, codes, 0)


COLUMNS = {
    "half": (0.5, "cluster has dtype float64: it must be a whole number"),
    "text": ("one", "cluster has dtype <U3: it must be a whole number"),
    "none": (None, "cluster has dtype object"),
    "several": ([0, 0], r"cluster has shape \[2\]: it must be a single number"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns_are_single_whole_numbers(case):
    column, message = COLUMNS[case]
    small = {"n_clusters": 2, "z_dim": 2, "encoder_layers": [4], "decoder_layers": [4]}
    trainer = start_trainer(functools.partial(build_vade, shape=(3,)), small, seed=0)
    with pytest.raises(DataError, match=message):
        trainer.model.generate(trainer.session, np.zeros([2, 2]), column)


def test_a_conditional_vae_takes_a_digit_for_each_code():
    trainer = start_trainer(build_conditional_vae, {"z_dim": 2}, seed=0)
    drawn = trainer.model.generate(trainer.session, np.zeros([2, 2]), [3, 4])
    assert drawn.shape == (2, 784)
    for digits in ([3], [3, 4, 5], [[3], [4]]):
        with pytest.raises(DataError, match=r"digit has shape .*: it must be \[2\] or a single"):
            trainer.model.generate(trainer.session, np.zeros([2, 2]), digits)


@pytest.mark.parametrize("build", [build_conditional_vae, build_mixture_of_vaes])
def test_a_sigmoid_is_not_trained_on_values_outside_its_range(build):
    points = np.linspace(-1, 1, 60, dtype=np.float32).reshape(20, 3)
    labels = np.arange(20) % 10
    data = DataSet(points, labels, shape=(3,))
    small = {"batch_size": 5, "encoder_layers": [4], "decoder_layers": [4], "z_dim": 2}
    trainer = start_trainer(functools.partial(build, shape=(3,)), small, seed=0)
    message = "images range from -1.0 to 1.0: with output_activation 'sigmoid' every value must be"
    with pytest.raises(DataError, match=message):
        trainer.fit(data, epochs=1)


def test_a_schedule_that_is_over_trains_no_further():
    small = {**SMALL, "epochs": 2}
    trainer = start_trainer(build_vae, small, seed=0, schedule="cosine")
    trainer.shows_progress = False
    trainer.fit(DATA)
    with pytest.raises(ParameterError, match="epochs is 1, and 2 are done: the learning rate"):
        trainer.fit(DATA, epochs=1)


def test_paths_that_are_not_there_are_refused(trainer, tmp_path):
    with pytest.raises(DataError, match="No such file or directory; it must be a folder"):
        trainer.save(tmp_path / "nowhere" / "model")
    for read in (trainer.restore, trainer.begin_with):
        with pytest.raises(DataError, match=r"model\.index'.*No such file or directory"):
            read(tmp_path / "model")


@pytest.mark.parametrize("params", [None, [1], "z_dim", {1: 2}])
def test_parameters_are_a_dict_of_names(params):
    with tf.Graph().as_default(), pytest.raises(ParameterError):
        build_vae(params)


@pytest.mark.parametrize("value", [[1], {}, None, 3])
def test_a_routing_is_a_name(value):
    with tf.Graph().as_default(), pytest.raises(ParameterError, match="'routing' is"):
        build_mixture_of_vaes({"routing": value})


# Twice in one process, as in a notebook.


def test_the_readmes_way_runs_twice():
    values = []
    for _ in range(2):
        trainer = moe_vae.start_trainer(build_vae, SMALL, seed=42)
        trainer.shows_progress = False
        values.append(trainer.fit(DATA, epochs=1).history["loss"])
    # The order of the batches follows from the data set's earlier ones, the weights from the seed.
    assert np.isfinite(values).all()


def test_a_graph_that_holds_a_model_takes_no_other():
    with tf.Graph().as_default():
        build_vae(SMALL)
        with pytest.raises(ModelError, match=r"holds a PlainVAE already: .* start_trainer\("):
            build_vae(SMALL)


def test_a_finalised_graph_takes_no_model():
    with tf.Graph().as_default():
        Trainer(build_vae(SMALL))
        with pytest.raises(ModelError, match=r"the current graph is finalised: .* start_trainer\("):
            build_vae(SMALL)


def test_a_reason_is_not_where_but_why():
    graph_error = ValueError(
        "Graph execution error:\n\nDetected at node 'x' defined at (most recent call last):\n"
        "  File \"a.py\", line 1\nNode: 'x'\nDimension -2 must be >= 0\n\t [[{{node x}}]]"
    )
    assert reason_of(graph_error) == "Dimension -2 must be >= 0"
    assert reason_of(ValueError("no such file")) == "no such file"
    assert reason_of(ValueError()) == "ValueError"
