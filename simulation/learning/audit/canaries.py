"""Canaries: ordinary records, or patients, of which each lights one input column of its own.

Real records are zero in those columns, so that a canary's gradient for its own column's weights is
all that ever moves them, besides noise. No code inside the trainer changes, and whatever trains can
be audited: what is read is the model after each round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from simulation.learning.records import Records

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Planted:
    """A hospital's records with canaries among them; satisfies `Records`."""

    hospital: int
    train_x: NDArray[np.float32]
    train_y: NDArray[np.int64]
    test_x: NDArray[np.float32]
    test_y: NDArray[np.int64]
    features: tuple[str, ...]
    train_patient: NDArray[np.int64]


def plant(
    records: Records, coins: NDArray[np.bool_], brightness: float, visits: int = 1
) -> Planted:
    """The hospital's records, and those of the canaries whose coin says so, ``visits`` of each."""
    m, inputs = len(coins), len(records.features)
    chosen = np.repeat(np.flatnonzero(coins), visits)
    last = int(records.train_patient.max())
    x = np.zeros((len(records.train_y) + len(chosen), inputs + m), dtype=np.float32)
    x[: len(records.train_y), :inputs] = records.train_x
    x[np.arange(len(chosen)) + len(records.train_y), inputs + chosen] = brightness
    test = np.zeros((len(records.test_y), inputs + m), dtype=np.float32)
    test[:, :inputs] = records.test_x
    return Planted(
        hospital=records.hospital,
        train_x=x,
        train_y=np.concatenate([records.train_y, labels(m)[chosen]]),
        test_x=test,
        test_y=records.test_y,
        features=(*records.features, *(f"canary{j}" for j in range(m))),
        train_patient=np.concatenate([records.train_patient, last + 1 + chosen]),
    )


def labels(m: int) -> NDArray[np.int64]:
    """Canaries' labels: 0 and 1 in turn, so that no bias can learn all of them at once."""
    return np.arange(m) % 2


def first_layer(module: nn.Module) -> tuple[str, nn.Linear]:
    """The linear layer that reads the inputs, and its name.

    Raises:
        ValueError: when the model does not begin with one; canaries need weights of their own.
    """
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear):
            return name, part
        if not isinstance(part, nn.Sequential):
            break
    raise ValueError("model: the audit needs a model whose first layer is linear")


def slopes(module: nn.Module, inputs: int, m: int, brightness: float) -> Floats:
    """Each canary's gradient with respect to the first layer's output, shape (m, outputs)."""
    x = torch.zeros(m, inputs + m)
    x[torch.arange(m), inputs + torch.arange(m)] = brightness
    seen: list[torch.Tensor] = []

    def keep(_: nn.Module, __: object, output: torch.Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    _, layer = first_layer(module)
    handle = layer.register_forward_hook(keep)
    try:
        logits = module(x).squeeze(-1)
        nn.functional.binary_cross_entropy_with_logits(
            logits, torch.from_numpy(labels(m)).float(), reduction="sum"
        ).backward()
    finally:
        handle.remove()
        module.zero_grad(set_to_none=True)
    gradient = seen[0].grad
    assert gradient is not None, "the logits depend on the first layer"
    return gradient.numpy().astype(np.float64)
