"""The estimators with scikit-learn's tools, and against their own models."""

import threading

import estimators_small as small
import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from moe_vae.estimators import MixtureOfVAEsClusterer, VaDEClusterer
from moe_vae.params import ParameterError

pytestmark = pytest.mark.estimators

X, Y = make_blobs(60, 4, centers=3, random_state=0, cluster_std=0.5)
X = X.astype(np.float32)
FRAME = pd.DataFrame(X, columns=["a", "b", "c", "d"])
IMAGES = MinMaxScaler(clip=True).fit_transform(X)
ANSWERS = ("predict", "predict_proba", "transform", "score_samples", "predict_gate")

each = pytest.mark.parametrize("build", small.ALL)
each_coder = pytest.mark.parametrize("build", small.CODERS)


@pytest.fixture(scope="module")
def fitted():
    """One fitted estimator of each kind."""
    return {build: build().fit(X, Y) for build in small.ALL}


def answers(estimator, examples=X):
    names = [name for name in ANSWERS if hasattr(estimator, name)]
    return {name: getattr(estimator, name)(examples) for name in names}


def assert_same_answers(one, other, examples=X):
    ours, theirs = answers(one, examples), answers(other, examples)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


@each
def test_a_clone_with_the_same_seed_gives_the_same_and_leaves_numpys_generator(fitted, build):
    before = np.random.get_state()[1].copy()
    again = clone(fitted[build]).fit(X, Y)
    assert_same_answers(again, fitted[build])
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_another_seed_gives_another_result():
    one, other = (small.dmvae(random_state=seed).fit(X) for seed in (0, 1))
    assert not np.array_equal(one.transform(X), other.transform(X))


def test_a_generator_as_seed_moves_on():
    generator = np.random.RandomState(0)
    one, other = (small.dmvae(random_state=generator, epochs=1).fit(X) for _ in range(2))
    assert not np.array_equal(one.transform(X), other.transform(X))


@each
def test_names_of_columns_are_kept_and_asked_for(build):
    estimator = build(epochs=1).fit(FRAME, Y)
    assert list(estimator.feature_names_in_) == list(FRAME)
    with pytest.raises(ValueError, match="feature names"):
        estimator.predict(FRAME[["d", "c", "b", "a"]])


def test_pipeline_scales_trains_and_predicts():
    pipeline = make_pipeline(StandardScaler(), small.conditional(epochs=60)).fit(X, Y)
    assert pipeline.score(X, Y) > 0.9
    codes = make_pipeline(StandardScaler(), small.mixture(epochs=2)).fit(X).transform(X)
    assert codes.shape == (60, 2 + 3)


def test_grid_search_in_two_processes():
    search = GridSearchCV(small.classifier(epochs=5), {"n_clusters": [1, 2]}, cv=2, n_jobs=2)
    search.fit(X, Y)
    assert search.best_params_["n_clusters"] in (1, 2)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.predict(X).shape == (60,)


def test_cross_validation_gives_an_accuracy_for_each_part():
    scores = cross_val_score(small.classifier(), X, Y, cv=3)
    assert scores.shape == (3,)
    assert scores.min() > 0.8


@each
def test_joblib_keeps_the_answers_and_the_history(fitted, build, tmp_path):
    joblib.dump(fitted[build], tmp_path / "estimator.joblib")
    again = joblib.load(tmp_path / "estimator.joblib")
    assert_same_answers(again, fitted[build])
    assert again.history_ == fitted[build].history_
    assert again.get_params() == fitted[build].get_params()


@each_coder
def test_codes_as_a_table_have_names(build):
    estimator = build(epochs=1).set_output(transform="pandas").fit(FRAME, Y)
    codes = estimator.transform(FRAME)
    name = type(estimator).__name__.lower()
    assert list(codes) == [f"{name}{number}" for number in range(codes.shape[1])]
    np.testing.assert_array_equal(codes.index, FRAME.index)
    assert estimator.inverse_transform(codes).shape == X.shape


def test_ten_estimators_live_side_by_side():
    estimators = [small.dmvae(random_state=seed, epochs=2).fit(X) for seed in range(10)]
    codes = [estimator.transform(X) for estimator in estimators]
    for seed in range(10):
        alone = small.dmvae(random_state=seed, epochs=2).fit(X)
        np.testing.assert_array_equal(codes[seed], alone.transform(X))


@each
def test_threads_predict_at_once(fitted, build):
    estimator = fitted[build]
    expected, found = answers(estimator), []
    barrier = threading.Barrier(8)

    def predict():
        barrier.wait()
        found.extend(answers(estimator) for _ in range(5))

    threads = [threading.Thread(target=predict) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    for one in found:
        for name, values in expected.items():
            np.testing.assert_array_equal(one[name], values)


def test_threads_train_at_once_as_one_after_the_other():
    alone = [small.dmvae(random_state=seed, epochs=2).fit(X) for seed in range(3)]
    together = [clone(estimator) for estimator in alone]
    threads = [threading.Thread(target=each.fit, args=[X]) for each in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        assert_same_answers(one, other)


@each_coder
def test_decoding_the_codes_is_the_models_reconstruction(fitted, build):
    estimator = fitted[build]
    scaled = StandardScaler().fit(X)
    inputs = scaled.transform(X).astype(np.float32)
    theirs = estimator.model_.reconstruct(estimator.session_, inputs)
    ours = estimator.inverse_transform(estimator.transform(X))
    np.testing.assert_allclose(ours, scaled.inverse_transform(theirs), rtol=1e-4, atol=1e-4)


@each_coder
def test_scores_are_minus_the_models_losses(fitted, build):
    estimator = fitted[build]
    inputs = StandardScaler().fit_transform(X).astype(np.float32)
    losses = estimator.model_.example_losses(estimator.session_, inputs)
    np.testing.assert_allclose(estimator.score_samples(X), -losses, rtol=1e-4)
    if build is not small.conditional:
        assert estimator.score(X) == pytest.approx(-losses.mean(), rel=1e-4)


def test_scores_of_the_conditional_vae_follow_from_their_formula(fitted):
    estimator = fitted[small.conditional]
    inputs = StandardScaler().fit_transform(X)
    codes = estimator.transform(X)[:, :2]
    scaler = StandardScaler().fit(X)
    decoded = scaler.transform(estimator.inverse_transform(estimator.transform(X)))
    model = estimator.model_
    feed = {model.images: inputs.astype(np.float32)}
    var = estimator.session_.run(model.encoder_var, feed)
    std = model.params["decoder_std"]
    log_likelihood = -0.5 * (((inputs - decoded) / std) ** 2 + np.log(2 * np.pi * std**2))
    kl = 0.5 * (codes**2 + var - 1 - np.log(var))
    expected = log_likelihood.sum(axis=1) - kl.sum(axis=1)
    np.testing.assert_allclose(estimator.score_samples(X), expected, rtol=1e-4)


@each_coder
def test_samples_are_in_the_scale_of_the_examples(fitted, build):
    estimator = fitted[build]
    n_columns = estimator.model_.n_columns
    drawn, columns = estimator.sample(7, random_state=0)
    assert drawn.shape == (7, 4)
    np.testing.assert_array_equal(columns, np.arange(7) % n_columns)
    assert abs(drawn.mean(axis=0) - X.mean(axis=0)).max() < 4 * X.std(axis=0).max()
    again, _ = estimator.sample(7, random_state=0)
    np.testing.assert_array_equal(drawn, again)
    other, _ = estimator.sample(7)
    assert not np.array_equal(drawn, other)
    last, columns = estimator.sample(2, column=n_columns - 1, random_state=0)
    np.testing.assert_array_equal(columns, [n_columns - 1] * 2)
    assert last.shape == (2, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_samples": 0}, "n_samples is 0: it must be at least 1"),
        ({"column": 3}, "column is 3: it must be in 0 to 2"),
        ({"column": -1}, "column is -1: it must be in 0 to 2"),
    ],
)
def test_samples_out_of_range_are_refused(fitted, arguments, message):
    with pytest.raises(ValueError, match=message):
        fitted[small.mixture].sample(**arguments)


def test_images_are_drawn_and_decoded_within_0_and_1():
    estimator = small.mixture(image_shape=(2, 2)).fit(IMAGES)
    assert estimator.model_.params["output_activation"] == "sigmoid"
    for drawn in (estimator.sample(9)[0], estimator.inverse_transform(estimator.transform(IMAGES))):
        assert drawn.min() >= 0
        assert drawn.max() <= 1


@pytest.mark.parametrize("image_shape", [(2, 3), (4,), 4, "22", (2.0, 2.0), (-2, -2)])
def test_an_image_shape_that_does_not_fit_is_refused(image_shape):
    with pytest.raises(ValueError, match=r"image_shape is .*\(height, width\) with a product of 4"):
        small.mixture(image_shape=image_shape).fit(IMAGES)


@pytest.mark.parametrize("change", [lambda x: x * 255, lambda x: x - 0.1])
def test_images_outside_0_to_1_are_refused_in_fit_and_predict(change):
    message = "with image_shape every value must be in 0 to 1"
    with pytest.raises(ValueError, match=message):
        small.mixture(image_shape=(2, 2)).fit(change(IMAGES))
    estimator = small.mixture(image_shape=(2, 2), epochs=1).fit(IMAGES)
    with pytest.raises(ValueError, match=message):
        estimator.predict(change(IMAGES))


@pytest.mark.parametrize(
    ("build", "changed", "message"),
    [
        (small.mixture, {"n_experts": 61}, "'n_experts' is 61: with n_samples=60"),
        (small.vade, {"n_clusters": 61}, "'n_clusters' is 61: with n_samples=60"),
        (small.mixture, {"n_experts": "3"}, "'n_experts' is '3': it must be a whole number"),
        (small.mixture, {"routing": "other"}, "routing"),
        (small.mixture, {"params": {"n_expert": 2}}, "unknown parameter 'n_expert'"),
        (small.dmvae, {"epochs": 0}, "'epochs' is 0"),
        (small.dmvae, {"engine": "fused"}, "no fused engine"),
        (small.regressor, {"gate": "other"}, "gate"),
    ],
)
def test_parameters_that_are_not_allowed_are_refused(build, changed, message):
    with pytest.raises(ParameterError, match=message) as caught:
        build(**changed).fit(X, Y)
    assert len(str(caught.value).splitlines()) == 1


def test_params_go_before_the_parameters_that_are_named():
    estimator = small.dmvae(params={"epochs": 1, "activation": "tanh"}).fit(X)
    assert len(estimator.history_["loss"]) == 1
    assert estimator.model_.params["activation"] == "tanh"


def test_codes_of_another_width_are_refused(fitted):
    with pytest.raises(ValueError, match="Z has 2 columns: it must have 5"):
        fitted[small.mixture].inverse_transform(np.zeros([3, 2]))


def test_what_is_not_fitted_says_so():
    for call in (
        lambda each: each.predict(X),
        lambda each: each.sample(),
        lambda each: each.inverse_transform(np.zeros([1, 2])),
        lambda each: each.save("unused"),
    ):
        with pytest.raises(NotFittedError):
            call(small.dmvae())
    with pytest.raises(NotFittedError):
        small.classifier().predict_gate(X)


def test_constant_features_stay_as_they_are():
    constant = np.column_stack([X, np.full(60, 0.1, np.float32)])
    estimator = small.dmvae().fit(constant)
    moved = constant.copy()
    moved[:, -1] += 1e-6
    np.testing.assert_allclose(estimator.transform(moved), estimator.transform(constant), atol=1e-4)


def test_classes_may_have_any_names():
    names = np.array(["plum", "apple", "pear"])[Y]
    estimator = small.conditional(epochs=60).fit(X, names)
    assert list(estimator.classes_) == ["apple", "pear", "plum"]
    assert (estimator.predict(X) == names).mean() > 0.9
    probabilities = estimator.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_a_regression_has_no_probabilities_and_the_scale_of_its_targets():
    targets = np.column_stack([X @ [1, 2, 3, 4], 1000 + 50 * X[:, 0]])
    estimator = small.regressor(epochs=300).fit(X, targets)
    assert estimator.score(X, targets) > 0.95
    assert not hasattr(estimator, "predict_proba")
    np.testing.assert_allclose(estimator.predict_gate(X).sum(axis=1), 1, rtol=1e-5)


def test_vade_and_the_mixture_find_blobs_as_k_means_does():
    found = KMeans(3, n_init=5, random_state=0).fit_predict(X)
    assert adjusted_rand_score(Y, found) == 1
    shared = {**small.NETWORKS, "z_dim": 2, "batch_size": 20, "learning_rate": 0.02}
    for estimator in (
        VaDEClusterer(3, **shared, pretrain_epochs=60, epochs=12, random_state=0),
        MixtureOfVAEsClusterer(3, **shared, routing="information", epochs=2, random_state=0),
    ):
        assert adjusted_rand_score(Y, estimator.fit_predict(X)) > 0.9


def test_a_result_does_not_depend_on_the_other_examples(fitted):
    for estimator in fitted.values():
        for name, values in answers(estimator).items():
            for row in (0, 59):
                alone = getattr(estimator, name)(X[[row]])[0]
                np.testing.assert_allclose(alone, values[row], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("build", [small.conditional, small.dmvae, small.classifier])
def test_an_estimator_has_convolutions_on_images(build):
    images = np.random.default_rng(0).random([60, 20], np.float32)
    given = {"gate": "deep"} if build is small.classifier else {}
    estimator = build(network="conv", image_shape=(5, 4), epochs=1, **given)
    if build is small.dmvae:
        estimator.set_params(
            params={"cluster_encoder_filters": [4], "cluster_encoder_kernels": [3]}
        )
    estimator.fit(images, Y)
    assert estimator.model_.params["network"] == "conv"
    assert any("conv2d" in name for name in estimator.trainer_.variables())
    with pytest.raises(ParameterError, match="are points of 20 features"):
        clone(estimator).set_params(image_shape=None).fit(images, Y)
