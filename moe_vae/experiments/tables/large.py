"""What more images than usual take: a training, and the search for neighbours."""

from typing import Any

from moe_vae.experiments.tables.markdown import markdown_table, mebibytes

__all__ = ["large_set_table", "neighbours_table"]


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


def neighbours_table(results: dict[str, Any]) -> str:
    """Each way to find nearest neighbours, on each set: its recall, its time and its memory."""
    measured = results["neighbours"]
    sets = {"augmented": "varied", "mnist": "MNIST"}
    return markdown_table(
        ("images", "compared by", "way", "recall", "seconds", "peak of the process (MiB)"),
        [
            (
                f"{measured[name]['n_images']:,} ({title})",
                way["compared"],
                way["way"],
                f"{way['recall']:.3f}",
                f"{way['seconds']:.0f}",
                mebibytes(way["peak_bytes"]),
            )
            for name, title in sets.items()
            for way in measured[name]["ways"]
        ],
    )
