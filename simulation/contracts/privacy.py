"""The privacy budget of every hospital, on the ledger: reserved at commit, spent at the seal.

A hospital declares with each commitment the ε of its *whole* history in the task, this update
included (composed by its accountant; the ε of rounds are never added). The ledger cannot see the
noise, so it cannot know whether the claim is true; it holds the hospital to what it has claimed: a
claim never falls, and none passes the cap. Budgets belong to a hospital and a *data unit* (which
records, and what of them is protected), not to a task: what earlier tasks of the same unit have
spent counts in full, since ε of independent tasks adds up.

A claim above the cap is refused and the account is marked exhausted, which everybody can see; the
round goes on without the hospital. Nothing is ever given back: what was reserved for a round stays
on the account whatever becomes of the round.

Every reservation leaves an entry with the mechanism in full, so that anybody can compose the
history again: hospital, round, σ, clipping norm, q, steps, δ, neighbour relation, unit, sampler,
accountant and its version, ε before and after.

State: ``privacy/policy`` (from the genesis), ``privacy/account/<unit>/<hospital>``,
``privacy/entry/<unit>/<hospital>/<task>/<round>``.

Source: the project's protocol, section 3. Sequential composition: Dwork & Roth 2014, Thm. 3.16.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from simulation.base.encoding import Value
from simulation.base.ids import HospitalId
from simulation.contracts.fields import natural, text
from simulation.ledger.genesis import Genesis
from simulation.ledger.runtime import Context, Recorded, Rejected
from simulation.ledger.state import Journal, Reader
from simulation.ledger.value import read_once

POLICY_KEY = "privacy/policy"

_COUNTS = ("epsilon_e6", "delta_e12", "sigma_e6", "clip_e6", "sampling_e6", "steps")
_NAMES = ("sampler", "accountant", "accountant_version", "neighbours", "unit")
UNITS = ("record", "patient")
"""What a claim may protect as one."""
RESERVED, SPENT = "reserved", "spent"


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
    round: int = 0
    """The round of the last claim."""


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
    if set(value) != {*_COUNTS, *_NAMES}:
        raise Rejected("malformed")
    for name in value:
        if name in _NAMES:
            text(value[name])
        else:
            natural(value[name])
    if value["unit"] not in UNITS:
        raise Rejected("malformed")
    return value


def reserve(
    state: Journal,
    task: str,
    number: int,
    hospital: HospitalId,
    claim: Mapping[str, Value] | None,
) -> None:
    """Set aside what a commitment to round ``number`` claims, and write its entry.

    Raises:
        Recorded: ``budget-exceeded``; the account is marked exhausted.
        Rejected: ``no-privacy-claim`` under a cap, ``other-unit`` for a claim that protects
            something else than the policy says, ``privacy-falls`` for one below what the task has
            already spent.
    """
    unit, cap_e6 = policy(state)
    if claim is None:
        if cap_e6 is not None:
            raise Rejected("no-privacy-claim")
        return
    if unit.rpartition(":")[2] != claim["unit"]:
        raise Rejected("other-unit")
    wanted_e6 = natural(claim["epsilon_e6"])
    found = _for_task(account(state, hospital), task)
    if wanted_e6 < found.spent_e6:
        raise Rejected("privacy-falls")
    if _passes(found, wanted_e6, cap_e6):
        _put(state, unit, hospital, replace(found, exhausted=True))
        raise Recorded("budget-exceeded")
    _put(state, unit, hospital, replace(found, reserved_e6=wanted_e6, round=number))
    entry: dict[str, Value] = {
        **claim,
        "hospital": hospital,
        "round": number,
        "before_e6": found.earlier_e6 + found.spent_e6,
        "after_e6": found.earlier_e6 + wanted_e6,
        "status": RESERVED,
    }
    state.put(entry_key(unit, hospital, task, number), entry)


def allows(state: Reader, task: str, hospital: HospitalId, wanted_e6: int) -> bool:
    """Whether a claim of so many millionths of ε for the whole task would be below the cap."""
    found = account(state, hospital)
    return not found.exhausted and not _passes(_for_task(found, task), wanted_e6, policy(state)[1])


def _passes(found: Account, wanted_e6: int, cap_e6: int | None) -> bool:
    return cap_e6 is not None and found.earlier_e6 + wanted_e6 > cap_e6


def spend(state: Journal, hospital: HospitalId) -> None:
    """Turn a reservation into spending: from now on the update may be out."""
    found = account(state, hospital)
    if found.reserved_e6 is not None:
        unit = policy(state)[0]
        changed = replace(found, spent_e6=found.reserved_e6, reserved_e6=None)
        _put(state, unit, hospital, changed)
        key = entry_key(unit, hospital, found.task, found.round)
        entry = cast("Mapping[str, Value]", state.get(key))
        state.put(key, {**entry, "status": SPENT})


def account(state: Reader, hospital: HospitalId) -> Account:
    """A hospital's account for the chain's data unit; an empty one before its first claim."""
    return _account(state.get(account_key(policy(state)[0], hospital)))


@read_once
def _account(value: Value) -> Account:
    match value:
        case {
            "earlier_e6": int(earlier),
            "spent_e6": int(spent),
            "reserved_e6": None | int() as reserved,
            "exhausted": bool(exhausted),
            "task": str(task),
            "round": int(number),
        }:
            return Account(earlier, spent, reserved, exhausted, task, number)
        case _:
            return Account()


def policy(state: Reader) -> tuple[str, int | None]:
    """The data unit, and the cap on ε in millionths, if there is one."""
    return _policy(state.get(POLICY_KEY))


@read_once
def _policy(value: Value) -> tuple[str, int | None]:
    match value:
        case {"unit": str(unit), "cap_e6": None | int() as cap}:
            return unit, cap
        case _:
            raise AssertionError("the contract writes its policy at height 0")


def account_key(unit: str, hospital: HospitalId) -> str:
    """Where a hospital's account for a data unit is kept."""
    return f"privacy/account/{unit}/{hospital:03d}"


def entry_key(unit: str, hospital: HospitalId, task: str, number: int) -> str:
    """Where the entry of a hospital's spend in a round is kept."""
    return f"privacy/entry/{unit}/{hospital:03d}/{task}/{number}"


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
            "round": changed.round,
        },
    )
