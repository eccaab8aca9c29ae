"""Choices before the training: how many components, and which start."""
