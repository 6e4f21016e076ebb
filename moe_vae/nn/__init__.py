"""Building blocks of the models' graphs."""
