"""The tables of the README and the documentation, generated from the result files.

`fill` has them by name, and one module each of the others has those of a page.
"""

from moe_vae.experiments.tables.fill import (
    RESULTS,
    TABLES,
    fill_pages,
    fill_tables,
    find_pages,
    read_results,
)

__all__ = ["RESULTS", "TABLES", "fill_pages", "fill_tables", "find_pages", "read_results"]
