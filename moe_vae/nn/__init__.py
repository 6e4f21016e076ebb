"""What the models' graphs are made of."""
