"""Checks of an installation: Python, packages, TensorFlow, devices, data and the machine."""
