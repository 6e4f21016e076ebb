"""What a training on more images than usual takes."""

from typing import Any

from moe_vae.experiments.tables.markdown import markdown_table, mebibytes

__all__ = ["large_set_table"]


def large_set_table(results: dict[str, Any]) -> str:
    """One training on a large set: its images, its peak of memory, and its time."""
    large = results["large-set"]
    row = (
        f"{large['n_images']:,}",
        f"{large['n_images'] * 28 * 28 * 4 / 2**20:,.0f}",
        mebibytes(large["peak_bytes"]),
        f"{large['seconds_of_steps'][0]:.0f}",
        f"{large['processor']}, {large['cores']} cores",
    )
    heading = (
        "images",
        "as float32 (MiB)",
        "peak of the process (MiB)",
        "one epoch (s)",
        "machine",
    )
    return markdown_table(heading, [row])
