"""Lazy views: what they read, what they say, who may use them at once."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt.errors import (
    AttributeNotFoundError,
    ClosedCheckpointError,
    CorruptFileError,
    MissingExtraError,
    ObjectNotFoundError,
)
from ann_ckpt.format.chunking import Compression
from tests.golden.networks import complete


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "net.h5"
    ann_ckpt.write(complete(), path)
    return path


def test_opening_reads_no_values(path):
    with ann_ckpt.open(path) as ckpt:
        assert ckpt.bytes_read == 0
        assert (ckpt.time_step, ckpt.dt, ckpt.seed) == (123_456_789_012, 0.1, -7)
        assert ckpt.time_ms == pytest.approx(12_345_678_901.2)


def test_a_dendrite_reads_its_bytes_and_little_else(path):
    with ann_ckpt.open(path) as ckpt:
        dense = ckpt.projections["dense"]
        before = ckpt.bytes_read
        dendrite = dense.dendrite(100)
        assert len(dendrite) == 200
        # 200 ranks, weights and trace values, two pointers; the compressed ones by the chunk.
        assert ckpt.bytes_read - before < 30_000 + dense["w"].storage.stored_bytes


def test_mappings_are_mappings(path):
    with ann_ckpt.open(path) as ckpt:
        assert list(ckpt.populations) == list(complete().populations)
        assert "dense" in ckpt.projections
        assert "none" not in ckpt.projections
        assert len(ckpt.projections) == 4
        assert ckpt.metadata == {"who": "golden", "nested": [1, {"ü": None}]}
        assert ckpt.provenance["numpy"] == np.__version__
        assert ckpt.constants["g"] == 9.81
        with pytest.raises(ObjectNotFoundError, match="did you mean 'dense'"):
            ckpt.projections["dens"]
        with pytest.raises(
            AttributeNotFoundError, match=r"stored:  w, c\n  where:   .*net.h5:/projections/dense"
        ):
            ckpt.projections["dense"]["x"]
        with pytest.raises(ObjectNotFoundError, match="no dendrite for neuron 900"):
            ckpt.projections["dense"].dendrite(900)


def test_dendrites_projections_and_populations_are_mappings_of_attributes(path):
    with ann_ckpt.open(path) as ckpt:
        lazy = ckpt.projections["dense"]
        for projection in (lazy, lazy.state()):
            dendrite = projection.dendrite(100)
            for some in (dendrite, projection.rows(3, 7), projection.outgoing(5)):
                assert "w" in some
                assert "x" not in some
                assert 0 not in some
                assert list(some) == list(some.keys()) == list(some.values)
                assert {name: id(value) for name, value in dict(some).items()} == {
                    n: id(some[n]) for n in some
                }
            assert len(dendrite) == 200
            assert list(dict(projection)) == list(projection)
        assert dict(ckpt.populations["grid"]).keys() == set(ckpt.populations["grid"])


def test_reprs_are_one_line_and_show_the_shape(path):
    with ann_ckpt.open(path) as ckpt:
        for thing in (ckpt, ckpt.populations, ckpt.populations["grid"], ckpt.projections["dense"]):
            assert "\n" not in repr(thing)
        assert "200 dendrites, 40000 synapses" in repr(ckpt.projections["dense"])
        assert "(40000,)" in repr(ckpt.projections["dense"]["w"])
        assert "<table" in ckpt.projections._repr_html_()
    assert "closed" in repr(ckpt)


def test_a_closed_checkpoint_says_so(path):
    with ann_ckpt.open(path) as ckpt:
        weights = ckpt.projections["dense"]["w"]
        first = weights[:3]
    assert first.shape == (3,)
    for use in (
        lambda: weights[:3],
        lambda: np.asarray(weights),
        lambda: ckpt.projections["ragged"],
        ckpt.state,
        lambda: weights.storage,
    ):
        with pytest.raises(ClosedCheckpointError, match="is closed"):
            use()
    ckpt.close()


def test_lazy_arrays_take_numpys_keys(path):
    expected = complete().projections["dense"]["w"]
    grid = complete().populations["grid"]["r"]
    with ann_ckpt.open(path) as ckpt:
        weights = ckpt.projections["dense"]["w"]
        for key in (
            5,
            -1,
            slice(3, 9),
            slice(None, None, -7),
            [1, 5, 2],
            ...,
            np.array([True] + [False] * 39_999),
        ):
            assert np.array_equal(weights[key], expected[key])
        for key in ((1, 2), (slice(None), 1), (..., -1), ()):
            assert np.array_equal(ckpt.populations["grid"]["r"][key], grid[key])
        with pytest.raises(IndexError):
            weights[40_000]
        assert (weights.ndim, weights.size, weights.nbytes, len(weights)) == (1, 40_000, 320_000, 40_000)
        out = np.empty(40_000)
        weights.read_into(out)
        assert np.array_equal(out, expected)
        with pytest.raises(ValueError, match="out must be"):
            weights.read_into(np.empty(3))


def test_many_threads_read_one_checkpoint(path):
    expected = complete().projections["dense"]["w"]
    with ann_ckpt.open(path) as ckpt, ThreadPoolExecutor(8) as pool:
        weights = ckpt.projections["dense"]["w"]
        for start, part in pool.map(lambda i: (i, weights[i : i + 500]), range(0, 39_000, 130)):
            assert np.array_equal(part, expected[start : start + 500])


def test_selected_projection_reads_only_its_bytes(path):
    with ann_ckpt.open(path) as ckpt:
        ckpt.state(ann_ckpt.Selection(populations=False, projections="ragged"))
        assert ckpt.bytes_read < 20_000


def test_progress_reaches_the_total(tmp_path):
    calls = []
    ann_ckpt.write(complete(), tmp_path / "net.h5", progress=lambda *call: calls.append(call))
    assert calls[-1][1] == calls[-1][2] > 480_000
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)
    calls.clear()
    ann_ckpt.verify(tmp_path / "net.h5", progress=lambda *call: calls.append(call))
    assert calls[-1][1] == calls[-1][2]


@pytest.mark.parametrize("compression", sorted(set(Compression) - {"auto", "none", "gzip"}))
def test_plugin_compression_round_trips_and_says_what_it_needs(tmp_path, compression, monkeypatch):
    path = tmp_path / "net.h5"
    ann_ckpt.write(complete(), path, compression=compression)
    assert list(ann_ckpt.differences(complete(), ann_ckpt.read(path))) == []
    with ann_ckpt.open(path) as ckpt:
        kind = "blosc" if compression == "fast" else compression
        assert kind in ckpt.projections["dense"]["w"].storage.filters
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    monkeypatch.setitem(sys.modules, "numcodecs", None)
    with (
        ann_ckpt.open(path) as ckpt,
        pytest.raises(MissingExtraError, match=r"ann_ckpt\[plugins\]"),
    ):
        np.asarray(ckpt.projections["dense"]["w"])
    with pytest.raises(MissingExtraError, match="hdf5plugin"):
        ann_ckpt.write(complete(), path, compression=compression)


def test_every_object_of_a_wide_network_is_reached(tmp_path):
    pops = [
        ann_ckpt.PopulationState(f"p{i}", (3,), parameters={f"k{j}": i + j for j in range(10)})
        for i in range(300)
    ]
    path = tmp_path / "wide.h5"
    ann_ckpt.write(ann_ckpt.NetworkState(populations=pops), path)
    with ann_ckpt.open(path) as ckpt:
        assert ckpt.populations["p217"]["k3"] == 220
        assert sum(len(list(p)) for p in ckpt.populations.values()) == 3000


@pytest.mark.parametrize("name", ["net.h5", "run.ckpt"])
@pytest.mark.parametrize("order", ["all", "ascending", "falling"])
def test_each_of_many_rows_is_found_and_no_other(tmp_path, name, order):
    """More rows than are read at once when one is looked for."""
    n = 3 * 4096
    posts = {"all": np.arange(n), "ascending": np.arange(n) * 2 + 1, "falling": np.arange(n)[::-1] * 2}[order]
    synapses = ann_ckpt.Connectivity(posts, np.arange(n + 1), np.zeros(n, np.int32))
    projection = ann_ckpt.ProjectionState(
        "p", "a", "a", "exc", synapses, variables={"w": np.arange(float(n))}
    )
    ann_ckpt.write(ann_ckpt.NetworkState(projections=[projection]), tmp_path / name)
    rows = [(k * 1024 + d) % n for k in range(12) for d in (-1, 0, 1)]
    with ann_ckpt.open(tmp_path / name) as ckpt:
        lazy = ckpt.projections["p"]
        for row in rows:
            assert lazy.find_row(int(posts[row])) == row
        assert lazy.dendrite(int(posts[8192]))["w"].tolist() == [8192.0]
        stored, top = set(posts.tolist()), int(posts.max())
        for rank in (-1, top + 1, *range(top - 3, top), 4095, 4096, 8191, 8192):
            assert (lazy.find_row(rank) is not None) == (rank in stored)


@pytest.mark.parametrize(
    "key",
    [slice(None), slice(0, 40_000), slice(None, None, -1), slice(None, None, 7), ...],
    ids=str,
)
def test_a_read_from_end_to_end_is_held_against_the_digest(tmp_path, key):
    """However it is spelled; noise is stored as it is, so that no checksum of a stream guards it."""
    noise = np.random.default_rng(0).random(40_000)
    path = tmp_path / "net.h5"
    population = ann_ckpt.PopulationState("p", (40_000,), variables={"r": noise})
    ann_ckpt.write(ann_ckpt.NetworkState(populations=[population]), path, compression="none")
    data = bytearray(path.read_bytes())
    place = data.find(noise[20_000:20_004].tobytes())
    assert place > 0
    data[place] ^= 1
    path.write_bytes(data)
    with ann_ckpt.open(path) as ckpt, pytest.raises(CorruptFileError):
        ckpt.populations["p"]["r"][key]
