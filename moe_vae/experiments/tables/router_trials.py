"""The trials of the specialists' router, judged without labels."""

from itertools import combinations
from statistics import fmean
from typing import Any

from moe_vae.evaluation.label_free import agreement
from moe_vae.experiments.recipes import RECIPES
from moe_vae.experiments.tables.markdown import markdown_table

__all__ = ["router_trials_table"]

Values = dict[str, Any]

_MEASURES = {
    "information": ("information (nats)", "{:.4f}"),
    "over_information": ("of the finer outputs (nats)", "{:.4f}"),
    "stability": ("stability", "{:.4f}"),
    "certainty": ("certainty", "{:.4f}"),
}


def router_trials_table(results: Values) -> str:
    """Each trial's label-free scores on the validation images, and how well its seeds agree."""
    recipe, rows = RECIPES["router-trials"], []
    for name, step in recipe.steps.items():
        runs = [run for run in results["router-trials"]["runs"] if run["step"] == name]
        if not runs:
            continue
        measured = [run["measured"] for run in runs]
        pairs = combinations([each["clusters"] for each in measured], 2)
        agreements = [agreement(*pair) for pair in pairs]
        rows.append(
            (
                name,
                step.before or "",
                ", ".join(f"`{key}` {value}" for key, value in step.params.items()),
                len(runs),
                *(
                    form.format(fmean(each[measure] for each in measured))
                    for measure, (_, form) in _MEASURES.items()
                ),
                f"{fmean(agreements):.4f}" if agreements else "",
                f"{fmean(sum(run['seconds']) for run in runs) / 60:.0f}",
            )
        )
    titles = (title for title, _ in _MEASURES.values())
    heading = ("trial", "begins with", "settings", "seeds", *titles)
    return markdown_table((*heading, "agreement of the seeds", "minutes"), rows)
