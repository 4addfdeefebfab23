"""What a hospital adapts to its own records before it uses a model, and keeps to itself.

The global model mixes hospitals in which the outcome is more and less frequent, or hangs on other
inputs. A hospital that knows its own frequency moves the intercept until predicted and observed
positives agree in number on its training records (recalibration in the large: Steyerberg, "Clinical
Prediction Models", 2nd ed., 2019, chapter 15). The order of its patients stays; order between
hospitals improves.

Or it fits the last layer anew to its own records, on what the shared layers below make of them, and
held near the global layer, so that few records change little (a local head on a shared
representation: Collins et al., "Exploiting Shared Representations for Personalized Federated
Learning", ICML 2021; here the head follows the federation instead of being trained beside it).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Floats = NDArray[np.float64]

_FURTHEST = 30.0
_HALVINGS = 60
_PULL = 0.1
"""Strength of the pull of a head towards the global one, beside the mean of its losses."""
_STEPS = 50
_CLOSE = 1e-10


def own_intercept(logits: Floats, labels: NDArray[np.int64]) -> float:
    """What to add to logits so that probabilities add up to the number of positives.

    Half a positive and half a negative are added to the records, so that hospitals that have seen
    one label only get a finite answer.
    """
    wanted = (labels.sum() + 0.5) / (len(labels) + 1) * len(labels)
    low, high = -_FURTHEST, _FURTHEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if (1 / (1 + np.exp(-(logits + middle)))).sum() < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def own_head(inputs: Floats, labels: NDArray[np.int64], head: Floats) -> Floats:
    """The weights, and last the bias, of a hospital's own last layer.

    Minimises the mean logistic loss plus half of 0.1 times the squared distance to ``head``, the
    global layer's, by Newton's method with halved steps; the loss is strictly convex, so there is
    one answer. ``inputs`` are what the layer takes, shape (records, width).
    """
    x = np.column_stack([inputs, np.ones(len(inputs))])
    own = head.copy()
    for _ in range(_STEPS):
        guess = 1 / (1 + np.exp(-np.clip(x @ own, -_FURTHEST, _FURTHEST)))
        slope = x.T @ (guess - labels) / len(x) + _PULL * (own - head)
        if np.abs(slope).max() < _CLOSE:
            break
        bend = (x.T * (guess * (1 - guess))) @ x / len(x) + _PULL * np.eye(len(own))
        step, size = np.linalg.solve(bend, slope), 1.0
        before = _pulled_loss(x, labels, own, head)
        while _pulled_loss(x, labels, own - size * step, head) > before and size > _CLOSE:
            size /= 2
        own = own - size * step
    return own


def _pulled_loss(x: Floats, labels: NDArray[np.int64], own: Floats, head: Floats) -> float:
    logits = x @ own
    losses = np.logaddexp(0, logits) - labels * logits
    return float(losses.mean() + _PULL / 2 * ((own - head) ** 2).sum())


def head_of(module: nn.Module, inputs: int) -> nn.Linear:
    """The layer that gives a model's logit.

    Raises:
        ValueError: when the model does not end in a linear layer with one output.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    head = next((layer for layer in reversed(layers) if layer.out_features == 1), None)
    rows = torch.linspace(-1, 1, 2 * inputs).reshape(2, inputs)
    if head is not None:
        with torch.no_grad():
            ends = torch.equal(head(taken_by(head, module, rows)), module(rows))
        if ends:
            return head
    raise ValueError(
        "training.personal: head replaces the last layer, and the model does not end in a Linear "
        "with one output; use personal: intercept, or end the model so"
    )


def taken_by(head: nn.Linear, module: nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """What the last layer takes when the model is given these rows, shape (rows, width)."""
    seen: list[torch.Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        with torch.no_grad():
            module(rows)
    finally:
        hook.remove()
    return seen[-1]
