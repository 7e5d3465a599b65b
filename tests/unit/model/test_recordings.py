"""Series and recordings: what is refused, and parts of them that are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt import NetworkState, PopulationState, Recording, Selection, Series, differences
from ann_ckpt.errors import AttributeNotFoundError, OptionError, StateError
from tests import strategies


def spikes(n: int = 100) -> Series:
    return Series(times=np.arange(n) // 3, ranks=np.arange(n, dtype=np.int32) * 7 % 11)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "neither times nor values"),
        ({"ranks": [1]}, "no times"),
        ({"times": [1, 2], "values": [1.0]}, "different lengths"),
        ({"times": [2, 1]}, "decrease"),
        ({"times": [[1]]}, "times of a series are int64"),
        ({"times": [True]}, "times of a series are bool"),
        ({"times": [1], "ranks": [0.5]}, "ranks of a series are float64"),
        ({"values": 3.0}, "values of a series are float64"),
        ({"values": ["a"]}, "values: values of type"),
    ],
)
def test_what_is_no_series_is_refused(fields, said):
    with pytest.raises(StateError, match=said):
        Series(**{name: np.asarray(value) for name, value in fields.items()})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"of": 3}, "of is of type int"),
        ({"series": {"v": np.zeros(3)}}, "'v' is of type ndarray"),
        ({"ranks": [-1]}, "ranks from -1"),
        ({"ranks": [2**31]}, "ranks from 2147483648"),
        ({"ranks": [2**32 + 5]}, "expected 0 to"),
        ({"ranks": [[1]]}, "flat array of integers"),
        ({"ranks": [0.5]}, "flat array of integers"),
        ({"settings": {"x": object()}}, "cannot be represented"),
        ({"carried": 1}, "is of type int"),
    ],
)
def test_what_is_no_recording_is_refused(fields, said):
    with pytest.raises(StateError, match=said):
        Recording("m", **{"of": "populations/a", **fields})


@given(series=strategies.series(), start=st.integers(-6, 6), stop=st.none() | st.integers(-6, 6))
def test_a_slice_of_records_has_the_records_of_each_array(series, start, stop):
    part = series[start:stop]
    for name, array in series.arrays:
        assert np.array_equal(getattr(part, name), np.asarray(array)[start:stop], equal_nan=True)
    assert len(part) == len(range(len(series))[start:stop])


@given(times=st.lists(st.integers(0, 9)).map(sorted), start=st.integers(-1, 10), stop=st.integers(-1, 10))
def test_between_has_the_records_of_those_times(times, start, stop):
    series = Series(times=np.array(times, np.int64), values=np.arange(len(times)))
    part = series.between(start, stop)
    expected = [t for t in times if start <= t < stop] if start <= stop else []
    assert np.asarray(part.times).tolist() == expected


def test_other_keys_than_slices_are_refused():
    for key in (3, slice(0, 4, 2), [1]):
        with pytest.raises(StateError, match="expected a slice of step 1"):
            spikes()[key]
    with pytest.raises(StateError, match="no times"):
        Series(values=np.zeros(3)).between(0, 1)


@pytest.mark.parametrize(
    "wrong", ["a", None, [1], [[1], [1, 2]], True, 1j, np.nan, np.datetime64("2020-01-01")]
)
@pytest.mark.parametrize("of", ["start", "stop"])
def test_between_takes_numbers(of, wrong):
    """Anything else would compare with times in a way of its own, or fail in numpy."""
    with pytest.raises(OptionError, match=f"{of}= takes a number, not"):
        spikes().between(**{"start": 0, "stop": 3, of: wrong})
    if wrong is not None:
        with pytest.raises(OptionError, match=f"{of}= takes a number, not"):
            spikes().to_frame(**{of: wrong})


@pytest.mark.parametrize("one", [1, 1.0, np.int32(1), np.float32(1), np.uint64(1), np.array(1)])
def test_between_takes_every_number(one):
    assert len(spikes().between(one, np.inf)) == len(spikes()) - 3


def test_between_tells_steps_apart_that_no_float_does():
    steps = 2**53 + np.arange(4)
    assert len(Series(times=steps).between(2**53 + 1, 2**53 + 3)) == 2


def test_frames():
    frame = spikes().to_frame(1, 2)
    assert frame.columns.tolist() == ["step", "rank"]
    assert frame["step"].tolist() == [1, 1, 1]
    traces = Series(times=np.array([0.5, 1.0]), values=np.arange(12.0).reshape(2, 2, 3))
    frame = traces.to_frame()
    assert frame.index.name == "seconds"
    assert frame.shape == (2, 6)
    assert frame.loc[1.0].tolist() == [6, 7, 8, 9, 10, 11]
    assert traces.to_frame(stop=0.25).shape == (0, 6)
    marked = Series(times=np.array([1]), ranks=np.array([4]), values=np.array([0.25]))
    assert marked.to_frame().to_dict("list") == {"step": [1], "rank": [4], "value": [0.25]}
    assert Series(values=np.arange(3)).to_frame()["value"].tolist() == [0, 1, 2]


def test_a_recording_is_a_mapping_that_says_what_is_near():
    recording = Recording("m", of="populations/a", series={"spike": spikes()})
    assert list(recording) == ["spike"]
    assert len(recording) == 1
    with pytest.raises(AttributeNotFoundError, match="did you mean 'spike'"):
        recording["spikes"]


def test_a_part_of_a_network_has_the_recordings_of_its_objects():
    state = NetworkState(
        populations=[PopulationState("a", (2,)), PopulationState("b", (2,))],
        recordings=[
            Recording(n, of=o) for n, o in (("x", "populations/a"), ("y", "populations/b"), ("z", ""))
        ],
    )
    assert list(state.select(Selection(populations=["b"])).recordings) == ["y", "z"]


@given(state=strategies.networks())
def test_a_network_differs_from_one_without_its_recordings(state):
    bare = NetworkState(
        **{n: getattr(state, n) for n in NetworkState.__dataclass_fields__ if n != "recordings"}
    )
    assert set(differences(state, bare)) == ({"recordings"} if state.recordings else set())


@pytest.mark.parametrize(
    "change",
    [
        {"of": ""},
        {"settings": {"period": 2}},
        {"carried": {"paused": True}},
        {"ranks": None},
        {"series": {}},
        {"series": {"spike": spikes(99)}},
        {"series": {"spike": Series(times=spikes().times)}},
    ],
)
def test_every_field_of_a_recording_counts(change):
    fields = {
        "of": "populations/a",
        "series": {"spike": spikes()},
        "ranks": [0, 1],
        "settings": {"period": 1},
        "carried": {"paused": False},
    }
    one, other = (
        NetworkState(recordings=[Recording("m", **fields)]),
        NetworkState(recordings=[Recording("m", **{**fields, **change})]),
    )
    assert list(differences(one, other))
    assert not list(differences(one, NetworkState(recordings=[Recording("m", **fields)])))


@pytest.mark.parametrize("start", [0, 1, 33_332, 33_333, 50_000, 66_666, 66_667])
def test_between_in_a_long_series(start):
    times = np.arange(200_000) // 3
    part = Series(times=times).between(start, start + 2)
    assert np.array_equal(part.times, times[(times >= start) & (times < start + 2)])
