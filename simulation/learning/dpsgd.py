"""One step of DP-SGD on Opacus: per-record gradients, clipping, keyed noise, expected batch size.

Opacus does the gradients, the clipping and the scaling. Three things differ from its defaults:

1. The noise comes from a NumPy generator with the full 128 bits of its named stream. PyTorch's own
   CPU generator keeps only the low 32 bits of its seed, so its noise could be found by trying all
   seeds, and two hospitals could meet on one.
2. A record whose gradient is not finite counts as a gradient of zero: left in, one NaN would turn
   every parameter into NaN, which by itself tells that the record is there.
3. What does not depend on records (FedProx's term) is added after the noise, before the step.

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
            noise_multiplier=plan.sigma,
            max_grad_norm=plan.max_grad_norm,
            expected_batch_size=expected_batch,  # pyright: ignore[reportArgumentType]
            loss_reduction="mean",
        )
        self._noise = noise
        self.attach_step_hook(lambda _: after_noise())

    def clip_and_accumulate(self) -> None:
        """Drop gradients that are not finite, clip the others, and sum them."""
        gradients: list[torch.Tensor] = self.grad_samples
        finite = torch.stack([torch.isfinite(g.flatten(1)).all(dim=1) for g in gradients]).all(
            dim=0
        )
        if not finite.all():
            for parameter, gradient in zip(self.params, gradients, strict=True):
                clean: Any = torch.zeros_like(gradient)
                clean[finite] = gradient[finite]
                parameter.grad_sample = clean
        super().clip_and_accumulate()

    def add_noise(self) -> None:
        """Gaussian noise of deviation σ·C on every number of the clipped sum."""
        for parameter in self.params:
            total: torch.Tensor = parameter.summed_grad
            drawn = self._noise.standard_normal(tuple(total.shape))
            scaled = torch.from_numpy(drawn * (self.noise_multiplier * self.max_grad_norm))
            parameter.grad = (total + scaled.to(total.dtype)).view_as(parameter)
