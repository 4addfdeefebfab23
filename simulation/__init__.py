"""Wardchain: hospitals that train a model together, privately, on a ledger they all agree on.

Consensus and training run on one virtual clock. See `simulation.world` for how a configuration
becomes a run, and the README for the map of the package.
"""

__version__ = "0.1.0"
