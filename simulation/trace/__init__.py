"""A run as data: typed events, the recorder that digests them, tidy metrics."""
