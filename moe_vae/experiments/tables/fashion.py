"""Fashion-MNIST: every model with the recipe that it has for MNIST."""

from typing import Any

from moe_vae.experiments.recipes import RECIPES
from moe_vae.experiments.tables.markdown import (
    cited,
    list_values,
    markdown_table,
    mean_and_deviation,
)
from moe_vae.models.gates import GATES

__all__ = ["fashion_table"]

Values = dict[str, Any]

_NAMES = {
    "conditional-vae": "post 2: conditional VAE",
    "mixture-of-vaes": "post 3: mixture of VAEs",
    "router": "router",
    "specialists": "specialists: mixture of VAEs, routed by information",
    "information": "information encoder, for DMVAE",
    "dmvae": "DMVAE",
    "vade": "VaDE",
}


def fashion_table(results: Values) -> str:
    """Each model's accuracy on the test images of Fashion-MNIST, and what its drawings show."""
    runs, rows = results["fashion-mnist"]["runs"], []
    for step in RECIPES["fashion-mnist"].steps:
        own = [run for run in runs if run["step"] == step]
        if not own:
            continue
        gate = step.removeprefix("table2-")
        supervised = own[0]["model"] in ("conditional-vae", "moe")
        accuracies = [run["test"]["accuracy"] for run in own]
        recognised = [
            run["evaluation"]["generation"]["share"]
            for run in own
            if "generation" in run["evaluation"]
        ]
        rows.append(
            (
                _NAMES[step] if step in _NAMES else GATES[gate].label,
                "accuracy" if supervised else "clustering accuracy",
                mean_and_deviation(accuracies, "{:.4f}"),
                list_values(accuracies, "{:.4f}"),
                mean_and_deviation(recognised, "{:.4f}"),
                "this package",
            )
        )
    paper = results["paper"]
    published = [
        (name, "clustering accuracy, published", entry["value"], "", "", cited(paper, entry))
        for name, entry in paper["fashion_mnist_clustering"].items()
    ]
    heading = ("model", "score", "mean", "each seed", "generated images recognised", "source")
    return markdown_table(heading, [*rows, *published])
