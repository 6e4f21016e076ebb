"""Table 2 with convolutions: gates that have them, and experts that read pixels or features."""

from moe_vae.experiments.recipes.clusterings import CLUSTERING_STEPS
from moe_vae.experiments.recipes.paper import TABLE_2_PARAMS, TABLE_2_TASK
from moe_vae.experiments.recipes.router_trials import ROUTER, ROUTER_STEPS
from moe_vae.experiments.recipes.steps import Experiment, Recipe, Step
from moe_vae.models.information_encoder import INFORMATION_PARAMS
from moe_vae.params import network_params

__all__ = ["TABLE_2_CONV"]

N_SEEDS = 5

_EXPERT_INPUTS = ("examples", "features")


def _deep_gate() -> dict[str, object]:
    """The parameters of a deep gate with the network that the other gates begin with."""
    encoder = network_params(INFORMATION_PARAMS, {"network": "conv"})
    sizes = {
        f"gate_{part}": encoder[f"cluster_encoder_{part}"]
        for part in ("filters", "kernels", "layers")
    }
    return {"network": "conv", **sizes, "gate_normalise": encoder["normalise"]}


# What each gate begins with, and its parameters.
_GATES = {
    "deep": (None, _deep_gate()),
    "pretrained": (ROUTER, {}),
    "dmvae": ("begun-dmvae", {}),
}

_STEPS = {
    **ROUTER_STEPS,
    # The autoencoder is dense; the cluster encoder is the router's network.
    "begun-dmvae": Step("dmvae", ROUTER, CLUSTERING_STEPS["images"]["dmvae"].params),
    **{
        f"{gate}-{expert_inputs}": Step(
            "moe",
            before,
            {
                **TABLE_2_TASK,
                **TABLE_2_PARAMS[gate],
                "gate": gate,
                "expert_inputs": expert_inputs,
                **params,
            },
        )
        for gate, (before, params) in _GATES.items()
        for expert_inputs in _EXPERT_INPUTS
    },
}

TABLE_2_CONV = Recipe(
    "train Table 2's mixtures of experts with convolutions",
    _STEPS,
    tuple(
        Experiment(f"{gate}-{expert_inputs}", "mnist", N_SEEDS)
        for gate in _GATES
        for expert_inputs in _EXPERT_INPUTS
    ),
    evaluates=False,
)
