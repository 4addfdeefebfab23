"""What is altered is found: ledger copies, vaults, the rest of a run's files, updates on the wire.

Of the files of one kind, a share is altered by one bit each, at a random place, and the run is
audited as ``wardchain verify`` does it. A file is *detected* when a finding names it, and a finding
that names an untouched one is a *false alarm*. Whoever alters a file can also write the list of
digests anew that seals a run, so everything is done with the seal left as it was, and with the run
sealed again. The seal's own two files are left alone.

On the wire a bit of an update is turned for some of its receivers, by somebody who can sign for the
sender's link; the receiver has only the ledger to hold it against.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import style
from experiments.statistics import spread
from experiments.stem import Run, Table, Verdict
from simulation.base.rng import Streams

if TYPE_CHECKING:
    from simulation.network.network import Network
    from simulation.nodes.messages import SealedUpdate
    from simulation.runs.tampering import Scene
    from simulation.runs.verify import VerifyReport

CLAIM = (
    "However many ledger copies, vault objects or updates on the wire are altered, every altered "
    "one is named and no other, even if the run is sealed again; of the other files of a run the "
    "seal names every one, and without it some go unseen"
)
KEYS = ("place", "resealed", "percent")

LEDGER, VAULT, RECORD, WIRE = "ledger copies", "vault objects", "other files", "updates on the wire"
PLACES = (LEDGER, VAULT, RECORD)
SHARES = (0, 5, 20, 50, 100)
"""Per cent of the things at a place; at least one thing where it is not 0."""


# ---- one run ------------------------------------------------------------------------------------


def measure(run: Run) -> list[dict[str, Any]]:
    """Of every place and share: how much was altered, and what of it and of the rest was named."""
    found: list[dict[str, Any]] = []
    for place in PLACES:
        for resealed in (0, 1):
            for percent in SHARES:
                row = {"place": place, "resealed": resealed, "percent": percent}
                found.append({**row, **_audited(run, **row)})
    for percent in SHARES:
        row = {"place": WIRE, "resealed": 0, "percent": percent}
        found.append({**row, **_on_the_wire(run, percent)})
    return found


def _counts(things: set[Any], altered: set[Any], named: set[Any]) -> dict[str, int]:
    return {
        "things": len(things),
        "altered": len(altered),
        "named": len(named & altered),
        "blamed": len(named - altered),
    }


def _audited(run: Run, place: str, resealed: int, percent: int) -> dict[str, int]:
    """A copy of the run with a share of its files altered, and what an audit of it names."""
    from simulation.runs.seal import reseal
    from simulation.runs.tampering import Scene
    from simulation.runs.verify import verify_run

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "run"
        shutil.copytree(run.directory, copy)
        things = list(_files(copy, place))
        dice = Streams(run.seed).stream("tamper", place, percent)
        count = min(len(things), max(percent > 0, round(len(things) * percent / 100)))
        chosen = {things[int(i)] for i in dice.permutation(len(things))[:count]}
        for name in sorted(chosen):
            _alter(Scene(copy, dice), copy / name)
        if resealed:
            reseal(copy)
        return _counts(set(things), chosen, set(_named(verify_run(copy))))


def _files(run: Path, place: str) -> Iterator[str]:
    """The files of a place, as paths within the run."""
    from simulation.runs.seal import DONE, MANIFEST

    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        where = {"ledger": LEDGER, "vault": VAULT}.get(name.split("/")[0], RECORD)
        if path.is_file() and where == place and name not in (MANIFEST, DONE):
            yield name


def _alter(scene: Scene, path: Path) -> None:
    """One bit: of a stored row in a ledger file, of any byte elsewhere."""
    from simulation.runs.tamper_ledger import row_bit

    if path.suffix == ".sqlite":
        row_bit(scene, path)
    else:
        path.write_bytes(scene.flip(path.read_bytes()))


def _named(report: VerifyReport) -> Iterator[str]:
    """The files that the findings are about."""
    for finding in report.findings:
        if (report.run / finding.field).exists() or finding.hospital is None:
            yield finding.field
        else:
            yield f"ledger/{finding.hospital}.sqlite"


class _Tap:
    """A cable that turns a bit of some updates, for each receiver by itself.

    Stands in for the network of a node, and hands everything else on to it.
    """

    def __init__(self, network: Network, percent: int, dice: Any) -> None:
        self._network, self._share, self._dice = network, percent / 100, dice
        self.sent: set[tuple[int, int, int]] = set()
        """Round, sender and receiver of every update."""
        self.altered: set[tuple[int, int, int]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def broadcast(self, src: int, dsts: Sequence[int], message: Any, at_us: int) -> None:
        """Send a message, and see to updates."""
        from simulation.nodes.messages import SealedUpdate

        if not isinstance(message, SealedUpdate):
            self._network.broadcast(src, dsts, message, at_us)
            return
        for dst in dsts:
            place = (message.round, src, dst)
            self.sent.add(place)
            sent = message
            if self._dice.random() < self._share:
                self.altered.add(place)
                sent = self._turned(message)
            self._network.broadcast(src, (dst,), sent, at_us)

    def _turned(self, update: SealedUpdate) -> SealedUpdate:
        """An update with one bit of its model, or of the model's key, as it should not be."""
        data = bytearray(update.sealed + update.key)
        bit = int(self._dice.integers(8 * len(data)))
        data[bit // 8] ^= 1 << bit % 8
        end = len(update.sealed)
        return replace(update, sealed=bytes(data[:end]), key=bytes(data[end:]))


def _on_the_wire(run: Run, percent: int) -> dict[str, int]:
    """The run once more with a tapped network: which updates their receivers refuse."""
    from simulation.world import World, make_setting

    assert run.experiment is not None
    setting = make_setting(run.experiment, run.seed)
    world = World(run.experiment, run.seed, setting, None, (), {})
    dice = Streams(run.seed).stream("tamper", WIRE, percent)
    tap: Any = _Tap(world.network, percent, dice)
    for node in world.nodes:
        node.network = tap
    checks = [e for e in world.run().events if e.event == "update_checked"]
    refused = {(e.round, e.hospital, e.by) for e in checks if not e.accepted}
    return _counts(tap.sent, tap.altered, refused)


# ---- all runs -----------------------------------------------------------------------------------


def table(runs: Sequence[Run]) -> Table:
    """One row for each place, with the seal as it was or made anew, and each share."""
    rows: Table = []
    for position, first in enumerate(runs[0].measured):
        key = tuple(first[name] for name in KEYS)
        found = [run.measured[position] for run in runs]
        hit = [one["named"] / one["altered"] for one in found if one["altered"]]
        detected = spread("detected", hit, *key) if hit else _NOTHING
        sound = sum(one["things"] - one["altered"] for one in found)
        rows.append(
            {
                **dict(zip(KEYS, key, strict=True)),
                "seeds": len(runs),
                "things": sum(one["things"] for one in found),
                "altered": sum(one["altered"] for one in found),
                **detected,
                "false_alarms": sum(one["blamed"] for one in found) / sound if sound else 0.0,
            }
        )
    return rows


_NOTHING = dict.fromkeys(("detected", "detected_low", "detected_high"), "none")


def _least(rows: Sequence[Mapping[str, Any]]) -> float:
    return min(row["detected"] for row in rows if row["detected"] != "none")


def verdict(table: Table) -> Verdict:
    """All found in the first three places, sealed again or not; elsewhere by the seal alone."""
    bound = [row for row in table if row["place"] != RECORD]
    sealed, resealed = (
        [row for row in table if row["place"] == RECORD and row["resealed"] == how]
        for how in (0, 1)
    )
    blamed = max(row["false_alarms"] for row in table)
    worst = {
        place: _least([row for row in bound if row["place"] == place])
        for place in (LEDGER, VAULT, WIRE)
    }
    holds = min(worst.values()) == _least(sealed) == 1 and _least(resealed) < 1 and blamed == 0
    altered = sum(int(row["altered"]) for row in bound)
    return Verdict(
        holds,
        f"of {altered:,} alterations at least "
        + ", ".join(f"{share:.1%} ({place})" for place, share in worst.items())
        + f" are named at every share; of altered {RECORD} at least {_least(sealed):.1%} by the "
        f"seal, and at least {_least(resealed):.1%} without it; at most {blamed:.2%} of what is "
        "sound is named",
    )


# ---- the figure ---------------------------------------------------------------------------------

LOOKS = {
    LEDGER: (style.BLUE, "o"),
    VAULT: (style.GREEN, "s"),
    RECORD: (style.VERMILION, "^"),
    WIRE: (style.PURPLE, "D"),
}


def figure(table: Table) -> Figure:
    """Share that is named against the share that is altered, with the seal and without it."""
    drawing = Figure(figsize=(style.PAGE_IN, 2.6))
    panels = drawing.subplots(
        1, 3,
        gridspec_kw={"left": 0.06, "right": 0.985, "bottom": 0.34, "top": 0.77, "wspace": 0.22},
    )  # fmt: skip
    style.heading(
        drawing,
        "What is altered is found",
        "One bit of each altered file or update; audits of finished runs, and checks on arrival",
    )
    _detected(panels[0], [r for r in table if not r["resealed"] and r["place"] != WIRE])
    panels[0].set_title("Named (%), seal as it was")
    again = [row for row in table if row["resealed"] or row["place"] == WIRE]
    _detected(panels[1], again)
    panels[1].set_title("Named (%), without the seal")
    for place, rows in _by_place(again):
        colour, marker = LOOKS[place]
        heights = [100 * row["false_alarms"] for row in rows]
        at = [row["percent"] + row["shift"] for row in rows]
        panels[2].plot(at, heights, color=colour, marker=marker, linewidth=0.8, label=place)
    panels[2].set_title("False alarms (% of the sound)")
    panels[2].set_ylim(-0.25, max(5.0, 110 * max(row["false_alarms"] for row in table)))
    for axes in panels:
        axes.set_xlabel("altered (%)")
        axes.set_xlim(-4, 108)
        axes.set_xticks([percent for percent in SHARES if percent != 5])
    handles, labels = panels[2].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="lower center", bbox_to_anchor=(0.5, 0.135), ncols=4)
    style.caption(
        drawing,
        f"Points: means over {table[0]['seeds']} runs of four hospitals; bars: 95 % bootstrap "
        "intervals of the mean. At least one thing is altered at every share above 0. Updates are",
        "altered for each receiver by itself, who holds them against its own ledger copy; a seal "
        "has no part in that.",
    )
    return drawing


def _by_place(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The rows of each place, each place a little beside the others, because they mostly agree."""
    for number, place in enumerate(LOOKS):
        own = [{**row, "shift": 1.9 * (number - 1)} for row in rows if row["place"] == place]
        if own:
            yield place, own


def _detected(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    for place, own in _by_place(rows):
        found = [
            {**row, "at": row["percent"] + row["shift"]} for row in own if row["detected"] != "none"
        ]
        colour, marker = LOOKS[place]
        look = {"color": colour, "marker": marker, "linewidth": 0.8}
        style.interval_line(axes, found, "at", "detected", 100, **look)
    low = min(row["detected_low"] for row in rows if row["detected"] != "none")
    axes.set_ylim(min(78.0, 100 * low - 4), 103)
