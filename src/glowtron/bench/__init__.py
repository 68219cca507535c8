"""Measuring how fast the models are."""
