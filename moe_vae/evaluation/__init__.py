"""Scores of trained models: metrics, and one module for each kind of model."""
