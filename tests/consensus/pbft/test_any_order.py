"""Messages in any order, twice, never, or changed: the pure cores stay safe and never raise."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.consensus.draw import Draw
from simulation.consensus.pbft.messages import MESSAGES
from simulation.consensus.pbft.observer import observe
from simulation.consensus.pbft.replica import build
from simulation.consensus.protocol import (
    Broadcast,
    Decide,
    Executed,
    Load,
    Loaded,
    Propose,
    Receive,
    Report,
    Restarted,
    Send,
    TimerFired,
)
from simulation.consensus.signing import Signer
from tests.consensus.pbft.conftest import EAGER, history_of, request
from tests.consensus.pbft.mutations import mutants, signed_anew

N = 4
SMALL = replace(EAGER, checkpoint_interval=2, window=4, transfer_batches=2)
STEPS = st.lists(st.integers(0, 2**24 - 1), min_size=60, max_size=500)


class Soup:
    """Four replicas and all messages that are under way, in no order."""

    def __init__(self, params: Any, liar: int | None = None) -> None:
        self.cores = [build(i, N, params) for i in range(N)]
        self.liar = liar
        self.honest = [i for i in range(N) if i != liar]
        self.observer = observe(N, frozenset(self.honest), params)
        self.pool: list[tuple[int, int, Any]] = []
        self.decided: list[list[Any]] = [[] for _ in range(N)]
        self.now_us = 0
        self.done: Counter[str] = Counter()

    def feed(self, replica: int, event: Any) -> None:
        self.now_us += 100
        honest = replica != self.liar
        for effect in list(self.cores[replica].step(event, self.now_us)):
            match effect:
                case Send(to, message):
                    self.post(replica, [to], message)
                case Broadcast(message):
                    self.post(replica, [i for i in range(N) if i != replica], message)
                case Decide(seq, _, batch, _):
                    self.decided[replica].append(batch)
                    # Histories are equal exactly when decisions are; that is what states are for.
                    state = history_of(self.decided[replica])
                    if honest:
                        self.observer.on_decide(replica, effect, self.now_us)
                        self.observer.on_executed(replica, seq, state, self.now_us)
                    self.feed(replica, Executed(seq, state))
                case Load(first, last, token):
                    stretch = tuple(self.decided[replica][first - 1 : last])
                    self.feed(replica, Loaded(first, stretch, token))
                case Report() if honest:
                    self.observer.on_report(replica, effect, self.now_us)
                case _:
                    pass

    def post(self, src: int, receivers: list[int], message: Any) -> None:
        if src != self.liar:
            self.observer.on_send(src, message, self.now_us)
        self.pool += [(src, to, message) for to in receivers]

    def propose(self, replica: int, timestamp: int) -> None:
        wanted = request(replica, timestamp)
        self.observer.on_submit(wanted)
        self.feed(replica, Propose(wanted))

    def deliver(self, place: int, keep: bool = False) -> None:
        src, to, message = self.pool[place]
        if not keep:
            self.pool[place] = self.pool[-1]
            self.pool.pop()
        self.feed(to, Receive(src, message))

    def change(self, place: int, which: int) -> None:
        """Deliver a mutant: of the liar with its signature, of anybody else without one."""
        src, to, message = self.pool[place]
        choice = mutants(message)
        if choice:
            mutant = choice[which % len(choice)]
            if src == self.liar:
                mutant = signed_anew(mutant, Signer(src))
            self.feed(to, Receive(src, mutant))

    def step(self, number: int) -> None:
        """One of the things that may happen, chosen by a number."""
        what, rest = number % 32, number // 32
        if what == 0:
            replica = rest % N
            timers = sorted(self.cores[replica].timers, key=str)
            if timers:
                self.done["timer"] += 1
                self.feed(replica, TimerFired(timers[rest // N % len(timers)]))
        elif what == 1 and rest % 8 == 0:
            self.done["restart"] += 1
            self.restart(rest // 8 % N)
        elif self.pool:
            # Mostly something recent, now and then something old.
            span = len(self.pool) if rest % 4 == 0 else min(len(self.pool), 24)
            place = len(self.pool) - 1 - (rest // 4) % span
            if what < 4:
                self.done["twice"] += 1
                self.deliver(place, keep=True)
            elif what < 6:
                self.done["lost"] += 1
                self.pool[place] = self.pool[-1]
                self.pool.pop()
            elif what < 9:
                self.done["changed"] += 1
                self.change(place, rest // 4096)
            else:
                self.deliver(place)

    def restart(self, replica: int) -> None:
        fresh = build(replica, N, SMALL)
        fresh.restore(self.cores[replica].durable())
        self.cores[replica] = fresh
        self.feed(replica, Restarted())

    def check(self) -> None:
        assert [str(v) for v in self.observer.violations] == []
        longest = max((self.decided[i] for i in self.honest), key=len)
        for i in self.honest:
            mine = self.decided[i]
            assert [b.digest for b in mine] == [b.digest for b in longest[: len(mine)]]


@settings(max_examples=150)
@given(steps=STEPS, liar=st.sampled_from([None, 0, 1, 3]))
def test_any_order_any_loss_any_small_lie_is_safe(steps: list[int], liar: int | None) -> None:
    """Every property but liveness holds, whatever comes in whatever order; nothing raises."""
    soup = Soup(SMALL, liar)
    for k in range(8):
        soup.propose(k % N, k)

    for number in steps:
        soup.step(number)

    soup.check()


@settings(max_examples=60)
@given(data=st.data())
def test_in_any_order_without_loss_everything_is_decided(data: st.DataObject) -> None:
    """No timer runs out: the messages alone, in any order and some twice, decide all requests."""
    soup = Soup(EAGER)
    order = data.draw(st.lists(st.integers(0, 2**16), min_size=20, max_size=120))
    for k in range(6):
        soup.propose(k % N, k)

    turn = 0
    while soup.pool:
        number = order[turn % len(order)] + turn // len(order)
        soup.deliver(number % len(soup.pool), keep=number % 7 == 0 and turn < 300)
        turn += 1

    soup.check()
    assert [sum(len(b.requests) for b in mine) for mine in soup.decided] == [6] * N
    assert [core.view for core in soup.cores] == [0] * N


def test_the_soup_reaches_what_it_is_for() -> None:
    """Some fixed runs have decisions, view changes and every kind of step."""
    seen: Counter[str] = Counter()
    views = heights = 0
    for seed in range(30):
        draw = Draw(seed)
        soup = Soup(SMALL, (None, 0, 1, 3)[seed % 4])
        for k in range(8):
            soup.propose(k % N, k)
        for _ in range(600):
            soup.step(draw.below(2**24))
        soup.check()
        seen += soup.done
        views = max(views, *(core.view for core in soup.cores))
        heights = max(heights, *map(len, soup.decided))
    assert min(seen[what] for what in ("timer", "restart", "twice", "lost", "changed")) > 20
    assert views >= 2
    assert heights >= 4


def test_there_are_mutants_of_every_message_type() -> None:
    """No type is left out."""
    draw = Draw(5)
    found: dict[type, int] = {}
    for _ in range(40):
        soup = Soup(SMALL)
        for k in range(8):
            soup.propose(k % N, k)
        for _ in range(500):
            for _, _, message in soup.pool[-3:]:
                made = mutants(message)
                found[type(message)] = max(found.get(type(message), 0), len(made))
            soup.step(draw.below(2**24))
    without = {kind.kind for kind in MESSAGES if not found.get(kind)}
    assert without == {"request"}, "a client's signature covers its request: there is no small lie"


@pytest.mark.parametrize("which", range(3))
def test_a_mutant_of_an_honest_message_is_not_signed_by_its_sender(which: int) -> None:
    """What is changed on the way no longer speaks for anybody."""
    soup = Soup(EAGER)
    soup.propose(0, 1)
    _, _, message = soup.pool[0]
    mutant = mutants(message)[which]
    before = dict(soup.cores[2].log)

    soup.feed(2, Receive(0, mutant))

    assert mutant.signed_by != 0
    assert soup.cores[2].log == before
