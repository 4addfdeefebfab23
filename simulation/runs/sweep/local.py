"""Jobs on processes of this machine, one thread each.

Every worker is a process with a pipe of its own: one that is killed takes nothing with it but the
job in its hands, which another one starts again. (A pool of the standard library is broken as a
whole when one of its processes dies.)
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import cast

from simulation.runs.sweep.plan import Job
from simulation.runs.sweep.work import Ended, Progress, carry_out

ATTEMPTS = 2
"""A job whose worker dies is started once more; one that kills two workers has failed."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
PATIENCE_S = 10.0
"""How long an interrupted worker may take to clear away its unfinished run."""


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    job: Job | None = None


def on_processes(jobs: Sequence[Job], workers: int) -> Iterator[Progress | Ended]:
    """Carry out jobs on so many processes; what happens, as it happens.

    Every job ends once, in whatever order. When the caller stops early or is interrupted, the
    workers are interrupted as well, and leave nothing half-written behind.
    """
    waiting = deque(jobs)
    attempts = dict.fromkeys((job.directory for job in jobs), 0)
    crew: list[_Worker] = []
    try:
        while waiting or any(worker.job for worker in crew):
            while waiting and len(crew) < workers:
                crew.append(_hire())
            for worker in crew:
                if worker.job is None and waiting:
                    worker.job = waiting.popleft()
                    attempts[worker.job.directory] += 1
                    with suppress(OSError):  # it died while it waited, which is seen below
                        worker.pipe.send(worker.job)
            busy = {worker.pipe: worker for worker in crew if worker.job is not None}
            for pipe in wait(list(busy)):
                worker = busy[cast("Connection", pipe)]
                assert worker.job is not None
                try:
                    message: Progress | Ended = worker.pipe.recv()
                except (EOFError, OSError):
                    crew.remove(worker)
                    worker.process.join()
                    if attempts[worker.job.directory] < ATTEMPTS:
                        waiting.appendleft(worker.job)
                    else:
                        yield Ended(worker.job.directory, _killed(worker.process.exitcode), 0.0)
                    continue
                if isinstance(message, Ended):
                    worker.job = None
                yield message
    finally:
        _dismiss(crew)


def _hire() -> _Worker:
    # Fresh processes: a fork of one in which a library has started threads may hang for ever.
    context = get_context("spawn")
    ours, theirs = cast("tuple[Connection, Connection]", context.Pipe())
    process = context.Process(target=_work, args=(theirs,), daemon=True)
    with _one_thread():
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _one_thread() -> Generator[None, None, None]:
    """Processes that start here compute with one thread each, so that they do not fight."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(pipe: Connection) -> None:
    """The life of a worker: jobs come in, progress and endings go out."""
    # A parent that ignores interrupts, as one under nohup does, would hand that down.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        while (job := pipe.recv()) is not None:
            pipe.send(carry_out(job, pipe.send))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return  # whoever sent the jobs has gone, or wants us to


def _dismiss(crew: Sequence[_Worker]) -> None:
    for worker in crew:
        if worker.job is not None and worker.process.pid is not None and worker.process.is_alive():
            os.kill(worker.process.pid, signal.SIGINT)
        worker.pipe.close()
    for worker in crew:
        worker.process.join(PATIENCE_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _killed(exitcode: int | None) -> str:
    how = f"by signal {-exitcode}" if exitcode is not None and exitcode < 0 else f"with {exitcode}"
    return (
        f"the process that ran it ended {how}, {ATTEMPTS} times; if the machine ran out of memory, "
        "use fewer --jobs"
    )
