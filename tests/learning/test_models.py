"""Models: PyTorch's own initialisation under a seed, and arrays that survive the round trip."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from simulation.learning.models import build_model, load_arrays, model_arrays, parameter_count
from simulation.learning.params import LogisticParams, MlpParams


def test_initialisation_is_that_of_pytorch_under_the_seed() -> None:
    """As published code does it: torch.manual_seed(seed), then Linear(13, 1)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(42)
        expected = nn.Linear(13, 1)
    found = model_arrays(build_model(LogisticParams(), 13, seed=42))
    assert np.array_equal(found["output.weight"], expected.weight.detach().numpy())
    assert np.array_equal(found["output.bias"], expected.bias.detach().numpy())


def test_building_leaves_the_global_generator_alone() -> None:
    """Who draws next draws what it would have drawn."""
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    build_model(MlpParams(), 5, seed=9)
    assert torch.equal(torch.rand(1), expected)


def test_names_and_shapes_say_what_is_what() -> None:
    """Names are part of the digest of a model, so they are frozen here."""
    arrays = model_arrays(build_model(MlpParams(hidden=(6, 4), norm="layer"), 3, seed=0))
    assert {name: array.shape for name, array in arrays.items()} == {
        "hidden1.weight": (6, 3),
        "hidden1.bias": (6,),
        "norm1.weight": (6,),
        "norm1.bias": (6,),
        "hidden2.weight": (4, 6),
        "hidden2.bias": (4,),
        "norm2.weight": (4,),
        "norm2.bias": (4,),
        "output.weight": (1, 4),
        "output.bias": (1,),
    }
    assert parameter_count(arrays) == 24 + 12 + 28 + 8 + 5


def test_arrays_are_copies_both_ways() -> None:
    """What left a model does not change when the model trains on, and the other way round."""
    module = build_model(LogisticParams(), 2, seed=0)
    arrays = model_arrays(module)
    kept = arrays["output.weight"].copy()
    with torch.no_grad():
        module.get_parameter("output.weight").add_(1.0)
    assert np.array_equal(arrays["output.weight"], kept)
    load_arrays(module, arrays)
    arrays["output.weight"][:] = 9.0
    assert np.array_equal(model_arrays(module)["output.weight"], kept)
