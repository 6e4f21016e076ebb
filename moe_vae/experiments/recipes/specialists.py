"""Experts that draw one digit each, flat and in a hierarchy, and the ablations."""

from collections.abc import Mapping
from typing import Any

from moe_vae.experiments.recipes.router_trials import ROUTER, ROUTER_PARTS, ROUTER_STEPS
from moe_vae.experiments.recipes.steps import Experiment, Recipe, Step
from moe_vae.models.information_encoder import INFORMATION_PARAMS
from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS

__all__ = ["N_STYLES", "SPECIALISTS"]

# On the small sets of images an epoch has a fifteenth of MNIST's steps.
_SMALL_DATA = 15


def _small(step: Step) -> Step:
    """A router for the small sets of images, with as many steps as `step` has on MNIST."""
    defaults = INFORMATION_PARAMS | step.params
    epochs = {name: _SMALL_DATA * defaults[name] for name in ("pretrain_epochs", "epochs")}
    return step._replace(params={**step.params, **epochs})


_SPIRAL_EPOCHS = {"pretrain_epochs": 18, "epochs": 26}

_ROUTED = {"routing": "information"}

# Router and experts go on learning together, in the router's batches. The weight keeps the experts'
# losses, some hundred nats, from deciding the routing alone.
_TOGETHER = {**_ROUTED, "information_weight": 100.0, "batch_size": 500}

N_STYLES = (2, 3, 4, 5)

_SHAPES = {"style_routing": "information", "n_styles": 5}


def _wide(n_styles: int) -> Step:
    """Ten VAEs whose layers are `n_styles` times as wide as the post's."""
    layers = {
        name: [n_styles * size for size in MIXTURE_OF_VAES_PARAMS[name]]
        for name in ("encoder_layers", "decoder_layers")
    }
    return Step("mixture-of-vaes", "information", {**_ROUTED, **layers})


def _conv_experts(settings: Mapping[str, Any]) -> Step:
    """Ten VAEs with convolutions behind the router with convolutions."""
    params = {**_ROUTED, "network": "conv", **settings}
    # The fused engine reads each image only with the experts that count for it.
    title = ("convolutions", "convolutions")
    return Step("mixture-of-vaes", ROUTER, params, engine="fused", title=title)


# The steps of the specialists, by name.
_STEPS = {
    "information": Step("information", title=("dense",)),
    "mixture-of-vaes": Step("mixture-of-vaes", "information", _ROUTED, title=("dense", "dense")),
    "without-neighbours": Step("information", params={"n_neighbours": 0}),
    "without-augmentation": Step("information", params={"augment": False}),
    "balanced": Step("mixture-of-vaes", params={"routing": "balanced"}),
    "together": Step("mixture-of-vaes", "information", _TOGETHER),
    **{
        f"hierarchy-{n_styles}": Step("hierarchy", "information", {"n_styles": n_styles})
        for n_styles in N_STYLES
    },
    "shapes": Step("hierarchy", "information", _SHAPES),
    **{f"wide-{n_styles}": _wide(n_styles) for n_styles in N_STYLES},
    "small": _small(Step("information")),
    "points": Step("information", params=_SPIRAL_EPOCHS),
    "points-experts": Step("mixture-of-vaes", "points", {**_ROUTED, "epochs": 22}),
    # The router with convolutions, as it was chosen, and the steps that lead to it.
    **ROUTER_STEPS,
    "dense-experts": Step("mixture-of-vaes", ROUTER, _ROUTED, title=("convolutions", "dense")),
    "conv-experts": _conv_experts({}),
    "conv-experts-std-1": _conv_experts({"decoder_std": 1.0, "epochs": 30}),
    "small-conv": _small(ROUTER_STEPS[ROUTER]),
}

# In the order in which they are trained.
_EXPERIMENTS = (
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
    Experiment(ROUTER, "mnist", 10),
    Experiment("dense-experts", "mnist", 5),
    Experiment("conv-experts", "mnist", 5),
    Experiment("conv-experts-std-1", "mnist", 10),
    *(Experiment(step, "mnist", 5) for step in ROUTER_PARTS),
    Experiment(ROUTER, "fashion-mnist", 5),
    Experiment("small-conv", "sample", 5),
    Experiment("small-conv", "digits", 5),
)

SPECIALISTS = Recipe(
    "train experts that draw one digit each, flat and in a hierarchy, and the ablations",
    _STEPS,
    _EXPERIMENTS,
)
