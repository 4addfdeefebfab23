"""``python -m experiments [STEM ...]``: run what is missing, draw, compare with the reference.

Exit codes are those of ``wardchain``: 0 all equal, 1 a run failed, 2 wrong input, 3 a difference.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from experiments import STEMS

DONE, RUN_FAILED, WRONG_INPUT, DIFFERENCE = 0, 1, 2, 3
SHOWN = 20
"""Differences that are printed; the rest is counted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stems that are named, or all; returns the exit code."""
    options = _parser().parse_args(arguments)
    # Here and not above, so that --help needs neither matplotlib nor the package.
    from experiments.suite import RunFailedError, stem_module
    from simulation.config.errors import ConfigError
    from simulation.records.errors import DataError
    from simulation.runs.directory import require_writable

    warnings.filterwarnings("ignore", module=r"(torch|opacus)(\..*)?$")
    stems = options.stems or STEMS
    try:
        require_writable(options.out / "figures")
        for stem in stems:
            stem_module(stem)
        code = max(_one(stem, options.out, options.update) for stem in stems)
    except (ConfigError, DataError) as error:
        _say(f"error: {error}")
        return WRONG_INPUT
    except RunFailedError as error:
        _say(f"error: {error}")
        return RUN_FAILED
    return code


def _one(stem: str, out: Path, update: bool) -> int:
    from experiments import suite

    runs = suite.run_missing(stem, out / "runs", _say)
    module = suite.stem_module(stem)
    table = module.table(runs)
    for path in suite.write_results(stem, table, runs, out / "figures"):
        _say(f"wrote {path}")
    print("\n".join([stem, *(f"  {line}" for line in module.summary(table))]))
    if update:
        kept = (f"{stem}.csv", f"{stem}.manifest.json", f"{stem}.svg")
        suite.REFERENCE.mkdir(parents=True, exist_ok=True)
        for name in kept:
            (suite.REFERENCE / name).write_bytes((out / "figures" / name).read_bytes())
        _say(f"{stem}: is now the reference in {suite.REFERENCE}")
        return DONE
    # As written: the reference has six decimals, so the new table must have them too.
    written = suite.read_table(out / "figures" / f"{stem}.csv")
    found = suite.differences(stem, written)
    for mismatch in found[:SHOWN]:
        _say(f"{stem}: {mismatch}")
    if found:
        noun = "difference" if len(found) == 1 else "differences"
        _say(f"{stem}: {len(found)} {noun} from {suite.REFERENCE / stem}.csv")
        return DIFFERENCE
    print("  equal to the reference, within its tolerances")
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        description="Run what is missing of the experiments, draw, and compare with the reference.",
    )
    parser.add_argument("stems", nargs="*", metavar="STEM", help=f"of {', '.join(STEMS)}; or all")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="runs go to DIR/runs, tables and figures to DIR/figures (default: results)",
    )
    parser.add_argument(
        "--update", action="store_true", help="make the new tables the reference; say why in Git"
    )
    return parser


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
