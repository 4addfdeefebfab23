"""Flower on the virtual clock: the grid, the apps, and records as canonical bytes."""

import os

# Flower reports usage to its makers unless told otherwise before it is imported; every import of it
# in this program comes through this package.
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
