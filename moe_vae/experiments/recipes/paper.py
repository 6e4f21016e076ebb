"""The paper's two tables: the settings of the mixtures of experts."""

from typing import Any

__all__ = ["FIRST_GATE_SEEDS", "TABLE_1_PARAMS", "TABLE_2_PARAMS", "TABLE_2_TASK"]

# The seed of the clustering that a gate begins with where the run's seed is 0, by kind of data. The
# next run begins with the next seed, so that no two draws of a table share a gate.
FIRST_GATE_SEEDS = {"points": 10, "images": 0}

# A full fit of a Gaussian mixture to MNIST takes a minute.
_FEW_STARTS = {"gmm_restarts": 1, "gmm_examples": 10_000}

# Where the gate is trained before the experts, EM gives the experts their first weights.
_COSINE = {"cosine_decay": True}
_EM = {"expert_em_steps": 3, **_COSINE}

# Table 1's settings that differ from the model's defaults, by data and gate. A gate that begins
# with a trained clustering needs fewer epochs. The gate "pretrained" begins with an information
# encoder, and on the spiral none is trained. A gate without an entry takes the defaults.
TABLE_1_PARAMS: dict[str, dict[str, dict[str, Any]]] = {
    "spiral": {
        "softmax": {"epochs": 40, **_COSINE},
        "hierarchical": {"epochs": 40, **_COSINE},
        "gmm": {"epochs": 15, **_EM},
        "deep": {"epochs": 40, **_COSINE},
        "vade": {"epochs": 15, **_EM},
        "dmvae": {"epochs": 15, **_EM},
    },
    "mnist": {
        "softmax": {"epochs": 6, **_COSINE},
        "hierarchical": {"epochs": 6, **_COSINE},
        "gmm": {"epochs": 2, **_EM, **_FEW_STARTS},
        "deep": {"epochs": 8, **_COSINE},
        "pretrained": {"epochs": 2, **_EM},
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
    "hierarchical": {"epochs": 6, **_COSINE},
    "gmm": {"epochs": 2, **_COSINE, **_FEW_STARTS},
    "deep": {"epochs": 8, **_COSINE},
    "pretrained": {"epochs": 8, **_COSINE},
    "vade": {"epochs": 4, **_COSINE, **_LIGHT_GATE},
    "dmvae": {"epochs": 8, **_COSINE, **_LIGHT_GATE},
}
