"""Faults that a training was put to."""

from typing import Any

from moe_vae.experiments.tables.markdown import markdown_table

__all__ = ["faults_table"]


def faults_table(results: dict[str, Any]) -> str:
    """Each kind of fault: how it was made, how often, the outcome, and the values lost."""
    rows: dict[str, dict[str, Any]] = {}
    for record in results["faults"]["faults"]:
        row = rows.setdefault(record["fault"], {"made by": [], "times": 0, "lost": 0})
        if record["made by"] not in row["made by"]:
            row["made by"].append(record["made by"])
        row["times"] += record["times"]
        row["lost"] += record["lost"]
        row["outcome"] = record["outcome"]
    return markdown_table(
        ("fault", "made by", "times", "outcome", "values lost"),
        [
            (fault, ", ".join(row["made by"]), row["times"], row["outcome"], row["lost"])
            for fault, row in rows.items()
        ],
    )
