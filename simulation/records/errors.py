"""The exception of this package, and the case of it that is nobody's fault."""

from __future__ import annotations


class DataError(ValueError):
    """The data cannot be used: a file is absent or altered, or a request does not fit the source.

    The message names the file or the field and says what to do.
    """


class AbsentDataError(DataError):
    """The files of a source are not on this machine; the message says how to get them."""
