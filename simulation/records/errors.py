"""The one exception of this package."""

from __future__ import annotations


class DataError(ValueError):
    """The data cannot be used: a file is absent or altered, or a request does not fit the source.

    The message names the file or the field and says what to do.
    """
