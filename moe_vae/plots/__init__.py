"""Figures. Every function returns a matplotlib figure, or a dict of them, and writes no file.

`charts` has those that any results go into, `diagrams` those of model structure, and a module of a
model's name those of that kind of model.
"""
