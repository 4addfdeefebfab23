"""Attacks of a hospital on the round protocol: on commitments, reveals and transactions."""
