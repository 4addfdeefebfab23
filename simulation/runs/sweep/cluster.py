"""Jobs on a Ray cluster whose machines share the folder of runs.

Ray is optional: ``pip install -e '.[ray]'``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from simulation.config.errors import ConfigError
from simulation.runs.sweep.local import ATTEMPTS, THREADS
from simulation.runs.sweep.plan import Job
from simulation.runs.sweep.work import Ended, Progress, carry_out


def on_ray(jobs: Sequence[Job], address: str | None) -> Iterator[Progress | Ended]:
    """Carry out jobs on a Ray cluster, one processor each; what happens, as it happens.

    Args:
        jobs: What to do. Their folder must be the same one on every machine of the cluster.
        address: Of the cluster; none starts one on this machine for the length of the sweep.

    Raises:
        ConfigError: when Ray is not installed, or there is no cluster at the address.
    """
    ray = _ray()
    variables = {**dict.fromkeys(THREADS, "1"), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    try:
        ray.init(
            address=address, runtime_env={"env_vars": variables}, log_to_driver=False,
            include_dashboard=False if address is None else None,
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(f"--address: no Ray cluster at {address} ({error})") from error
    try:
        # A relative folder would be one of the worker's own.
        absolute = {job.directory.resolve(): job for job in jobs}
        remote = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1)(_carry_out)
        flying = {remote.remote(replace(job, out=job.out.resolve())): job for job in jobs}
        while flying:
            (first,), _ = ray.wait(list(flying), num_returns=1)
            job = flying.pop(first)
            try:
                ended: Ended = ray.get(first)
            except ray.exceptions.RayError as error:
                yield Ended(job.directory, f"its Ray worker was lost: {error}", 0.0)
                continue
            yield replace(ended, directory=absolute[ended.directory].directory)
    finally:
        ray.shutdown()


def _carry_out(job: Job) -> Ended:
    return carry_out(job, lambda _: None)


def _ray() -> Any:
    try:
        return import_module("ray")
    except ImportError as error:
        raise ConfigError(
            "--executor: ray is not installed; install with: pip install -e '.[ray]'"
        ) from error
