"""Files of which every digest is right and the content is not: reading refuses them, and `verify` says so."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import Connectivity, NetworkState, PopulationState, ProjectionState, Recording, Series, TypeInfo
from ann_ckpt.errors import CheckpointError, ConnectivityError, CorruptFileError, UnsafeFileError
from ann_ckpt.format import layout
from ann_ckpt.format.plan import GroupEntry
from ann_ckpt.model import AttributeInfo, Exactness, Resume
from tests import forged

P, X, M = "populations/p", "projections/x", "recordings/m"
EXACT = Resume(Exactness.EXACT)


def state() -> NetworkState:
    return NetworkState(
        populations=[
            PopulationState(
                "p",
                (4,),
                parameters={"tau": 1.5},
                variables={"v": np.arange(4.0)},
                neuron_type=TypeInfo("Leaky", attributes={"tau": AttributeInfo(unit="ms")}),
                resume=EXACT,
            )
        ],
        projections=[
            ProjectionState(
                "x",
                "p",
                "p",
                "exc",
                Connectivity.from_rows([0, 1], [[0, 1], [1]]),
                variables={"w": np.arange(3.0)},
                delays=np.array([1, 2, 3]),
                pathway_delays={"up": np.array([0.1, 0.2, 0.3])},
                pre_size=4,
                post_size=4,
                pre_view=[0, 1],
                resume=EXACT,
            )
        ],
        recordings=[
            Recording(
                "m",
                of=P,
                series={"v": Series(times=np.arange(5), values=np.zeros(5))},
                ranks=np.array([0, 1]),
            )
        ],
        dt=0.1,
        time_step=1000,
        seed=3,
        metadata={"k": 1},
        constants={"c": np.arange(3.0)},
        dynamics={"noise": np.arange(3)},
        resume=EXACT,
    )


def both_delays(entries):
    forged.attributes(X, delay_steps=3)(entries)


def nothing(entries):
    entries.clear()
    entries[""] = GroupEntry("", {layout.A_FORMAT: np.array(b"ann_ckpt"), layout.A_VERSION: np.array([1, 2])})


ROOT = {
    "a fraction of a step": {"time_step": 1000.7},
    "a step as a text": {"time_step": b"1000"},
    "a step as a bool": {"time_step": True},
    "steps in a row": {"time_step": [1000]},
    "a step beyond int64": {"time_step": np.uint64(2**64 - 1)},
    "a length as a text": {"dt": b"0.1"},
    "a length below 0": {"dt": -1.0},
    "lengths in a row": {"dt": [0.1]},
    "a seed as a float": {"seed": 3.0},
    "version 0.5": {"format_version": [0, 5]},
    "a minor version below 0": {"format_version": [1, -5]},
    "a major version below 0": {"format_version": [-1, 2]},
    "a fraction of a version": {"format_version": [1.9, 2.9]},
    "a tag of a store": {"tag": b"a@b"},
    "a tag that moves the cursor": {"tag": b"a\n\x1b[31m"},
    "a tag that is a step": {"tag": b"1000"},
    "an empty tag": {"tag": b"\0"},
    "a long tag": {"tag": b"a" * 101},
}
FORGED = {
    **{name: forged.attributes("", **given) for name, given in ROOT.items()},
    "a geometry of floats": forged.attributes(P, geometry=[4.5]),
    "a geometry of texts": forged.attributes(P, geometry=[b"4"]),
    "a part of floats": forged.attributes(P, part=[0.5, 4.0]),
    "a type that is a float": forged.attributes(P, type=0.5),
    "partial is 2": forged.attributes(X, partial=2),
    "rows are whatever": forged.attributes(X, rows=b"whatever"),
    "both kinds of delays": both_delays,
    "a name in two places": forged.array(f"{P}/parameters/tau", np.arange(4.0), "local"),
    "a name in two groups": forged.array(f"{P}/parameters/v", np.arange(4.0), "local"),
    "metadata is a list": forged.text("metadata", "[1]"),
    "metadata with NaN": forged.text("metadata", '{"a": NaN}'),
    "metadata with infinity": forged.text("metadata", '{"a": [1e999]}'),
    "metadata with a key twice": forged.text("metadata", '{"a": {"b": 1, "b": 2}}'),
    "metadata with half a character": forged.text("metadata", '{"a": "\\uD800"}'),
    "resume is no object": forged.text("resume", '{"network": "exact"}'),
    "constants of two bytes": forged.array("constants/c", np.arange(3, dtype=np.float16)),
    "constants that are texts": forged.array("constants/c", np.array([b"a", b"b"])),
    "dynamics of two bytes": forged.array("dynamics/noise", np.arange(3, dtype=np.float16)),
    "pre ranks outside": forged.array(f"{X}/pre_ranks", np.array([0, 4, 1], np.int32)),
    "pre ranks below 0": forged.array(f"{X}/pre_ranks", np.array([0, -1, 1], np.int32)),
    "delays below 0": forged.array(f"{X}/delays", np.array([1, -2, 3])),
    "pathway delays below 0": forged.array(f"{X}/pathway_delays/up", np.array([0.1, -0.2, 0.3])),
    "pathway delays of NaN": forged.array(f"{X}/pathway_delays/up", np.array([0.1, np.nan, 0.3])),
    "a view that wraps around": forged.array(f"{X}/pre_view", np.array([2**32, 1])),
    "a view below 0": forged.array(f"{X}/pre_view", np.array([-3, 1])),
    "ranks that wrap around": forged.array(f"{M}/ranks", np.array([2**32 + 5, 7])),
    "times that fall": forged.array(f"{M}/series/v/times", np.array([0, 1, 3, 2, 4])),
    "times that are NaN": forged.array(f"{M}/series/v/times", np.array([0.0, 1.0, np.nan, 2.0, 4.0])),
    "nothing": nothing,
}


@pytest.mark.parametrize("name", FORGED)
def test_what_is_no_network_is_refused_and_found(name, tmp_path):
    path = forged.forge(tmp_path / "net.h5", state(), FORGED[name])
    with pytest.raises(CheckpointError):
        ann_ckpt.read(path)
    with contextlib.suppress(CorruptFileError):  # it does not open
        assert not ann_ckpt.verify(path).ok


def test_nothing_is_wrong_with_what_they_are_made_of(tmp_path):
    path = forged.forge(tmp_path / "net.h5", state(), tag="a tag")
    assert list(ann_ckpt.differences(state(), ann_ckpt.read(path))) == []
    assert ann_ckpt.verify(path).ok
    assert ann_ckpt.open(path).tag == "a tag"


@pytest.mark.parametrize(
    "text", ["[1]", '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', '{"a": 1, "a": 2}']
)
def test_no_export_takes_over_a_provenance_that_cannot_be_written(text, tmp_path):
    path = forged.forge(tmp_path / "net.h5", state(), forged.text("provenance", text))
    assert not ann_ckpt.verify(path).ok
    with ann_ckpt.open(path) as checkpoint, pytest.raises(CorruptFileError):
        checkpoint.provenance  # noqa: B018


@pytest.mark.parametrize("column", ["path", "encoding", "locality", "digest"])
def test_an_index_that_is_not_utf8_is_damage(column, tmp_path, monkeypatch):
    def spoiled(rows):
        table = layout.index_table(rows)
        table[column][2] = b"\xff"
        return table

    monkeypatch.setattr("ann_ckpt.format.writer.index_table", spoiled)
    path = forged.forge(tmp_path / "net.h5", state())
    for call in (ann_ckpt.verify, ann_ckpt.read, lambda path: ann_ckpt.open(path).arrays):
        with pytest.raises(CorruptFileError):
            call(path)


@pytest.mark.parametrize(
    ("path", "encoding"),
    [
        (P, b"array"),
        (X, b"text"),
        ("constants/c", b"text"),
        ("metadata", b"array"),
        (f"{X}/variables/w", b"table"),
    ],
)
def test_what_the_index_calls_something_else_is_refused_and_found(path, encoding, tmp_path, monkeypatch):
    def spoiled(rows):
        table = layout.index_table(rows)
        row = table["path"] == path.encode()
        table["encoding"][row], table["version"][row] = encoding, 1
        return table

    monkeypatch.setattr("ann_ckpt.format.writer.index_table", spoiled)
    forged.forge(tmp_path / "net.h5", state())
    with pytest.raises(CorruptFileError):
        ann_ckpt.read(tmp_path / "net.h5")
    assert not ann_ckpt.verify(tmp_path / "net.h5").ok


def test_a_type_may_say_more_than_is_known(tmp_path):
    with ann_ckpt.open(forged.forge(tmp_path / "one.h5", state())) as checkpoint:
        said = json.loads(checkpoint._reader.text("types/0"))
    said["attributes"]["tau"]["later"] = said["later"] = [1, 2]
    path = forged.forge(tmp_path / "net.h5", state(), forged.text("types/0", json.dumps(said)))
    assert list(ann_ckpt.differences(state(), ann_ckpt.read(path))) == []


@pytest.mark.parametrize("ranks", [[-1, 0, 1], [5, 0, 1]])
@pytest.mark.parametrize("size", [4, None])
def test_synapses_of_no_neuron_have_no_columns(ranks, size, tmp_path):
    path = forged.forge(
        tmp_path / "net.h5",
        state(),
        forged.array(f"{X}/pre_ranks", np.array(ranks, np.int32)),
        forged.attributes(X, pre_size=size),
    )
    with ann_ckpt.open(path) as checkpoint:
        ff = checkpoint.state(lazy=True).projections["x"]
        if min(ranks) < 0 or size:
            with pytest.raises(ConnectivityError, match="outside"):
                list(ff.column_blocks())
        else:
            assert next(iter(ff.column_blocks()))["pre"].tolist() == ranks


@pytest.mark.parametrize("size", [2**40, 2**62])
def test_matrices_and_tables_that_no_memory_holds_are_refused(size, tmp_path):
    path = forged.forge(
        tmp_path / "net.h5",
        NetworkState(projections=state().projections),
        forged.attributes(X, pre_size=size),
    )
    with ann_ckpt.open(path) as checkpoint, pytest.raises(UnsafeFileError, match="memory"):
        checkpoint.projections["x"].dense()
    none = forged.forge(tmp_path / "two.h5", NetworkState(populations=[PopulationState("p", (size,))]))
    with ann_ckpt.open(none) as checkpoint, pytest.raises(UnsafeFileError, match="memory"):
        checkpoint.populations["p"].to_frame()


@pytest.mark.parametrize("where", ["inside", "between", "nowhere"])
def test_times_are_looked_at_over_all_parts_of_a_long_series(where, tmp_path):
    times = np.arange(2_500_000)
    times[{"inside": 5, "between": 1 << 20, "nowhere": 0}[where]] = 0
    path = forged.forge(
        tmp_path / "net.h5",
        NetworkState(recordings=[Recording("m", of="", series={"v": Series(times=np.arange(times.size))})]),
        forged.array(f"{M}/series/v/times", times),
    )
    assert ann_ckpt.verify(path).ok is (where == "nowhere")


def test_verifying_reads_ranks_and_delays_once(tmp_path):
    n = 300_000
    ff = ProjectionState(
        "x", "p", "p", "exc", Connectivity([0], [0, n], np.zeros(n, np.int32)), delays=np.ones(n, np.int32)
    )
    ann_ckpt.write(NetworkState(projections=[ff]), tmp_path / "net.h5", compression="none")
    with ann_ckpt.open(tmp_path / "net.h5") as checkpoint:
        assert all(error is None for *_, error in checkpoint.verify())
        assert checkpoint.bytes_read < 1.1 * checkpoint.file_bytes


def test_ranks_in_a_store_are_found_too(tmp_path):
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        for step in (1, 2):
            n = 30_000
            given = np.zeros(n, np.int32)
            ff = ProjectionState("x", "p", "p", "exc", Connectivity([0], [0, n], given), pre_size=9)
            ff.connectivity.pre_ranks[step * 9_000] = 9
            store.save(NetworkState(projections=[ff], time_step=step))
    damaged = ann_ckpt.verify(tmp_path / "run.ckpt").damaged
    assert [note.path.partition(":/")[2] for note in damaged] == [X, X]
