"""Attacks of a hospital's vault on the objects that it holds."""
