"""The versions of the package and of its files, where every layer can read it."""

__all__ = ["FORMAT_VERSION", "__version__"]

__version__ = "0.1.0"

# Of the JSON files that the package writes; `moe_vae.schemas` describes them.
FORMAT_VERSION = 1
