"""Chunks come back from their bytes, and HDF5's own filters agree."""

from __future__ import annotations

import zlib

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.errors import CorruptFileError, OptionError
from ann_ckpt.format.chunking import Compression, StorageKind, choose, chunk_bytes, compression
from ann_ckpt.format.codec import ALL_SKIPPED, DEFLATE, SHUFFLE, encode, unpack
from ann_ckpt.format.digest import block_entries
from tests.strategies import values

PIPELINE = (SHUFFLE, DEFLATE)


def encode_one(values, *, always):
    (encoded,) = encode(values[np.newaxis], always=always)
    return encoded


def decoded(data, mask, dtype, count):
    out = np.empty(count, dtype)
    unpack(data, PIPELINE, mask, count=count, itemsize=out.itemsize).copy_to(out)
    return out


@given(st.integers(1, 300).flatmap(values), st.booleans())
def test_what_is_encoded_decodes(array, always):
    encoded = encode_one(array, always=always)
    back = decoded(bytes(encoded.data), encoded.filter_mask, array.dtype, array.size)
    assert back.tobytes() == array.tobytes()
    assert not (always and encoded.filter_mask)


@given(st.lists(st.sampled_from(["noise", "constant", "rising"]), min_size=1, max_size=9), st.booleans())
def test_neighbours_that_are_not_alike_decode_too(kinds, always):
    noise = np.random.default_rng(0).integers(0, 2**63, 4096)
    chunks = [{"noise": noise, "constant": noise * 0 + 7, "rising": np.arange(4096)}[kind] for kind in kinds]
    for chunk, encoded in zip(chunks, encode(np.stack(chunks), always=always), strict=True):
        back = decoded(bytes(encoded.data), encoded.filter_mask, chunk.dtype, chunk.size)
        np.testing.assert_array_equal(back, chunk)


@given(st.integers(1, 300).flatmap(values), st.booleans(), st.data())
def test_a_part_is_the_part_of_the_whole(array, always, data):
    encoded = encode_one(array, always=always)
    start = data.draw(st.integers(0, array.size))
    out = np.empty(data.draw(st.integers(0, array.size - start)), array.dtype)
    packed = (bytes(encoded.data), PIPELINE, encoded.filter_mask)
    unpack(*packed, count=array.size, itemsize=array.itemsize).copy_to(out, start=start)
    assert out.tobytes() == array[start : start + out.size].tobytes()


@given(st.integers(1, 300).flatmap(values))
def test_the_standard_filters_read_it(array):
    packed = bytes(encode_one(array, always=True).data)
    lanes = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(array.itemsize, -1)
    assert lanes.T.tobytes() == array.tobytes()


def test_hdf5_reads_our_chunks_and_we_read_its(tmp_path):
    array = np.arange(5000) // 7
    with h5py.File(tmp_path / "x.h5", "w") as file:
        mine = file.create_dataset(
            "a", array.shape, array.dtype, chunks=(5000,), shuffle=True, compression="gzip"
        )
        mine.id.write_direct_chunk((0,), bytes(encode_one(array, always=True).data))
        theirs = file.create_dataset("b", data=array, chunks=(5000,), shuffle=True, compression="gzip")
        mask, data = theirs.id.read_direct_chunk((0,))
        assert np.array_equal(file["a"], array)
        assert np.array_equal(decoded(data, mask, array.dtype, array.size), array)


def test_random_values_stay_raw_unless_asked():
    noise = np.random.default_rng(0).integers(0, 2**63, 4096)
    assert encode_one(noise, always=False).filter_mask == ALL_SKIPPED
    assert encode_one(noise, always=True).filter_mask == 0


@pytest.mark.parametrize("spoil", [lambda b: b[:-3], lambda b: b[:10], lambda b: b"", lambda b: b"junk" * 40])
def test_damaged_streams_are_corrupt(spoil):
    array = np.arange(4096)
    packed = bytes(encode_one(array, always=True).data)
    with pytest.raises(CorruptFileError):
        decoded(spoil(packed), 0, array.dtype, array.size)


def test_a_stream_that_inflates_to_more_is_stopped():
    bomb = zlib.compress(bytes(100 << 20))
    with pytest.raises(CorruptFileError, match="does not decompress to 800 bytes"):
        decoded(bomb, 0, np.float64, 100)


@pytest.mark.parametrize(
    ("shape", "itemsize", "kind"),
    [
        ((), 8, StorageKind.COMPACT),
        ((0,), 8, StorageKind.CONTIGUOUS),
        ((1000,), 8, StorageKind.COMPACT),
        ((1024,), 8, StorageKind.COMPACT),
        ((1025,), 8, StorageKind.CONTIGUOUS),
        ((4095,), 8, StorageKind.CONTIGUOUS),
        ((4096,), 8, StorageKind.CHUNKED),
        ((32_767,), 1, StorageKind.CONTIGUOUS),
        ((32_768,), 1, StorageKind.CHUNKED),
        ((1000, 1000), 8, StorageKind.CHUNKED),
        ((10, 20, 20), 8, StorageKind.CONTIGUOUS),
        ((2, 600, 600), 8, StorageKind.CONTIGUOUS),
    ],
)
def test_storage_follows_size_and_shape(shape, itemsize, kind):
    assert choose(shape, itemsize, Compression.AUTO).kind is kind


@given(
    st.integers(1, 10**12),
    st.sampled_from([(), (3,), (60, 50), (40_000,)]),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from(Compression),
)
def test_chunks_are_bounded_whole_blocks_and_never_longer_than_the_array(length, entry, itemsize, wanted):
    shape = (length, *entry)
    storage = choose(shape, itemsize, wanted)
    if storage.kind is StorageKind.CHUNKED:
        assert 0 < storage.chunk <= length
        assert storage.chunk == length or storage.chunk % block_entries(itemsize, shape) == 0
        assert storage.chunk * itemsize <= chunk_bytes(storage.compression)


def test_unknown_compression_names_the_known_ones():
    with pytest.raises(OptionError, match=r"'lz4'(.|\n)*'auto'"):
        compression("lz4")
