"""What each table trains, measures and draws: models, settings, seeds; `studies` trains by them."""

from moe_vae.experiments.recipes.clusterings import CLUSTERING_SEEDS, CLUSTERING_STEPS
from moe_vae.experiments.recipes.fashion import FASHION_MNIST
from moe_vae.experiments.recipes.from_scratch import FROM_SCRATCH
from moe_vae.experiments.recipes.networks import NETWORKS
from moe_vae.experiments.recipes.paper import (
    FIRST_GATE_SEEDS,
    TABLE_1_PARAMS,
    TABLE_2_PARAMS,
    TABLE_2_TASK,
)
from moe_vae.experiments.recipes.posts import POST_2_PARAMETERS, POST_3_LIMITS, POST_SEEDS
from moe_vae.experiments.recipes.relaxed import RELAXED
from moe_vae.experiments.recipes.router_trials import ROUTER, ROUTER_PARTS, ROUTER_TRIALS
from moe_vae.experiments.recipes.samples import SAMPLES
from moe_vae.experiments.recipes.specialists import N_STYLES, SPECIALISTS
from moe_vae.experiments.recipes.steps import Experiment, Recipe, Step
from moe_vae.experiments.recipes.table2_conv import TABLE_2_CONV
from moe_vae.experiments.recipes.variants import VARIANTS

__all__ = [
    "CLUSTERING_SEEDS",
    "CLUSTERING_STEPS",
    "FIRST_GATE_SEEDS",
    "N_STYLES",
    "POST_SEEDS",
    "RECIPES",
    "ROUTER",
    "ROUTER_PARTS",
    "TABLE_1_PARAMS",
    "TABLE_2_PARAMS",
    "TABLE_2_TASK",
    "Experiment",
    "Recipe",
    "Step",
]

# The studies of single runs, by the names of their commands and result files.
RECIPES = {
    "post2-parameters": POST_2_PARAMETERS,
    "post3-limits": POST_3_LIMITS,
    "networks": NETWORKS,
    "specialists": SPECIALISTS,
    "router-trials": ROUTER_TRIALS,
    "relaxed": RELAXED,
    "from-scratch": FROM_SCRATCH,
    "samples": SAMPLES,
    "variants": VARIANTS,
    "table2-conv": TABLE_2_CONV,
    "fashion-mnist": FASHION_MNIST,
}
