"""The two posts, each module top to bottom in the order of its cells."""
