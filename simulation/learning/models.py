"""Models for tabular records: inputs in, one logit out, every parameter with a dimension."""

from __future__ import annotations

import importlib
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from simulation.learning.params import (
    AttentionParams,
    LogisticParams,
    MlpParams,
    ModelParams,
    ModuleParams,
)

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}


def build_model(params: ModelParams, inputs: int, seed: int) -> nn.Module:
    """A model with PyTorch's default initialisation under ``torch.manual_seed(seed)``.

    Takes float32 of shape (batch, inputs), gives logits of shape (batch, 1). The global generator
    is put back to where it was.

    Raises:
        ValueError: naming the field, when the inputs do not fit the model, or a model of the user's
            own cannot be had or does not give one logit for each row.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match params:
            case LogisticParams():
                return nn.Sequential(OrderedDict(output=nn.Linear(inputs, 1)))
            case MlpParams():
                return _mlp(params, inputs)
            case AttentionParams():
                return Attention(params, inputs)
            case ModuleParams():
                return _foreign(params, inputs)


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


class Attention(nn.Module):
    """Attention over the steps of a row; see `AttentionParams`.

    Takes (batch, steps · inputs of a step), of which the last input of each step says with 1 that
    there is one, and gives (batch, 1).
    """

    def __init__(self, params: AttentionParams, inputs: int) -> None:
        super().__init__()
        if inputs % params.steps or inputs // params.steps < 2:
            raise ValueError(
                f"model.steps: {inputs} inputs are not {params.steps} steps with an indicator "
                f"each; use data.history: {params.steps}"
            )
        self.steps = params.steps
        self.embed = nn.Linear(inputs // params.steps, params.width)
        self.score = nn.Linear(params.width, 1)
        self.output = nn.Linear(2 * params.width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of rows."""
        steps = x.reshape(len(x), self.steps, self.embed.in_features)
        embedded = torch.tanh(self.embed(steps))
        # A step that is not there weighs nothing; the last one always is.
        absent = steps[..., -1:] == 0
        scores = self.score(embedded).masked_fill(absent, -1e9)
        context = (torch.softmax(scores, dim=1) * embedded).sum(dim=1)
        return self.output(torch.cat([context, embedded[:, -1]], dim=1))


def _foreign(params: ModuleParams, inputs: int) -> nn.Module:
    """A user's own model, tried on two rows."""
    module_name, _, name = params.object.partition(":")
    # A user's model lies beside the configuration, in the directory the command runs in.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        make = getattr(importlib.import_module(module_name), name)
    except ImportError as error:
        raise ValueError(
            f"model.object: cannot import {module_name!r} ({error}); run the command in the "
            "directory that holds the module"
        ) from error
    except AttributeError as error:
        raise ValueError(f"model.object: {module_name!r} has no object {name!r}") from error
    made = make(inputs) if callable(make) else make
    if not isinstance(made, nn.Module):
        raise ValueError(
            f"model.object: {params.object} gives a {type(made).__name__}, not a torch.nn.Module; "
            "name a function of the number of inputs that returns one"
        )
    _try(made, params.object, inputs)
    return made


def _try(module: nn.Module, reference: str, inputs: int) -> None:
    was = module.training
    module.eval()  # a trial must not move running statistics
    try:
        with torch.no_grad():
            shape = tuple(module(torch.zeros(2, inputs)).shape)
    except (RuntimeError, ValueError, TypeError) as error:
        raise ValueError(
            f"model.object: {reference} does not take float32 of shape (rows, {inputs}): {error}"
        ) from error
    finally:
        module.train(was)
    if shape != (2, 1):
        raise ValueError(
            f"model.object: {reference} gives shape {shape} for two rows; one logit for each row "
            "is wanted, shape (2, 1)"
        )


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
