"""The words everything else is written in: units, digests, encodings, trees, keys, random streams.

Nothing here knows what a hospital, a block or a model is for.
"""
