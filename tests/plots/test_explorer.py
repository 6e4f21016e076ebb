"""The explorer shows what the experts draw."""

import base64
import functools
import io

import numpy as np
import pytest
from PIL import Image

from moe_vae.models.hierarchy import build_hierarchical_mixture
from moe_vae.plots.explorer import explore, plot_traversals
from moe_vae.training.trainer import start_trainer

TINY = {
    "encoder_layers": [8],
    "decoder_layers": [8],
    "manager_layers": [8],
    "cluster_encoder_layers": [8],
    "n_over_clusters": 4,
    "z_dim": 3,
    "n_styles": 2,
}


@pytest.fixture(scope="module")
def trainer():
    return start_trainer(build_hierarchical_mixture, {**TINY, "n_experts": 2}, 0)


def test_pictures_that_are_not_square_keep_their_form():
    build = functools.partial(build_hierarchical_mixture, shape=(8, 12))
    wide = start_trainer(build, {**TINY, "n_experts": 2}, 0)
    figure = plot_traversals(wide, 0, 1, "title")
    assert {ax.images[0].get_array().shape for ax in figure.axes} == {(8, 12)}
    explore(wide, ["first", "second"])


def shown(box):
    return np.asarray(Image.open(io.BytesIO(box.picture.value)))


def test_every_control_changes_the_picture(trainer):
    box = explore(trainer, ["first", "second"])
    pictures = [shown(box)]
    for control, value in ((box.expert, 1), (box.style, 1), *((s, 2.0) for s in box.code)):
        control.value = value
        assert not np.array_equal(shown(box), pictures[-1])
        pictures.append(shown(box))
    for control in (box.expert, box.style, *box.code):
        control.value = 0
    np.testing.assert_array_equal(shown(box), pictures[0])


def test_a_page_that_runs_no_widgets_shows_the_first_experts_traversals(trainer):
    box = explore(trainer, ["first", "second"], first=1)
    assert box.expert.value == 1
    bundle = box._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    picture = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    expected = io.BytesIO()
    plot_traversals(trainer, 1, 0, "second, style 0: one dimension at a time").savefig(expected)
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(Image.open(expected)))


def test_a_traversal_moves_one_dimension_at_a_time(trainer):
    figure = plot_traversals(trainer, 1, 1, "title")
    pictures = np.array([ax.images[0].get_array() for ax in figure.axes]).reshape(3, 5, -1)
    vae = trainer.model.experts[1][1]
    z = np.zeros([1, 3])
    z[0, 2] = -1
    alone = trainer.session.run(vae.decoded_images, {vae.z: z})[0]
    np.testing.assert_allclose(pictures[2, 1], alone, rtol=1e-5)
    for row in pictures[1:]:
        np.testing.assert_allclose(row[2], pictures[0, 2], rtol=1e-6)
