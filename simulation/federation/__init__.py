"""Flower on the virtual clock: the grid, the apps, and the way between Flower's records and bytes."""
