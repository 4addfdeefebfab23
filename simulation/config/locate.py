"""Finds the field of a configuration that a message from deep inside speaks of."""

from __future__ import annotations

from dataclasses import is_dataclass

from simulation.config.experiment import Experiment
from simulation.config.sections import parameters


def located(message: str, experiment: Experiment) -> str:
    """The message with the full path to its field.

    The parts of the program start a message with the field's name (``delta: …``); where that field
    sits in the configuration (``privacy.delta``) is known only here. Messages that start with no
    field stay as they are.
    """
    head, colon, rest = message.partition(": ")
    first = head.partition(".")[0]
    if not colon or first in parameters(Experiment):
        return message
    owners = [
        name
        for name in parameters(Experiment)
        if is_dataclass(section := getattr(experiment, name)) and first in parameters(type(section))
    ]
    return f"{owners[0]}.{head}: {rest}" if len(owners) == 1 else message
