"""Metadata: what has a form in JSON comes back; the rest is named before anything is written."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import uuid
from decimal import Decimal
from pathlib import Path

import h5py
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import ann_ckpt
from ann_ckpt import NetworkState
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.errors import StateError
from ann_ckpt.model import differences, metadata_from_json, metadata_to_json, plain_metadata


class Kind(enum.Enum):
    SPIKES = "spikes"


@pytest.mark.parametrize(
    ("noted", "plain"),
    [
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float16(0.1), float(np.float16(0.1))),
        (np.float64(-0.0), -0.0),
        (np.longdouble(0.5), 0.5),
        (np.int64(-(2**63)), -(2**63)),
        (np.uint8(200), 200),
        (2**200, 2**200),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
        (np.array(1.5), 1.5),
        (np.array([[1, 2], [3, 4]], np.int8), [[1, 2], [3, 4]]),
        (np.array([0.5, 1.5], np.float32), [0.5, 1.5]),
        (np.array([True, False]), [True, False]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.zeros((0, 3)), []),
        (np.ma.array([1, 2]), [1, 2]),
        (np.datetime64("2026-01-02T03:04"), "2026-01-02T03:04"),
        (np.array(["2026-01-02"], "M8[ns]"), ["2026-01-02T00:00:00.000000000"]),
        ((1, (2, None)), [1, [2, None]]),
        (Path("data/x.csv"), "data/x.csv"),
        (dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC), "2026-01-02T03:04:00+00:00"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Kind.SPIKES, "spikes"),
        ({0: "a", None: "b", True: "c", np.int8(3): "d"}, {"0": "a", "null": "b", "true": "c", "3": "d"}),
        (math.inf, math.inf),
        (np.float32("-inf"), -math.inf),
        ("nan", "nan"),
        ("a\0", "a\0"),
    ],
)
def test_what_has_an_obvious_form_comes_back_in_it(noted, plain, tmp_path):
    state = NetworkState(metadata={"x": noted, "deep": [{"x": noted}]})
    assert state.metadata == {"x": plain, "deep": [{"x": plain}]}
    assert type(state.metadata["x"]) is type(plain)
    ann_ckpt.write(state, tmp_path / "net.h5")
    again = ann_ckpt.read(tmp_path / "net.h5")
    assert again.metadata == state.metadata
    assert math.copysign(1, again.metadata["x"]) == -1 if plain == 0 and plain is not False else True


def test_numbers_that_json_does_not_have_come_back_and_compare_equal(tmp_path):
    state = NetworkState(
        metadata={"loss": np.float32("nan"), "all": [math.nan, math.inf, {"low": -math.inf}]}
    )
    ann_ckpt.write(state, tmp_path / "net.h5")
    again = ann_ckpt.read(tmp_path / "net.h5")
    assert math.isnan(again.metadata["loss"])
    assert math.isnan(again.metadata["all"][0])
    assert again.metadata["all"][1:] == [math.inf, {"low": -math.inf}]
    assert not list(differences(state, again))
    assert ann_ckpt.diff(tmp_path / "net.h5", tmp_path / "net.h5").same
    with h5py.File(tmp_path / "net.h5") as file:
        stored = json.loads(file["metadata"][()], parse_constant=pytest.fail)
    assert stored["loss"] == {"__float__": "nan"}


def test_an_object_that_looks_like_such_a_number_is_refused_and_no_other_is():
    with pytest.raises(StateError, match="reserved for nan"):
        plain_metadata({"x": {"__float__": "nan"}})
    for other in ({"__float__": "NaN"}, {"__float__": []}, {"__float__": "nan", "y": 1}):
        assert metadata_from_json(json.loads(metadata_to_json({"x": other}))) == {"x": other}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, max_size=3))
def test_anything_plain_comes_back_bit_for_bit(noted):
    plain = plain_metadata(noted)
    assert repr(plain) == repr(noted)
    assert repr(metadata_from_json(json.loads(metadata_to_json(plain)))) == repr(noted)


@pytest.mark.parametrize(
    "noted",
    [
        object(),
        {1, 2},
        b"bytes",
        1j,
        np.complex64(1),
        Decimal("0.1"),
        lambda: 0,
        np.array([object()]),
        np.array([1j]),
        np.array([(1, 2)], "i4,i4"),
        np.ma.array([1, 2], mask=[0, 1]),
        np.zeros(10_001),
        "\ud800",
        Path("\udcff"),
        10**5000,
        np.timedelta64(5, "ns"),
        np.timedelta64(5, "D"),
        np.timedelta64("NaT"),
        {np.timedelta64(5, "s"): 1},
        np.longdouble("1e4000"),
        [np.array([1, np.nextafter(np.longdouble(1), 2)])],
        {10**5000: 1},
        {(10**5000,): 1},
        {(1, 2): 3},
        {1: 2, "1": 3},
        {"\ud800": 1},
    ],
    ids=lambda noted: type(noted).__name__,
)
def test_everything_else_is_refused_by_the_name_of_its_key_before_anything_is_written(noted, tmp_path):
    network = DemoNetwork(seed=1)
    with pytest.raises(StateError, match="the_key") as caught:
        ann_ckpt.save(tmp_path / "net.h5", network=network, metadata={"fine": 1, "the_key": [noted]})
    assert caught.value.exit_status == 2
    with pytest.raises(StateError, match="the_key"):
        ann_ckpt.save(tmp_path / "run.ckpt", network=network, metadata={"the_key": [noted]})
    with (
        ann_ckpt.CheckpointStore(tmp_path / "other.ckpt", "a") as store,
        pytest.raises(StateError, match="the_key"),
    ):
        store.save(network, metadata={"the_key": [noted]})
    assert not list((tmp_path / "other.ckpt").rglob("*.h5"))
    assert sorted(p.name for p in tmp_path.iterdir()) in (["other.ckpt"], ["other.ckpt", "run.ckpt"])


def state_of(network, folder):
    ann_ckpt.save(folder / "state.h5", network=network)
    return ann_ckpt.read(folder / "state.h5")


def test_what_is_refused_does_not_reseed_the_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = DemoNetwork(seed=1)
    network.simulate(3)
    other = DemoNetwork(seed=1)
    other.simulate(3)
    for target in ("never.h5", "never.npz", "never.ckpt"):
        with pytest.raises(StateError, match="loss"):
            ann_ckpt.save(target, network=network, metadata={"loss": object()}, barrier=True)
        assert not Path(target).exists()
    network.simulate(5)
    other.simulate(5)
    assert not list(differences(state_of(network, tmp_path), state_of(other, tmp_path)))


@pytest.mark.parametrize("given", [[1], "text", 5])
def test_metadata_that_is_no_mapping(given, tmp_path):
    with pytest.raises(StateError, match="metadata is"):
        NetworkState(metadata=given)
    with pytest.raises(StateError, match="metadata is"):
        ann_ckpt.save(tmp_path / "net.h5", network=DemoNetwork(seed=1), metadata=given)
    assert not list(tmp_path.iterdir())


def test_metadata_in_a_circle_or_too_deep():
    circle: dict = {}
    circle["the_key"] = [circle]
    with pytest.raises(StateError, match="nested deeper"):
        plain_metadata(circle)


def test_metadata_is_a_copy():
    given = {"x": [1]}
    state = NetworkState(metadata=given)
    given["x"].append(2)
    assert state.metadata == {"x": [1]}
