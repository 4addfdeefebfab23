"""What a trusted orderer can do that lies: nobody checks it, so honest replicas part ways."""

from __future__ import annotations

from simulation.consensus.byzantine import Byzantine
from simulation.consensus.protocol import Propose, Request, Send
from simulation.consensus.registry import PROTOCOLS, build
from simulation.consensus.sequencer.messages import Order
from simulation.consensus.sequencer.params import SequencerParams


def test_an_orderer_that_equivocates_tells_two_halves_different_things() -> None:
    """Replica 0 gives one number to two batches; "it survives no fault"."""
    params = SequencerParams(batch_max_requests=1)
    spec = PROTOCOLS["sequencer"]
    assert spec.tolerates(4) == 0
    liar = Byzantine(build(0, 4, params), 4, [spec.behaviours["equivocate"]])

    effects = liar.step(Propose(Request(0, 1, b"payload")), 0)

    told = {e.to: e.message for e in effects if isinstance(e, Send)}
    assert set(told) == {1, 2, 3}
    orders = {to: message for to, message in told.items() if isinstance(message, Order)}
    assert {order.seq for order in orders.values()} == {1}
    assert orders[1].batch.digest == orders[3].batch.digest != orders[2].batch.digest
