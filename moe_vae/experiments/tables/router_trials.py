"""The trials of the specialists' router, judged without labels."""

from collections.abc import Iterable
from itertools import combinations, product
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
    """Each trial's label-free scores, and how well its runs agree with each other and the rest."""
    recipe, rows = RECIPES["router-trials"], []
    by_step: dict[str, list[Values]] = {}
    for run in results["router-trials"]["runs"]:
        by_step.setdefault(run["step"], []).append(run)
    for name, runs in by_step.items():
        step, ours = recipe.steps[name], [run["measured"] for run in runs]
        others = [run["measured"] for other in by_step if other != name for run in by_step[other]]
        rows.append(
            (
                name,
                step.before or "",
                ", ".join(f"`{key}` {value}" for key, value in step.params.items()),
                len(runs),
                *(
                    form.format(fmean(each[measure] for each in ours))
                    for measure, (_, form) in _MEASURES.items()
                ),
                _agreement(combinations(ours, 2)),
                _agreement(product(ours, others)),
                f"{fmean(sum(run['seconds']) for run in runs) / 60:.0f}",
            )
        )
    titles = (title for title, _ in _MEASURES.values())
    heading = ("trial", "begins with", "settings", "seeds", *titles)
    last = ("agreement of the seeds", "agreement with the other trials", "minutes")
    return markdown_table((*heading, *last), rows)


def _agreement(pairs: Iterable[tuple[Values, Values]]) -> str:
    """The mean over pairs of measurements; nothing if there is none."""
    shares = [agreement(one["clusters"], other["clusters"]) for one, other in pairs]
    return f"{fmean(shares):.4f}" if shares else ""
