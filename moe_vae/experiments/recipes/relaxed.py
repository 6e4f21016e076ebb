"""DMVAE's two objectives: the paper's relaxed clusters, and the exact expectation over them."""

from moe_vae.evaluation.relaxation import measure_relaxation
from moe_vae.experiments.recipes.clusterings import CLUSTERING_STEPS
from moe_vae.experiments.recipes.paper import TABLE_1_PARAMS, TABLE_2_PARAMS, TABLE_2_TASK
from moe_vae.experiments.recipes.steps import Experiment, Recipe, Step
from moe_vae.plots.relaxation import draw_relaxation

__all__ = ["DMVAE_FROM_SCRATCH", "N_OUTPUTS", "RELAXED"]

# The relaxed objective's temperature is the authors', 0.2, where nothing else is said.
_RELAXED = {"objective": "relaxed"}
_WARM = {**_RELAXED, "temperature": 1.0, "temperature_start": 1.0}
# From a temperature at which all clusters learn. On the spiral it falls over half of the epochs. On
# MNIST it falls over all of them, and the cluster encoder, which is held in the first ten, learns
# from about 0.34 on.
_ANNEALED = {**_RELAXED, "temperature_start": 2.0}

# The dimensions of Table 1's targets.
N_OUTPUTS = (1, 2, 5)

_START = CLUSTERING_STEPS["images"]["dmvae"].params
_EXACT_GATE = {"gate": "dmvae"}
_RELAXED_GATE = {**_EXACT_GATE, **_RELAXED}


def _regression(before: str, gate: dict[str, str], n_outputs: int) -> Step:
    """A cell of Table 1."""
    params = {**TABLE_1_PARAMS["spiral"]["dmvae"], **gate, "n_outputs": n_outputs}
    return Step("moe", before, params, seeded=("targets_seed",))


def _classification(before: str, gate: dict[str, str]) -> Step:
    """A cell of Table 2."""
    return Step("moe", before, {**TABLE_2_TASK, **TABLE_2_PARAMS["dmvae"], **gate})


# The defaults: on the spiral 60 epochs of the exact objective.
DMVAE_FROM_SCRATCH = Step("dmvae", scores_epochs=True)

_STEPS = {
    # On the spiral, from random weights.
    "dmvae": DMVAE_FROM_SCRATCH._replace(title=("exact",)),
    "relaxed": DMVAE_FROM_SCRATCH._replace(params=_RELAXED, title=("relaxed, temperature 0.2",)),
    "warm": DMVAE_FROM_SCRATCH._replace(params=_WARM, title=("relaxed, temperature 1",)),
    "annealed": DMVAE_FROM_SCRATCH._replace(
        params={**_ANNEALED, "anneal_epochs": 30}, title=("relaxed, temperature 2 to 0.2",)
    ),
    # On MNIST, from the information encoder.
    "information": Step("information"),
    "begun-dmvae": Step("dmvae", "information", _START, title=("exact",)),
    "begun-relaxed": Step(
        "dmvae", "information", {**_START, **_RELAXED}, title=("relaxed, temperature 0.2",)
    ),
    "begun-annealed": Step(
        "dmvae",
        "information",
        {**_START, **_ANNEALED, "anneal_epochs": _START["epochs"] - 1},
        title=("relaxed, temperature 2 to 0.2",),
    ),
    # The gates of the tables.
    **{f"table1-exact-{n}": _regression("dmvae", _EXACT_GATE, n) for n in N_OUTPUTS},
    **{f"table1-relaxed-{n}": _regression("relaxed", _RELAXED_GATE, n) for n in N_OUTPUTS},
    "table2-exact": _classification("begun-dmvae", _EXACT_GATE),
    "table2-relaxed": _classification("begun-relaxed", _RELAXED_GATE),
}

# In the order in which they are trained.
_EXPERIMENTS = (
    *(
        Experiment(step, "spiral", 5, measure_relaxation)
        for step in ("dmvae", "relaxed", "warm", "annealed")
    ),
    *(
        Experiment(f"table1-{objective}-{n_outputs}", "spiral", 5)
        for n_outputs in N_OUTPUTS
        for objective in ("exact", "relaxed")
    ),
    *(
        Experiment(step, "mnist", 3, measure_relaxation)
        for step in ("begun-dmvae", "begun-relaxed", "begun-annealed")
    ),
    *(Experiment(f"table2-{objective}", "mnist", 3) for objective in ("exact", "relaxed")),
)

RELAXED = Recipe(
    "train DMVAE and its mixtures of experts by the relaxed and by the exact objective",
    _STEPS,
    _EXPERIMENTS,
    draw_relaxation,
    evaluates=False,
)
