"""Auditing a privacy claim from what the federation sees: the model after each round."""
