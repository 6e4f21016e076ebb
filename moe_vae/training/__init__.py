"""Training a model in one process."""
