"""An array in a file answers to every key as the array in memory does, and reads only what that takes."""

from __future__ import annotations

from collections import ChainMap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import ann_ckpt
from ann_ckpt import Attribute, Connectivity, Locality, NetworkState, PopulationState, ProjectionState
from ann_ckpt.errors import ClosedCheckpointError, CorruptFileError
from ann_ckpt.lazy.indexing import groups_of

NOISE = np.random.default_rng(5)
SHAPES = [(0,), (5,), (3, 4), (2, 0, 3), (30_000,), (3_000, 7, 2), (40, 900), (3, 20_000)]
DYNAMICS = {
    f"{kind}{n}": NOISE.integers(0, 200, shape).astype(dtype)
    for n, shape in enumerate(SHAPES)
    for kind, dtype in (("d", np.float64), ("i", np.int16), ("b", np.bool_))
}
SIZES = NOISE.integers(0, 300, 700)
ROWS = Connectivity(
    np.arange(700), np.concatenate(([0], np.cumsum(SIZES))), NOISE.integers(0, 99, SIZES.sum())
)
WEIGHTS = NOISE.random(ROWS.n_synapses)
STATE = NetworkState(
    populations=[PopulationState("q", (700,))],
    projections=[
        ProjectionState("p", "q", "q", "exc", ROWS, variables={"w": Attribute(WEIGHTS, Locality.LOCAL)})
    ],
    dynamics=DYNAMICS,
    constants={"g": 9.81},
)
EXPECTED = ChainMap({"g": np.array(9.81), "w": WEIGHTS, "pre_ranks": np.asarray(ROWS.pre_ranks)}, DYNAMICS)
TARGETS = [("plain.h5", "none"), ("packed.h5", "gzip"), ("plain.ckpt", "none"), ("packed.ckpt", "gzip")]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Checkpoints by the name of their file, and how many bytes a block of theirs may lie beside."""
    folder = tmp_path_factory.mktemp("indexing")
    checkpoints = {}
    for name, compression in TARGETS:
        ann_ckpt.write(STATE, folder / name, compression=compression)
        checkpoints[name] = ann_ckpt.open(folder / name)
    yield checkpoints
    for checkpoint in checkpoints.values():
        checkpoint.close()


def lazy(checkpoint, name):
    if name == "g":
        return checkpoint.arrays["constants/g"]
    projection = checkpoint.projections["p"]
    if name == "pre_ranks":
        return projection.pre_ranks
    return projection["w"] if name == "w" else checkpoint.dynamics[name]


def axis_key(length, *, arrays=True):
    """Part of a key for one axis; integers and arrays may be out of bounds now and then."""
    index = st.integers(-length, max(0, length - 1)) | st.integers(-length - 2, length + 2)
    kinds = [
        st.slices(length),
        st.sampled_from(
            [slice(None), slice(None, None, -1), slice(None, None, 3), slice(5, 2), slice(-3, None)]
        ),
        index,
        index.map(np.int64),
    ]
    if arrays:
        some = st.lists(index, max_size=4)
        kinds += [some, some.map(lambda given: np.array(given, np.int32)), index.map(np.array)]
        kinds += [st.lists(st.lists(index, min_size=2, max_size=2), min_size=1, max_size=2)]
        kinds += [st.integers(0, 2**32).map(lambda seed: np.random.default_rng(seed).random(length) < 0.001)]
        kinds += [st.integers(0, 2**32).map(lambda seed: np.random.default_rng(seed).random(length) < 0.9)]
    return st.one_of(kinds)


@st.composite
def keys(draw, shape):
    """Any key: right ones mostly, and some that numpy refuses."""
    special = draw(st.integers(0, 9))
    if special == 0:
        return draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    if special == 1:
        seed = draw(st.integers(0, 2**32))
        return np.random.default_rng(seed).random(shape) < draw(st.sampled_from([0.0, 0.0005, 0.5]))
    if special == 2:
        return draw(st.sampled_from(["w", 1.5, (1, 2, 3, 4), True, False, None, ..., (), [], [[]], {}, b"x"]))
    parts = [draw(axis_key(length)) for length in shape[: draw(st.integers(0, len(shape)))]]
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), ...)
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from([None, True, False])))
    return parts[0] if len(parts) == 1 and draw(st.booleans()) else tuple(parts)


def touched_bytes(array, key):
    """Bytes of the blocks in which the entries lie that a key asks for."""
    first_axis = np.arange(array.shape[0]).reshape(-1, *(1 for _ in array.shape[1:]))
    entries = np.unique(np.broadcast_to(first_axis, array.shape)[key])
    starts = np.array([part[0].start for part in array.iter_chunks()])
    ends = np.append(starts[1:], array.shape[0])
    blocks = np.unique(np.searchsorted(starts, entries, side="right") - 1)
    return int((ends - starts)[blocks].sum()) * (array.nbytes // array.shape[0]), blocks


@settings(
    max_examples=2 * settings().max_examples, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_key_gives_what_numpy_gives_and_reads_the_blocks_it_touches(opened, data):
    file = data.draw(st.sampled_from([name for name, _ in TARGETS]))
    name = data.draw(st.sampled_from(list(EXPECTED)))
    key = data.draw(keys(EXPECTED[name].shape))
    expected, array = EXPECTED[name], lazy(opened[file], name)
    array[:1] if array.shape else array[...]  # digests of blocks are read once
    before = opened[file].bytes_read
    try:
        found = expected[key]
    except (IndexError, ValueError, TypeError) as error:
        with pytest.raises(type(error)):
            array[key]
        assert opened[file].bytes_read == before
        return
    except DeprecationWarning:  # numpy 1 only warns of an index out of bounds where nothing is selected
        with pytest.raises((IndexError, DeprecationWarning)):
            array[key]
        return
    result = array[key]
    assert type(result) is type(found)
    assert (np.shape(result), result.dtype) == (np.shape(found), found.dtype)
    np.testing.assert_array_equal(result, found)
    if array.shape and array.size:
        whole_blocks, blocks = touched_bytes(array, key)
        read = opened[file].bytes_read - before
        if "packed" in file:  # a chunk that holds a part of a block is read whole
            runs = 1 + np.count_nonzero(np.diff(blocks) > 1)
            whole_blocks += 2 * runs * (128 << 10) if blocks.size else 0
        assert read <= whole_blocks + 256 * 8


@pytest.mark.parametrize(("file", "_"), TARGETS)
@pytest.mark.parametrize("name", EXPECTED)
def test_chunks_and_iteration_cover_the_array(opened, file, _, name):
    expected, array = EXPECTED[name], lazy(opened[file], name)
    assert len(array.chunks) == array.ndim
    if not array.shape:
        assert list(array.iter_chunks()) == [()]
        with pytest.raises(TypeError):
            iter(array).__next__()
        return
    ends = [0]
    for key in array.iter_chunks():
        assert key[0].start == ends[-1]
        assert key[0].stop - key[0].start <= array.chunks[0]
        np.testing.assert_array_equal(array[key], expected[key])
        ends.append(key[0].stop)
    assert ends[-1] == len(array)
    before = opened[file].bytes_read
    np.testing.assert_array_equal(np.array(list(array)).reshape(expected.shape), expected)
    assert (
        opened[file].bytes_read - before <= array.nbytes + len(ends) * (128 << 10) * ("packed" in file) + 4096
    )


@pytest.mark.parametrize("file", ["plain.h5", "plain.ckpt"])
def test_numpys_functions_and_operators_take_it(opened, file):
    array, expected = lazy(opened[file], "w"), WEIGHTS
    assert np.mean(array) == expected.mean()
    assert np.sum(array) == expected.sum()
    np.testing.assert_array_equal(np.sqrt(array), np.sqrt(expected))
    np.testing.assert_array_equal(array * 2 - array, expected)
    np.testing.assert_array_equal(1 - array, 1 - expected)
    np.testing.assert_array_equal(array[array > 0.999], expected[expected > 0.999])
    np.testing.assert_array_equal(expected[:3][array[:3] > 0.5], expected[:3][expected[:3] > 0.5])
    assert np.add.reduce(array) == np.add.reduce(expected)
    np.testing.assert_array_equal(np.concatenate([array, array]), np.concatenate([expected, expected]))
    with pytest.raises(TypeError, match="cannot be changed"):
        array += 1
    with pytest.raises(TypeError, match="cannot be changed"):
        np.add.at(array, [0], 1.0)
    into = np.zeros(1)
    np.add.at(into, [0], array[:1])
    assert into[0] == expected[0]
    with pytest.raises(TypeError):
        array[0] = 1
    assert float(expected[-1]) in array
    assert 7.0 not in array
    with pytest.raises(ValueError, match="ambiguous"):
        bool(array)
    assert lazy(opened[file], "g")


def test_it_becomes_an_array_as_numpy_asks_for_one(opened):
    array = lazy(opened["plain.h5"], "d4")
    assert array.__array__(np.float32).dtype == np.float32
    assert array.__array__(dtype=None, copy=True).dtype == np.float64
    np.testing.assert_array_equal(array.__array__(None, None), DYNAMICS["d4"])
    with pytest.raises(ValueError, match="without a copy"):
        array.__array__(copy=False)


def test_three_entries_of_a_large_array_cost_three_blocks(tmp_path):
    many = PopulationState("q", (1_000_000,), variables={"r": np.arange(1e6)})
    ann_ckpt.write(NetworkState(populations=[many]), tmp_path / "net.h5", compression="none")
    with ann_ckpt.open(tmp_path / "net.h5") as checkpoint:
        array = checkpoint.populations["q"]["r"]
        assert array[[3, 500_000, -1]].tolist() == [3.0, 500_000.0, 999_999.0]
        assert checkpoint.bytes_read < 4 * (64 << 10)
        before = checkpoint.bytes_read
        assert array[[20_000, 37_000]].tolist() == [20_000.0, 37_000.0]  # nothing of the block between them
        assert checkpoint.bytes_read - before == 2 * (64 << 10)


@given(
    st.lists(st.integers(0, 400), unique=True, min_size=1).map(sorted),
    st.lists(st.integers(1, 60), min_size=1, max_size=30),
    st.integers(1, 200),
)
def test_groups_are_neighbouring_blocks_of_bounded_size(rows, counts, at_most):
    starts = np.concatenate(([0], np.cumsum([*counts, 401])))
    groups = list(groups_of(np.array(rows), starts, at_most=at_most))
    assert [row for first, last in groups for row in rows[first:last]] == rows
    used = set()
    for first, last in groups:
        blocks = np.searchsorted(starts, rows[first:last], side="right") - 1
        assert set(np.diff(blocks)) <= {0, 1}
        assert used.isdisjoint(blocks)
        used.update(blocks)
        assert starts[blocks[-1]] - starts[blocks[0]] < at_most or blocks[0] == blocks[-1]


@pytest.mark.parametrize("name", ["d5", "d6"])
def test_a_few_values_keep_no_large_array_alive(opened, name):
    found = lazy(opened["plain.h5"], name)[:, 0]
    assert found.base is None or found.base.nbytes <= 2 * found.nbytes


def test_a_wrong_key_is_refused_with_the_place_and_nothing_read(opened):
    checkpoint = opened["plain.h5"]
    before = checkpoint.bytes_read
    for key in (10**9, [1, 10**9], (0, 0), 1.5, "w", np.zeros(3, bool)):
        with pytest.raises(IndexError, match="projections/p/variables/w"):
            lazy(checkpoint, "w")[key]
    assert checkpoint.bytes_read == before


@pytest.mark.parametrize("file", ["net.h5", "run.ckpt"])
def test_what_a_key_picks_is_held_against_its_digest(tmp_path, file):
    """The damage is found by keys that touch its block, and by no other."""
    ann_ckpt.write(STATE, tmp_path / file, compression="none")
    hit = WEIGHTS.size // 2
    needle = WEIGHTS[hit : hit + 2].tobytes()
    paths = [p for p in [tmp_path / file, *(tmp_path / file).rglob("*")] if p.is_file()]
    (damaged,) = (path for path in paths if needle in path.read_bytes())
    data = bytearray(damaged.read_bytes())
    data[data.index(needle)] ^= 1
    damaged.write_bytes(data)
    with ann_ckpt.open(tmp_path / file) as checkpoint:
        array = checkpoint.projections["p"]["w"]
        np.testing.assert_array_equal(array[[0, -1]], WEIGHTS[[0, -1]])
        for key in ([0, hit], slice(None, None, 50), np.arange(WEIGHTS.size) == hit, slice(None, None, -1)):
            with pytest.raises(CorruptFileError):
                array[key]


def test_a_closed_checkpoint_refuses_every_key(tmp_path):
    ann_ckpt.write(STATE, tmp_path / "net.h5")
    with ann_ckpt.open(tmp_path / "net.h5") as checkpoint:
        array = checkpoint.projections["p"]["w"]
        assert array.shape == WEIGHTS.shape
    for use in (
        lambda: array[0],
        lambda: array[0:0],
        lambda: list(array),
        lambda: array.chunks,
        lambda: array + 1,
    ):
        with pytest.raises(ClosedCheckpointError):
            use()


@pytest.mark.parametrize("file", ["complete-1.0.h5", "complete-1.1.h5", "run-1.0.ckpt", "run-1.2.ckpt"])
def test_files_of_every_version_take_the_same_keys(file):
    with ann_ckpt.open(Path(__file__).parents[1] / "golden" / file) as checkpoint:
        for array in checkpoint.arrays.values():
            if not array.shape or array.dtype.names is not None or not array.shape[0]:
                continue
            values = np.asarray(array)
            assert [len(array[key]) for key in array.iter_chunks()] == np.diff(array._block_starts).tolist()
            for key in (
                0,
                [-1, 0],
                slice(None, None, -3),
                np.arange(len(values)) % 5 == 1,
                (None, slice(1, None, 2)),
            ):
                np.testing.assert_array_equal(array[key], values[key])
