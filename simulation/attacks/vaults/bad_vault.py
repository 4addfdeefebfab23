"""A vault that does not give back what was put into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from simulation.attacks.attack import Attacker, HospitalAttack
from simulation.network.params import check_probability
from simulation.nodes.conduct import Conduct
from simulation.nodes.learner import Product
from simulation.nodes.messages import Order
from simulation.vault.store import ALTERED, MISSING, Vault, VaultError, cid_of

if TYPE_CHECKING:
    from collections.abc import Generator

    import simpy

    from simulation.nodes.ledger_service import LedgerService


@dataclass(frozen=True, kw_only=True, slots=True)
class BadVaultAttack(HospitalAttack):
    """Its hospital is honest; its vault loses objects, or turns bits over in them."""

    kind: Literal["bad_vault"] = "bad_vault"
    """Names this attack."""
    what: Literal["lose", "alter"] = "lose"
    """Whether it gives back nothing, or other bytes."""
    rate: float = 1.0
    """Probability for each object that it is lost or altered."""

    ledgers: ClassVar[tuple[str, ...]] = ("hash_only", "commit_reveal")
    stopped_by: ClassVar[str] = "the object's address, and the other holders of the object"

    def __post_init__(self) -> None:
        HospitalAttack.__post_init__(self)
        check_probability("rate", self.rate)

    def conduct(self, attacker: Attacker) -> Conduct:
        return _Keeping(self, attacker)


class _Keeping(Conduct):
    """Honest, with a bad vault; it tells the vault which round it is."""

    def __init__(self, attack: BadVaultAttack, attacker: Attacker) -> None:
        self._attack, self._attacker = attack, attacker
        self._vault: _BadVault | None = None

    def vault(self, vault: Vault) -> Vault:
        self._vault = _BadVault(self._attack, self._attacker, vault)
        return self._vault

    def prepare(
        self, ledger: LedgerService | None, order: Order, product: Product
    ) -> Generator[simpy.Event, Any, Product]:
        del ledger
        if self._vault is not None:
            self._vault.round = order.round
        yield from ()
        return product


class _BadVault:
    """A vault in front of a good one."""

    def __init__(self, attack: BadVaultAttack, attacker: Attacker, good: Vault) -> None:
        self._attack, self._attacker, self._good = attack, attacker, good
        self._fates: dict[str, bool] = {}
        self.round = 0

    def put(self, data: bytes) -> str:
        cid = self._good.put(data)
        if self._attack.active(self.round) and cid not in self._fates:
            # One draw for each object in the order in which they come, so that a run repeats.
            draws = self._attacker.dice(0).random(len(self._fates) + 1)
            self._fates[cid] = bool(draws[-1] < self._attack.rate)
        return cid

    def get(self, cid: str) -> bytes:
        data = self._good.get(cid)
        if not self._fates.get(cid, False):
            return data
        self._attacker.note(self._attack, self.round, f"{self._attack.what} {cid[:16]}")
        if self._attack.what == "lose":
            raise VaultError(cid, MISSING)
        altered = data[:-1] + bytes([data[-1] ^ 1])
        if cid_of(altered) != cid:
            raise VaultError(cid, ALTERED)
        return altered

    def has(self, cid: str) -> bool:
        lost = self._attack.what == "lose" and self._fates.get(cid, False)
        return not lost and self._good.has(cid)

    def cids(self) -> list[str]:
        return [cid for cid in self._good.cids() if self.has(cid)]
