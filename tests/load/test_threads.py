"""Ten threads that predict from one trained model at once: each gets the answers of one alone."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from estimators_small import conditional, mixture, regressor, vade

from moe_vae import DataSet, build_mixture_of_vaes, load_pretrained, start_trainer
from moe_vae.experiments.pretrained import read_sample

N_THREADS = 10
N_TIMES = 5


def assert_same_from_threads(functions, inputs):
    """Every thread calls every function on examples of its own, in an order of its own.

    Args:
      functions: functions of examples that return an array.
      inputs: the examples; each thread has another number of them.
    """
    shares = [inputs[number : number + 40 + 7 * number] for number in range(N_THREADS)]
    assert len({len(share) for share in shares}) == N_THREADS
    alone = [[function(share) for function in functions] for share in shares]
    ready = Barrier(N_THREADS)

    def work(number):
        calls = np.random.default_rng(number).permutation(np.arange(len(functions)).repeat(N_TIMES))
        ready.wait()
        return [(which, functions[which](shares[number])) for which in calls]

    with ThreadPoolExecutor(N_THREADS) as pool:
        together = list(pool.map(work, range(N_THREADS)))
    for expected, answers in zip(alone, together, strict=True):
        assert len(answers) == len(functions) * N_TIMES
        for which, answer in answers:
            np.testing.assert_array_equal(answer, expected[which])


def test_a_trainer():
    generator = np.random.default_rng(0)
    data = DataSet(generator.random([200, 784], np.float32), generator.integers(0, 10, 200))
    layers = {"encoder_layers": [8], "decoder_layers": [8], "manager_layers": [8], "n_experts": 3}
    trainer = start_trainer(build_mixture_of_vaes, {**layers, "batch_size": 50}, seed=1)
    model, session = trainer.fit(data, epochs=1).model, trainer.session
    functions = [
        lambda x: model.predict(session, x),
        lambda x: model.predict_proba(session, x),
        lambda x: model.mean_codes(session, x),
        lambda x: model.example_losses(session, x),
        lambda x: model.generate(session, x[:, : model.params["z_dim"]], 1),
    ]
    assert_same_from_threads(functions, data.images)


@pytest.mark.estimators
@pytest.mark.parametrize("make", [conditional, mixture, vade, regressor])
def test_an_estimator(make):
    generator = np.random.default_rng(0)
    points = generator.normal(size=[150, 2])
    labels = (points[:, 0] > 0) + 2 * (points[:, 1] > 0)
    fitted = make(epochs=1).fit(points, labels)
    names = ("predict", "predict_proba", "transform", "score_samples")
    functions = [getattr(fitted, name) for name in names if hasattr(fitted, name)]
    assert len(functions) >= 1
    assert_same_from_threads(functions, points)


@pytest.mark.process
@pytest.mark.parametrize("name", ["conditional-vae", "mixture-of-vaes", "specialists"])
def test_a_pretrained_model(name):
    model, session, _ = load_pretrained(name)
    functions = [
        lambda x: model.predict(session, x),
        lambda x: model.predict_proba(session, x),
        lambda x: model.generate(session, x[:, : model.params["z_dim"]], 1),
    ]
    assert_same_from_threads(functions, read_sample().images)
