"""The paper's clusterings: VaDE, DMVAE, and what they begin with."""

from moe_vae.experiments.recipes.steps import Step

__all__ = ["CLUSTERING_SEEDS", "CLUSTERING_STEPS"]

# Of the clusterings, by kind of data.
CLUSTERING_SEEDS = {"points": (10, 11, 12, 13, 14), "images": (0, 1, 2)}

_SAME_NETWORKS = {"encoder_layers": [512, 256], "decoder_layers": [256, 512]}


# The steps by kind of data, in their order.
CLUSTERING_STEPS = {
    "points": {"vade": Step("vade"), "dmvae": Step("dmvae")},
    "images": {
        "information": Step("information", params={"deskew": False, "regroup": False}),
        "dmvae": Step(
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
        "vade": Step(
            "vade",
            "dmvae",
            {**_SAME_NETWORKS, "epochs": 8, "learning_rate": 0.0005, "cosine_decay": True},
        ),
    },
}
