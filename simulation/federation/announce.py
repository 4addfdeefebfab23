"""Tells a run's engine at delivery what its hospitals will ask of it later."""

from __future__ import annotations

from simulation.base.ids import HospitalId
from simulation.federation.apps import training_task
from simulation.federation.codec import unpack
from simulation.federation.params import OWN_CLIENT_APP
from simulation.federation.setting import Setting
from simulation.learning.engines.task import Task
from simulation.nodes.messages import Order


class Announcer:
    """Reads a training order as the program's own ClientApp will, once for all its recipients."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        # Another ClientApp trains by itself; nothing would ever be asked of the engine.
        own = setting.federation.client_app == OWN_CLIENT_APP
        self._wanted = own and setting.engine is not None
        self._read: tuple[bytes, bytes, Task] | None = None

    def __call__(self, hospital: HospitalId, order: Order) -> None:
        """A hospital has begun to train."""
        if not self._wanted:
            return
        known = self._read
        if known is None or (known[0], known[1]) != (order.model, order.instructions):
            task = training_task(unpack(order.model, order.instructions))
            known = self._read = (order.model, order.instructions, task)
        self._setting.trainer_of(hospital).begin(known[2])
