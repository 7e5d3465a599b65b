"""Arrays come together again, whatever their pieces are and however they are fetched."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ann_ckpt
from ann_ckpt import Attribute, CheckpointStore, Locality, NetworkState
from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format import checked
from ann_ckpt.format.shared import array
from tests.store.tiny import tiny_blocks

LENGTH = 400


def state(w: np.ndarray, step: int) -> NetworkState:
    connectivity = ann_ckpt.Connectivity.from_rows([0], [np.arange(w.size)])
    ff = ann_ckpt.ProjectionState(
        "ff", "in", "out", "exc", connectivity, variables={"w": Attribute(w, Locality.LOCAL)}
    )
    ends = [ann_ckpt.PopulationState("in", (2 * LENGTH,)), ann_ckpt.PopulationState("out", (1,))]
    return NetworkState(populations=ends, projections=[ff], time_step=step)


def make_reads_small(patch: pytest.MonkeyPatch) -> None:
    """Blocks of 12 values, reads of 8 of them, on threads from half of all on."""
    tiny_blocks(patch)
    patch.setattr(array, "READ_BYTES", 8 * 12 * 8)
    patch.setattr(checked, "PARALLEL_BYTES", LENGTH * 8 // 2)


@pytest.fixture
def small_reads(monkeypatch):
    make_reads_small(monkeypatch)


def history(data, path: Path) -> np.ndarray:
    """Save a few versions; return the last one."""
    w = np.arange(LENGTH, dtype=float)
    with CheckpointStore(path, "a") as store:
        for step in range(data.draw(st.integers(1, 6))):
            for place in data.draw(st.lists(st.integers(0, LENGTH - 1), max_size=6)):
                w[place % w.size] += 1000 * (step + 1)
            if data.draw(st.booleans()):
                at = data.draw(st.integers(0, w.size // 16)) * 16
                w = np.roll(w, at)
            blocks = w.reshape(-1, 16)
            for one, other in data.draw(
                st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)), max_size=8)
            ):
                blocks[[one, other]] = blocks[[other, one]]
            store.save(state(w.copy(), step))
    return w


@given(st.data())
def test_any_slice_after_any_history(data):
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        make_reads_small(patch)
        path = Path(folder) / "run.ckpt"
        w = history(data, path)
        with ann_ckpt.open(path) as checkpoint:
            read = checkpoint.projections["ff"]["w"]
            assert np.array_equal(np.asarray(read), w)
            for _ in range(4):
                start, stop = sorted(data.draw(st.tuples(st.integers(0, LENGTH), st.integers(0, LENGTH))))
                assert np.array_equal(read[start:stop], w[start:stop])


@pytest.mark.usefixtures("small_reads")
def test_every_block_is_in_exactly_one_span(path):
    w = np.arange(LENGTH, dtype=float)
    with CheckpointStore(path, "a") as store:
        for step in range(5):
            w[step * 16 :: 80] += 1
            store.save(state(w.copy(), step))
        with store.latest as checkpoint:
            layout = checkpoint._layout("projections/ff/variables/w")
    assert len(layout.pieces) > 8
    for first, last in ((0, layout.blocks.size), (3, 17), (5, 6)):
        spans = list(layout.by_object(first, last))
        assert sorted(n for span in spans for n in span.numbers.tolist()) == list(range(first, last))
        for span in spans:
            places = layout.places(first, last)
            for number, start in zip(span.numbers.tolist(), span.starts.tolist(), strict=True):
                assert places[number - first][:2] == (span.source.name, start)
    assert len(list(layout.by_object(0, layout.blocks.size))) < len(layout.pieces)


@pytest.mark.usefixtures("small_reads")
def test_damage_in_a_hole_does_no_harm_and_in_a_block_never_comes_out(path):
    w = np.arange(LENGTH, dtype=float)
    with CheckpointStore(path, "a", compression="none") as store:
        store.save(state(w.copy(), 0))
        w[40] = -1.0
        store.save(state(w.copy(), 1))
        (base,) = store[0]._layout("projections/ff/variables/w").objects
    file = path / "objects" / base[:2] / f"{base}.h5"
    raw = bytearray(file.read_bytes())
    stale = raw.index(np.float64(40.0).tobytes() + np.float64(41.0).tobytes())
    raw[stale] ^= 1
    file.write_bytes(raw)
    assert np.array_equal(ann_ckpt.read(f"{path}@1").projections["ff"]["w"], w)
    with pytest.raises(CorruptFileError, match=base):
        ann_ckpt.read(f"{path}@0")
    used = raw.index(np.float64(200.0).tobytes() + np.float64(201.0).tobytes())
    raw[used] ^= 1
    file.write_bytes(raw)
    with pytest.raises(CorruptFileError, match=base):
        ann_ckpt.read(f"{path}@1")
    with ann_ckpt.open(f"{path}@1") as checkpoint:
        assert np.array_equal(checkpoint.projections["ff"]["w"][:100], w[:100])
