"""``python -m experiments [STEM ...]``: run what is missing, draw, compare, say what holds.

Exit codes are those of ``wardchain``: 0 all equal, 1 a run failed, 2 wrong input, 3 a difference.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.stem import stems

if TYPE_CHECKING:
    from experiments.runs import Failures, Work
    from experiments.suite import Outcome
    from simulation.config.sweep import Size

DONE, RUN_FAILED, WRONG_INPUT, DIFFERENCE = 0, 1, 2, 3
SHOWN = 20
"""Differences of a stem that are printed; the rest is counted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Complete the stems that are named, or all; returns the exit code."""
    options = _parser().parse_args(arguments)
    # Here and not above, so that --help needs neither matplotlib nor the package.
    from experiments.listing import write_readme
    from experiments.stem import stem_module
    from simulation.config.errors import ConfigError
    from simulation.config.sweep import Size
    from simulation.runs.directory import require_writable

    if options.write_readme:
        _say(f"wrote {write_readme()}")
        return DONE
    if options.redraw:
        from experiments.suite import redraw

        for path in redraw():
            _say(f"drew {path}")
        return DONE
    warnings.filterwarnings("ignore", module=r"(torch|opacus)(\..*)?$")
    size = Size(options.size)
    out = options.out or _default_out(size)
    try:
        if options.update and (size is not Size.QUICK or options.other_seeds):
            raise ConfigError(
                "--update: references are made in the quick size with their own seeds"
            )
        require_writable(out / "figures")
        names = list(dict.fromkeys(options.stems)) or stems()
        for name in names:
            stem_module(name)
        outcomes = _all(names, size, out, options)
    except ConfigError as error:
        _say(f"error: {error}")
        return WRONG_INPUT
    print()
    print("\n".join(closing(outcomes, size)))
    if options.report:
        from experiments.report.page import write
        from experiments.report.sweep import suite_page

        print(f"\nreport: {write(suite_page(outcomes, size), out / 'report.html')}")
    if options.crate:
        from experiments.crate import suite_crate

        try:
            print(f"crate: {suite_crate(names, out / 'figures', options.crate)}")
        except ConfigError as error:
            _say(f"error: {error}")
            return WRONG_INPUT
    return exit_code(outcomes)


def _default_out(size: Size) -> Path:
    """Smoke and full runs stay apart, so that they are never taken for those of the reference."""
    from simulation.config.sweep import Size

    return Path("results") if size is Size.QUICK else Path("results") / size.value


def _all(names: Sequence[str], size: Size, out: Path, options: argparse.Namespace) -> list[Outcome]:
    """Every stem to its end, in the order in which their runs end; returned in the order named."""
    from experiments.runs import run_missing, survey

    works = [survey(name, size, out, options.other_seeds) for name in names]
    workers = options.jobs or os.cpu_count() or 1
    found = {
        work.stem: _one(work, failures, options)
        for work, failures in run_missing(works, _say, workers)
    }
    return [found[name] for name in names]


def _one(work: Work, failures: Failures, options: argparse.Namespace) -> Outcome:
    from dataclasses import replace

    from experiments.suite import complete, keep_reference

    stem = work.stem
    outcome, table = complete(work, failures)
    if options.update and table is not None:
        keep_reference(stem, work.out / "figures")
        _say(f"{stem}: is now the reference; python -m experiments --write-readme lists it")
        outcome = replace(outcome, differences=[])
    for difference in outcome.differences[:SHOWN]:
        _say(f"{stem}: {difference}")
    if outcome.differences:
        noun = "difference" if len(outcome.differences) == 1 else "differences"
        _say(f"{stem}: {len(outcome.differences)} {noun} from results/reference/{stem}.csv")
    for line in (outcome.failed or "").splitlines():
        _say(f"{stem}: error: {line}")
    return outcome


def closing(outcomes: Sequence[Outcome], size: Size) -> list[str]:
    """What holds: claim, verdict and figure of every stem."""
    from simulation.config.sweep import Size

    lines = ["| stem | claim | verdict | figure |", "|---|---|---|---|"]
    for outcome in outcomes:
        if outcome.skipped is not None:
            verdict = f"skipped: {outcome.skipped}"
        elif outcome.failed is not None:
            verdict = f"failed: {outcome.failed}"
        else:
            verdict = str(outcome.verdict)
            if outcome.differences:
                verdict += f" ({len(outcome.differences)} not as in the reference)"
        figure = "none" if outcome.figure is None else str(outcome.figure)
        cells = (outcome.stem, outcome.claim, " ".join(verdict.split()), figure)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    if size is Size.SMOKE:
        lines += ["", "smoke size: shows that everything runs; its numbers decide nothing"]
    return lines


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """The worst of all stems; data that are absent are no failure."""
    if any(outcome.failed is not None for outcome in outcomes):
        return RUN_FAILED
    return DIFFERENCE if any(outcome.differences for outcome in outcomes) else DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        description="Run what is missing of the experiments, draw, and compare with the reference.",
    )
    parser.add_argument("stems", nargs="*", metavar="STEM", help=f"of {', '.join(stems())}; or all")
    sizes = parser.add_mutually_exclusive_group()
    for name, text in (
        ("smoke", "minutes: shows that everything runs (in results/smoke)"),
        ("quick", "the size of the committed reference, which it is compared with (the default)"),
        ("full", "the grid of a paper, for a cluster (in results/full)"),
    ):
        sizes.add_argument(f"--{name}", dest="size", action="store_const", const=name, help=text)
    parser.set_defaults(size="quick")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="runs go to DIR/runs, tables and figures to DIR/figures",
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes; 0: one for each processor"
    )
    parser.add_argument(
        "--other-seeds",
        type=_list_of_seeds,
        nargs="?",
        const=1,
        default=0,
        metavar="LIST",
        help="run on another list of seeds, 1 (the default), 2 or more, and compare within the "
        "tolerances for that",
    )
    parser.add_argument(
        "--update", action="store_true", help="make the new tables the reference; say why in Git"
    )
    parser.add_argument(
        "--report", action="store_true", help="write one HTML page about all of it: report.html"
    )
    parser.add_argument(
        "--crate", type=Path, metavar="DIR", help="export all results as an RO-Crate, into DIR"
    )
    parser.add_argument(
        "--write-readme",
        action="store_true",
        help="write the list in experiments/README.md anew from the stems and their references",
    )
    parser.add_argument(
        "--redraw",
        action="store_true",
        help="draw the figures in results/reference anew from the tables there; runs nothing",
    )
    return parser


def _list_of_seeds(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not the number of a list, 1 or more; a STEM goes before the option"
        )
    return int(text)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
