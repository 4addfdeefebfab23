"""Cables: latency, bandwidth with queues at both ends of a node, and what can go wrong on them.

Knows messages only by size and kind; who sends what to whom is decided in `simulation.nodes`.
"""
