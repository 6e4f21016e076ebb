"""Mixtures routed by information, flat and hierarchical: formulas, limits, and who learns when."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import softmax

from moe_vae import DataError, DataSet, Manager, ParameterError
from moe_vae.compat import tf
from moe_vae.evaluation.specialists import score_specialists
from moe_vae.models.hierarchy import HierarchicalMixture, build_hierarchical_mixture, group_styles
from moe_vae.models.specialists import LabelManager, SpecialistManager, build_mixture_of_vaes
from moe_vae.posts.mixture_of_vaes import VAE
from moe_vae.training.trainer import start_trainer

N_EXPERTS = 3
SMALL = {
    "encoder_layers": [8],
    "decoder_layers": [8],
    "z_dim": 2,
    "n_over_clusters": 6,
    "cluster_encoder_layers": [16],
    "n_neighbours": 0,
    "pretrain_epochs": 1,
    "routing_epochs": 1,
    "routing_batch_size": 40,
    "batch_size": 20,
    "epochs": 2,
}
FLAT = {**SMALL, "routing": "information"}
STYLES = {**SMALL, "n_styles": 2, "manager_layers": [8], "balancing_weight": 0.3}


@pytest.fixture
def images():
    return np.random.default_rng(0).random([80, 784]).astype(np.float32)


def start(build, params, seed=0):
    return start_trainer(build, {"n_experts": N_EXPERTS, **params}, seed)


def vaes_of(model):
    experts = (expert if isinstance(expert, list) else [expert] for expert in model.experts)
    return [vae for expert in experts for vae in expert]


def values(trainer, part):
    named = [v for v in tf_variables(trainer) if v.op.name.startswith(part)]
    assert named
    return {v.op.name: trainer.session.run(v) for v in named}


def tf_variables(trainer):
    with trainer.session.graph.as_default():
        return [v for v in tf.global_variables() if "Adam" not in v.op.name]


def same(before, after):
    return {name for name, value in before.items() if np.array_equal(value, after[name])}


def noise_for(model, n):
    random = np.random.default_rng(1)
    return {vae.eps: random.standard_normal([n, 2]) for vae in vaes_of(model)}


def test_a_training_cut_off_after_the_merger_ends_alike(images, tmp_path):
    """The outputs are grouped once; a training that goes on with the router keeps the groups."""
    params = {**FLAT, "regroup": False, "routing_epochs": 2, "epochs": 1}

    def stop(trainer, train_set):
        if trainer.n_epochs == 2:  # one of each of the router's phases
            trainer.save(tmp_path / "model.ckpt")
            trainer.save_state(tmp_path / "state.npz", train_set)

    whole = start(build_mixture_of_vaes, params)
    whole.listeners.append(stop)
    whole.fit_to_the_end(DataSet(images))
    resumed, data_set = start(build_mixture_of_vaes, params), DataSet(images)
    resumed.restore(tmp_path / "model.ckpt")
    resumed.restore_state(tmp_path / "state.npz", data_set)
    resumed.fit_to_the_end(data_set)
    assert resumed.history == whole.history


def test_a_router_that_is_taken_over_keeps_its_groups(images):
    params = {**FLAT, "regroup": False, "pretrain_epochs": 0, "routing_epochs": 0, "epochs": 1}
    trainer = start(build_mixture_of_vaes, params)
    router = trainer.model.router.encoder
    router.assign(trainer.session, np.array([2, 2, 1, 1, 0, 0]))
    trainer.fit_to_the_end(DataSet(images))
    assert router.assigned(trainer.session).tolist() == [2, 2, 1, 1, 0, 0]


def test_the_router_is_trained_first_and_then_the_experts_alone(images):
    trainer = start(build_mixture_of_vaes, FLAT)
    data_set = DataSet(images, np.zeros(80, int))
    experts, router = values(trainer, "encode_"), values(trainer, "information")
    trainer.model.pretrain(trainer, data_set)
    assert trainer.epochs_done == {"over": 1, "routing": 1, "loss": 0}
    assert same(experts, values(trainer, "encode_")) == set(experts)
    trained = values(trainer, "information")
    moved = {name for name in router if "groups" not in name} - same(router, trained)
    assert any("moving_mean" in name for name in moved)
    assert any("kernel" in name for name in moved)
    trainer.fit_to_the_end(data_set)
    assert trainer.is_done
    assert same(trained, values(trainer, "information")) == set(trained)
    assert not same(experts, values(trainer, "encode_"))


def test_with_a_weight_the_router_goes_on_learning(images):
    trainer = start(build_mixture_of_vaes, {**FLAT, "information_weight": 10.0})
    data_set = DataSet(images, np.zeros(80, int))
    trainer.model.pretrain(trainer, data_set)
    before = values(trainer, "information")
    trainer.fit(data_set)
    after = values(trainer, "information")
    assert same(before, after) == {"information/groups/groups"}


def test_experts_draw_points_as_well(images):
    """Two features in place of 784 pixels, and decodings that may be any number."""
    points = np.random.default_rng(0).normal(3, 4, [80, 2]).astype(np.float32)
    data_set = DataSet(points, np.zeros(80, int), shape=points.shape[1:])
    params = {**FLAT, "augment": False, "output_activation": "linear", "epochs": 40}
    trainer = start_trainer(
        lambda given: build_mixture_of_vaes(given, (2,)),
        {**params, "n_experts": N_EXPERTS, "learning_rate": 0.03},
        0,
    ).fit_to_the_end(data_set)
    model = trainer.model
    assert model.generate(trainer.session, np.zeros([5, 2]), 1).shape == (5, 2)
    decoded = model.reconstruct(trainer.session, points)
    assert decoded.min() < 0 < 1 < decoded.max()
    assert np.square(decoded - points).mean() < 0.5 * points.var()
    with pytest.raises(DataError, match=r"points have shape \[80, 784\]: it must be \[n, 2\]"):
        model.predict(trainer.session, images)


def test_a_router_that_comes_trained_is_trained_no_more(images, tmp_path):
    first = start(build_mixture_of_vaes, FLAT)
    first.save(tmp_path / "model.ckpt")
    trained = {**FLAT, "pretrain_epochs": 0, "routing_epochs": 0, "epochs": 1}
    trainer = start(build_mixture_of_vaes, trained, seed=1)
    assert trainer.begin_with(tmp_path / "model.ckpt")
    trainer.fit_to_the_end(DataSet(images, np.zeros(80, int)))
    assert trainer.epochs_done == {"over": 0, "routing": 0, "loss": 1}
    before, after = values(first, "information"), values(trainer, "information")
    assert same(before, after) == set(before)


@pytest.mark.parametrize(("n_over", "n_routing"), [(8, 0), (8, 4), (0, 4)])
def test_the_learning_rate_of_a_router_falls_to_0_over_its_own_epochs(n_over, n_routing):
    params = {**FLAT, "pretrain_epochs": n_over, "routing_epochs": n_routing}
    with tf.Graph().as_default():
        model = build_mixture_of_vaes({"n_experts": N_EXPERTS, **params})
    over, routing = model.rate_schedule("over"), model.rate_schedule("routing")
    factors = [*map(over.factor, range(n_over)), *map(routing.factor, range(n_routing))]
    shares = np.arange(n_over + n_routing) / (n_over + n_routing)
    np.testing.assert_allclose(factors, np.cos(np.pi / 2 * shares) ** 2)
    assert model.rate_schedule("loss").factor(1) == 1


def test_a_batch_is_as_large_as_its_phase_says(images):
    trainer = start(build_mixture_of_vaes, FLAT)
    with pytest.raises(ParameterError, match="'batch_size' is 40: it must be at most"):
        trainer.fit(DataSet(images[:30], np.zeros(30, int)), phase="routing")
    trainer.fit(DataSet(images[:30], np.zeros(30, int)), epochs=1)


def test_losses_of_specialists_are_those_of_the_formulas(images):
    trainer = start(build_mixture_of_vaes, {**FLAT, "information_weight": 7.0})
    model = trainer.model
    p, losses, expected, information, over, bound, loss = trainer.session.run(
        [
            model.probs,
            model.expert_losses,
            model.expected_expert_loss,
            model.router.information,
            model.router.over_information,
            model.bound,
            model.loss,
        ],
        {model.images: images},
    )
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(expected, (p * losses).sum(axis=1).mean(), rtol=1e-5)
    np.testing.assert_allclose(loss, expected - 7 * (information + over), rtol=1e-5)
    kl = (p * np.log(p * N_EXPERTS)).sum(axis=1)
    np.testing.assert_allclose(bound, -((p * losses).sum(axis=1) + kl).mean(), rtol=1e-5)


def test_no_bound_is_above_the_one_of_the_best_posterior(images):
    """For given losses L the sum over k of exp(-L_k) / K is what the bound is on."""
    trainer = start(build_mixture_of_vaes, FLAT)
    model = trainer.model
    losses, bound = trainer.session.run([model.expert_losses, model.bound], {model.images: images})
    best = np.logaddexp.reduce(-losses.astype(np.float64), axis=1) - np.log(N_EXPERTS)
    assert bound < best.mean()


def test_losses_of_a_hierarchy_are_those_of_the_formulas(images):
    trainer = start(build_hierarchical_mixture, STYLES)
    model = trainer.model
    losses = [vae.loss for vae in vaes_of(model)]
    p, styles, losses, expected, balancing, bound, loss = trainer.session.run(
        [
            model.probs,
            model.style_probs,
            losses,
            model.expected_expert_loss,
            model.style_balancing_loss,
            model.bound,
            model.loss,
        ],
        {model.images: images},
    )
    losses = np.transpose(losses).reshape(80, N_EXPERTS, 2)
    joint = p[:, :, None] * styles
    np.testing.assert_allclose(joint.sum(axis=(1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(expected, (joint * losses).sum(axis=(1, 2)).mean(), rtol=1e-5)
    sums = joint.sum(axis=0)
    np.testing.assert_allclose(balancing, sums.var(axis=1).sum(), rtol=1e-4)
    np.testing.assert_allclose(loss, expected + 0.3 * balancing, rtol=1e-5)
    kl = (joint * np.log(joint * N_EXPERTS * 2)).sum(axis=(1, 2))
    np.testing.assert_allclose(bound, -((joint * losses).sum(axis=(1, 2)) + kl).mean(), rtol=1e-5)


def test_a_hierarchy_of_one_style_is_the_flat_mixture(images):
    flat = start(build_mixture_of_vaes, FLAT)
    deep = start(build_hierarchical_mixture, {**STYLES, "n_styles": 1}, seed=1)
    weights = {v.op.name: flat.session.run(v) for v in tf_variables(flat)}
    for variable in tf_variables(deep):
        if not variable.op.name.startswith("style"):
            variable.load(weights[variable.op.name], deep.session)
    found = []
    for trainer in (flat, deep):
        model = trainer.model
        fetched = [model.expected_expert_loss, model.bound, model.loss]
        feed = {model.images: images, **noise_for(model, len(images))}
        found.append(trainer.session.run(fetched, feed))
    np.testing.assert_allclose(*found, rtol=1e-6)


def test_styles_of_a_hierarchy_learn(images):
    trainer = start(build_hierarchical_mixture, STYLES)
    before = values(trainer, "style"), values(trainer, "information")
    data_set = DataSet(images, np.zeros(80, int))
    trainer.fit(data_set, epochs=1)
    assert not same(before[0], values(trainer, "style"))
    assert same(before[1], values(trainer, "information")) == set(before[1])


def test_outputs_of_a_group_become_its_styles():
    """Of six outputs in two groups those are one style whose views are mistaken for each other."""
    joint = np.eye(6) * 10
    for first, second in ((0, 4), (1, 3)):
        joint[first, second] = joint[second, first] = 4.0
    styles = group_styles(joint, np.array([0, 1, 0, 1, 0, 1]), 2)
    assert styles[0] == styles[4] != styles[2]
    assert styles[1] == styles[3] != styles[5]
    assert set(styles) == {0, 1}
    assert sorted(group_styles(joint, np.array([0, 1, 1, 1, 1, 1]), 3)[1:]) == [0, 0, 1, 1, 2]


def test_styles_of_outputs_are_the_outputs_shares_of_their_expert(images):
    trainer = start(build_hierarchical_mixture, {**STYLES, "style_routing": "information"})
    model, session = trainer.model, trainer.session
    trainer.fit_to_the_end(DataSet(images, np.zeros(80, int)))
    outputs, probs, styles = session.run(
        [model.router.outputs, model.probs, model.style_probs], {model.images: images}
    )
    np.testing.assert_allclose(styles.sum(axis=2), 1, rtol=1e-5)
    joint = trainer.sum_over(DataSet(images, np.zeros(80, int)), model.router.output_joint)
    groups = model.router.encoder.assigned(session)
    style_of = group_styles(joint, groups, 2)
    of_output = softmax(outputs, axis=1)
    for expert in range(N_EXPERTS):
        for style in range(2):
            own = of_output[:, (groups == expert) & (style_of == style)].sum(axis=1)
            leaf = probs[:, expert] * styles[:, expert, style]
            np.testing.assert_allclose(leaf, own, rtol=1e-4, atol=1e-6)


def test_styles_draw_in_turn_and_decode_what_is_theirs(images):
    trainer = start(build_hierarchical_mixture, STYLES)
    model, session = trainer.model, trainer.session
    z = np.random.default_rng(0).standard_normal([3, 2])
    drawn = model.generate(session, z, 1)
    for i in range(3):
        vae = model.experts[1][i % 2]
        alone = session.run(vae.decoded_images, {vae.z: z[i : i + 1]})[0]
        np.testing.assert_allclose(drawn[i], alone, rtol=1e-5)
    decoded = model.reconstruct(session, images[:5])
    for i, (expert, style) in enumerate(
        zip(*model.predict_leaves(session, images[:5]), strict=True)
    ):
        vae = model.experts[expert][style]
        alone = session.run(
            vae.decoded_images, {model.images: images[i : i + 1], vae.eps: np.zeros([1, 2])}
        )[0]
        np.testing.assert_allclose(decoded[i], alone, rtol=1e-4)


BY_LABEL = {
    "routing": "labels",
    **{name: SMALL[name] for name in ("encoder_layers", "decoder_layers", "z_dim", "batch_size")},
}


def test_by_label_an_expert_learns_from_its_own_images_alone(images):
    trainer = start(build_mixture_of_vaes, BY_LABEL)
    before = [values(trainer, f"encode_{expert}/") for expert in range(N_EXPERTS)]
    trainer.fit(DataSet(images, np.full(80, 1)), epochs=2)
    for expert, of_expert in enumerate(before):
        kept = same(of_expert, values(trainer, f"encode_{expert}/"))
        assert kept == (set() if expert == 1 else set(of_expert))


def test_losses_by_label_are_those_of_the_labels_experts(images):
    trainer = start(build_mixture_of_vaes, BY_LABEL)
    model, labels = trainer.model, np.arange(80) % N_EXPERTS
    feed = model.feed(DataSet(images, labels).examples(slice(None)))
    losses, expected, bound, loss = trainer.session.run(
        [model.expert_losses, model.expected_expert_loss, model.bound, model.loss], feed
    )
    own = losses[np.arange(80), labels].mean()
    np.testing.assert_allclose([expected, loss], own, rtol=1e-6)
    np.testing.assert_allclose(bound, -own - np.log(N_EXPERTS), rtol=1e-6)


def test_without_a_label_the_expert_with_the_lowest_loss_is_taken(images):
    trainer = start(build_mixture_of_vaes, BY_LABEL)
    model, session = trainer.model, trainer.session
    no_noise = {expert.eps: np.zeros([80, 2]) for expert in model.experts}
    losses = session.run(model.expert_losses, {model.images: images, **no_noise})
    np.testing.assert_array_equal(model.predict(session, images), losses.argmin(axis=1))
    expected = softmax(-losses.astype(np.float64), axis=1)
    np.testing.assert_allclose(model.predict_proba(session, images), expected, atol=1e-4)


def test_a_label_without_an_expert_is_refused(images):
    trainer = start(build_mixture_of_vaes, BY_LABEL)
    with pytest.raises(DataError, match="labels range from 3 to 3: every label must be in 0 to 2"):
        trainer.fit(DataSet(images, np.full(80, 3)))


def test_a_routing_picks_the_manager():
    for params, kind in (
        ({}, Manager),
        ({"routing": "post"}, Manager),
        (FLAT, SpecialistManager),
        (BY_LABEL, LabelManager),
    ):
        with tf.Graph().as_default():
            assert type(build_mixture_of_vaes({**params, "n_experts": 2})) is kind


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"routing": "votes"},
            "'routing' is 'votes': it must be one of post, balanced",
        ),
        ({"routing": "information", "balancing_weight": 1.0}, "unknown parameter 'balancing_wei"),
        ({"routing_epochs": 3}, "unknown parameter 'routing_epochs'"),
        ({**FLAT, "information_weight": -1.0}, "'information_weight' is -1.0: it must be"),
    ],
)
def test_what_a_routing_does_not_know_is_refused(params, message):
    with tf.Graph().as_default(), pytest.raises(ParameterError, match=message):
        build_mixture_of_vaes({**params, "n_experts": 2})


def test_an_expert_with_another_number_of_styles_is_refused():
    with tf.Graph().as_default():
        given = tf.placeholder(tf.float32, [None, 784])
        with pytest.raises(
            ParameterError, match="an expert has 1 VAEs: it must have 'n_styles', 2"
        ):
            HierarchicalMixture(STYLES, [[VAE({}, given)]], given)


def test_a_generated_digit_counts_when_it_is_the_experts_own():
    """Expert k draws pictures of the value (k + 1) / 4, read as digit k, but for 0."""

    def generate(session, z, expert):
        del session
        return np.full([len(z), 784], (expert + 1) / 4)

    def predict(session, pictures):
        del session
        read = (4 * pictures[:, 0]).astype(int) - 1
        return np.where(read == 0, np.arange(len(read)) % 2, read)

    model = SimpleNamespace(params={"z_dim": 2}, n_columns=3, generate=generate)
    judge = SimpleNamespace(model=SimpleNamespace(predict=predict), session=None)
    score = score_specialists(SimpleNamespace(model=model, session=None), judge, np.diag([5, 6, 7]))
    assert score["share_by_expert"] == [0.5, 1.0, 1.0]
    assert score["share"] == pytest.approx(2.5 / 3)
    assert score["digit_by_expert"] == [0, 1, 2]
    assert score["n_digits"] == 3
