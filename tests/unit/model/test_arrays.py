"""What becomes of arrays that are more, or less, than their values."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import ann_ckpt
from ann_ckpt import (
    Attribute,
    Connectivity,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
)
from ann_ckpt.errors import StateError
from ann_ckpt.model import as_array, blocks
from ann_ckpt.model.arrays import distances, equal_numbers

MASKED = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
RANKS = np.ma.array([0, 2, 1], mask=[False, True, False])
ROWS = Connectivity.from_rows([1, 0], [[0, 2], [1]])


def population(**changes):
    return PopulationState("p", (3,), **changes)


def projection(**changes):
    given = {"pre": "a", "post": "b", "target": "exc", "connectivity": ROWS} | changes
    return ProjectionState("ff", **given)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: population(variables={"rate": MASKED}), "'rate'"),
        (lambda: population(parameters={"tau": np.ma.masked}), "'tau'"),
        (lambda: population(variables={"rate": list(MASKED)}), "'rate'"),
        (lambda: PopulationState("p", (1, 3), variables={"rate": [MASKED]}), "'rate'"),
        (lambda: population(dynamics={"queue": MASKED}), "'queue'"),
        (lambda: projection(variables={"w": MASKED}), "'w'"),
        (lambda: projection(delays=RANKS), "delays"),
        (lambda: projection(pre_view=RANKS), "pre_view"),
        (lambda: projection(post_view=RANKS), "post_view"),
        (lambda: NetworkState(constants={"gain": MASKED}), "'gain'"),
        (lambda: NetworkState(dynamics={"twister": MASKED}), "'twister'"),
        (lambda: Connectivity(RANKS, np.array([0, 1, 2, 3]), np.zeros(3, int)), "post_ranks"),
        (lambda: Connectivity(np.array([0]), np.array([0, 3]), RANKS), "pre_ranks"),
        (lambda: Connectivity(np.array([0, 1]), RANKS, np.zeros(1, int)), "row_ptr"),
        (lambda: Connectivity.from_rows([0], [RANKS]), "row 0"),
        (lambda: Connectivity.from_rows(RANKS, [[0], [1], [2]]), "post_ranks"),
        (lambda: Attribute(MASKED, Locality.LOCAL), "masked"),
    ],
)
def test_a_mask_is_not_lost_silently(make, named):
    with pytest.raises(StateError, match="masked") as caught:
        make()
    assert named in str(caught.value)


def test_a_masked_array_without_masked_entries_is_its_values():
    for values in (np.ma.array([1.0, 2.0]), np.ma.array([1.0, 2.0], mask=[0, 0])):
        array = as_array(values)
        assert type(array) is np.ndarray
        assert array.tolist() == [1.0, 2.0]


class Quantity(np.ndarray):
    """As packages for units have them."""


class Stored:
    """An array on disk whose slices come masked, as those of netCDF4 do."""

    shape = (3,)
    dtype = np.dtype(float)

    def __getitem__(self, key):
        return MASKED[key]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(MASKED)


def test_a_mask_that_comes_with_the_slices_stops_the_save(tmp_path):
    state = NetworkState(populations=[population(variables={"r": Stored()})])
    with pytest.raises(StateError, match="masked"):
        list(blocks(state.populations["p"]["r"]))
    for target in ("net.h5", "run.ckpt", "net.npz", "net.data", "net.mat"):
        with pytest.raises(StateError, match="masked"):
            ann_ckpt.write(state, tmp_path / target)
    assert not [
        p for p in tmp_path.rglob("*") if p.is_file() and p.suffix in (".h5", ".npz", ".data", ".mat")
    ]


class Other:
    """A lazy array that hands out something else than it says: another type, or another number of entries."""

    def __init__(self, says, gives, fewer=0):
        self._gives, self._fewer = np.asarray(gives), fewer
        self.shape, self.dtype = np.shape(gives), np.dtype(says)

    def __getitem__(self, key):
        return self._gives[key][self._fewer :]

    def __array__(self, dtype=None, copy=None):
        return self._gives


def refused_everywhere(given, folder):
    state = NetworkState(populations=[PopulationState("p", given.shape or (1,), variables={"r": given})])
    for target in ("net.h5", "run.ckpt", "net.data"):
        with pytest.raises(StateError, match=r"of an array have|gives values of"):
            ann_ckpt.write(state, folder / target)
    assert not [p for p in folder.rglob("*.h5") if p.parent.name != "objects"]


@pytest.mark.parametrize("says", ["int8", "float32", ">f8", "bool"])
@pytest.mark.parametrize("n", [3, 5_000, 60_000])
def test_a_lazy_array_of_another_type_than_it_says_stops_the_save(says, n, tmp_path):
    refused_everywhere(Other(says, np.arange(n) * 1.0), tmp_path)


def test_so_does_a_single_value_of_another_type(tmp_path):
    refused_everywhere(Other(float, np.array(3)), tmp_path)


@pytest.mark.parametrize("n", [3, 5_000, 60_000])
def test_so_does_one_that_has_fewer_entries(n, tmp_path):
    refused_everywhere(Other(float, np.arange(n) * 1.0, fewer=1), tmp_path)


def test_a_save_in_background_is_stopped_too(tmp_path):
    state = NetworkState(constants={"gain": Other(float, np.arange(5))})
    with (
        ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "a") as store,
        pytest.raises(StateError, match="int64"),
    ):
        store.save_in_background(state).wait()


@pytest.mark.parametrize("n", [1, 3, 5_000, 300_000])
@pytest.mark.parametrize("lazily", [True, False])
def test_bools_are_stored_as_0_and_1_whatever_byte_they_have(n, lazily, tmp_path):
    odd = (np.arange(n, dtype=np.uint8) % 3 * 3).view(np.bool_)
    plain = odd.view(np.uint8) != 0
    given, single = (Other(bool, odd), Other(bool, odd[-1])) if lazily else (odd, odd[-1])
    for target in ("net.h5", "run.ckpt"):
        ann_ckpt.write(NetworkState(constants={"on": given}, dynamics={"one": single}), tmp_path / target)
        read = ann_ckpt.read(tmp_path / target)
        assert np.array_equal(np.asarray(read.constants["on"]).view(np.uint8), plain)
        assert np.asarray(read.dynamics["one"]).view(np.uint8) == plain[-1]


class Swapped:
    """A lazy array of the other byte order, as files of other machines and programs have them."""

    def __init__(self, values):
        self._values = np.asarray(values).astype(np.asarray(values).dtype.newbyteorder())
        self.shape, self.dtype = self._values.shape, self._values.dtype

    def __getitem__(self, key):
        return self._values[key]

    def __array__(self, dtype=None, copy=None):
        return self._values


def network(given, n):
    """Every kind of array that may be lazy, each made from its values by ``given``."""
    rows = Connectivity(np.array([0]), np.array([0, n]), np.zeros(n, np.int32))
    values = np.arange(n) * 0.5
    series = ann_ckpt.Series(times=given(np.arange(n)), ranks=given(np.arange(n) % 7), values=given(values))
    recording = ann_ckpt.Recording("m", of="populations/p", series={"r": series}, ranks=given(np.arange(7)))
    ff = ProjectionState(
        "ff",
        "p",
        "p",
        "exc",
        rows,
        delays=given(np.arange(n) % 9),
        order=given(np.arange(n)[::-1]),
        pathway_delays={"up": given(values)},
        variables={"w": given(values), "trace": Attribute(given(np.ones((n, 2))), Locality.LOCAL)},
    )
    return NetworkState(
        time_step=1,
        populations=[
            PopulationState("p", (n,), variables={"r": given(values)}, parameters={"tau": given(0.25)})
        ],
        projections=[ff],
        constants={"gain": given(np.arange(3.0))},
        dynamics={"twister": given(np.arange(n))},
        recordings=[recording],
    )


@pytest.mark.parametrize("n", [1, 3, 5_000, 300_000])  # compact, contiguous, in chunks
def test_lazy_arrays_of_the_other_byte_order_are_stored_as_those_in_memory_are(n, tmp_path):
    expected = network(np.asarray, n)
    for target in ("net.h5", "run.ckpt"):
        ann_ckpt.write(expected, tmp_path / f"eager-{target}")
        ann_ckpt.write(network(Swapped, n), tmp_path / f"lazy-{target}")
        assert list(ann_ckpt.differences(expected, ann_ckpt.read(tmp_path / f"lazy-{target}"))) == []
        assert ann_ckpt.verify(tmp_path / f"lazy-{target}").ok
    objects = [{p.name for p in (tmp_path / kind).rglob("*")} for kind in ("eager-run.ckpt", "lazy-run.ckpt")]
    assert objects[0] == objects[1]


def test_a_mask_is_not_lost_with_the_byte_order():
    stored = Swapped(MASKED.data)
    stored._values = np.ma.array(stored._values, mask=MASKED.mask)
    with pytest.raises(StateError, match="masked"):
        list(blocks(as_array(stored)))


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(3).view(Quantity),
        [np.zeros(3).view(Quantity)] * 3,
        np.array([1, None, 2]),
        np.array(["a", "b", "c"]),
        np.zeros(3, "f4,f4"),
        np.rec.array(np.zeros(3, "f4,f4")),
        np.zeros(3, "M8[s]"),
        np.zeros(3, "m8[s]"),
        np.zeros(3, complex),
        np.zeros(3, np.float16),
        np.zeros(3, np.longdouble),
        [1, "a", None],
        [[1, 2], [3]],
        {"a": 1},
        {1, 2, 3},
        b"abc",
        None,
        object(),
        2**70,
        lambda: 0,
    ],
)
def test_what_is_no_array_of_numbers_is_refused_by_name(values):
    with pytest.raises(StateError) as caught:
        population(variables={"rate": values})
    assert "'rate'" in str(caught.value)
    assert "population 'p'" in str(caught.value)


def test_arrays_mapped_from_a_file_are_arrays(tmp_path):
    mapped = np.memmap(tmp_path / "values", np.float64, "w+", shape=(3,))
    mapped[:] = [1, 2, 3]
    assert np.asarray(population(variables={"r": mapped})["r"]).tolist() == [1, 2, 3]


class Series:
    """What pandas' tables are: slices by label, and types that numpy does not have."""

    def __init__(self, values, dtype):
        self._values = np.array(values)
        self.dtype = dtype
        self.shape = self._values.shape

    def __getitem__(self, key):
        raise AssertionError("slices would be labels")

    def __array__(self, dtype=None, copy=None):
        return self._values

    def to_numpy(self):
        return self._values


@pytest.mark.parametrize("dtype", [np.dtype(float), "Float64", object()])
def test_tables_are_taken_by_position(dtype):
    values = population(variables={"r": Series([1.0, 2.0, 3.0], dtype)})["r"]
    assert type(values) is np.ndarray
    assert values.tolist() == [1, 2, 3]


NUMBERS = [
    hnp.arrays(dtype, 5, elements=st.sampled_from(some) | hnp.from_dtype(np.dtype(dtype)))
    for dtype, some in {
        "i8": [2**53, 2**53 + 1, 2**63 - 1, -(2**63), -(2**53) - 1, 0],
        "u8": [2**53, 2**53 + 1, 2**63, 2**64 - 1, 0],
        "i1": [-128, 127],
        "?": [False, True],
        "f8": [2.0**53, 2.0**63, -(2.0**63), 2.0**64, 0.5, -0.0, np.nan, np.inf],
        "f4": [2.0**24, 0.5, -0.0, np.nan],
    }.items()
]


@given(st.one_of(NUMBERS), st.one_of(NUMBERS))
@example(np.array([2**64 - 1], np.uint64), np.array([2.0**64]))
@example(np.array([2**63 - 1]), np.array([2.0**63]))
@example(np.array([-(2**53) - 1]), np.array([-(2.0**53)]))
def test_numbers_are_compared_exactly_whatever_their_types(a, b):
    one, other = a.tolist(), b.tolist()
    expected = [x == y or (math.isnan(x) and math.isnan(y)) for x, y in zip(one, other, strict=True)]
    assert equal_numbers(a, b).tolist() == expected
    for x, y, same in zip(a, b, expected, strict=True):
        assert equal_numbers(np.asarray(x), np.asarray(y)) == same
    for x, y, found in zip(one, other, distances(a, b).tolist(), strict=True):
        if not (np.isfinite(x) and np.isfinite(y)):
            assert not np.isfinite(found)
        elif max(abs(x), abs(y)) < 2**1000:
            exact = abs(Fraction(x) - Fraction(y))
            whole = exact.denominator == 1
            assert found == (float(exact) if whole else pytest.approx(float(exact), rel=1e-15))
            assert (found == 0) == (x == y)
