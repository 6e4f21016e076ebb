import functools

import numpy as np
import pytest
from signature_cases import build_and_params, some_inputs, some_variables

from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_SHAPE, NUM_CLASSES
from moe_vae.evaluation.recogniser import build_recogniser
from moe_vae.export.frozen import build_model, compute, freeze, read_checkpoint
from moe_vae.model import ModelError, Signature
from moe_vae.posts.conditional_vae import ConditionalVAE
from moe_vae.training.trainer import start_trainer


def test_a_frozen_graph_has_neither_noise_nor_variables_nor_what_only_a_training_needs():
    build, params = build_and_params("conditional-vae")
    graphs = freeze(build, params, some_variables(build, params))
    kinds = {node.op for graph in graphs.values() for node in graph.graph_def.node}
    assert kinds == {
        *("Placeholder", "Const", "MatMul", "BiasAdd", "Sigmoid"),
        *("Softmax", "ConcatV2", "Identity"),
    }
    read = {name: set(graph.variables) for name, graph in graphs.items()}
    assert read["route"] == {f"dense_{i}/{part}" for i in (3, 4) for part in ("kernel", "bias")}
    assert read["encode"].isdisjoint(read["generate"])
    assert read["reconstruct"] == read["route"] | read["encode"] | read["generate"]


def test_a_signature_that_reads_noise_or_labels_is_refused(monkeypatch):
    build, params = build_and_params("conditional-vae")
    variables = some_variables(build, params)
    for tensor in ("z", "loss_digit_classifier"):
        monkeypatch.setattr(
            ConditionalVAE,
            "signatures",
            lambda self, tensor=tensor: {
                "encode": Signature({"inputs": self.images}, getattr(self, tensor))
            },
        )
        with pytest.raises(ModelError, match=r"^'codes' reads '.*', which only a training has$"):
            freeze(build, params, variables)


def test_a_model_without_signatures_cannot_be_exported():
    build = functools.partial(build_recogniser, shape=IMAGE_SHAPE, n_classes=NUM_CLASSES)
    variables = some_variables(build, {})
    with pytest.raises(ModelError, match="Recogniser has no signatures and cannot be exported"):
        freeze(build, {}, variables)


CHANGES = {
    "is missing": lambda values: values.pop("dense/bias"),
    "is not one of the model's": lambda values: values.update(more=np.zeros(1)),
    r"has shape \[3\]: it must be \[8\]": lambda values: values.update({"dense/bias": np.ones(3)}),
}


@pytest.mark.parametrize("message", CHANGES)
def test_variables_that_are_not_the_models_are_refused(message):
    build, params = build_and_params("conditional-vae")
    variables = some_variables(build, params)
    CHANGES[message](variables)
    for function in (build_model, freeze):
        with pytest.raises(ModelError, match=message):
            function(build, params, variables)


def test_a_checkpoints_own_variables_are_read_without_the_optimisers(tmp_path):
    build, params = build_and_params("conditional-vae")
    trainer = start_trainer(build, params, 0)
    trainer.save(tmp_path / "model.ckpt")
    complete, read = read_checkpoint(build, params, tmp_path / "model.ckpt")
    assert complete == trainer.model.params
    model, session = build_model(build, params, read)
    images = some_inputs(model, 3)["inputs"]
    found, expected = (
        each.predict_proba(own, images)
        for each, own in ((model, session), (trainer.model, trainer.session))
    )
    np.testing.assert_array_equal(found, expected)
    with tf.Graph().as_default():
        build(params)
        assert read.keys() == {each.op.name for each in tf.global_variables()}


@pytest.mark.parametrize(
    "case", ["mixture-of-vaes", "specialists", "labels", "hierarchy", "hierarchy by information"]
)
def test_comparisons_are_what_each_expert_makes_of_an_image(case):
    build, params = build_and_params(case)
    variables = some_variables(build, params)
    model, session = build_model(build, params, variables)
    images = some_inputs(model, 5)["inputs"]
    no_noise = np.zeros([5, params["z_dim"]], np.float32)
    feed = {model.images: images, **dict.fromkeys(model._noises, no_noise)}
    frozen = freeze(build, params, variables, lambda built: built.comparisons())
    found = {name: compute(graph, {"inputs": images}) for name, graph in frozen.items()}
    for number, expert in enumerate(model.experts):
        if case.startswith("hierarchy"):
            styles = session.run(model.style_probs, feed)[:, number].argmax(axis=1)
            of_styles = [session.run([vae.decoded_images, vae.loss], feed) for vae in expert]
            rows = list(enumerate(styles))
            expected = [[of_styles[style][part][row] for row, style in rows] for part in (0, 1)]
        else:
            expected = session.run([expert.decoded_images, expert.loss], feed)
        np.testing.assert_allclose(found["compare"][:, number], expected[0], atol=1e-5)
        np.testing.assert_allclose(found["measure"][:, number], expected[1], rtol=1e-5)
