"""Data sets: MNIST, small digits, the spiral; and the checks of what the models read."""
