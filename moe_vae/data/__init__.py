"""Data sets: reading, checking, drawing from a formula, and looking up neighbours."""
