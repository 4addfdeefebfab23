"""Clipped gradient sums of many hospitals at once, for linear layers and pointwise activations.

A record's gradient for a linear layer is the outer product of what comes back to the layer's output
(δ) and what went into it (a), so its squared norm is ‖δ‖²(‖a‖² + 1), the 1 for the bias. Norms of
all records therefore cost one forward and one backward pass, and the clipped sum is one more
product, (c·δ)ᵀa. No record's gradient is ever written down.

The norm of a patient's summed gradient is no sum of norms. It is that of a Gram matrix,
‖Σ δᵢ⊗aᵢ‖² = Σᵢⱼ (δᵢ·δⱼ)(aᵢ·aⱼ + 1) over the pairs of the patient's records in the batch.

Sources: Goodfellow, 2015, arXiv 1510.01799; Abadi et al., CCS 2016, algorithm 1. The factor is that
of Opacus: min(1, C / (norm + 1e-6)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Activation:
    """A pointwise function and its derivative, given input and output."""

    apply: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]


def _gelu_slope(z: Tensor, a: Tensor) -> Tensor:
    del a
    density = torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return 0.5 * (1 + torch.erf(z / math.sqrt(2))) + z * density


ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.ReLU: Activation(torch.relu, lambda _, a: (a > 0).to(a.dtype)),
    nn.Tanh: Activation(torch.tanh, lambda _, a: 1 - a * a),
    nn.Sigmoid: Activation(torch.sigmoid, lambda _, a: a * (1 - a)),
    nn.GELU: Activation(nn.functional.gelu, _gelu_slope),
}


@dataclass(frozen=True, slots=True)
class Layer:
    """A linear layer and the activation after it, at its place in the flat vector of parameters."""

    inputs: int
    outputs: int
    start: int
    """Where its weight begins; its bias follows."""
    activation: Activation | None

    @property
    def middle(self) -> int:
        """Where its bias begins."""
        return self.start + self.inputs * self.outputs

    @property
    def end(self) -> int:
        """Where the next layer begins."""
        return self.middle + self.outputs


def layers_of(module: nn.Module) -> tuple[Layer, ...] | None:
    """A model as dense layers ending in one logit; None when it is anything else."""
    if type(module) is not nn.Sequential:
        return None
    layers: list[Layer] = []
    for part in module:
        if type(part) is nn.Linear:
            if part.bias is None:  # pyright: ignore[reportUnnecessaryComparison]
                return None
            start = layers[-1].end if layers else 0
            layers.append(Layer(part.in_features, part.out_features, start, None))
        elif layers and layers[-1].activation is None and type(part) in ACTIVATIONS:
            if isinstance(part, nn.GELU) and part.approximate != "none":
                return None
            last = layers.pop()
            chosen = ACTIVATIONS[type(part)]
            layers.append(Layer(last.inputs, last.outputs, last.start, chosen))
        else:
            return None
    ends_right = layers and layers[-1].outputs == 1 and layers[-1].activation is None
    return tuple(layers) if ends_right else None


def clipped_sums(
    layers: Sequence[Layer],
    theta: Tensor,
    x: Tensor,
    y: Tensor,
    mask: Tensor,
    clip: Tensor,
    owners: Tensor | None = None,
) -> Tensor:
    """Each hospital's sum of clipped gradients of the binary cross-entropy, shape (H, parameters).

    ``theta`` holds parameters, (H, parameters); ``x`` and ``y`` padded batches, (H, B, inputs) and
    (H, B); ``mask`` is 1 where there is a record and 0 where there is none, (H, B); ``clip`` is the
    clipping norm, (H, 1). ``owners`` numbers the unit of each record, (H, B): gradients of one unit
    are clipped as one sum; none when each record is a unit. A record whose gradient is not finite
    counts as a gradient of zero.
    """
    taken, slopes = _forward(layers, theta, x)
    logits = slopes.pop()
    delta = ((torch.sigmoid(logits.squeeze(-1)) - y) * mask).unsqueeze(-1)
    deltas = [delta]
    for layer, slope in zip(reversed(layers[1:]), reversed(slopes), strict=True):
        weight = theta[:, layer.start : layer.middle].view(-1, layer.outputs, layer.inputs)
        delta = torch.bmm(delta, weight).mul_(slope)
        deltas.append(delta)
    deltas.reverse()
    squared = torch.zeros_like(y)
    for a, delta in zip(taken, deltas, strict=True):
        squared += delta.square().sum(-1) * (a.square().sum(-1) + 1)
    lost = ~torch.isfinite(squared)
    if lost.any():
        # Zero times infinity is no zero, so what is not finite is taken out of the product.
        squared = squared.masked_fill(lost, 0.0)
        taken = [a.masked_fill(lost.unsqueeze(-1), 0.0) for a in taken]
        deltas = [delta.masked_fill(lost.unsqueeze(-1), 0.0) for delta in deltas]
    if owners is not None:
        squared = _of_units(taken, deltas, owners)
    factor = (clip / (squared.sqrt() + 1e-6)).clamp_(max=1.0)
    parts: list[Tensor] = []
    for a, delta in zip(taken, deltas, strict=True):
        delta = delta * factor.unsqueeze(-1)  # noqa: PLW2901 - the clipped one takes its place
        parts += [torch.bmm(delta.mT, a).flatten(1), delta.sum(1)]
    return torch.cat(parts, dim=1)


def _of_units(taken: Sequence[Tensor], deltas: Sequence[Tensor], owners: Tensor) -> Tensor:
    """For each record the squared norm of its unit's summed gradient, shape (H, B).

    In double precision: where a patient's gradients nearly cancel, the pairs do so too, and what
    single precision loses then would let the patient pass with more than the clipping norm.
    """
    gram = torch.zeros((*owners.shape, owners.shape[1]), dtype=torch.float64)
    for a, delta in zip((a.double() for a in taken), (d.double() for d in deltas), strict=True):
        gram += torch.bmm(delta, delta.mT) * (torch.bmm(a, a.mT) + 1)
    same = (owners.unsqueeze(1) == owners.unsqueeze(2)).double()
    with_own = (gram * same).sum(-1, keepdim=True)
    return torch.bmm(same, with_own).squeeze(-1).clamp_(min=0.0).to(deltas[0].dtype)


def _forward(
    layers: Sequence[Layer], theta: Tensor, x: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """What goes into each layer; the slope after each hidden layer, and last the logits."""
    taken: list[Tensor] = []
    slopes: list[Tensor] = []
    a = x
    for layer in layers:
        taken.append(a)
        weight = theta[:, layer.start : layer.middle].view(-1, layer.outputs, layer.inputs)
        z = torch.baddbmm(theta[:, layer.middle : layer.end].unsqueeze(1), a, weight.mT)
        a = z if layer.activation is None else layer.activation.apply(z)
        if layer is not layers[-1]:
            slopes.append(
                torch.ones_like(a) if layer.activation is None else layer.activation.slope(z, a)
            )
    return taken, [*slopes, a]
