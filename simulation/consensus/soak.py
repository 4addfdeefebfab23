"""Swarm testing: each seed draws its own mix of faults, and the properties must hold.

A run has two phases. In the safety phase anything may fail: links lose, repeat, delay and are cut,
replicas crash and forget, and at most f of them are Byzantine or down at once. Then everything is
healed, except that the Byzantine replicas stay what they are, and the honest ones must execute
every request and end up with equal logs within a bound. A plan is data: it can be printed, replayed
and shrunk.

Sources: Groce et al., "Swarm testing", ISSTA 2012; the two phases are TigerBeetle's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulation.base.ids import ReplicaId
from simulation.consensus.arena import Action, Arena
from simulation.consensus.byzantine import Behaviour, Byzantine
from simulation.consensus.draw import Draw
from simulation.consensus.invariants import Invariants, Observe, Violation
from simulation.consensus.protocol import Replica, RequestKey

LIVENESS_BOUND_US = 300_000_000
"""How long after healing everything must be executed: far more than all doublings together."""

LIVENESS_MESSAGES = 400_000
"""How many messages may be delivered after healing until everything is executed."""

FAULTS = ("crash", "cut", "loss", "duplicate", "spread", "slow")
"""The actions that are faults; the others are requests, and the ends of faults."""

Build = Callable[[ReplicaId, int, Any], Replica[Any]]


@dataclass(frozen=True)
class Subject:
    """What is tested: a protocol, or a deliberately broken one."""

    name: str
    build: Build
    observe: Observe
    attacks: dict[str, Behaviour]
    """Behaviours a Byzantine replica may draw; empty for protocols that survive crashes only."""
    tolerates: Callable[[int], int]
    draw_params: Callable[[Draw], Any]
    """Parameters for one seed."""
    patient: Callable[[Any], Any]
    """The same parameters with timeouts far beyond any delay without faults."""
    noise: tuple[str, ...] = ()
    """Reports and kinds of message that do not occur without faults."""
    sizes: tuple[int, ...] = (4, 5, 6, 7, 8, 10, 13)


@dataclass(frozen=True)
class Plan:
    """Everything that one run does: the same plan gives the same run."""

    seed: int
    n: int
    params: Any
    byzantine: dict[ReplicaId, tuple[str, ...]]
    actions: tuple[Action, ...]
    gst_us: int
    """When everything is healed (global stabilisation time)."""
    base_delay_us: int
    spread_us: int
    quiet: bool = False
    """No fault at all: nobody may suspect anybody, and nothing may have to be sent again."""

    @property
    def faults(self) -> int:
        """How many faults it holds: lying replicas, crashes, cuts, and changes of the weather."""
        return len(self.byzantine) + sum(action.what in FAULTS for action in self.actions)

    def lines(self) -> list[str]:
        """The plan as text."""
        lies = ", ".join(f"{r}: {'+'.join(b)}" for r, b in sorted(self.byzantine.items()))
        head = f"n={self.n} byzantine=({lies or 'none'}) gst={self.gst_us} {self.params}"
        return [head, *map(str, self.actions)]


@dataclass(frozen=True)
class SoakResult:
    """What one seed did."""

    seed: int
    plan: Plan = field(repr=False)
    violation: Violation | None
    decided: int
    """Sequence numbers decided by the honest replica that got furthest."""
    executed: int
    """Requests executed, at the same replica."""
    unexecuted: int
    """Requests of honest clients that some honest replica had not executed at the end."""
    messages: int
    view_changes: int
    time_us: int

    @property
    def ok(self) -> bool:
        """No property was violated."""
        return self.violation is None


# ---- plans --------------------------------------------------------------------------------------


def draw_plan(subject: Subject, seed: int) -> Plan:
    """The mix of faults of a seed: most kinds of fault are absent from any one plan."""
    draw = Draw(seed, 1)
    n = draw.choice(subject.sizes)
    if draw.chance(100):
        return _draw_quiet_plan(subject, seed, n, draw)
    f = subject.tolerates(n)
    liars = draw.between(0, f) if subject.attacks else 0
    names = sorted(subject.attacks)
    # The first primaries do the most harm, so liars are often found among them.
    pool = range(liars + 1) if draw.chance(500) else range(n)
    byzantine = {r: tuple(draw.sample(names, draw.between(1, 3))) for r in draw.sample(pool, liars)}
    gst_us = draw.between(500_000, 4_000_000)
    actions = [
        Action(draw.below(gst_us), "propose", draw.below(n)) for _ in range(draw.between(5, 40))
    ]
    if draw.chance(500):
        actions.append(Action(draw.below(gst_us), "loss", value=draw.between(1, 300)))
    if draw.chance(400):
        actions.append(Action(draw.below(gst_us), "duplicate", value=draw.between(1, 500)))
    if draw.chance(300):
        actions.append(Action(draw.below(gst_us), "spread", value=draw.between(1, 300_000)))
    if draw.chance(250):
        slow = draw.between(1_000, 400_000)
        actions.append(Action(draw.below(gst_us), "slow", draw.below(n), slow))
    if draw.chance(500):
        actions.extend(_draw_cuts(draw, n, gst_us))
    honest = [r for r in range(n) if r not in byzantine]
    if f > liars and draw.chance(600):
        actions.extend(_draw_crashes(draw, honest, f - liars, gst_us))
    actions.sort(key=lambda action: action.time_us)
    return Plan(
        seed=seed,
        n=n,
        params=subject.draw_params(draw),
        byzantine=byzantine,
        actions=tuple(actions),
        gst_us=gst_us,
        # Now and then so long that the shortest timeouts must double before anything works.
        base_delay_us=draw.between(100, 5_000) + (25_000 if draw.chance(200) else 0),
        spread_us=draw.between(0, 20_000),
    )


def _draw_quiet_plan(subject: Subject, seed: int, n: int, draw: Draw) -> Plan:
    """No fault at all and patient timeouts: then nobody may suspect anybody."""
    gst_us = draw.between(500_000, 2_000_000)
    times = sorted(draw.below(gst_us) for _ in range(draw.between(5, 30)))
    return Plan(
        seed=seed,
        n=n,
        params=subject.patient(subject.draw_params(draw)),
        byzantine={},
        actions=tuple(Action(t, "propose", draw.below(n)) for t in times),
        gst_us=gst_us,
        base_delay_us=draw.between(100, 5_000),
        spread_us=draw.between(0, 20_000),
        quiet=True,
    )


def _draw_cuts(draw: Draw, n: int, gst_us: int) -> list[Action]:
    actions: list[Action] = []
    for _ in range(draw.between(1, 4)):
        at_us = draw.below(gst_us)
        group = tuple(draw.sample(range(n), draw.between(1, n - 1)))
        actions.append(Action(at_us, "cut", value=draw.below(2), group=group))
        actions.append(Action(at_us + draw.between(50_000, 1_500_000), "heal"))
    return actions


def _draw_crashes(draw: Draw, honest: list[ReplicaId], at_once: int, gst_us: int) -> list[Action]:
    """Crashes and restarts, one after the other in each of ``at_once`` places."""
    actions: list[Action] = []
    pools = [honest[k::at_once] for k in range(at_once)]
    for pool in pools:
        at_us = draw.below(gst_us)
        while pool and at_us < gst_us:
            replica = draw.choice(pool)
            actions.append(Action(at_us, "crash", replica, draw.below(2)))
            at_us += draw.between(20_000, 1_500_000)
            actions.append(Action(at_us, "restart", replica))
            at_us += draw.between(1_000, 500_000)
    return actions


# ---- runs ---------------------------------------------------------------------------------------


def run_plan(subject: Subject, plan: Plan) -> SoakResult:
    """Run a plan to its end, or to the first violation."""
    honest = frozenset(r for r in range(plan.n) if r not in plan.byzantine)
    observer = subject.observe(plan.n, honest, plan.params)
    cores: list[Replica[Any]] = []
    for r in range(plan.n):
        core = subject.build(r, plan.n, plan.params)
        if r in plan.byzantine:
            lies = [subject.attacks[name] for name in plan.byzantine[r]]
            core = Byzantine(core, plan.n, lies, plan.seed)
        cores.append(core)
    arena = Arena(
        cores,
        lambda r: subject.build(r, plan.n, plan.params),
        observer,
        plan.seed,
        plan.base_delay_us,
        plan.spread_us,
    )
    for action in plan.actions:
        if action.time_us < plan.gst_us:
            arena.schedule(action)
    arena.run(plan.gst_us)
    if not observer.violations:
        _liveness_phase(arena, plan, honest)
    if plan.quiet and not observer.violations:
        heard = [what for what in subject.noise if arena.sent[what] or arena.reports[what]]
        if heard:
            what = f"without any fault there was {', '.join(heard)}"
            observer.violate("quiet", min(honest), arena.now_us, what)
    first = observer.violations[0] if observer.violations else None
    best = max(honest, key=lambda r: observer.decided[r])
    return SoakResult(
        seed=plan.seed,
        plan=plan,
        violation=first,
        decided=observer.decided[best],
        executed=len(observer.executed[best]),
        unexecuted=len(_wanted(observer, honest) - _executed_by_all(observer, honest)),
        messages=arena.delivered,
        view_changes=arena.reports["view-change"],
        time_us=arena.now_us,
    )


def _liveness_phase(arena: Arena, plan: Plan, honest: frozenset[ReplicaId]) -> None:
    """Everything is healed: all requests must be executed everywhere, and all logs be equal."""
    arena.now_us = plan.gst_us
    arena.spread_us = plan.spread_us
    arena.heal_all()
    for k, replica in enumerate(sorted(honest)):
        arena.schedule(Action(plan.gst_us + 1_000 * k, "propose", replica))
    last_us = plan.gst_us + 1_000 * len(honest)
    arena.run(last_us)
    observer = arena.observer
    wanted = _wanted(observer, honest)

    def done() -> bool:
        heights = {observer.decided[r] for r in honest}
        return len(heights) == 1 and all(wanted <= observer.executed[r] for r in honest)

    if not observer.violations and not done():
        arena.run(plan.gst_us + LIVENESS_BOUND_US, done, LIVENESS_MESSAGES)
    if not observer.violations and not done():
        observer.violate("liveness", min(honest), arena.now_us, arena.waiting_report())
    for r in sorted(honest):
        observer.on_footprint(r, arena.cores[r], arena.now_us)


def _wanted(observer: Invariants, honest: frozenset[ReplicaId]) -> set[RequestKey]:
    """The requests of honest clients: what must be executed everywhere."""
    return {key for key in observer.submitted if key[0] in honest}


def _executed_by_all(observer: Invariants, honest: frozenset[ReplicaId]) -> set[RequestKey]:
    return set[RequestKey].intersection(*(observer.executed[r] for r in sorted(honest)))


def run_seed(subject: Subject, seed: int) -> SoakResult:
    """One seed from its draw to its result."""
    return run_plan(subject, draw_plan(subject, seed))
