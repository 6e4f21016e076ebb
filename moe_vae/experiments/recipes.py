"""What each table trains: models, settings and seeds. Data only; `studies` trains by them."""

from typing import Any, NamedTuple

from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS

__all__ = [
    "CLUSTERING_SEEDS",
    "CLUSTERING_STEPS",
    "N_STYLES",
    "POST_SEEDS",
    "SPECIALIST_EXPERIMENTS",
    "SPECIALIST_STEPS",
    "TABLE_1_PARAMS",
    "TABLE_2_PARAMS",
    "TABLE_2_TASK",
    "ClusteringStep",
    "Experiment",
]


class ClusteringStep(NamedTuple):
    """The settings of a run, and the run that comes before it.

    Attributes:
      model: the model's name.
      before: the name of the step whose trained model it begins with; None without one.
      params: dict of the parameters that differ from the model's defaults.
    """

    model: str
    before: str | None = None
    params: dict[str, Any] = {}  # noqa: RUF012, never written to


# Of the posts' runs; the first is the posts' own.
POST_SEEDS = (42, 1, 2)

# Of the clusterings, by kind of data.
CLUSTERING_SEEDS = {"points": (10, 11, 12, 13, 14), "images": (0, 1, 2)}

_SAME_NETWORKS = {"encoder_layers": [512, 256], "decoder_layers": [256, 512]}


# The steps by kind of data, in their order.
CLUSTERING_STEPS = {
    "points": {"vade": ClusteringStep("vade"), "dmvae": ClusteringStep("dmvae")},
    "images": {
        "information": ClusteringStep("information", params={"deskew": False, "regroup": False}),
        "dmvae": ClusteringStep(
            "dmvae",
            "information",
            {
                **_SAME_NETWORKS,
                "prior_mean_std": 4.0,
                "epochs": 14,
                "held_epochs": 10,
                "cosine_decay": True,
            },
        ),
        "vade": ClusteringStep(
            "vade",
            "dmvae",
            {**_SAME_NETWORKS, "epochs": 8, "learning_rate": 0.0005, "cosine_decay": True},
        ),
    },
}


# A full fit of a Gaussian mixture to MNIST takes a minute.
_FEW_STARTS = {"gmm_restarts": 1, "gmm_examples": 10_000}

# Where the gate is trained before the experts, EM gives the experts their first weights.
_COSINE = {"cosine_decay": True}
_EM = {"expert_em_steps": 3, **_COSINE}

# Table 1's settings that differ from the model's defaults, by data and gate. A gate that is a VAE
# begins with a trained clustering, and so needs fewer epochs. A gate without an entry takes the
# defaults.
TABLE_1_PARAMS: dict[str, dict[str, dict[str, Any]]] = {
    "spiral": {
        "softmax": {"epochs": 40, **_COSINE},
        "gmm": {"epochs": 15, **_EM},
        "deep": {"epochs": 40, **_COSINE},
        "vade": {"epochs": 15, **_EM},
        "dmvae": {"epochs": 15, **_EM},
    },
    "mnist": {
        "softmax": {"epochs": 6, **_COSINE},
        "gmm": {"epochs": 2, **_EM, **_FEW_STARTS},
        "deep": {"epochs": 8, **_COSINE},
        "vade": {"epochs": 2, **_EM},
        "dmvae": {"epochs": 2, **_EM},
    },
}

TABLE_2_TASK = {"task": "classification", "n_outputs": 10}
# A bound changes by a hundred nats where the task's loss changes by a tenth of a nat: with weight
# 1 the labels would not move the gate.
_LIGHT_GATE = {"gate_weight": 0.01}

# The same for Table 2, by gate, beside its task.
TABLE_2_PARAMS: dict[str, dict[str, Any]] = {
    "softmax": {"epochs": 6, **_COSINE},
    "gmm": {"epochs": 2, **_COSINE, **_FEW_STARTS},
    "deep": {"epochs": 8, **_COSINE},
    "vade": {"epochs": 4, **_COSINE, **_LIGHT_GATE},
    "dmvae": {"epochs": 8, **_COSINE, **_LIGHT_GATE},
}

# As many steps as on MNIST.
_SMALL_DATA_EPOCHS = {"pretrain_epochs": 120, "epochs": 180}

_SPIRAL_EPOCHS = {"pretrain_epochs": 18, "epochs": 26}

_ROUTED = {"routing": "information"}

# Router and experts go on learning together, in the router's batches. The weight keeps the experts'
# losses, some hundred nats, from deciding the routing alone.
_TOGETHER = {**_ROUTED, "information_weight": 100.0, "batch_size": 500}

N_STYLES = (2, 3, 4, 5)

_SHAPES = {"style_routing": "information", "n_styles": 5}


def _wide(n_styles: int) -> ClusteringStep:
    """Ten VAEs whose layers are `n_styles` times as wide as the post's."""
    layers = {
        name: [n_styles * size for size in MIXTURE_OF_VAES_PARAMS[name]]
        for name in ("encoder_layers", "decoder_layers")
    }
    return ClusteringStep("mixture-of-vaes", "information", {**_ROUTED, **layers})


# The steps of the specialists, by name.
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
    """A step, the data that it is trained on, and the number of its seeds, from 0."""

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
