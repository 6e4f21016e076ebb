"""The posts' cells that train and draw, as the notebooks have them, beside the package's own."""

import re
from pathlib import Path

import matplotlib
import nbformat
import numpy as np
import pytest

from moe_vae import DataSet, DataSets
from moe_vae.compat import tf
from moe_vae.plots.charts import plot_samples
from moe_vae.posts import conditional_vae, mixture_of_vaes
from moe_vae.training.trainer import start_trainer

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SMALL = {"encoder_layers": [16], "decoder_layers": [16], "z_dim": 3, "batch_size": 70, "epochs": 3}
# 650 images are two chunks of the evaluation, 500 and 150, and nine batches with a rest of 20.
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random([650, 784]).astype(np.float32)
# Post 3 has as many experts as there are digits in the labels.
N_COLUMNS = {2: 10, 3: 4}


class Cells:
    """The post's cells of a notebook, run one after the other on small data.

    Args:
      notebook: the file's name.
      build: function of parameters that builds the same model, for the `Trainer`.
      params: what differs from the notebook's parameters.
      n_digits: the number of digits in the labels.
    """

    def __init__(self, notebook, build, params, n_digits):
        cells = nbformat.read(NOTEBOOKS / notebook, 4).cells
        self.sources = {
            int(tag.removeprefix("post-cell-")): cell.source.replace("%matplotlib inline", "")
            for cell in cells
            for tag in cell.metadata.get("tags", [])
            if tag.startswith("post-cell-")
        }
        self.build = build
        self.labels = np.arange(len(IMAGES)) % n_digits
        self.namespace = {}
        with tf.Graph().as_default():
            self.run(1)
            self.namespace["read_data_sets"] = self.read_data_sets
            self.run(2, 3)
            self.namespace["params"].update(params)
            self.run(4, 5, 6, 7)

    def read_data_sets(self, *_, **__):
        """Returns parts that have handed out no batch yet."""
        return DataSets(*(DataSet(IMAGES, self.labels) for _ in range(3)), "small")

    def run(self, *numbers):
        for number in numbers:
            exec(self.sources[number], self.namespace)

    def __getitem__(self, name):
        return self.namespace[name]


POSTS = {
    2: (
        "01_conditional_vae.ipynb",
        conditional_vae.build_conditional_vae,
        {**SMALL, "digit_classification_layers": [16]},
    ),
    3: (
        "02_mixture_of_vaes.ipynb",
        mixture_of_vaes.build_mixture_of_vaes,
        {**SMALL, "n_experts": N_COLUMNS[3], "manager_layers": [16]},
    ),
}
HISTORIES = {
    2: {
        "loss_auto_encode": "losses_auto_encode",
        "loss_digit_classifier": "losses_digit_classifier",
    },
    3: {
        "expected_expert_loss": "expected_expert_losses",
        "balancing_loss": "balancing_losses",
        "loss": "total_losses",
    },
}
MODULES = {2: conditional_vae, 3: mixture_of_vaes}


@pytest.fixture(scope="module", params=POSTS)
def post(request):
    return request.param


@pytest.fixture(scope="module")
def cells(post):
    with matplotlib.rc_context():
        matplotlib.use("Agg")
        yield Cells(*POSTS[post], N_COLUMNS[post])


def test_the_written_out_loop_trains_as_the_trainer_does_to_the_last_bit(post, cells):
    trainer = start_trainer(cells.build, cells["params"], seed=42)
    trainer.fit(cells.read_data_sets().train)
    for loss, values in HISTORIES[post].items():
        assert trainer.history[loss] == cells[values], loss
    np.testing.assert_array_equal(trainer.samples, cells["samples"])
    with trainer.session.graph.as_default():
        theirs = {v.op.name: trainer.session.run(v) for v in tf.trainable_variables()}
    with cells["session"].graph.as_default():
        ours = {v.op.name: cells["session"].run(v) for v in tf.trainable_variables()}
    assert list(ours) == list(theirs)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_the_cells_name_what_the_posts_cells_name(post, cells):
    assert "tf.train.AdamOptimizer(" in cells.sources[6]
    assert ".minimize(" in cells.sources[6]
    words = ["tf.Session(", 'params["epochs"]', ".next_batch(", "train_op", "feed_dict="]
    words += ["digit_prob"] if post == 2 else [".decode("]
    for word in words:
        assert word in cells.sources[7], word


def test_the_curves_are_the_losses_over_the_epochs(post, cells):
    cells.run(8)
    axes = cells["plt"].gcf().axes
    assert [ax.get_title() for ax in axes] == {
        2: ["VAE loss", "digit classifier loss"],
        3: ["expected expert loss", "balancing loss", "total loss"],
    }[post]
    for ax, values in zip(axes, HISTORIES[post].values(), strict=True):
        np.testing.assert_allclose(
            ax.lines[0].get_xydata(), [[i + 1, value] for i, value in enumerate(cells[values])]
        )
    cells["plt"].close("all")


def drawn(axes):
    """What a grid of pictures shows: each picture, its colours and scale, its row's label."""
    return [
        (ax.images[0].get_array().tolist(), ax.images[0].get_cmap().name, ax.images[0].get_clim())
        for ax in axes
    ], [ax.get_ylabel() for ax in axes if ax.get_ylabel()]


def test_the_pictures_are_those_of_the_package(post, cells):
    # Post 2 draws every epoch, post 3 twenty of them.
    n_epochs, n_rows = {2: (6, 6), 3: (27, 20)}[post]
    samples = list(RANDOM.random([n_epochs, N_COLUMNS[post], 784]))
    cells.namespace["samples"] = samples
    cells.run(9)
    figure = cells["plt"].gcf()
    size = [0.7 * N_COLUMNS[post], 0.7 * n_rows]
    assert figure.get_size_inches().tolist() == pytest.approx(size)
    assert drawn(figure.axes) == drawn(plot_samples(samples, "title").axes)
    cells["plt"].close("all")


def test_every_cell_of_the_post_is_marked_in_the_model_s_source(post):
    source = Path(MODULES[post].__file__).read_text()
    marks = re.findall(rf"# Post {post}, cell (\d)[:,]", source)
    assert set(marks) == set("123456789")
