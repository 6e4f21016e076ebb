"""The posts' runs, and the experiments that the posts suggest."""

from moe_vae.evaluation.conditional_vae import measure_drawings
from moe_vae.evaluation.specialists import measure_experts
from moe_vae.experiments.recipes.steps import Experiment, Recipe, Step
from moe_vae.plots.post_studies import VARIED, draw_limits, draw_parameters

__all__ = ["LABEL_STEP", "POST_2_PARAMETERS", "POST_3_LIMITS", "POST_SEEDS"]

# Of the posts' runs; the first is the posts' own.
POST_SEEDS = (42, 1, 2)

# Of post 2, beside the post's own, each changed alone.
_OTHER_VALUES = dict(zip(VARIED, ((2, 5, 20), (0.1, 1.0), (0.0, 1.0, 100.0)), strict=True))

_POST_2_STEPS = {
    "post": Step("conditional-vae"),
    **{
        f"{name.replace('_', '-')}-{value:g}": Step("conditional-vae", params={name: value})
        for name, values in _OTHER_VALUES.items()
        for value in values
    },
}

POST_2_PARAMETERS = Recipe(
    "train post 2's conditional VAE with other parameters",
    _POST_2_STEPS,
    tuple(Experiment(step, "mnist", 1, measure_drawings) for step in _POST_2_STEPS),
    draw_parameters,
)

LABEL_STEP = "labels"

# 0.1 is the post's own. A batch of 100 that goes to one expert costs 900 times the weight, in nats:
# the variance of one 100 and nine zeros.
_BALANCING_WEIGHTS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)

# Of the post's 100. The curves of the shares show whether they have settled by then.
_BALANCING_EPOCHS = 20

_BALANCING_STEPS = {
    f"balancing-{weight:g}": Step(
        "mixture-of-vaes",
        params={"balancing_weight": weight, "epochs": _BALANCING_EPOCHS},
        scores_epochs=True,
    )
    for weight in _BALANCING_WEIGHTS
}

POST_3_LIMITS = Recipe(
    "train post 3's experts by label, and its manager with other balancing weights",
    {
        LABEL_STEP: Step("mixture-of-vaes", params={"routing": "labels"}),
        **_BALANCING_STEPS,
    },
    (
        Experiment(LABEL_STEP, "mnist", 3, measure_experts),
        *(Experiment(step, "mnist", 3) for step in _BALANCING_STEPS),
    ),
    draw_limits,
)
