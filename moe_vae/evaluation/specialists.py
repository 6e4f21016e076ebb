"""What mixtures whose experts are digits are trained, scored and drawn by."""

from typing import NamedTuple

import numpy as np

from moe_vae.evaluation.clustering import ClusteringStep
from moe_vae.evaluation.metrics import match_clusters
from moe_vae.plots.charts import plot_image_rows
from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS

__all__ = [
    "N_STYLES",
    "SPECIALIST_EXPERIMENTS",
    "SPECIALIST_STEPS",
    "Experiment",
    "plot_styles",
    "score_specialists",
]

PICTURES_AN_EXPERT = 200
N_NEAREST = 3  # real images beside what a style draws

# As many steps as on MNIST.
_SMALL_DATA_EPOCHS = {"pretrain_epochs": 120, "epochs": 180}
_SPIRAL_EPOCHS = {"pretrain_epochs": 18, "epochs": 26}

_ROUTED = {"routing": "information"}

# Router and experts go on learning together, in the router's batches. The weight keeps the experts'
# losses, some hundred nats, from deciding the routing alone.
_TOGETHER = {**_ROUTED, "information_weight": 100.0, "batch_size": 500}

N_STYLES = (2, 3, 4, 5)
_SHAPES = {"style_routing": "information", "n_styles": 5}


def _wide(n_styles):
    """Ten VAEs with the parameters of a hierarchy: as many times as wide as it has styles."""
    layers = {
        name: [n_styles * size for size in MIXTURE_OF_VAES_PARAMS[name]]
        for name in ("encoder_layers", "decoder_layers")
    }
    return ClusteringStep("mixture-of-vaes", "information", {**_ROUTED, **layers})


# The steps by name.
SPECIALIST_STEPS = {
    "information": ClusteringStep("information"),
    "mixture-of-vaes": ClusteringStep("mixture-of-vaes", "information", _ROUTED),
    "without-neighbours": ClusteringStep("information", params={"n_neighbours": 0}),
    "without-augmentation": ClusteringStep("information", params={"augment": False}),
    "balanced": ClusteringStep("mixture-of-vaes", params={"routing": "balanced"}),
    "together": ClusteringStep("mixture-of-vaes", "information", _TOGETHER),
    **{
        f"hierarchy-{n_styles}": ClusteringStep("hierarchy", "information", {"n_styles": n_styles})
        for n_styles in N_STYLES
    },
    "shapes": ClusteringStep("hierarchy", "information", _SHAPES),
    **{f"wide-{n_styles}": _wide(n_styles) for n_styles in N_STYLES},
    "small": ClusteringStep("information", params=_SMALL_DATA_EPOCHS),
    "points": ClusteringStep("information", params=_SPIRAL_EPOCHS),
    "points-experts": ClusteringStep("mixture-of-vaes", "points", {**_ROUTED, "epochs": 22}),
}


class Experiment(NamedTuple):
    """A step, on what data, and from how many seeds, 0 and up."""

    step: str
    data: str
    n_seeds: int


# In the order in which they are trained.
SPECIALIST_EXPERIMENTS = (
    Experiment("information", "mnist", 5),
    Experiment("mixture-of-vaes", "mnist", 5),
    *(Experiment(f"hierarchy-{n_styles}", "mnist", 1) for n_styles in N_STYLES),
    Experiment("shapes", "mnist", 1),
    *(Experiment(f"wide-{n_styles}", "mnist", 1) for n_styles in N_STYLES),
    Experiment("without-neighbours", "mnist", 3),
    Experiment("without-augmentation", "mnist", 3),
    Experiment("balanced", "mnist", 3),
    Experiment("together", "mnist", 1),
    Experiment("small", "sample", 1),
    Experiment("small", "digits", 1),
    Experiment("points", "spiral", 3),
    Experiment("points-experts", "spiral", 3),
)


def score_specialists(trainer, recogniser, confusion, seed=0):
    """Measures how often each expert draws the digit that it was matched with.

    Args:
      trainer: a mixture of VAEs' `Trainer`.
      recogniser: a `Recogniser`'s `Trainer`.
      confusion: table [digits, experts] of counts, by which they are matched one to one.
      seed: seed of the codes.

    Returns:
      Dict with `share`, of 200 pictures an expert that the recogniser reads as the expert's digit,
      `share_by_expert`, `digit_by_expert`, and `n_digits`, how many different digits the experts
      draw most often.
    """
    model, matched = trainer.model, match_clusters(np.array(confusion))
    random = np.random.default_rng(seed)
    shares, often = [], set()
    for expert in range(model.n_columns):
        z = random.standard_normal([PICTURES_AN_EXPERT, model.params["z_dim"]])
        read = recogniser.model.predict(
            recogniser.session, model.generate(trainer.session, z, expert)
        )
        shares.append(float((read == matched[expert]).mean()))
        often.add(int(np.bincount(read).argmax()))
    return {
        "share": float(np.mean(shares)),
        "share_by_expert": shares,
        "digit_by_expert": [int(matched[expert]) for expert in range(model.n_columns)],
        "n_digits": len(often),
    }


def plot_styles(trainer, confusion, data_set, title):
    """Draws what each style of each expert draws from the mean code, beside the nearest images.

    Args:
      trainer: a `HierarchicalMixture`'s `Trainer`.
      confusion: table [digits, experts] of counts, by which experts and digits are matched.
      data_set: a `DataSet`, from which the images of each style come.
      title: str.

    Returns:
      A `matplotlib.figure.Figure`, a row a digit.
    """
    model, session = trainer.model, trainer.session
    experts, styles = model.predict_leaves(session, data_set.images)
    no_code = np.zeros([model.n_styles, model.params["z_dim"]])
    rows, labels = [], []
    expert_of = {digit: expert for expert, digit in match_clusters(np.array(confusion)).items()}
    for digit, expert in sorted(expert_of.items()):
        drawn = model.generate(session, no_code, expert)
        row = []
        for style, picture in enumerate(drawn):
            own = data_set.images[(experts == expert) & (styles == style)]
            shown = picture if len(own) else np.zeros_like(picture)  # nobody's, so never trained
            row += [shown, *_nearest(own, picture)]
        rows.append(np.array(row))
        labels.append(str(digit))
    columns = [
        text
        for style in range(model.n_styles)
        for text in (f"style {style}", *["nearest" for _ in range(N_NEAREST)])
    ]
    return plot_image_rows(rows, labels, title, columns)


def _nearest(images, picture):
    """The nearest of the images, blank where there are too few."""
    distances = np.square(images - picture).sum(axis=1)
    found = images[np.argsort(distances)[:N_NEAREST]]
    blank = np.zeros([N_NEAREST - len(found), len(picture)], np.float32)
    return np.concatenate([found, blank])
