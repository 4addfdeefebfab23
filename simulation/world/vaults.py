"""The vaults of a world: one for each node, and the auditor who can open what is in them."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

from simulation.base.ids import HospitalId, NodeId
from simulation.base.rng import Streams
from simulation.config.experiment import Experiment
from simulation.contracts.committee import Committee, committee
from simulation.nodes.conduct import Conduct
from simulation.nodes.instance import Record
from simulation.nodes.ledger_service import LedgerService
from simulation.nodes.sealing import Sealing
from simulation.nodes.shelf import Shelf
from simulation.nodes.update_check import Declared, Layout
from simulation.vault.audit_key import AuditKey
from simulation.vault.params import VaultParams, placement
from simulation.vault.store import DirectoryVault, MemoryVault

FOLDER = "vault"


class Vaults:
    """Makes each node's shelf.

    Args:
        experiment: says how many copies there are, and whether they are sealed.
        secrets: where keys come from.
        out: run directory; none keeps everything in memory.
    """

    def __init__(self, experiment: Experiment, secrets: Streams, out: Path | None) -> None:
        self._params = experiment.vault
        self._secrets = secrets
        self._out = out
        self.auditor: bytes | None = None
        """Public key of who may open every object; None where none is sealed."""
        if experiment.replicas and self._params.encryption != "none":
            key = AuditKey.of(secrets.key("auditor"))
            self.auditor = key.public
            if out is not None:
                key.write(out)

    def shelf(
        self,
        ledger: LedgerService,
        conduct: Conduct,
        record: Record,
        declared: Declared,
        layout: Layout | None,
    ) -> Shelf:
        """A node's vault, and its way to what the others hold."""
        vault = MemoryVault()
        if self._out is not None:
            vault = DirectoryVault(self._out / FOLDER / ledger.copy.name)
        return Shelf(
            ledger,
            record,
            declared,
            Sealing(ledger, self._secrets, self.auditor),
            conduct.vault(vault),
            partial(self._keeps, ledger),
            layout,
        )

    def _keeps(self, ledger: LedgerService, owner: HospitalId) -> bool:
        """Whether a node keeps an owner's objects, by those who vote now on its own ledger."""
        return ledger.node.id in _keepers(self._params, committee(ledger.copy), owner)


@lru_cache(maxsize=1024)
def _keepers(params: VaultParams, voting: Committee, owner: HospitalId) -> frozenset[NodeId]:
    """Who keeps an owner's objects, itself included."""
    count = len(voting.replicas)
    places = placement(owner, count, params.count(count, voting.holders))
    return frozenset((owner, *(voting.replicas[place] for place in places)))
