"""The third layer of the audit: every model that the ledger speaks of, against the vaults.

Every replica that has signed for an update must have it, and so must its owner; each has a vault of
its own. Sealed objects are opened with the auditor's key.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from simulation.base.digest import Digest, short
from simulation.base.encoding import EncodingError
from simulation.base.ids import NodeId
from simulation.base.tensors import TensorError, decode_model, model_root
from simulation.contracts import task
from simulation.contracts.aggregation import AggregationError, aggregate_models
from simulation.contracts.rounds import CLOSED, expected_commitment
from simulation.ledger.genesis import Genesis
from simulation.ledger.state import State
from simulation.runs.verify_ledger import Finding
from simulation.vault.audit_key import FILE, AuditKey, AuditKeyError
from simulation.vault.envelope import (
    EnvelopeError,
    object_context,
    read_envelope,
    unwrap,
)
from simulation.vault.store import DirectoryVault, VaultError, cid_of


def stray_objects(vaults: Path, reported: Set[str]) -> Iterator[Finding]:
    """Objects whose name is not their address, except those that a round has complained about."""
    if not vaults.is_dir():
        return
    for path in sorted(vaults.rglob("*")):
        name = path.relative_to(vaults).as_posix()
        if not path.is_dir() and name not in reported and cid_of(path.read_bytes()) != path.name:
            owner, _, rest = name.partition("/")
            message = "the bytes are not what the name says"
            yield Finding(None, owner if rest else None, f"vault/{name}", message)


@dataclass
class ModelAudit:
    """Checks openings and aggregates, and counts what it looks at."""

    genesis: Genesis
    state: State
    """Of a copy that the second layer found sound."""
    vaults: Path
    """Folder with one vault for each member."""
    auditor: AuditKey | None = None
    """Opens the objects; None where they are not sealed, or where the key is not at hand."""
    rounds: int = 0
    openings: int = 0
    aggregates: int = 0
    """Computed again from the vaults' bytes."""
    reported: set[str] = field(default_factory=set)
    """Vault and address of the objects that are missing or altered."""

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
            proposer = self.genesis.name_of(end.proposer)
            place = _Place(number, end.height, end.proposer, proposer, "out_root")
            yield from self._object(end.out_cid, end.out_root, place, (end.proposer,))
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
        owner = opening.hospital
        name = self.genesis.name_of(owner)
        stored = found.commits.get(owner)
        opened = expected_commitment(
            self.state, self.genesis.chain_id, found, owner, opening.update_root, opening.salt
        )
        if stored is None or stored.commitment != opened:
            message = f"round {found.round}: the opening does not give the commitment"
            yield Finding(height, name, "commitment", message)
        place = _Place(found.round, height, owner, name, "update_root")
        holders = dict.fromkeys((owner, *opening.holders))
        data = yield from self._object(opening.cid, opening.update_root, place, tuple(holders))
        if stored is not None and data is not None:
            models.append((owner, stored.examples, data))

    def _object(
        self, cid: str, root: Digest, place: _Place, holders: Sequence[NodeId]
    ) -> Generator[Finding, None, bytes | None]:
        """Hold one object against its address and its root; its model, if they fit.

        All its holders must have it. Another vault may help out, but need not.
        """
        sealed = None
        for holder in holders:
            name = self.genesis.name_of(holder)
            try:
                sealed = self._vault(name).get(cid)
            except VaultError as error:
                self.reported.add(f"{name}/{cid}")
                whose = "" if name == place.name else f"{place.name}'s object "
                message = f"round {place.round}: {whose}{error}"
                yield Finding(place.height, name, f"vault/{name}/{cid}", message)
        if sealed is None:
            sealed = self._elsewhere(cid)
        if sealed is None or (self.auditor is None and self._is_sealed):
            return None  # both have been complained about
        where = f"round {place.round}: vault/{place.name}/{cid}"
        try:
            model = self._open(sealed, place)
            actual = model_root(decode_model(model))
        except EnvelopeError as error:
            yield Finding(place.height, place.name, "envelope", f"{where}: {error}")
        except (EncodingError, TensorError) as error:
            message = f"{where} holds no model: {error}"
            yield Finding(place.height, place.name, place.what, message)
        else:
            if actual == root:
                return model
            message = f"{where} has root {short(actual)}, the ledger says {short(root)}"
            yield Finding(place.height, place.name, place.what, message)
        return None

    @property
    def _is_sealed(self) -> bool:
        return self.genesis.task.get("auditor") is not None

    def _open(self, sealed: bytes, place: _Place) -> bytes:
        if self.auditor is None:
            return sealed
        task_name = task.parameters(self.state).name
        context = object_context(self.genesis.chain_id, task_name, place.round, place.owner)
        envelope = read_envelope(sealed)
        key = unwrap(envelope.audit, self.auditor.secret, self.auditor.public, context)
        return envelope.open(key, context)

    def _elsewhere(self, cid: str) -> bytes | None:
        for member in self.genesis.members:
            with suppress(VaultError):
                return self._vault(self.genesis.name_of(member.id)).get(cid)
        return None

    def _vault(self, name: str) -> DirectoryVault:
        return DirectoryVault(self.vaults / name, create=False)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the ledger an object is spoken of."""

    round: int
    height: int
    owner: NodeId
    name: str
    """The owner's."""
    what: str
    """The field that is wrong when the object is another model."""


def auditor_of(genesis: Genesis, run_dir: Path) -> tuple[AuditKey | None, list[Finding]]:
    """The auditor's key in a run directory, and what is wrong with it; none where none is needed.

    Without it the vaults are held against their addresses, and no model is computed again.
    """
    public = genesis.task.get("auditor")
    if public is None:
        return None, []
    try:
        key = AuditKey.read(run_dir)
        if key.public != public:
            raise AuditKeyError("is not the key that the genesis names")
    except AuditKeyError as error:
        return None, [Finding(None, None, FILE, f"{error}; sealed objects cannot be opened")]
    return key, []
