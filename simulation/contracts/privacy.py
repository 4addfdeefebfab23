"""The privacy budget of every hospital, on the ledger: reserved at commit, spent at the seal.

A hospital declares with each commitment the ε of its *whole* history in the task, this update
included (composed by its accountant; the ε of rounds are never added). The ledger cannot see the
noise, so it cannot know whether the claim is true; it holds the hospital to what it has claimed: a
claim never falls, and none passes the cap. Budgets belong to a hospital and a *data unit* (which
records, and what of them is protected), not to a task: what earlier tasks of the same unit have
spent counts in full, since ε of independent tasks adds up.

A claim above the cap is refused and the account is marked exhausted, which everybody can see; the
round goes on without the hospital.

State: ``privacy/policy`` (from the genesis), ``privacy/account/<unit>/<hospital>``.

Source: the project's protocol, section 3. Sequential composition: Dwork & Roth 2014, Thm. 3.16.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from simulation.base.encoding import Value
from simulation.base.ids import HospitalId
from simulation.contracts.fields import natural, text
from simulation.ledger.genesis import Genesis
from simulation.ledger.runtime import Context, Recorded, Rejected
from simulation.ledger.state import Journal, Reader

POLICY_KEY = "privacy/policy"

_COUNTS = ("epsilon_e6", "sigma_e6", "sampling_e6", "steps")
_NAMES = ("sampler", "accountant")
_OPTIONAL = ("delta_e12",)


@dataclass(frozen=True, slots=True)
class Account:
    """What a hospital has released of one data unit, in millionths of ε."""

    earlier_e6: int = 0
    """Spent by tasks that have ended."""
    spent_e6: int = 0
    """Spent by the current task: the claim of its last sealed commitment."""
    reserved_e6: int | None = None
    """The claim of a commitment that is not sealed yet."""
    exhausted: bool = False
    """Whether a claim was refused at the cap."""
    task: str = ""
    """The current task, by name."""


@dataclass(frozen=True)
class PrivacyContract:
    """The budget's part of the state. It has no actions: the task's rounds move the accounts."""

    def install(self, state: Journal, genesis: Genesis) -> None:
        """Write the policy of the genesis task: the data unit, and the cap on ε if there is one.

        Raises:
            ValueError: when the task's ``privacy`` is neither null nor such a policy.
        """
        match genesis.task.get("privacy"):
            case None:
                policy: dict[str, Value] = {"unit": "record", "cap_e6": None}
            case {"unit": str(unit), "cap_e6": None | int() as cap} if "/" not in unit and unit:
                policy = {"unit": unit, "cap_e6": cap}
            case _:
                raise ValueError("task.privacy: needs unit (text) and cap_e6 (integer or null)")
        state.put(POLICY_KEY, policy)

    def call(
        self, state: Journal, context: Context, action: str, body: Mapping[str, Value]
    ) -> None:
        """Reject: there is nothing to call.

        Raises:
            Rejected: always, with ``unknown-kind``.
        """
        del state, context, action, body
        raise Rejected("unknown-kind")


def claim_of(value: Value) -> Mapping[str, Value] | None:
    """A body's privacy claim, checked for its shape.

    Raises:
        Rejected: ``malformed``.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise Rejected("malformed")
    required = {*_COUNTS, *_NAMES}
    if not required <= set(value) <= required | set(_OPTIONAL):
        raise Rejected("malformed")
    for name in value:
        if name in _NAMES:
            text(value[name])
        else:
            natural(value[name])
    return value


def reserve(
    state: Journal, task: str, hospital: HospitalId, claim: Mapping[str, Value] | None
) -> None:
    """Set aside what a commitment claims.

    Raises:
        Recorded: ``budget-exceeded``; the account is marked exhausted.
        Rejected: ``no-privacy-claim`` under a cap, ``privacy-falls`` for a claim below what the
            task has already spent.
    """
    unit, cap_e6 = policy(state)
    if claim is None:
        if cap_e6 is not None:
            raise Rejected("no-privacy-claim")
        return
    wanted_e6 = natural(claim["epsilon_e6"])
    found = _for_task(account(state, hospital), task)
    if wanted_e6 < found.spent_e6:
        raise Rejected("privacy-falls")
    if cap_e6 is not None and found.earlier_e6 + wanted_e6 > cap_e6:
        _put(state, unit, hospital, replace(found, exhausted=True))
        raise Recorded("budget-exceeded")
    _put(state, unit, hospital, replace(found, reserved_e6=wanted_e6))


def spend(state: Journal, hospital: HospitalId) -> None:
    """Turn a reservation into spending: from now on the update may be out."""
    found = account(state, hospital)
    if found.reserved_e6 is not None:
        changed = replace(found, spent_e6=found.reserved_e6, reserved_e6=None)
        _put(state, policy(state)[0], hospital, changed)


def account(state: Reader, hospital: HospitalId) -> Account:
    """A hospital's account for the chain's data unit; an empty one before its first claim."""
    match state.get(account_key(policy(state)[0], hospital)):
        case {
            "earlier_e6": int(earlier),
            "spent_e6": int(spent),
            "reserved_e6": None | int() as reserved,
            "exhausted": bool(exhausted),
            "task": str(task),
        }:
            return Account(earlier, spent, reserved, exhausted, task)
        case _:
            return Account()


def policy(state: Reader) -> tuple[str, int | None]:
    """The data unit, and the cap on ε in millionths, if there is one."""
    match state.get(POLICY_KEY):
        case {"unit": str(unit), "cap_e6": None | int() as cap}:
            return unit, cap
        case _:
            raise AssertionError("the contract writes its policy at height 0")


def account_key(unit: str, hospital: HospitalId) -> str:
    """Where a hospital's account for a data unit is kept."""
    return f"privacy/account/{unit}/{hospital:03d}"


def _for_task(found: Account, task: str) -> Account:
    """The account as a task meets it: what another task has spent is behind it."""
    if found.task in ("", task):
        return replace(found, task=task)
    return Account(earlier_e6=found.earlier_e6 + found.spent_e6, task=task)


def _put(state: Journal, unit: str, hospital: HospitalId, changed: Account) -> None:
    state.put(
        account_key(unit, hospital),
        {
            "earlier_e6": changed.earlier_e6,
            "spent_e6": changed.spent_e6,
            "reserved_e6": changed.reserved_e6,
            "exhausted": changed.exhausted,
            "task": changed.task,
        },
    )
