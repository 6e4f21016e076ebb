"""Faults that a training was put to."""

from typing import Any

from moe_vae.experiments.tables.markdown import markdown_table

__all__ = ["faults_table"]


def faults_table(results: dict[str, Any]) -> str:
    """Each kind of fault by engine: how it was made, how often, the outcome, the values lost."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for record in results["faults"]["faults"]:
        key = (record["fault"], record["engine"], record["outcome"])
        row = rows.setdefault(key, {"models": {}, "made by": {}, "times": 0, "lost": 0})
        # A dict keeps the order, and each once.
        row["models"] |= dict.fromkeys([record["model"]] if record["model"] else [])
        row["made by"] |= dict.fromkeys(record["made by"].split(", "))
        row["times"] += record["times"]
        row["lost"] += record["lost"]
    return markdown_table(
        ("fault", "engine", "models", "made by", "times", "outcome", "values lost"),
        [
            (fault, engine, *map(", ".join, texts), row["times"], outcome, row["lost"])
            for (fault, engine, outcome), row in sorted(rows.items(), key=lambda item: item[0][0])
            for texts in [(row["models"], row["made by"])]
        ],
    )
