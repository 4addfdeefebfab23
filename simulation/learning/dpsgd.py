"""One step of DP-SGD on Opacus: per-record gradients, clipping, keyed noise, expected batch size.

Opacus does the gradients, the clipping and the scaling. Four things differ from its defaults:

1. The noise comes from a NumPy generator with the full 128 bits of its named stream. PyTorch's own
   CPU generator keeps only the low 32 bits of its seed, so its noise could be found by trying all
   seeds, and two hospitals could meet on one.
2. A record whose gradient is not finite counts as a gradient of zero: left in, one NaN would turn
   every parameter into NaN, which by itself tells that the record is there.
3. Under privacy by patient the gradients of a patient's records are summed before clipping.
4. What does not depend on records (FedProx's term) is added after the noise, before the step.

An empty batch is released like any other: its sum is zero, its noise is not.
Source: Abadi et al., CCS 2016, algorithm 1; the sampler is in `train`.
"""

# Opacus hangs its gradients on parameters as attributes that PyTorch's types do not know.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import nn

from simulation.learning.models import refuse_coupled
from simulation.learning.privacy import PrivacyPlan


def record_gradients(module: nn.Module) -> nn.Module:
    """The module with hooks that compute one gradient for each record of a summed loss.

    Raises:
        ValueError: when clipping would not bound a record's influence (see `refuse_coupled`).
    """
    refuse_coupled(module)
    return GradSampleModule(module, loss_reduction="sum")


class KeyedOptimizer(DPOptimizer):
    """Opacus's optimiser with its noise from a named stream."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        plan: PrivacyPlan,
        *,
        expected_batch: float,
        noise: np.random.Generator,
        after_noise: Callable[[], None],
    ) -> None:
        super().__init__(
            optimizer,
            noise_multiplier=plan.own_sigma,
            max_grad_norm=plan.max_grad_norm,
            expected_batch_size=expected_batch,  # pyright: ignore[reportArgumentType]
            loss_reduction="mean",
        )
        self._noise = noise
        self.owners: torch.Tensor | None = None
        """Which unit each record of the batch belongs to, from 0, shape (records,); none when each
        record is one. Set before each step."""
        self.attach_step_hook(lambda _: after_noise())

    def clip_and_accumulate(self) -> None:
        """Drop gradients that are not finite, sum those of a unit, clip, and sum again."""
        self._drop_not_finite()
        if self.owners is not None:
            units = int(self.owners.max()) + 1 if len(self.owners) else 0
            for parameter, gradient in zip(self.params, self.grad_samples, strict=True):
                summed = gradient.new_zeros((units, *gradient.shape[1:]))
                parameter.grad_sample = summed.index_add_(0, self.owners, gradient)
            self._drop_not_finite()
        super().clip_and_accumulate()

    def _drop_not_finite(self) -> None:
        gradients: list[torch.Tensor] = self.grad_samples
        finite = torch.stack([torch.isfinite(g.flatten(1)).all(dim=1) for g in gradients]).all(
            dim=0
        )
        if finite.all():
            return
        for parameter, gradient in zip(self.params, gradients, strict=True):
            clean: Any = torch.zeros_like(gradient)
            clean[finite] = gradient[finite]
            parameter.grad_sample = clean

    def add_noise(self) -> None:
        """Gaussian noise of deviation σ·C on every number of the clipped sum."""
        for parameter in self.params:
            total: torch.Tensor = parameter.summed_grad
            drawn = self._noise.standard_normal(tuple(total.shape))
            scaled = torch.from_numpy(drawn * (self.noise_multiplier * self.max_grad_norm))
            parameter.grad = (total + scaled.to(total.dtype)).view_as(parameter)
