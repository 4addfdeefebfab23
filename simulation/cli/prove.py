"""``wardchain prove``: a proof of what a run's ledger held, for ``verify-receipt`` to check."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from simulation.cli.exits import DONE, emit
from simulation.cli.options import Json, Run

Key = Annotated[
    str | None,
    typer.Argument(metavar="KEY", help="A key of the ledger's state. Without one: list the keys."),
]
Height = Annotated[
    int | None, typer.Option(help="The state after this block.", show_default="the last block")
]
Below = Annotated[str, typer.Option("--below", help="List only keys that begin so.")]
Out = Annotated[
    Path | None, typer.Option(help="Where the proof goes.", show_default="KEY@HEIGHT.proof here")
]


def prove(
    run: Run,
    key: Key = None,
    height: Height = None,
    below: Below = "",
    out: Out = None,
    json: Json = False,
) -> int:
    """Prove what the ledger of a finished run held at a key, or that it held nothing there.

    Whoever knows the membership root checks the file with verify-receipt, without the run.
    """
    from simulation.config.errors import ConfigError
    from simulation.runs.prove import UnprovableError, keys
    from simulation.runs.prove import prove as made

    if not run.is_dir():
        raise ConfigError(f"{run}: no such directory")
    try:
        if key is None:
            return _list(keys(run, below, height), json)
        found = made(run, key, height)
    except UnprovableError as error:
        raise ConfigError(str(error)) from error
    proof = found.proof
    file = out or Path(f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', key)}@{proof.header.height}.proof")
    try:
        file.write_bytes(proof.encoded)
    except OSError as error:
        raise ConfigError(f"--out {file}: {error.strerror}") from error
    if json:
        report: dict[str, Any] = {
            "proof": str(file),
            "key": key,
            "height": proof.header.height,
            "present": proof.value is not None,
            "value": plain(proof.value),
            "from": found.copy,
            "size_bytes": len(proof.encoded),
            "exit_code": DONE,
        }
        emit(report)
        return DONE
    print(sentence(key, proof.value, proof.header.height))
    if found.similar:
        print(f"similar keys that hold something: {', '.join(found.similar)}")
    print(f"{file}: {len(proof.encoded)} bytes, from the copy of {found.copy}")
    print(f"check it with: wardchain verify-receipt {file} --root "
          f"{proof.certified.founders.root.hex()}")  # fmt: skip
    return DONE


def _list(found: list[tuple[str, Any]], json: bool) -> int:
    if json:
        emit({"keys": {key: plain(value) for key, value in found}, "exit_code": DONE})
    else:
        for key, value in found:
            text = written(value)
            print(f"{key} = {text if len(text) <= 100 else text[:97] + '...'}")
    return DONE


def sentence(key: str, value: Any, height: int) -> str:
    """What a proof says."""
    if value is None:
        return f"after the block at height {height} the ledger held nothing at {key}"
    return f"after the block at height {height} the ledger held {key} = {written(value)}"


def written(value: Any) -> str:
    """A ledger value as people read it."""
    import json as text

    return text.dumps(plain(value), ensure_ascii=False)


def plain(value: Any) -> Any:
    """A ledger value as plain data: byte strings in hexadecimal."""
    from collections.abc import Mapping

    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
