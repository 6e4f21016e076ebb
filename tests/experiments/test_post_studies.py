"""The studies beside the posts, whole, on few small images: parameters, labels and balancing."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from moe_vae.cli.main import main
from moe_vae.compat import tf
from moe_vae.data.dataset import DataSet, DataSets
from moe_vae.evaluation.packed import unpack_array, unpack_pictures
from moe_vae.experiments.recipes import RECIPES
from moe_vae.experiments.registry import MODELS
from moe_vae.experiments.runs import TrainOptions, load_run, train_run
from moe_vae.experiments.sources import SOURCES, DataChoice
from moe_vae.experiments.tables import fill_tables
from moe_vae.training.trainer import Trainer

pytestmark = pytest.mark.process

N_DIGITS = 3  # and as many experts: a graph of the post's ten takes seconds to build
SMALL = {"encoder_layers": [8], "decoder_layers": [8], "batch_size": 20, "epochs": 2}


def few_images(n, seed):
    """Images with a bright bar for each label, in another place."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % N_DIGITS
    images = 0.1 * random.random([n, 784])
    for image, label in zip(images, labels, strict=True):
        image[196 * label : 196 * label + 56] += 0.9
    return DataSet(images.astype(np.float32), labels)


def read_few(directory):
    del directory
    return DataSets(few_images(100, 0), few_images(20, 1), few_images(60, 2), "MNIST")


@pytest.fixture(scope="module", autouse=True)
def small_studies():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SOURCES, "mnist", SOURCES["mnist"]._replace(read=read_few))
        entry = MODELS["mixture-of-vaes"]
        few = entry._replace(
            build=lambda params, **shape: entry.build({**params, "n_experts": N_DIGITS}, **shape),
            fused=lambda params, **shape: entry.fused({**params, "n_experts": N_DIGITS}, **shape),
        )
        patch.setitem(MODELS, "mixture-of-vaes", few)
        for name in ("post2-parameters", "post3-limits", "networks"):
            steps = {
                key: step._replace(params={**SMALL, **step.params, "epochs": 2})
                for key, step in RECIPES[name].steps.items()
            }
            patch.setitem(RECIPES, name, RECIPES[name]._replace(steps=steps))
        yield


@pytest.fixture(scope="module")
def directory(tmp_path_factory, small_studies):
    """Where the commands wrote; not to be written to."""
    directory = tmp_path_factory.mktemp("studies")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        main(["post2-parameters", "--steps", "post", "z-dim-2", "digit-classification-weight-0"])
        main(["post3-limits", "--steps", "labels", "balancing-0", "--n-seeds", "1"])
        main(["post3-limits", "--steps", "balancing-0.1", "--n-seeds", "1"])
        main(["networks", "--steps", "post2-dense", "post2-conv", "post3-conv", "--n-seeds", "1"])
    return directory


@pytest.fixture(scope="module")
def results(directory):
    return {path.stem: json.loads(path.read_text()) for path in directory.glob("results/*.json")}


def runs_of(results, name, step):
    return [run for run in results[name]["runs"] if run["step"] == step]


def test_each_study_draws_its_own_figures(directory):
    assert {path.stem for path in directory.glob("results/figures/*")} == {
        "post2-parameters_digits",
        "post2-parameters_plane",
        "post3-limits_labels",
        "post3-limits_shares",
        "networks_pictures",
    }


def test_the_drawings_that_are_kept_are_the_models(results, directory):
    (run,) = runs_of(results, "post2-parameters", "z-dim-2")
    trainer, _ = load_run(directory / "runs/post2-parameters/z-dim-2-mnist-0")
    model, session, measured = trainer.model, trainer.session, run["measured"]
    z = np.random.default_rng(0).standard_normal([3, 1, 2])
    expected = [model.generate(session, np.repeat(code, 10, axis=0), range(10)) for code in z]
    np.testing.assert_allclose(unpack_pictures(measured["drawn"]), expected, atol=1 / 510 + 1e-6)
    plane = unpack_pictures(measured["plane"])
    assert plane.shape == (3, 10, 10, 784)
    # 0.95 is the standard normal's probability below 1.645; the grid's corner is at the right top.
    corner = model.generate(session, np.array([[1.644854, 1.644854]]), 7)[0]
    np.testing.assert_allclose(plane[2, 0, -1], corner, atol=1 / 510 + 1e-4)
    corner = model.generate(session, np.array([[-1.644854, 1.644854]]), 2)[0]
    np.testing.assert_allclose(plane[0, 0, 0], corner, atol=1 / 510 + 1e-4)
    assert unpack_array(measured["codes"]).shape == (60, 2)
    np.testing.assert_array_equal(unpack_array(measured["labels"]), np.arange(60) % N_DIGITS)
    images = few_images(60, 2).images
    error = ((images - model.reconstruct(session, images)) ** 2).sum() / 60
    assert measured["squared_error"] == pytest.approx(error, rel=1e-5)


def test_codes_of_more_dimensions_have_no_plane(results):
    (run,) = runs_of(results, "post2-parameters", "post")
    assert run["params"]["z_dim"] == 10
    assert set(run["measured"]) == {"squared_error", "drawn", "format_version"}


def test_experts_by_label_are_judged_by_their_drawings(results):
    (run,) = runs_of(results, "post3-limits", "labels")
    assert 0 <= run["evaluation"]["generation"]["share"] <= 1
    assert unpack_pictures(run["measured"]["drawn"]).shape == (8, N_DIGITS, 784)
    expected = -run["history"]["expected_expert_loss"][-1] - np.log(N_DIGITS)
    assert run["history"]["bound"][-1] == pytest.approx(expected, rel=1e-5)


def test_shares_are_the_managers_means_over_the_training_set(results, directory):
    (run,) = runs_of(results, "post3-limits", "balancing-0")
    assert run["params"]["balancing_weight"] == 0
    shares = run["history"]["shares"]
    assert np.shape(shares) == (2, N_DIGITS)
    trainer, _ = load_run(directory / "runs/post3-limits/balancing-0-mnist-0")
    probs = trainer.model.predict_proba(trainer.session, few_images(100, 0).images)
    np.testing.assert_allclose(shares[-1], probs.mean(axis=0), atol=1e-6)
    assert run["history"]["accuracy"][-1] == run["test"]["accuracy"]


def test_recording_the_shares_changes_nothing_else(results, tmp_path):
    (run,) = runs_of(results, "post3-limits", "balancing-0.1")
    params = RECIPES["post3-limits"].steps["balancing-0.1"].params
    plain = train_run(
        "mixture-of-vaes", DataChoice("mnist"), tmp_path / "run", params, TrainOptions(seed=0)
    )
    assert set(run["history"]) - set(plain["history"]) == {"accuracy", "shares"}
    assert {name: run["history"][name] for name in plain["history"]} == plain["history"]
    assert run["test"] == plain["test"]


def test_a_resumed_run_has_the_shares_of_every_epoch(results, tmp_path, monkeypatch):
    params = RECIPES["post3-limits"].steps["balancing-0.1"].params
    options = TrainOptions(seed=0, scores_epochs=True)
    arguments = ("mixture-of-vaes", DataChoice("mnist"), tmp_path / "run", params)
    run_epoch = Trainer.run_epoch

    def interrupted(trainer, train_set, phase):
        if trainer.n_epochs == 1:
            raise KeyboardInterrupt
        return run_epoch(trainer, train_set, phase)

    monkeypatch.setattr(Trainer, "run_epoch", interrupted)
    assert train_run(*arguments, options)["interrupted"]
    monkeypatch.setattr(Trainer, "run_epoch", run_epoch)
    resumed = train_run(*arguments, dataclasses.replace(options, resume=True))
    (run,) = runs_of(results, "post3-limits", "balancing-0.1")
    assert resumed["history"] == run["history"]


def test_networks_are_counted_and_draw(results, directory):
    for step, n_rows in (("post2-conv", 10), ("post3-conv", N_DIGITS)):
        (run,) = runs_of(results, "networks", step)
        assert run["params"]["network"] == "conv"
        reader = tf.train.load_checkpoint(
            str(directory / f"runs/networks/{step}-mnist-0/model.ckpt")
        )
        shapes = reader.get_variable_to_shape_map()
        # What is trained, which has Adam's variables beside it.
        trained = [shape for name, shape in shapes.items() if f"{name}/Adam" in shapes]
        assert run["measured"]["n_parameters"] == sum(map(math.prod, trained))
        assert unpack_pictures(run["measured"]["drawn"]).shape == (3, n_rows, 784)


def test_the_tables_have_a_row_for_each_value_and_weight(results):
    recorded = json.loads((Path(__file__).parents[2] / "results/posts.json").read_text())
    slots = "".join(
        f"<!-- table: {name} -->\n<!-- end of table -->\n"
        for name in ("post2-parameters", "post3-labels", "post3-balancing", "networks")
    )
    given = {**results, "posts": recorded, "specialists": {"runs": []}}
    rows = [line for line in fill_tables(slots, given).splitlines() if line.startswith("| ")]
    firsts = [[cell.strip() for cell in row.split("|")[1:4]] for row in rows]
    balanced = [row[2] for row in firsts[13:15]]
    assert firsts == [
        ["parameter", "value", "seed"],
        ["---", "---", "---"],
        ["`z_dim`", "2", "0"],
        ["`z_dim`", "10 (the post)", "0"],
        ["`decoder_std`", "0.5 (the post)", "0"],
        ["`digit_classification_weight`", "0", "0"],
        ["`digit_classification_weight`", "10 (the post)", "0"],
        ["images go to the experts", "epochs", "runs"],
        ["---", "---", "---"],
        ["by label: ten VAEs, one digit each", "2", "1"],
        ["by the post's manager, without labels", "100", "3"],
        ["balancing weight", "seeds", "experts with a share above 1 %"],
        ["---", "---", "---"],
        ["0", "0", balanced[0]],
        ["0.1 (the post)", "0", balanced[1]],
        ["post", "networks", "engine"],
        ["---", "---", "---"],
        ["2", "dense", "plain"],
        ["2", "convolutions", "plain"],
        ["3", "convolutions", "fused"],
    ]
