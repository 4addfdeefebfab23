"""Records travel exactly: the bytes that are hashed say everything that the app said."""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from simulation.base.encoding import EncodingError
from simulation.base.tensors import TensorError
from simulation.federation.codec import pack, unpack
from simulation.federation.learner import product_of

numbers = st.one_of(st.integers(-(2**62), 2**62), st.floats(allow_nan=False))
metrics = st.dictionaries(
    st.text(max_size=8),
    st.one_of(numbers, st.lists(st.floats(allow_nan=False), max_size=3)),
    max_size=4,
)
configs = st.dictionaries(
    st.text(max_size=8),
    st.one_of(numbers, st.text(max_size=8), st.binary(max_size=8), st.booleans()),
    max_size=4,
)


@given(metrics=metrics, config=configs)
def test_metrics_and_configuration_come_back_exactly(metrics, config):
    content = RecordDict({"m": MetricRecord(metrics), "c": ConfigRecord(config)})
    back = unpack(*pack(content))
    assert list(back) == ["m", "c"]
    assert dict(back["m"]) == metrics
    assert dict(back["c"]) == config
    assert [type(v) for v in back["c"].values()] == [type(v) for v in config.values()]


def arrays(*names):
    return ArrayRecord({n: Array(np.full((2,), i, np.float32)) for i, n in enumerate(names)})


def test_names_keep_the_order_that_the_app_gave_them():
    """Many apps read parameters by position."""
    content = RecordDict({"arrays": arrays("z", "a", "m")})
    back = unpack(*pack(content))
    assert list(back["arrays"]) == ["z", "a", "m"]
    assert back["arrays"]["z"].numpy()[0] == 0


def test_several_array_records_do_not_collide():
    content = RecordDict({"model": arrays("w"), "control": arrays("x", "w")})
    back = unpack(*pack(content))
    assert list(back["control"]) == ["x", "w"]
    assert back["model"]["w"].numpy()[0] == 0
    assert back["control"]["w"].numpy()[0] == 1


def test_equal_content_gives_equal_bytes():
    one = RecordDict({"arrays": ArrayRecord({"w": Array(np.ones((3, 2), np.float32))})})
    fortran = np.asfortranarray(np.ones((3, 2), np.float32))
    other = RecordDict({"arrays": ArrayRecord({"w": Array(fortran)})})
    assert pack(one) == pack(other)


def test_what_has_no_canonical_form_is_refused():
    bad = RecordDict({"arrays": ArrayRecord({"w": Array(np.array([np.nan], np.float32))})})
    with pytest.raises(TensorError, match="'w'"):
        pack(bad)
    with pytest.raises(EncodingError):
        unpack(b"", b"\xff")


def test_weight_and_privacy_claim_are_read_from_the_reply():
    claim = {"epsilon_e6": 5, "sampler": "poisson"}
    content = RecordDict(
        {
            "arrays": arrays("w"),
            "metrics": MetricRecord({"num-examples": 31}),
            "privacy": ConfigRecord(claim),
        }
    )
    product = product_of(content)
    assert product.examples == 31
    assert product.claim == claim
    assert product_of(RecordDict({"arrays": arrays("w")})).claim is None
