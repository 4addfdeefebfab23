"""Apps by ``module:object``, loaded with the checks that a configuration's author needs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TypeVar

from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

AppT = TypeVar("AppT", ClientApp, ServerApp)


def load_client_app(reference: str) -> ClientApp:
    """The ClientApp that ``module:object`` names.

    Raises:
        ValueError: when the module or object is missing or is something else.
    """
    return _load(reference, ClientApp)


def load_server_app(reference: str) -> ServerApp:
    """The ServerApp that ``module:object`` names; raises as `load_client_app`."""
    return _load(reference, ServerApp)


def _load(reference: str, kind: type[AppT]) -> AppT:
    field = "client_app" if kind is ClientApp else "server_app"
    module_name, _, name = reference.partition(":")
    # A user's app lies beside the configuration, in the directory the command runs in.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module_name), name)
    except ImportError as error:
        raise ValueError(
            f"federation.{field}: cannot import {module_name!r} ({error}); "
            "run the command in the directory that holds the module"
        ) from error
    except AttributeError as error:
        raise ValueError(
            f"federation.{field}: module {module_name!r} has no object {name!r}"
        ) from error
    if not isinstance(found, kind):
        raise ValueError(
            f"federation.{field}: {reference} is a {type(found).__name__}, not a {kind.__name__}"
        )
    return found
