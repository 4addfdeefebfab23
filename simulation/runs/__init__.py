"""A run is a directory: built under a temporary name, complete or absent, repeatable, auditable."""
