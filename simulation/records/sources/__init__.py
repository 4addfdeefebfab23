"""One module for each source: its files with their digests, its licence, and how it is read."""
