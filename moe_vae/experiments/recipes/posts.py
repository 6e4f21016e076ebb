"""The posts' runs."""

__all__ = ["POST_SEEDS"]

# Of the posts' runs; the first is the posts' own.
POST_SEEDS = (42, 1, 2)
