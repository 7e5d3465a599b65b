"""Chunks of ``compression="fast"`` are Blosc's, packed and unpacked here as by HDF5's plug-in."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numcodecs import blosc

import ann_ckpt
from ann_ckpt import NetworkState, PopulationState, differences
from ann_ckpt.errors import CorruptFileError, MissingExtraError
from ann_ckpt.format.codec import BLOSC, encode_fast, unpack, unpack_into
from ann_ckpt.format.dataset import StoredArray
from tests.strategies import values


def pack(array):
    (encoded,) = encode_fast(array[np.newaxis])
    return bytes(encoded.data), encoded.filter_mask


def unpacked(data, mask, dtype, count):
    out = np.empty(count, dtype)
    unpack(data, (BLOSC,), mask, count=count, itemsize=out.itemsize).copy_to(out)
    return out


def network(rng):
    shapes = {"i1": (70_001,), "f4": (3_001, 7), "f8": (40_000,), "i8": (11, 13, 517), "?": (99_999,)}
    variables = {f"v_{kind[-2:]}": rng.integers(0, 9, shape).astype(kind) for kind, shape in shapes.items()}
    variables["noise"] = rng.normal(size=20_000)
    sheets = [PopulationState(name, a.shape, variables={"r": a}) for name, a in variables.items()]
    return NetworkState(populations=sheets, time_step=1)


@given(st.integers(1, 3000).flatmap(values), st.integers(1, 40))
def test_what_is_packed_unpacks(array, times):
    array = np.tile(array, times)
    data, mask = pack(array)
    assert unpacked(data, mask, array.dtype, array.size).tobytes() == array.tobytes()
    assert len(data) <= array.nbytes


@pytest.mark.parametrize("kind", ["i1", "i2", "f4", "i8", "f8"])
@pytest.mark.parametrize("count", [4096, 4099])
def test_small_numbers_shrink_whatever_their_type_and_count(kind, count):
    data, mask = pack((np.arange(count) % 50).astype(kind))
    assert mask == 0
    assert len(data) < count * np.dtype(kind).itemsize / 2


@pytest.mark.parametrize("count", [32_768, 32_766])
def test_numbers_without_a_pattern_shrink_too(count):
    array = np.random.default_rng(1).integers(0, 9, count).astype("f4")
    data, mask = pack(array)
    assert mask == 0
    assert len(data) < 0.5 * array.nbytes


@given(st.binary(max_size=40), st.data())
def test_bytes_that_blosc_did_not_write_are_refused_or_read_as_so_many(patch, data):
    array = np.arange(4096) // 7
    text = bytearray(pack(array)[0])
    at = data.draw(st.integers(0, len(text) - 1))
    text[at : at + len(patch)] = patch
    try:
        back = unpacked(bytes(text[: data.draw(st.integers(0, len(text)))]), 0, array.dtype, array.size)
        assert back.size == array.size
    except CorruptFileError:
        pass


@pytest.mark.parametrize("count", [1024, 4096])
def test_a_frame_of_another_size_is_refused(count):
    data, mask = pack(np.arange(2048))
    with pytest.raises(CorruptFileError, match=f"decompress to {8 * count} bytes"):
        unpacked(data, mask, np.dtype("i8"), count)
    with pytest.raises(CorruptFileError, match=f"decompress to {8 * count} bytes"):
        unpack_into([(memoryview(data), mask, np.empty(count, "i8"))], (BLOSC,))


@pytest.mark.parametrize("cut", [1, 100])
def test_what_is_cut_is_never_given_to_blosc(cut):
    """It believes the length in the head."""
    array = np.arange(4096)
    data, mask = pack(array)
    for text in (data[:-cut], data[:cut], data + bytes(cut)):
        with pytest.raises(CorruptFileError, match="does not decompress to 32768 bytes"):
            unpacked(text, mask, array.dtype, array.size)


@pytest.mark.parametrize("target", ["net.h5", "run.ckpt"])
def test_hdf5_reads_it_with_its_plugin_and_we_do_without_hdf5(tmp_path, monkeypatch, target):
    state = network(np.random.default_rng(5))
    monkeypatch.setattr(StoredArray, "_read_through_hdf5", None)
    if target == "net.h5":
        ann_ckpt.write(state, tmp_path / target, compression="fast")
        file = tmp_path / target
    else:
        with ann_ckpt.CheckpointStore(tmp_path / target, "a", compression="fast") as store:
            store.save(state)
            file = Path(store.checkpoints[0].path)
    assert not list(differences(state, ann_ckpt.read(tmp_path / target)))
    with ann_ckpt.open(tmp_path / target) as lazy:
        for name, population in state.populations.items():
            assert np.array_equal(lazy.populations[name]["r"][5:9], population.variables["r"].values[5:9])
    with h5py.File(file) as plain:
        for name, population in state.populations.items():
            found = plain[f"populations/{name}/variables/r"]
            assert np.array_equal(found[...], population.variables["r"].values)


def test_we_read_what_hdf5_wrote_with_it(tmp_path):
    array = (np.arange(5000) // 7).astype("f4")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for shuffle in (0, 1, 2):
            made = file.create_dataset(
                str(shuffle), data=array, chunks=(5000,), **hdf5plugin.Blosc("zstd", shuffle=shuffle)
            )
            mask, data = made.id.read_direct_chunk((0,))
            assert np.array_equal(unpacked(data, mask, array.dtype, array.size), array)


def test_without_numcodecs_hdf5_reads_it(tmp_path, monkeypatch):
    state = network(np.random.default_rng(6))
    ann_ckpt.write(state, tmp_path / "net.h5", compression="fast")
    monkeypatch.setitem(sys.modules, "numcodecs", None)
    assert not list(differences(state, ann_ckpt.read(tmp_path / "net.h5")))
    with pytest.raises(MissingExtraError, match="needs the package numcodecs"):
        ann_ckpt.write(state, tmp_path / "other.h5", compression="fast")
    assert not (tmp_path / "other.h5").exists()


def test_blosc_is_to_start_no_threads_of_its_own(monkeypatch):
    """They would keep a process from forking."""
    monkeypatch.setattr(blosc, "use_threads", None)
    seen = []
    for name in ("compress", "decompress"):
        real = getattr(blosc, name)
        monkeypatch.setattr(blosc, name, lambda *a, r=real: seen.append(blosc.use_threads) or r(*a))
    array = np.arange(1 << 16)
    data, mask = pack(array)
    unpacked(data, mask, array.dtype, array.size)
    assert seen == [False, False]
    assert blosc.use_threads is None
