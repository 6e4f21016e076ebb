"""Faster ways to run a plain graph."""
