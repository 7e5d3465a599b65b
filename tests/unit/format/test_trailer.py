"""What a file notes about itself is what HDF5 says; false notes never make other values."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from h5py import h5d
from hypothesis import given
from hypothesis import strategies as st

import ann_ckpt
from ann_ckpt import CheckpointStore
from ann_ckpt.durable import open_regular
from ann_ckpt.errors import CheckpointError, CorruptFileError
from ann_ckpt.format.bytes import FileBytes
from ann_ckpt.format.chunk_locations import DatasetRecord, Trailer, record_of, trailer_bytes
from ann_ckpt.format.guard import check_superblock
from tests.golden.networks import complete
from tests.store.tiny import tiny_blocks
from tests.strategies import networks

W = "projections/dense/variables/w"


def hdf5_end(path: Path) -> int:
    return check_superblock(FileBytes(open_regular(path), str(path)))


def cut(path: Path) -> Path:
    """Take the trailer away."""
    os.truncate(path, hdf5_end(path))
    return path


def trailer_of(path: Path) -> Trailer:
    found = Trailer.read(FileBytes(open_regular(path), str(path)), end=hdf5_end(path))
    assert found is not None
    return found


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "net.h5"
    ann_ckpt.write(complete(), path)
    return path


@given(networks(), st.sampled_from(["auto", "none", "gzip", "fast", "blosc"]))
def test_a_file_without_its_trailer_reads_the_same(state, compression):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "net.h5"
        ann_ckpt.write(state, path, compression=compression)
        assert list(ann_ckpt.differences(state, ann_ckpt.read(cut(path)))) == []
        assert ann_ckpt.verify(path).ok


def test_large_arrays_are_noted_and_read_without_hdf5(good, monkeypatch):
    with ann_ckpt.open(good) as checkpoint:
        checkpoint.arrays  # noqa: B018  (the index is read with this)
        monkeypatch.setattr(h5d, "open", lambda *_: pytest.fail("HDF5 was asked"))
        assert np.array_equal(checkpoint.arrays[W][5:9], complete().projections["dense"]["w"][5:9])


@pytest.mark.parametrize("compression", ["auto", "none"])
def test_objects_of_a_store_read_the_same_with_and_without(path, compression, monkeypatch):
    tiny_blocks(monkeypatch)
    with CheckpointStore(path, "a", compression=compression) as store:
        store.save(complete())
        noted = store.latest.state()
        monkeypatch.setattr(Trailer, "read", lambda *_, **__: None)
        assert list(ann_ckpt.differences(noted, store.latest.state())) == []


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.ckpt"


def test_who_opens_the_file_for_writing_takes_the_trailer_along(good):
    expected = complete().projections["dense"]["w"]
    with h5py.File(good, "r+") as file:
        file[W][777] = 1.0
    assert good.stat().st_size == hdf5_end(good)
    with ann_ckpt.open(good) as checkpoint:
        weights = checkpoint.projections["dense"]["w"]
        assert np.array_equal(weights[20_000:20_100], expected[20_000:20_100])
        with pytest.raises(CorruptFileError, match="checksum mismatch"):
            weights[800:810]


def test_every_flipped_bit_is_noticed_by_verify_and_harmless_to_reading(good):
    whole, end = good.read_bytes(), hdf5_end(good)
    expected = ann_ckpt.read(good)
    for offset in range(end, len(whole), 3):
        data = bytearray(whole)
        data[offset] ^= 1 << offset % 8
        good.write_bytes(data)
        assert not ann_ckpt.verify(good).ok, offset
        try:
            found = ann_ckpt.read(good)
        except CorruptFileError:
            continue
        assert list(ann_ckpt.differences(expected, found)) == []


@pytest.mark.parametrize("kept", [0, 1, 39, 40, 41, 200])
def test_what_is_left_of_a_cut_trailer_is_named_and_passed_over(good, kept):
    end = hdf5_end(good)
    os.truncate(good, end + kept)
    assert list(ann_ckpt.differences(complete(), ann_ckpt.read(good))) == []
    report = ann_ckpt.verify(good)
    assert report.ok == (kept == 0)
    assert len(report.damaged) == (kept != 0)  # once, and not for every array
    assert (kept == 0) == ("trailer" not in str(report))


def lying(noted: DatasetRecord, **changes) -> DatasetRecord:
    """The same dataset, noted otherwise."""
    places = noted.places.copy()
    for column in ("offset", "size", "mask"):
        if column in changes:
            places[column] = changes.pop(column)
    return dataclasses.replace(noted, layout=dataclasses.replace(noted.layout, **changes), places=places)


LIES = {
    "outside the file": {"offset": 2**63},
    "in the trailer": {"offset": 10**6},
    "of more bytes than there are": {"size": 2**32 - 1},
    "missing": {"size": 0},
    "raw": {"mask": 3},
    "longer than any file": {"shape": (2**60,)},
    "longer": {"shape": (80_000,)},
    "shorter": {"shape": (30_000,)},
    "of another type": {"dtype": np.dtype("<i8")},
    "without a chunk": {"chunk": (0,)},
    "without a filter": {"filters": ()},
    "of a kind there is not": {"kind": 7},
    "contiguous": {"kind": h5d.CONTIGUOUS, "chunk": ()},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_false_trailer_never_makes_values(good, lie):
    expected = complete().projections["dense"]["w"]
    with ann_ckpt.open(good) as checkpoint, h5py.File(good) as file:
        row = list(checkpoint._reader.index).index(W)
        noted = record_of(file[W].id, row, "x")
    assert noted is not None
    with cut(good).open("ab") as file:
        file.write(trailer_bytes([lying(noted, **LIES[lie])]))
    assert not ann_ckpt.verify(good).ok
    with ann_ckpt.open(good) as checkpoint:
        with pytest.raises(CheckpointError):
            assert np.array_equal(np.asarray(checkpoint.projections["dense"]["w"]), expected)
        assert checkpoint.projections["ragged"].dendrite(5)["w"].tolist() == [1.0, -2.0]


@pytest.mark.parametrize(
    "ask",
    [
        np.asarray,
        lambda c: c[3:5],
        lambda c: list(c.verify()),
        lambda c: list(c.iter_chunks()),
        lambda c: c.quick,
    ],
    ids=["array", "slice", "verify", "chunks", "quick"],
)
def test_what_is_noted_as_packed_in_no_chunks_is_an_error_of_ours(good, ask):
    """Of zeros, so that the file is long enough for all of them unpacked."""
    name = "projections/dense/variables/c"
    with ann_ckpt.open(good) as checkpoint, h5py.File(good) as file:
        noted = record_of(file[name].id, list(checkpoint._reader.index).index(name), "x")
    assert noted is not None
    assert noted.layout.filters
    with cut(good).open("ab") as file:
        file.write(trailer_bytes([lying(noted, kind=h5d.CONTIGUOUS, chunk=())]))
    with ann_ckpt.open(good) as checkpoint, pytest.raises(CorruptFileError):
        ask(checkpoint.projections["dense"]["c"])


def test_the_trailer_of_an_object_is_verified_too(path):
    with CheckpointStore(path, "a", compression="none") as store:
        store.save(complete())
    objects = sorted(path.glob("objects/*/*.h5"))
    data = bytearray(objects[0].read_bytes())
    data[hdf5_end(objects[0])] ^= 4  # a few bytes further on in the file
    objects[0].write_bytes(data)
    with pytest.raises(CorruptFileError, match=objects[0].stem):
        ann_ckpt.read(path)
    assert not ann_ckpt.verify(path).ok


def test_the_trailer_says_what_docs_say(good):
    """Parsed by the words of docs/format.md alone."""
    data, end = good.read_bytes(), hdf5_end(good)
    assert data[-8:] == b"annplace"
    datasets, chunks = np.frombuffer(data[-40:-24], "<u8").tolist()
    assert len(data) == end + 16 * chunks + 94 * datasets + 40
    with h5py.File(good) as file:
        paths = [row["path"].decode() for row in file["index"][:]]
        table = data[end + 16 * chunks : -40]
        for at in range(0, len(table), 94):
            record = table[at : at + 94]
            row = int.from_bytes(record[:4], "little")
            dataset = file[paths[row] if row < 2**32 - 1 else "index"]
            text = record[14:78].rstrip(b"\0").decode()
            assert tuple(int(n) for n in text.split("x")) == dataset.shape
            first = int.from_bytes(record[86:94], "little")
            offset, size, mask = np.frombuffer(data[end + 16 * first :][:16], "<u8,<u4,<u4")[0].tolist()
            if dataset.chunks:
                info = dataset.id.get_chunk_info(0)
                assert (offset, size, mask) == (info.byte_offset, info.size, info.filter_mask)
            else:
                assert (offset, size, mask) == (dataset.id.get_offset(), dataset.nbytes, 0)
