"""Every model, engine and gate keeps the contract of `moe_vae.model.Model`.

The cases come from the registers, so that a new model, engine or gate is tested without an entry
here, if it can do with the small settings below.
"""

import functools

import numpy as np
import pytest
from signature_cases import CONV
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_SHAPE, DataError
from moe_vae.data.dataset import Batch, DataSet, DataSets
from moe_vae.evaluation.recogniser import build_recogniser
from moe_vae.experiments.registry import MODELS, builder, default_params, engines_of
from moe_vae.experiments.runs import run_record
from moe_vae.experiments.sources import SOURCES
from moe_vae.export.frozen import compute, freeze, read_checkpoint
from moe_vae.model import Model, ModelError
from moe_vae.models.gates import GATES
from moe_vae.params import check_params
from moe_vae.training import start_trainer
from moe_vae.training.tensorboard import TensorBoardLog

N_EXAMPLES, N_FEATURES, N_CLASSES = 120, 784, 10

# Small networks and short phases, under the names that any model may have.
SMALL = {
    "encoder_layers": [8],
    "decoder_layers": [8],
    "digit_classification_layers": [8],
    "manager_layers": [8],
    "cluster_encoder_layers": [8],
    "gate_layers": [8],
    "z_dim": 3,
    "n_over_clusters": 20,
    "n_neighbours": 2,
    "epochs": 2,
    "pretrain_epochs": 1,
    "routing_epochs": 1,
    "gate_epochs": 1,
    "gmm_restarts": 1,
    "n_samples": 2,
    "batch_size": 40,
    "routing_batch_size": 40,
    "learning_rate": 0.01,
}
TASKS = {
    "regression": {"task": "regression", "n_outputs": 2},
    "classification": {"task": "classification", "n_outputs": N_CLASSES},
}
CASES = [
    *((name, engine, {}) for name in MODELS if name != "moe" for engine in engines_of(name)),
    ("mixture-of-vaes", "plain", {"routing": "balanced"}),
    ("mixture-of-vaes", "plain", {"routing": "information"}),
    ("mixture-of-vaes", "plain", {"routing": "labels"}),
    ("mixture-of-vaes", "fused", {"routing": "information"}),
    *(("moe", "plain", {"gate": gate, **task}) for gate in GATES for task in TASKS.values()),
    ("moe", "compiled", {"gate": "dmvae", **TASKS["classification"]}),
    *((name, "plain", CONV) for name in ("conditional-vae", "mixture-of-vaes", "vade")),
    ("mixture-of-vaes", "plain", {**CONV, "routing": "information"}),
    ("moe", "plain", {**CONV, "gate": "deep", **TASKS["classification"]}),
]


def case_name(case):
    name, engine, given = case
    words = [str(given[key]) for key in ("network", "routing", "gate", "task") if key in given]
    return "-".join([name, engine, *words])


each_case = pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[] if case[1] == "plain" else pytest.mark.engines) for case in CASES],
    ids=case_name,
)


@pytest.fixture(scope="module")
def data_set():
    random = np.random.default_rng(0)
    labels = np.arange(N_EXAMPLES) % N_CLASSES
    images = 0.3 * random.random([N_EXAMPLES, N_FEATURES])
    images[np.arange(N_EXAMPLES), labels] += 0.5
    targets = random.standard_normal([N_EXAMPLES, 2]).astype(np.float32)
    return DataSet(images.astype(np.float32), labels, targets)


@pytest.fixture(scope="module")
def with_neighbours(data_set):
    related = data_set.with_targets(data_set.targets)
    related.neighbours = (np.arange(N_EXAMPLES)[:, None] + [N_CLASSES, -N_CLASSES]) % N_EXAMPLES
    return related


def builder_and_params(case):
    name, engine, given = case
    defaults = default_params(name, SOURCES["mnist"].form, given)
    small = {key: value for key, value in SMALL.items() if key in defaults}
    build = builder(name, IMAGE_SHAPE, engine)
    if name in ("mixture-of-vaes", "hierarchy"):
        small["n_experts"] = N_CLASSES if given.get("routing") == "labels" else 2
    return build, {**small, **{key: value for key, value in given.items() if key in defaults}}


def start(case, schedule=None):
    return start_trainer(*builder_and_params(case), 1, schedule)


class Fed:
    """Notes the learning rates that a trainer feeds, by the epoch that it trains."""

    def __init__(self, trainer):
        self.rates = {}
        self._trainer, self._run = trainer, trainer.session.run
        trainer.session.run = self

    def __call__(self, fetches, feed_dict=None, **kwargs):
        if feed_dict and self._trainer.learning_rate in feed_dict:
            epoch = self._trainer.n_epochs + 1
            rate = float(feed_dict[self._trainer.learning_rate])
            self.rates.setdefault(epoch, set()).add(rate)
        return self._run(fetches, feed_dict, **kwargs)


def logged_rates(directory):
    events = EventAccumulator(str(directory))
    events.Reload()
    return {event.step: event.value for event in events.Scalars("learning_rate")}


def check_feed(trainer, data_set):
    model = trainer.model
    assert np.isfinite(trainer.session.run(model.loss, model.feed(data_set.take_batch(5))))
    wrong = Batch(data_set.images[:, :3], data_set.labels, data_set.targets)
    with pytest.raises((DataError, ValueError)):
        trainer.session.run(model.loss, model.feed(wrong))


def check_training(trainer, train_set, directory):
    model = trainer.model
    assert list(model.phases)[-1] == "loss"
    assert list(trainer.train_steps) == list(model.phases)
    fed = Fed(trainer)
    trainer.listeners.append(TensorBoardLog(directory, trainer))
    trainer.fit_to_the_end(train_set)
    assert trainer.is_done
    assert {len(values) for values in trainer.history.values()} == {trainer.n_epochs}
    assert np.isfinite(list(trainer.history.values())).all()
    assert all(len(rates) == 1 for rates in fed.rates.values())
    only = {epoch: np.float32(*rates) for epoch, rates in fed.rates.items()}
    assert logged_rates(directory) == only
    assert list(only) == list(range(1, trainer.n_epochs + 1))


def check_predictions(trainer, data_set):
    model, session = trainer.model, trainer.session
    predicted = model.predict(session, data_set.images)
    assert len(predicted) == data_set.num_examples
    if model.answer == "code":
        with pytest.raises(ModelError, match="has no classes, experts or clusters to name"):
            model.predict_proba(session, data_set.images)
        assert predicted.shape == (data_set.num_examples, model.params["z_dim"])
        return
    if model.answer == "value":
        with pytest.raises(ModelError, match="no class probabilities"):
            model.predict_proba(session, data_set.images)
        assert predicted.shape == data_set.targets.shape
        return
    probabilities = model.predict_proba(session, data_set.images)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    if "n_samples" not in model.params:  # a prediction of VaDE's draws samples of its own
        np.testing.assert_array_equal(probabilities.argmax(axis=1), predicted)
    expected = N_CLASSES if model.answer in ("digit", "class") else model.n_columns
    assert probabilities.shape[1] == expected


# The loss whose mean over the examples is that of `example_losses`, where it is not "loss".
EXAMPLE_LOSSES = {
    "conditional-vae": "loss_auto_encode",
    "mixture-of-vaes": "expected_expert_loss",
    "hierarchy": "expected_expert_loss",
}


def check_example_losses(name, trainer, data_set):
    model, images = trainer.model, data_set.images
    if name in ("information", "moe"):
        return
    losses = model.example_losses(trainer.session, images)
    assert losses.shape == (len(images),)
    np.testing.assert_allclose(losses[:3], model.example_losses(trainer.session, images[:3]), 1e-5)
    if model.params.get("routing") == "labels":  # its losses are those of the labels' experts
        return
    no_noise = (
        {
            noise: np.zeros([len(images), *noise.shape.as_list()[1:]], np.float32)
            for noise in model._noises
        }
        if name != "conditional-vae"
        else {model.eps: np.zeros([len(images), model.params["z_dim"]])}
    )
    means = trainer.evaluate(data_set, no_noise)
    expected = means[EXAMPLE_LOSSES.get(name, "loss")]
    assert losses.mean(dtype=np.float64) == pytest.approx(expected, rel=1e-5)


def check_drawings(trainer, data_set):
    model, session = trainer.model, trainer.session
    if not model.draws:
        assert trainer.samples == []
        for draw in (
            lambda: model.generate(session, np.zeros([1, 3]), 0),
            lambda: model.generate_row(session, np.zeros([1, 3])),
            lambda: model.reconstruct(session, data_set.images),
            lambda: model.mean_codes(session, data_set.images),
        ):
            with pytest.raises(ModelError, match=r"no (decoder|codes)"):
                draw()
        return
    z = np.random.default_rng(0).standard_normal([4, model.params["z_dim"]])
    for column in (0, model.n_columns - 1):
        assert model.generate(session, z, column).shape == (4, N_FEATURES)
    with pytest.raises((DataError, ValueError), match="in 0 to"):
        model.generate(session, z, model.n_columns)
    row = model.generate_row(session, z[:1])
    assert row.shape == (model.n_columns, N_FEATURES)
    last = model.n_columns - 1
    expected = model.generate(session, z[:1], last)[0]
    np.testing.assert_allclose(row[last], expected, rtol=1e-5, atol=1e-6)
    assert model.reconstruct(session, data_set.images).shape == data_set.images.shape
    assert len(trainer.samples) == trainer.epochs_done["loss"]


def check_signatures(case, trainer, data_set, directory):
    """What a model can, its frozen signatures can, with the same results."""
    model, session = trainer.model, trainer.session
    build, params = builder_and_params((case[0], "plain", case[2]))
    trainer.save(directory / "model.ckpt")
    params, variables = read_checkpoint(build, params, directory / "model.ckpt")
    graphs = freeze(build, params, variables)
    draws = {"encode", "reconstruct", "generate"} if model.draws else set()
    routes = set() if model.answer == "code" else {"route"}
    predicts = {"predict"} if model.answer in ("class", "value") else set()
    assert graphs.keys() == draws | routes | predicts
    if model.draws:
        inputs = {"inputs": data_set.images}
        decoded = compute(graphs["reconstruct"], inputs)
        expected = model.reconstruct(session, data_set.images)
        np.testing.assert_allclose(decoded, expected, atol=1e-5)
        codes = compute(graphs["encode"], inputs)
        np.testing.assert_allclose(codes, model.mean_codes(session, data_set.images), atol=1e-5)


def check_record_and_figures(name, trainer, data_set):
    record = run_record(name, trainer, DataSets(data_set, data_set, data_set, "random"), 1)
    assert record["params"] == trainer.model.params
    figures = MODELS[name].draw(trainer, record, data_set)
    assert "losses" in figures


@each_case
def test_a_model_trains_predicts_and_draws_by_the_contract(case, tmp_path, data_set, request):
    trainer = start(case)
    check_feed(trainer, data_set)
    reads_partners = "n_neighbours" in trainer.model.params
    train_set = request.getfixturevalue("with_neighbours") if reads_partners else data_set
    check_training(trainer, train_set, tmp_path)
    check_predictions(trainer, data_set)
    check_drawings(trainer, data_set)
    check_example_losses(case[0], trainer, data_set)
    check_signatures(case, trainer, data_set, tmp_path)
    check_record_and_figures(case[0], trainer, data_set)
    trainer.session.close()


@pytest.mark.parametrize("name", MODELS)
def test_every_model_can_be_given_a_schedule(name, data_set):
    given = {"gate": "deep", **TASKS["regression"]} if name == "moe" else {}
    trainer = start((name, "plain", {**given, "epochs": 4}), "cosine")
    fed = Fed(trainer)
    trainer.fit(data_set, 2, sample=False)
    rates = [0.01, 0.01 * (1 + np.cos(np.pi / trainer.model.params["epochs"])) / 2]
    assert [rate for (rate,) in fed.rates.values()] == pytest.approx(rates)
    trainer.session.close()


def test_the_judge_of_drawings_keeps_the_contract(data_set, tmp_path):
    trainer = start_trainer(
        functools.partial(build_recogniser, shape=IMAGE_SHAPE, n_classes=10), {"epochs": 1}, 0
    )
    check_training(trainer, data_set, tmp_path)
    check_predictions(trainer, data_set)
    check_drawings(trainer, data_set)


# Methods that a model gives itself, some of each kind: without one the checks above fail.
OWN = [
    ("conditional-vae", "feed"),
    ("conditional-vae", "predict_proba"),
    ("mixture-of-vaes", "generate"),
    ("mixture-of-vaes", "reconstruct"),
    ("dmvae", "signatures"),
    ("vae", "example_losses"),
    ("information", "phases"),
    ("vade", "predict_proba"),
    ("moe", "predict_proba"),
]


@pytest.mark.parametrize(("name", "method"), OWN)
def test_the_contract_test_fails_without_a_method(name, method, monkeypatch, tmp_path, request):
    case = (name, "plain", {"gate": "deep", **TASKS["classification"]} if name == "moe" else {})
    model = type(start(case).model)
    owner = next(each for each in model.__mro__ if method in vars(each))
    assert owner is not Model
    monkeypatch.delattr(owner, method)
    errors = (AssertionError, AttributeError, TypeError, ValueError, KeyError, tf.errors.OpError)
    with pytest.raises(errors):
        test_a_model_trains_predicts_and_draws_by_the_contract(
            case, tmp_path, request.getfixturevalue("data_set"), request
        )


def test_the_small_settings_are_allowed_for_every_gate():
    for gate, entry in GATES.items():
        given = {key: value for key, value in SMALL.items() if key in entry.defaults}
        assert check_params(given, entry.defaults), gate
