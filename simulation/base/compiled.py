"""What the compiled consensus core asks of its sources: a mark on classes that others derive from.

``make compiled`` turns modules into C with mypyc (``[tool.mypy]`` in pyproject.toml), for which a
class is closed unless it says that interpreted ones may derive from it. The mark is read by mypyc
only, so nothing is needed to run the sources.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**_: Any) -> Callable[[type], type]:
        """Mark a class for mypyc; in Python the mark does nothing."""
        return lambda cls: cls
