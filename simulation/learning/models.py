"""Models for tabular records: inputs in, one logit out, every parameter with a dimension."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from simulation.learning.params import LogisticParams, MlpParams, ModelParams

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}


def build_model(params: ModelParams, inputs: int, seed: int) -> nn.Module:
    """A model with PyTorch's default initialisation under ``torch.manual_seed(seed)``.

    Takes float32 of shape (batch, inputs), gives logits of shape (batch, 1). The global generator
    is put back to where it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match params:
            case LogisticParams():
                return nn.Sequential(OrderedDict(output=nn.Linear(inputs, 1)))
            case MlpParams():
                return _mlp(params, inputs)


def _mlp(params: MlpParams, inputs: int) -> nn.Module:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width = inputs
    for number, units in enumerate(params.hidden, start=1):
        layers[f"hidden{number}"] = nn.Linear(width, units)
        if params.norm == "layer":
            layers[f"norm{number}"] = nn.LayerNorm(units)
        layers[f"activation{number}"] = _ACTIVATIONS[params.activation]()
        width = units
    layers["output"] = nn.Linear(width, 1)
    return nn.Sequential(layers)


def model_arrays(module: nn.Module) -> dict[str, NDArray[Any]]:
    """Copies of a model's parameters and buffers, in its own order."""
    return {name: value.detach().numpy().copy() for name, value in module.state_dict().items()}


def load_arrays(module: nn.Module, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Set a model's parameters and buffers.

    Raises:
        ValueError: when names or shapes are not the model's.
    """
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    given = {name: tuple(array.shape) for name, array in arrays.items()}
    if wanted != given:
        differing = sorted(
            name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name)
        )
        raise ValueError(f"arrays do not fit the model at {', '.join(differing)}")
    module.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in arrays.items()})


def parameter_count(arrays: Mapping[str, NDArray[Any]]) -> int:
    """Numbers in a model."""
    return sum(int(array.size) for array in arrays.values())


def refuse_coupled(module: nn.Module) -> None:
    """Refuse models for which clipping a record's gradient does not bound that record's influence.

    Raises:
        ValueError: for batch normalisation (its statistics mix records), for instance normalisation
            that keeps running statistics, and for parameters without a dimension, which per-record
            gradients pass by.
    """
    for name, part in module.named_modules():
        batch = isinstance(part, nn.modules.batchnorm._BatchNorm)  # pyright: ignore[reportPrivateUsage]
        instance = isinstance(part, nn.modules.instancenorm._InstanceNorm)  # pyright: ignore[reportPrivateUsage]
        if (batch and not instance) or (instance and part.track_running_stats):
            raise ValueError(
                f"model: {name or 'the module'} is {type(part).__name__}, which mixes records, so "
                "differential privacy would not hold; use LayerNorm (norm: layer)"
            )
    for name, parameter in module.named_parameters():
        if parameter.dim() == 0:
            raise ValueError(
                f"model: parameter {name} has no dimension and would escape clipping and noise; "
                "give it shape (1,)"
            )
