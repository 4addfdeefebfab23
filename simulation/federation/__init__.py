"""Flower on the virtual clock: the grid, the apps, and records as canonical bytes."""
