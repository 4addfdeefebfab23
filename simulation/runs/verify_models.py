"""The third layer of the audit: every model that the ledger speaks of, against the vault."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

from simulation.base.digest import Digest, short
from simulation.base.encoding import EncodingError
from simulation.base.tensors import TensorError, decode_model, model_root
from simulation.contracts import task
from simulation.contracts.aggregation import AggregationError, aggregate_models
from simulation.contracts.rounds import CLOSED, expected_commitment
from simulation.ledger.genesis import Genesis
from simulation.ledger.state import State
from simulation.runs.verify_ledger import Finding
from simulation.vault.store import DirectoryVault, VaultError, cid_of


def stray_objects(vault: Path, reported: Set[str]) -> Iterator[Finding]:
    """Objects whose name is not their address, except those that a round has complained about."""
    if not vault.is_dir():
        return
    for path in sorted(vault.rglob("*")):
        name = path.relative_to(vault).as_posix()
        if not path.is_dir() and name not in reported and cid_of(path.read_bytes()) != name:
            yield Finding(None, None, f"vault/{name}", "the bytes are not what the name says")


@dataclass
class ModelAudit:
    """Checks openings and aggregates, and counts what it looks at."""

    genesis: Genesis
    state: State
    """Of a copy that the second layer found sound."""
    vault: Path
    rounds: int = 0
    openings: int = 0
    aggregates: int = 0
    """Computed again from the vault's bytes."""
    reported: set[str] = field(default_factory=set)
    """Addresses of the objects that are missing or altered."""

    def findings(self) -> Iterator[Finding]:
        """All disagreements, in order of rounds and hospitals."""
        base = task.initial_root(self.state)
        for number in range(1, task.status(self.state).round + 1):
            found = task.round(self.state, number)
            if found is None:
                continue
            self.rounds += 1
            end = found.aggregate
            if base is not None and found.base_root != base:
                height = end.height if end else None
                message = f"round {number} starts from {short(found.base_root)}, not {short(base)}"
                yield Finding(height, "coordinator", "base_root", message)
            if end is None:
                continue
            models: list[tuple[int, int, bytes]] = []
            for opening in self._used(found, end):
                self.openings += 1
                yield from self._opening(found, opening, end.height, models)
            yield from self._object(
                end.out_cid, end.out_root, "out_root", number, "coordinator", end.height
            )
            yield from self._aggregate(found, end, models)
            base = end.out_root

    def _used(self, found: task.RoundState, end: task.Aggregate) -> list[task.Opening]:
        """What was revealed; under ``hash_only``, what the coordinator says it has used."""
        openings = [found.openings[hospital] for hospital in sorted(found.openings)]
        if task.parameters(self.state).protocol == "hash_only":
            return [opening for opening in openings if opening.hospital in end.hospitals]
        return openings

    def _aggregate(
        self, found: task.RoundState, end: task.Aggregate, models: list[tuple[int, int, bytes]]
    ) -> Iterator[Finding]:
        """Compute the aggregate again, where the task has a rule for it."""
        rule = task.parameters(self.state).rule
        rows = tuple(row for row in models if row[0] in end.hospitals)
        if rule is None or found.status != CLOSED or len(rows) < len(end.hospitals):
            return  # an object that is missing has been complained about
        try:
            actual = model_root(decode_model(aggregate_models(rule, rows)))
        except (AggregationError, EncodingError) as error:
            message = f"round {found.round}: the updates have no aggregate: {error}"
            yield Finding(end.height, "coordinator", "out_root", message)
            return
        self.aggregates += 1
        if actual != end.out_root:
            message = f"round {found.round}: computed again, it is {short(actual)}"
            yield Finding(end.height, "coordinator", "aggregate", message)

    def _opening(
        self,
        found: task.RoundState,
        opening: task.Opening,
        height: int,
        models: list[tuple[int, int, bytes]],
    ) -> Iterator[Finding]:
        name = self.genesis.name_of(opening.hospital)
        stored = found.commits.get(opening.hospital)
        opened = expected_commitment(
            self.state, self.genesis.chain_id, found,
            opening.hospital, opening.update_root, opening.salt,
        )  # fmt: skip
        if stored is None or stored.commitment != opened:
            message = f"round {found.round}: the opening does not give the commitment"
            yield Finding(height, name, "commitment", message)
        data = yield from self._object(
            opening.cid, opening.update_root, "update_root", found.round, name, height
        )
        if stored is not None and data is not None:
            models.append((opening.hospital, stored.examples, data))

    def _object(
        self, cid: str, root: Digest, what: str, number: int, name: str, height: int
    ) -> Generator[Finding, None, bytes | None]:
        """Fetch one object and hold it against its address and its root; its bytes, if it fits."""
        place = f"round {number}: vault/{cid}"
        try:
            data = DirectoryVault(self.vault, create=False).get(cid)
            actual = model_root(decode_model(data))
        except VaultError as error:
            self.reported.add(cid)
            yield Finding(height, name, f"vault/{cid}", f"round {number}: {error}")
        except (EncodingError, TensorError) as error:
            yield Finding(height, name, what, f"{place} holds no model: {error}")
        else:
            if actual == root:
                return data
            message = f"{place} has root {short(actual)}, the ledger says {short(root)}"
            yield Finding(height, name, what, message)
        return None
