"""Whole runs: which models there are, what each table trains, and the tables."""
