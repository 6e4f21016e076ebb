"""Fashion-MNIST with MNIST's recipes, nothing changed."""

from moe_vae.experiments.recipes.clusterings import CLUSTERING_STEPS
from moe_vae.experiments.recipes.paper import TABLE_2_PARAMS, TABLE_2_TASK
from moe_vae.experiments.recipes.steps import Experiment, Recipe, Step
from moe_vae.models.gates import GATES

__all__ = ["FASHION_MNIST"]

N_SEEDS = 3

_STEPS = {
    "conditional-vae": Step("conditional-vae"),
    "mixture-of-vaes": Step("mixture-of-vaes"),
    "router": Step("information"),
    "specialists": Step("mixture-of-vaes", "router", {"routing": "information"}),
    **CLUSTERING_STEPS["images"],
    **{
        f"table2-{gate}": Step(
            "moe", GATES[gate].begins_with, {**TABLE_2_TASK, **params, "gate": gate}
        )
        for gate, params in TABLE_2_PARAMS.items()
    },
}

FASHION_MNIST = Recipe(
    "train the models on Fashion-MNIST as on MNIST",
    _STEPS,
    tuple(Experiment(step, "fashion-mnist", N_SEEDS) for step in _STEPS),
)
