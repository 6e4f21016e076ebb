"""Readers of files that were given random bytes."""

from typing import Any

from moe_vae.experiments.tables.markdown import markdown_table

__all__ = ["fuzz_table"]


def fuzz_table(results: dict[str, Any]) -> str:
    """Each reader: how many executions, in which time, the memory, and what it found."""
    return markdown_table(
        ("reader", "executions", "seconds", "memory at the beginning (MB)", "peak (MB)", "faults"),
        [
            (
                each["reader"],
                f"{each['executions']:,}",
                f"{each['seconds']:.0f}",
                each["first_mb"],
                each["peak_mb"],
                "none" if each["fault"] is None else "one",
            )
            for each in results["fuzz"]["readers"]
        ],
    )
