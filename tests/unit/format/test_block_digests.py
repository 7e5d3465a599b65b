"""Whatever comes out of a file was checked: any part of any array, the header, and the attributes."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import ann_ckpt
from ann_ckpt import NetworkState, PopulationState
from ann_ckpt.cli.info import info
from ann_ckpt.errors import CheckpointError, CorruptFileError
from ann_ckpt.format import layout
from ann_ckpt.format.checked import CheckedArray
from ann_ckpt.format.digest import ArrayDigest, BlockDigests, block_entries
from tests.golden.networks import complete

SHAPES = [(4095,), (4096,), (8192,), (8193,), (300_000,), (2_200_000,), (700, 90), (40, 50, 60), (3, 9000)]


def digested(values, pieces=()):
    digest = ArrayDigest(values.dtype, values.shape)
    for part in np.split(values, pieces):
        digest.update(part)
    return digest.hex(), digest.beside


def noise(shape):
    return np.random.default_rng(0).random(shape)


@pytest.mark.parametrize("shape", SHAPES)
@given(data=st.data())
def test_a_digest_does_not_depend_on_the_pieces_in_which_values_come(shape, data):
    values = noise(shape)
    cuts = sorted(data.draw(st.lists(st.integers(0, shape[0]), max_size=5)))
    whole, found = digested(values), digested(values, cuts)
    assert whole[0] == found[0]
    assert np.array_equal(whole[1], found[1])


def test_shape_and_type_are_part_of_a_digest():
    values = noise(90_000)
    assert len({digested(values.reshape(s))[0] for s in ((90_000,), (300, 300), (90, 1000))}) == 3
    assert len({digested(values.view(t))[0] for t in ("f8", "i8", "u8")}) == 3
    assert digested(noise((3, 8)))[0] != digested(noise((3, 8)).reshape(8, 3))[0]


@pytest.mark.parametrize("shape", [s for s in SHAPES if block_entries(8, s)])
def test_any_change_of_values_or_digests_is_found(shape):
    values = noise(shape)
    digest, beside = digested(values)
    rng = np.random.default_rng(1)
    n = block_entries(8, shape)

    def check(changed, stored, entry):
        blocks = BlockDigests(values.dtype, shape, digest, lambda start, stop: stored[start:stop])
        start = entry - entry % n
        blocks.check(np.ascontiguousarray(changed[start : start + n]), start)

    for _ in range(20):
        entry = int(rng.integers(shape[0]))
        check(values, beside, entry)
        changed = values.copy()
        changed.reshape(len(values), -1)[entry].view(np.uint64)[0] ^= np.uint64(1) << np.uint64(
            rng.integers(64)
        )
        with pytest.raises(CorruptFileError, match="checksum mismatch"):
            check(changed, beside, entry)
        stored = beside.copy()
        stored[entry // n - math.ceil(shape[0] / n)] ^= np.uint64(1)
        with pytest.raises(CorruptFileError, match="checksum mismatch"):
            check(values, stored, entry)
    stored = beside.copy()
    stored[0] ^= np.uint64(1)
    with pytest.raises(CorruptFileError, match="checksum mismatch"):
        check(values, stored, 0)


@pytest.fixture(params=["auto", "none", "gzip"])
def written(request, tmp_path):
    """A network of arrays of many shapes, half of each noise and half of it zeros."""
    arrays = {str(n): noise(shape) for n, shape in enumerate(SHAPES)}
    for values in arrays.values():
        values[: len(values) // 2] = 0
    populations = [PopulationState(n, a.shape, variables={"x": a}) for n, a in arrays.items()]
    path = tmp_path / "net.h5"
    ann_ckpt.write(NetworkState(populations=populations), path, compression=request.param)
    return path, arrays


def test_parts_equal_the_whole_and_cost_little(written):
    path, arrays = written
    rng = np.random.default_rng(2)
    with ann_ckpt.open(path) as checkpoint:
        for name, values in arrays.items():
            lazy = checkpoint.populations[name]["x"]
            assert lazy.storage.kind == ("chunked" if block_entries(8, values.shape) else "contiguous")
            assert np.array_equal(lazy, values)
            for _ in range(30):
                start, stop = sorted(rng.integers(0, len(values) + 1, 2))
                assert np.array_equal(lazy[start:stop], values[start:stop])
                before = checkpoint.bytes_read
                assert np.array_equal(lazy[start : start + 3], values[start : start + 3])
                assert checkpoint.bytes_read - before < 2 * (128 << 10) + 5000
    assert ann_ckpt.verify(path).ok


@pytest.mark.parametrize(
    ("changed", "blocks", "quick"),
    [
        ({}, True, True),
        ({"shape": (1000,)}, True, False),
        ({"chunk_length": 100}, True, False),
        ({"distant": True}, True, False),
        ({}, False, False),
    ],
)
def test_only_what_is_large_near_as_it_is_and_checked_in_parts_is_read_twice(changed, blocks, quick):
    about = {"dtype": np.dtype("f8"), "shape": (1_000_000,), "chunk_length": 1, "distant": False} | changed
    found = CheckedArray(SimpleNamespace(**about), "", lambda: None, dict if blocks else None, where="x")
    assert found.quick is quick


def test_any_flipped_bit_of_a_chunk_is_found_by_the_part_that_reads_it(tmp_path):
    path = tmp_path / "net.h5"
    ann_ckpt.write(complete(), path, compression="none")
    expected = complete().projections["dense"]["w"]
    with h5py.File(path) as file:
        place = file["projections/dense/variables/w"].id.get_chunk_info(0).byte_offset
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    for entry in rng.integers(0, expected.size, 40).tolist():
        data = bytearray(whole)
        data[place + 8 * entry + int(rng.integers(8))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        with ann_ckpt.open(path) as checkpoint:
            weights = checkpoint.projections["dense"]["w"]
            for read in (
                lambda e=entry, w=weights: w[e],
                lambda e=entry, w=weights: w[max(0, e - 20) : e + 20],
                lambda e=entry, c=checkpoint: c.projections["dense"].dendrite(e // 200)["w"],
                partial(np.asarray, weights),
            ):
                with pytest.raises(CorruptFileError, match="checksum mismatch"):
                    read()


def test_any_flipped_bit_of_the_header_is_found_when_the_file_is_opened(tmp_path):
    path = tmp_path / "net.h5"
    ann_ckpt.write(NetworkState(time_step=77, dt=0.25, seed=9), path)
    whole = path.read_bytes()
    for value in (np.int64(77), np.float64(0.25), np.int64(9), np.array(layout.PLAIN_VERSION, np.int32)):
        place = whole.index(value.tobytes())
        for bit in range(8 * value.nbytes):
            data = bytearray(whole)
            data[place + bit // 8] ^= 1 << bit % 8
            path.write_bytes(data)
            with pytest.raises(CheckpointError):
                ann_ckpt.open(path)


def test_values_of_another_shape_are_damage(tmp_path):
    path = tmp_path / "net.h5"
    values = noise((3, 8))
    ann_ckpt.write(NetworkState(populations=[PopulationState("p", (3, 8), variables={"x": values})]), path)
    with h5py.File(path, "r+") as file:
        del file["populations/p/variables/x"]
        file["populations/p/variables/x"] = values.reshape(8, 3)
    assert not ann_ckpt.verify(path).ok
    with ann_ckpt.open(path) as checkpoint, pytest.raises(CorruptFileError):
        np.asarray(checkpoint.populations["p"]["x"])


def test_what_is_no_network_is_not_called_intact(tmp_path, monkeypatch):
    """Every digest is right, but an array has not the geometry of its population."""
    path = tmp_path / "net.h5"
    with monkeypatch.context() as patch:
        patch.setattr(PopulationState, "__post_init__", lambda self: None)
        attribute = ann_ckpt.Attribute(np.zeros(7), ann_ckpt.Locality.LOCAL)
        wrong = PopulationState("p", (3, 8), parameters={}, variables={"x": attribute})
        ann_ckpt.write(NetworkState(populations={"p": wrong}), path)
    report = ann_ckpt.verify(path)
    assert [note.path for note in report.damaged] == ["populations/p"]


@pytest.mark.parametrize("where", ["/", "populations/grid", "populations", "projections/dense"])
@pytest.mark.parametrize("value", ["a note", 3.0, np.arange(3)])
def test_anybody_may_add_attributes(tmp_path, where, value):
    path = tmp_path / "net.h5"
    ann_ckpt.write(complete(), path)
    with h5py.File(path, "r+") as file:
        file[where].attrs["note"] = value
    assert list(ann_ckpt.differences(ann_ckpt.read(path), complete())) == []
    assert ann_ckpt.verify(path).ok


def test_a_compound_may_have_padding(tmp_path):
    path = tmp_path / "net.h5"
    parameters = {"a": np.int8(1), "b": np.float64(2.5), "c": np.float32(3)}
    ann_ckpt.write(NetworkState(populations=[PopulationState("p", (1,), parameters=parameters)]), path)
    with h5py.File(path, "r+") as file:
        packed = file["populations/p/global_parameters"][()]
        del file["populations/p/global_parameters"]
        padded = np.dtype([(n, packed.dtype[n]) for n in packed.dtype.names], align=True)
        assert padded.itemsize > packed.dtype.itemsize
        file["populations/p/global_parameters"] = packed.astype(padded)
    assert ann_ckpt.verify(path).ok
    assert {n: v.values for n, v in ann_ckpt.read(path).populations["p"].parameters.items()} == parameters


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_info_says_what_is_checked(version):
    path = Path(__file__).parents[2] / "golden" / f"complete-{version}.h5"
    said = CliRunner().invoke(info, [str(path)])
    assert said.exit_code == 0
    assert ("parts of large ones are read unchecked" in said.output) == (version < "1.2")
