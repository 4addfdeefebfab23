"""What local training costs in virtual time: a model of the hospital's machine, not a stopwatch."""

from __future__ import annotations

import math

from simulation.base.ids import HospitalId
from simulation.base.rng import Streams
from simulation.base.units import us_from_ms
from simulation.learning.params import ComputeParams


def hospital_speed(compute: ComputeParams, hospital: HospitalId, streams: Streams) -> float:
    """How fast a hospital's machine is, as a factor; log-normal with median 1, fixed for a run."""
    return math.exp(compute.speed_spread * streams.stream("compute", hospital).standard_normal())


def training_us(
    compute: ComputeParams,
    *,
    steps: int,
    batch_size: float,
    parameters: int,
    private: bool,
    speed: float,
) -> int:
    """Virtual duration of one round's training in whole microseconds, at least 1.

    ``batch_size`` is the expected one, so that the duration tells nothing about the draw.
    """
    flops = compute.flops_per_example_parameter * batch_size * parameters
    step_us = flops / (compute.device_gflops * 1e3) + compute.step_overhead_us
    if private:
        step_us *= compute.private_factor
    return max(1, round((us_from_ms(compute.round_overhead_ms) + steps * step_us) / speed))
