"""Any range of a chunked dataset: raw and packed chunks mixed, listed or asked for one by one."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import h5py
import numpy as np
import pytest
from h5py import h5d, h5g
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.durable import open_regular
from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format import chunk_locations, dataset, h5
from ann_ckpt.format.bytes import FileBytes, NewFile
from ann_ckpt.format.chunk_locations import HDF5Locations
from ann_ckpt.format.chunking import Compression, chunk_stream
from ann_ckpt.format.dataset import StoredArray, read_ranges
from ann_ckpt.format.guard import check_dataset

CHUNK = 32
ASK = HDF5Locations._ask


def make(path, values, compression=Compression.AUTO):
    with (
        contextlib.closing(NewFile(os.fspath(path))) as new,
        contextlib.closing(h5.create_file(new)) as file,
        ThreadPoolExecutor(2) as pool,
    ):
        stream = chunk_stream(
            h5g.open(file, b"/"),
            "x",
            values.dtype,
            values.shape,
            chunk=CHUNK,
            compression=compression,
            pool=pool,
        )
        for start in range(0, len(values), CHUNK):
            stream.put(start, values[start : start + CHUNK])
        stream.finish()


@contextlib.contextmanager
def opened(path):
    with h5py.File(path, "r") as file:
        dataset = h5d.open(file.id, b"x")
        counted: list[int] = []
        raw = FileBytes(open_regular(path), str(path))
        stored = StoredArray.opened(dataset, file=raw, count=counted.append, where="x")
        yield stored, dataset, counted


def cut(path, dataset, start, stop):
    layout = check_dataset(dataset, path.stat().st_size, "x")
    return list(read_ranges(layout, HDF5Locations(dataset, layout, where="x"), start, stop))


@st.composite
def mixtures(draw):
    """Values whose chunks deflate well, or not at all, in any order."""
    kinds = draw(st.lists(st.booleans(), min_size=1, max_size=40))
    noise = np.random.default_rng(0)
    parts = [noise.integers(0, 1 << 62, CHUNK) if kind else np.zeros(CHUNK, np.int64) for kind in kinds]
    return np.concatenate(parts)[: draw(st.integers(CHUNK, CHUNK * len(kinds)))]


KINDS = [Compression.NONE, Compression.AUTO, Compression.GZIP, Compression.FAST]


@given(values=mixtures(), data=st.data(), compression=st.sampled_from(KINDS))
def test_any_range_comes_back_in_order(tmp_path_factory, values, data, compression):
    path = tmp_path_factory.mktemp("x") / "x.h5"
    make(path, values, compression)
    start = data.draw(st.integers(0, len(values)))
    stop = data.draw(st.integers(start, len(values)))
    with opened(path) as (stored, _, counted):
        out = np.empty(stop - start, values.dtype)
        stored.read_into(out, start)
        np.testing.assert_array_equal(out, values[start:stop])
        if compression is Compression.NONE:
            assert sum(counted) == out.nbytes


@given(values=mixtures(), data=st.data(), compression=st.sampled_from(KINDS))
def test_chunks_that_several_parts_share_are_read_once(tmp_path_factory, values, data, compression):
    path = tmp_path_factory.mktemp("x") / "x.h5"
    make(path, values, compression)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), min_size=2, max_size=20)))
    parts = [(a, np.empty(b - a, values.dtype)) for a, b in pairwise(cuts)]
    with opened(path) as (stored, _, counted):
        stored.gather(parts)
        for start, out in parts:
            np.testing.assert_array_equal(out, values[start : start + len(out)])
        assert sum(counted) <= max(values.nbytes, stored.storage().stored_bytes)


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.FAST])
@pytest.mark.parametrize(("limit", "reads"), [(1 << 20, 1), (1, 20)])
def test_neighbouring_packed_chunks_are_one_read(tmp_path, monkeypatch, compression, limit, reads):
    values = np.arange(20 * CHUNK)
    make(tmp_path / "x.h5", values, compression)
    asked = []
    into = FileBytes.read_into
    monkeypatch.setattr(FileBytes, "read_into", lambda *args: asked.append(args) or into(*args))
    monkeypatch.setattr(dataset, "_JOINED_BYTES", limit)
    with opened(tmp_path / "x.h5") as (stored, _, _):
        np.testing.assert_array_equal(stored.read(0, len(values)), values)
    assert len(asked) == reads


def test_packed_chunks_may_lie_in_any_order(tmp_path):
    values = np.arange(20 * CHUNK)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        made = file.create_dataset("x", values.shape, "i8", chunks=(CHUNK,), compression=1, shuffle=True)
        for number in np.random.default_rng(0).permutation(20):
            made[number * CHUNK : (number + 1) * CHUNK] = values[number * CHUNK : (number + 1) * CHUNK]
            file.flush()
    with opened(tmp_path / "x.h5") as (stored, _, _):
        np.testing.assert_array_equal(stored.read(0, len(values)), values)


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.FAST])
def test_a_damaged_chunk_among_others_is_damage(tmp_path, compression):
    path = tmp_path / "x.h5"
    values = np.arange(20 * CHUNK)
    make(path, values, compression)
    with opened(path) as (_, found, _):
        place = cut(path, found, 7 * CHUNK, 8 * CHUNK)[0]
    data = bytearray(path.read_bytes())
    data[place.offset : place.end] = bytes(place.size)
    path.write_bytes(data)
    with opened(path) as (stored, _, _), pytest.raises(CorruptFileError, match="decompress") as caught:
        stored.read(0, len(values))
    assert caught.value.where == "x"


@given(values=mixtures(), data=st.data())
def test_listing_all_chunks_gives_what_asking_for_each_does(tmp_path_factory, values, data):
    path = tmp_path_factory.mktemp("x") / "x.h5"
    make(path, values)
    start = data.draw(st.integers(0, len(values) - 1))
    stop = data.draw(st.integers(start + 1, len(values)))
    with opened(path) as (_, dataset, _), pytest.MonkeyPatch.context() as patch:
        found = []
        for least in (0, 1 << 30):
            patch.setattr(chunk_locations, "_LIST_FROM", least)
            patch.setattr(chunk_locations, "_LIST_SHARE", 1 << 30)
            found.append(cut(path, dataset, start, stop))
        assert found[0] == found[1]


def test_chunks_asked_for_a_few_at_a_time_are_listed_once_that_is_cheaper(tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 1 << 62, 100 * CHUNK)
    make(tmp_path / "x.h5", values, Compression.NONE)
    asked = []
    monkeypatch.setattr(HDF5Locations, "_ask", lambda self, number: asked.append(number) or ASK(self, number))
    with opened(tmp_path / "x.h5") as (stored, _, _):
        for start in range(0, len(values), 4 * CHUNK):
            np.testing.assert_array_equal(
                stored.read(start, start + 4 * CHUNK), values[start : start + 4 * CHUNK]
            )
    assert 0 < len(asked) < 20


def test_neighbouring_raw_chunks_are_one_read(tmp_path):
    values = np.random.default_rng(0).integers(0, 1 << 62, 20 * CHUNK)
    make(tmp_path / "x.h5", values, Compression.NONE)
    with opened(tmp_path / "x.h5") as (_, dataset, _):
        found = cut(tmp_path / "x.h5", dataset, 5, 600)
        assert [(s.start, s.stop) for s in found] == [(5, 600)]


@pytest.mark.parametrize("least", [0, 1 << 30])
def test_a_missing_chunk_is_damage(tmp_path, monkeypatch, least):
    monkeypatch.setattr(chunk_locations, "_LIST_FROM", least)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", (4 * CHUNK,), "i8", chunks=(CHUNK,))[:CHUNK] = 1
    with opened(tmp_path / "x.h5") as (stored, _, _), pytest.raises(CorruptFileError, match="chunk at 32"):
        stored.read(0, 4 * CHUNK)
