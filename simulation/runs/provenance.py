"""What a result depends on besides its configuration: code, libraries, machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import simulation
from simulation.consensus import signing

LIBRARIES = (
    "cbor2",
    "cryptography",
    "dp-accounting",
    "flwr",
    "numpy",
    "opacus",
    "pyarrow",
    "pydantic",
    "scikit-learn",
    "scipy",
    "simpy",
    "torch",
)
"""The libraries that a result may depend on."""


def versions() -> dict[str, str]:
    """Versions of this program, Python and the libraries."""
    found = {"wardchain": simulation.__version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def is_compiled() -> bool:
    """Whether the consensus core is the one that ``make compiled`` has made of the same sources."""
    return not signing.__file__.endswith(".py")


def host() -> dict[str, Any]:
    """What kind of machine this is; nothing that identifies it or its user."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


def revision() -> dict[str, Any] | None:
    """Git revision of the code and whether it was changed; none outside a clone."""
    package = Path(simulation.__file__).resolve().parent
    root = built_from(package) if is_compiled() else package.parent
    git = shutil.which("git")
    if git is None or root is None or not (root / ".git").exists():
        return None
    try:
        head = _git(git, root, "rev-parse", "HEAD")
        changed = _git(git, root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"revision": head, "dirty": bool(changed)}


def built_from(package: Path) -> Path | None:
    """The clone in whose ``build/compiled`` a package lies; none when its sources have changed."""
    clone = package.parents[2]
    return clone if _sources(package) == _sources(clone / package.name) else None


def _sources(package: Path) -> dict[Path, bytes]:
    return {path.relative_to(package): path.read_bytes() for path in package.rglob("*.py")}


def _git(git: str, root: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603  (fixed arguments)
        [git, "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.strip()


def revision_said(git: Mapping[str, Any] | None) -> str:
    """A revision as a manifest has it, in words."""
    if git is None:
        return "revision unknown"
    return f"revision {git['revision']}" + (", changed" if git["dirty"] else "")
