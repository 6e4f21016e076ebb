"""Trained models as files: the package's own, and those of other runtimes."""
