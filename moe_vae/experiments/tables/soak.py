"""What one process holds after hundreds of rounds and of checkpoints."""

from typing import Any

from moe_vae.experiments.tables.markdown import markdown_table

__all__ = ["soak_table"]

_KINDS = {"rounds": "round", "checkpoints": "checkpoint"}


def soak_table(results: dict[str, Any]) -> str:
    """For rounds and for checkpoints: memory and open files, in the middle and in the end."""
    soak = results["soak"]
    return markdown_table(
        (
            "what",
            "times",
            "memory in the middle (MB)",
            "at the end (MB)",
            "growth, second half (kB each)",
            "bound (kB each)",
            "open files, first half",
            "second half",
        ),
        [
            (
                name,
                len(soak[kind]),
                f"{soak[kind][len(soak[kind]) // 2]['memory_mb']:.0f}",
                f"{soak[kind][-1]['memory_mb']:.0f}",
                f"{1000 * soak['growth_mb'][kind]:.1f}",
                f"{1000 * soak['settings']['bounds_mb'][kind]:.0f}",
                *(max(each["open_files"] for each in half) for half in _halves(soak[kind])),
            )
            for kind, name in _KINDS.items()
        ],
    )


def _halves(records: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    middle = len(records) // 2
    return records[:middle], records[middle:]
