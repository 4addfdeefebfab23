"""The one rule by which anybody accepts an update: its bytes open the commitment on the own ledger.

Hospitals and the coordinator share it. Nothing that the sender says about its digest is believed:
the root is recomputed from the bytes, the commitment from the root and the salt, and both are held
against what the checker's own copy stores. An update that would not fit an aggregate in integers
(other tensors than the base model, elements out of range) is refused here, before it counts.

Source: the project's protocol, section 3, steps 3 and 7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from simulation.base.digest import DIGEST_BYTES, Digest
from simulation.base.encoding import EncodingError
from simulation.base.tensors import TensorError, model_root, read_model
from simulation.contracts.aggregation import AggregationError, quantise
from simulation.contracts.parameters import parameters
from simulation.contracts.rounds import RoundState, expected_commitment
from simulation.ledger.copy import LedgerCopy
from simulation.nodes.messages import Reply


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a check: accepted, or the reason why not."""

    accepted: bool
    reason: str
    root: Digest = b""


@lru_cache(maxsize=256)
def root_of(model: bytes) -> Digest:
    """The root of a model given as canonical bytes.

    Cached, because all nodes of a run hold the same bytes and the root is a pure function of them;
    every node is charged for the hashing in virtual time.

    Raises:
        EncodingError: when the bytes are not the canonical form of a model.
    """
    return model_root(read_model(model))


def root_of_any(data: bytes) -> Digest:
    """The root that a sender of these bytes would have to name; zeros when they are no model."""
    try:
        return root_of(data)
    except EncodingError:
        return bytes(DIGEST_BYTES)


Layout = tuple[tuple[str, str, tuple[int, ...]], ...]
"""Name, element type and shape of every tensor of a model."""


@lru_cache(maxsize=256)
def layout_of(model: bytes) -> Layout:
    """What the tensors of a model are called and look like; cached as `root_of` is.

    Raises:
        EncodingError: when the bytes are not the canonical form of a model.
    """
    return tuple((n, a.dtype.name, a.shape) for n, a in read_model(model).items())


@lru_cache(maxsize=256)
def _fits_integers(model: bytes) -> bool:
    try:
        quantise(read_model(model))
    except AggregationError:
        return False
    return True


Declared = Callable[[bytes, bytes], int]
"""Reads, from an update's model and report bytes, the weight that a strategy will give it. Raises
`EncodingError` for bytes that are no report. Passed in, because only Flower's side reads them."""


def check_update(
    reply: Reply,
    state: RoundState | None,
    copy: LedgerCopy,
    declared: Declared,
    layout: Layout | None = None,
) -> Verdict:
    """Hold a reply against the round as the checker's own ledger copy has it.

    ``layout`` is that of the base model, where the checker has it.
    """
    if state is None:
        return Verdict(False, "round-unknown")
    stored = state.commits.get(reply.hospital)
    if stored is None:
        return Verdict(False, "no-commitment")
    try:
        root = root_of(reply.model)
        weight = declared(reply.model, reply.report)
        opened = expected_commitment(
            copy, copy.genesis.chain_id, state, reply.hospital, root, reply.salt
        )
    except (EncodingError, TensorError, ValueError):
        return Verdict(False, "malformed")
    if opened != stored.commitment:
        return Verdict(False, "opening-mismatch", root)
    if weight != stored.examples:
        return Verdict(False, "weight-differs", root)
    if parameters(copy).rule is not None:
        if layout is not None and layout_of(reply.model) != layout:
            return Verdict(False, "other-layout", root)
        if not _fits_integers(reply.model):
            return Verdict(False, "out-of-range", root)
    return Verdict(True, "opened", root)
