"""Warm starts, callbacks and failures of a training."""

import copy

import estimators_small as small
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs

from moe_vae.data.dataset import DataSet
from moe_vae.estimators import EarlyStopping
from moe_vae.interrupts import Terminated
from moe_vae.params import ParameterError
from moe_vae.training.trainer import TrainingError

pytestmark = pytest.mark.estimators

X, Y = make_blobs(60, 4, centers=3, random_state=0)


def test_a_warm_start_goes_on_for_the_epochs_that_are_set():
    estimator = small.dmvae(warm_start=True).fit(X)
    first = list(estimator.history_["loss"])
    model, codes = estimator.model_, estimator.transform(X)
    estimator.set_params(epochs=3).fit(X)
    assert estimator.model_ is model
    assert estimator.history_["loss"][: len(first)] == first
    assert len(estimator.history_["loss"]) == len(first) + 3
    assert estimator.n_iter_ == len(first) + 3
    assert not np.array_equal(estimator.transform(X), codes)


def test_a_warm_start_keeps_the_first_scale():
    estimator = small.dmvae(warm_start=True, batch_size=20).fit(X)
    model, mean = estimator.model_, estimator._mean.copy()
    estimator.fit(X[:30] + 5)
    assert estimator.model_ is model
    np.testing.assert_array_equal(estimator._mean, mean)


def test_a_warm_start_that_begins_anew_learns_the_scale_of_what_it_is_given():
    estimator = small.regressor(warm_start=True, epochs=1).fit(X, X[:, 0])
    moved = 3 * X + 100
    estimator.set_params(learning_rate=0.01).fit(moved, moved[:, :1])
    assert estimator.n_iter_ == 1
    np.testing.assert_allclose(estimator._mean, moved.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(estimator._scale, moved.std(axis=0), rtol=1e-5)
    np.testing.assert_allclose(estimator._y_mean, moved[:, :1].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(estimator._y_scale, moved[:, :1].std(axis=0), rtol=1e-5)


def test_each_warm_start_has_an_order_of_its_own_that_follows_from_the_seed(monkeypatch):
    taken, take_rows = [], DataSet.take_rows

    def noting(data_set, batch_size):
        taken.append(tuple(take_rows(data_set, batch_size)))
        return taken[-1]

    monkeypatch.setattr(DataSet, "take_rows", lambda *given: np.array(noting(*given)))
    for others_seed in (1, 5):
        estimator = small.dmvae(warm_start=True, epochs=1, batch_size=60)
        for _ in range(3):
            np.random.seed(others_seed)
            estimator.fit(X)
    assert len(taken) == 6
    assert len(set(taken[:3])) == 3
    assert taken[3:] == taken[:3]


def test_a_copy_that_trains_on_leaves_its_original_as_it_was():
    estimator = small.dmvae(warm_start=True, epochs=1).fit(X)
    losses = list(estimator.history_["loss"])
    copied = copy.copy(estimator).fit(X)
    assert copied.n_iter_ == len(copied.history_["loss"]) == 2
    assert estimator.history_["loss"] == losses
    assert estimator.fit(X).n_iter_ == 2


@pytest.mark.parametrize(
    ("change", "examples", "labels"),
    [({"z_dim": 3}, X, Y), ({}, X[:, :3], Y), ({}, X, Y + 1), ({}, X, np.minimum(Y, 1))],
    ids=["z_dim", "features", "names", "classes"],
)
def test_a_warm_start_with_another_model_begins_anew(change, examples, labels):
    estimator = small.conditional(warm_start=True, epochs=2).fit(X, Y)
    model = estimator.model_
    estimator.set_params(**change).fit(examples, labels)
    assert estimator.model_ is not model
    assert len(estimator.history_["loss"]) == 2
    assert set(estimator.predict(examples)) <= set(labels)


def test_without_warm_start_every_fit_begins_anew():
    estimator = small.dmvae(epochs=2).fit(X)
    codes = estimator.transform(X)
    np.testing.assert_array_equal(estimator.fit(X).transform(X), codes)
    assert len(estimator.history_["loss"]) == 2


def test_a_warm_start_after_the_rate_has_fallen_to_0_is_refused():
    estimator = small.dmvae(warm_start=True, epochs=2, params={"cosine_decay": True}).fit(X)
    with pytest.raises(ParameterError, match="learning rate has fallen to 0"):
        estimator.fit(X)


def test_callbacks_are_called_after_each_epoch_of_the_last_phase():
    seen = []
    estimator = small.vade(epochs=3, callbacks=[lambda each: seen.append(each.predict(X))])
    estimator.fit(X)
    assert len(seen) == 3
    np.testing.assert_array_equal(seen[-1], estimator.predict(X))
    estimator.set_params(callbacks=[lambda each: True]).fit(X)
    assert len(estimator.history_["loss"]) == estimator.n_iter_ == 10 + 1


class Losses:
    """An estimator whose losses are given."""

    def __init__(self, losses):
        self.history_ = {"loss": losses}


def epochs_until_the_end(callback, losses):
    callback.begin()
    return next(n for n in range(1, len(losses) + 1) if callback(Losses(losses[:n])))


@pytest.mark.parametrize(
    ("patience", "min_delta", "expected"), [(1, 0, 4), (2, 0, 7), (2, 0.5, 5), (3, 0.5, 6)]
)
def test_early_stopping_counts_the_epochs_without_a_fall(patience, min_delta, expected):
    losses = [5.0, 4.0, 3.0, 3.0, 2.9, 2.9, 2.9, 2.9]
    callback = EarlyStopping(patience, min_delta)
    assert epochs_until_the_end(callback, losses) == expected
    assert epochs_until_the_end(callback, losses) == expected  # `begin` forgets


def test_early_stopping_ends_a_training_and_begins_again_with_each():
    stopping = EarlyStopping(patience=2, min_delta=1e9)
    estimator = small.dmvae(epochs=10, callbacks=[stopping])
    for _ in range(2):
        assert len(estimator.fit(X).history_["loss"]) == 3
    assert clone(estimator).callbacks[0] is not stopping


def test_early_stopping_watches_validation_examples():
    losses = []

    class Watching(EarlyStopping):
        def __call__(self, estimator):
            losses.append(-estimator.score(X[:20]))
            ends = super().__call__(estimator)
            assert self.best_ == pytest.approx(min(losses))
            return ends

    small.dmvae(epochs=3, callbacks=[Watching(validation=X[:20])]).fit(X)
    assert len(losses) == 3


@pytest.mark.parametrize(
    ("build", "callback", "message"),
    [
        (small.dmvae, {"loss": "los"}, "loss is 'los': it must be one of "),
        (small.classifier, {"validation": X}, "has no score_samples"),
    ],
)
def test_early_stopping_says_what_an_estimator_lacks(build, callback, message):
    estimator = build(callbacks=[EarlyStopping(**callback)])
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, Y)
    assert not hasattr(estimator, "trainer_")


@pytest.mark.parametrize(("name", "value"), [("patience", 0), ("min_delta", -0.1)])
def test_early_stopping_refuses_what_is_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        EarlyStopping(**{name: value})


def test_a_training_that_fails_leaves_nothing_fitted():
    estimator = small.mixture().fit(X)
    estimator.set_params(learning_rate=1e30)
    with pytest.raises(TrainingError):
        estimator.fit(X)
    assert not hasattr(estimator, "trainer_")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, Terminated])
def test_a_training_that_is_interrupted_raises_and_leaves_nothing_fitted(kind):
    def interrupt(estimator):
        del estimator
        raise kind

    estimator = small.dmvae(epochs=2, callbacks=[interrupt])
    with pytest.raises(KeyboardInterrupt) as caught:
        estimator.fit(X)
    assert type(caught.value) is kind
    assert not hasattr(estimator, "trainer_")


def test_verbose_shows_the_epochs(capsys):
    small.dmvae(epochs=2).fit(X)
    assert capsys.readouterr().err == ""
    small.dmvae(epochs=2, verbose=1).fit(X)
    assert "2/2" in capsys.readouterr().err
