"""The clock keeps SimPy's semantics: same order, same ways to stop, same errors."""

from __future__ import annotations

import pytest
import simpy

from simulation.network.clock import Alarm, Clock


def busy(env, log):
    """Processes, priorities, ties and conditions in one small world."""

    def worker(name, step):
        for i in range(4):
            yield env.timeout(step)
            log.append((env.now, name, i))
        return name

    def boss():
        first = env.process(worker("a", 2))
        second = env.process(worker("b", 3))
        done = yield first | second
        log.append((env.now, "any", [e.value for e in done]))
        yield first & second
        log.append((env.now, "all", None))

    env.process(worker("c", 2))
    return env.process(boss())


def test_events_happen_in_simpys_order():
    mine, theirs = [], []
    clock, env = Clock(), simpy.Environment()

    clock.run(busy(clock, mine))
    env.run(busy(env, theirs))

    assert mine == theirs


@pytest.mark.parametrize("until", [1, 5, 6])
def test_runs_to_a_time_and_on_as_simpy_does(until):
    mine, theirs = [], []
    clock, env = Clock(), simpy.Environment()
    busy(clock, mine)
    busy(env, theirs)

    for world in (clock, env):
        world.run(until)

    assert (clock.now, mine) == (env.now, theirs)
    clock.run()
    env.run()
    assert (clock.now, mine) == (env.now, theirs)


def test_the_value_of_an_event_comes_back_also_when_it_is_over():
    clock = Clock()
    event = clock.timeout(5, "done")
    assert clock.run(event) == "done"
    assert clock.run(event) == "done"


def test_others_who_wait_for_the_last_event_are_served_in_the_next_run():
    clock, seen = Clock(), []
    event = clock.timeout(5)
    clock.timeout(3).callbacks.append(
        lambda _: event.callbacks.append(lambda _: seen.append(clock.now))
    )
    clock.run(event)
    assert seen == []
    clock.run()
    assert seen == [5]


def test_an_exception_in_a_process_reaches_the_caller():
    clock = Clock()

    def fails():
        yield clock.timeout(1)
        raise KeyError("here")

    clock.process(fails())
    with pytest.raises(KeyError, match="here"):
        clock.run()


def test_waiting_for_what_cannot_happen_is_an_error():
    clock = Clock()
    with pytest.raises(RuntimeError, match="nothing left to happen"):
        clock.run(clock.event())
    with pytest.raises(ValueError, match="until: must be after"):
        clock.run(0)


def test_an_alarm_rings_as_often_as_it_is_armed_and_never_after_disarming():
    clock, rung = Clock(), []
    alarm = Alarm(clock, lambda: rung.append(clock.now))
    alarm.arm(3)
    clock.run()
    alarm.arm(7)
    clock.run()
    alarm.arm(9)
    alarm.disarm()
    clock.run()
    assert rung == [3, 7]
