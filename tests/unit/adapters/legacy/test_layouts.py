"""The same small network as every version lays it out, built by hand."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ann_ckpt.adapters.legacy import examine
from ann_ckpt.adapters.protocol import ForeignFile
from ann_ckpt.errors import CorruptFileError, UnrecognisedFileError
from ann_ckpt.model import Locality
from ann_ckpt.report import Loss

RANKS = [[0, 2], [1], [3, 0, 1]]
W = [[0.5, 0.25], [0.125], [1.0, 2.0, 3.0]]
STEPS = [[1, 4], [2], [3, 2, 1]]
FLAT_W = [weight for row in W for weight in row]
FLAT_STEPS = [step for row in STEPS for step in row]
ALPHA = [8.0, 9.0, 10.0]
R = np.arange(4.0)
NAMES = {"attributes": ["eta", "alpha", "w"], "parameters": ["eta", "alpha"], "variables": ["w"]}
ENDS = {"name": "ff", "pre": "in", "post": "out", "target": "exc"}


def objects(rows: list[list[Any]]) -> Any:
    """A one-dimensional array of lists."""
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


def population(*, flat: bool) -> dict[str, Any]:
    names = {"attributes": ["tau", "r"], "parameters": ["tau"], "variables": ["r"]}
    return {
        "name": "in",
        "geometry": (2, 2),
        "size": 4,
        **names,
        "tau": 10.0,
        "r": R if flat else R.reshape(2, 2),
    }


def v4_1() -> dict[str, Any]:
    dendrites = [
        {
            "post_rank": i,
            "variables": {"values": W[i], "delays": STEPS[i], "pre_ranks": RANKS[i]},
            "parameter": {"eta": 10.0, "alpha": ALPHA[i]},
        }
        for i in range(3)
    ]
    projection = {"post_ranks": [0, 1, 2], "dendrites": dendrites, "number_of_synapses": 6}
    return {
        "in": {"name": "in", "geometry": (2, 2), "variables": {"r": R}, "parameter": {"tau": 10.0}},
        "ff": projection,
    }


def v4_2() -> dict[str, Any]:
    rows = [
        {
            "post_rank": i,
            "rank": np.array(RANKS[i]),
            "delay": np.array(STEPS[i]),
            "w": np.array(W[i]),
            "eta": 10.0,
            "alpha": ALPHA[i],
        }
        for i in range(3)
    ]
    names = NAMES | {
        "attributes": ["rank", "delay", *NAMES["attributes"]],
        "variables": ["rank", "delay", "w"],
    }
    projection = {"post_ranks": [0, 1, 2], "dendrites": rows, "number_of_synapses": [2, 1, 3], **names}
    return {"in": population(flat=True), "ff": projection}


def v4_3() -> dict[str, Any]:
    rows = [
        {
            "post_rank": i,
            "size": len(RANKS[i]),
            "rank": RANKS[i],
            "w": W[i],
            "eta": 10.0,
            "alpha": ALPHA[i],
            "delay": [list(row) for row in STEPS],
        }
        for i in range(3)
    ]
    projection = {"post_ranks": [0, 1, 2], "dendrites": rows, "number_of_synapses": [2, 1, 3], **NAMES}
    return {"in": population(flat=True), "ff": projection}


def late(**changes: Any) -> dict[str, Any]:
    values = {"post_ranks": [0, 1, 2], "pre_ranks": RANKS, "w": W, "eta": 10.0, "alpha": ALPHA}
    return {**NAMES, **values, **changes}


def network(projection: dict[str, Any], *, flat: bool) -> dict[str, Any]:
    listed = {"populations": ["in"], "projections": ["ff"]}
    found = {"time_step": 40, "net_id": 0, "in": population(flat=flat), "ff": projection}
    return {**found, "obj_names": listed}


MS = [[step * 0.5 for step in row] for row in STEPS]
OBJECTS = {
    "pre_ranks": objects(RANKS),
    "w": objects(W),
    "alpha": np.array(ALPHA, dtype=object),
    "eta": np.array(10.0, dtype=object),
}
FORGOTTEN = {**NAMES, **ENDS, "post_ranks": [0, 1, 2], "pre_ranks": objects(RANKS), "delays": MS}
RAGGED = {"delays": MS, "pre_ranks": objects(RANKS), "w": objects(W)}

LAYOUTS: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "4.1": (v4_1, "4.1 or earlier"),
    "4.2.3": (v4_2, "4.2"),
    "4.3 to 4.5.2": (v4_3, "4.3 to 4.5.2"),
    "4.5.3": (lambda: {"in": population(flat=True), "ff": late(name="ff", eta=[10.0] * 3)}, "4.5.3 to 4.5.4"),
    "4.5.5": (lambda: {"in": population(flat=True), "ff": late(**ENDS)}, "4.5.5 to 4.5.7"),
    "4.6.0": (lambda: network(late(**ENDS), flat=True), "4.6.0 to 4.6.6"),
    "4.6.7": (lambda: network(late(**ENDS, delays=MS), flat=True), "4.6.7 to 4.6.9.7"),
    "4.6.9.8": (lambda: network(late(**ENDS, delays=MS, **OBJECTS), flat=True), "4.6.9.8 to 4.6.10"),
    "4.7.0": (lambda: network(FORGOTTEN, flat=False), "4.7.0"),
    "4.7.0.1": (lambda: network(late(**ENDS, **RAGGED), flat=False), "4.7.0 to 5.0"),
}
WITHOUT_ENDS = {"4.1", "4.2.3", "4.3 to 4.5.2", "4.5.3"}
WITHOUT_STEP = {*WITHOUT_ENDS, "4.5.5"}
WITHOUT_DELAYS = {"4.5.3", "4.5.5", "4.6.0"}


def read(tmp_path: Path, content: object, *, dt: float | None = 0.5, name: str = "old.data") -> ForeignFile:
    path = tmp_path / name
    # numpy 2 has another name for its inner module, which no old version knew.
    data = pickle.dumps(content, 2).replace(b"numpy._core.", b"numpy.core.")
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return examine(path, dt=dt)


@pytest.mark.parametrize("version", LAYOUTS)
def test_every_layout_says_the_same(version: str, tmp_path: Path) -> None:
    make, writers = LAYOUTS[version]
    found = read(tmp_path, make())
    state = found.reading.state
    assert found.versions == writers
    pop, proj = state.populations["in"], state.projections["ff"]
    assert pop.geometry == (2, 2)
    assert (np.asarray(pop["r"]).tolist(), np.asarray(pop["tau"]).item()) == (R.reshape(2, 2).tolist(), 10.0)
    assert (list(pop.parameters), list(pop.variables)) == (["tau"], ["r"])
    assert [proj.connectivity.row(i).tolist() for i in range(3)] == RANKS
    assert proj.connectivity.post_ranks.tolist() == [0, 1, 2]
    ends = ("", "", "") if version in WITHOUT_ENDS else ("in", "out", "exc")
    assert (proj.pre, proj.post, proj.target) == ends
    assert state.time_step == (None if version in WITHOUT_STEP else 40)
    expected = None if version in WITHOUT_DELAYS else FLAT_STEPS
    assert (None if proj.delays is None else np.asarray(proj.delays).tolist()) == expected
    if version == "4.7.0":
        assert list(proj.attributes) == []
        assert any("4.7.0 forgot" in n.text for n in found.reading.notes if isinstance(n, Loss))
        return
    assert np.asarray(proj["w"]).tolist() == FLAT_W
    assert proj.attribute("w").locality is Locality.LOCAL
    assert np.asarray(proj["alpha"]).tolist() == ALPHA
    assert proj.attribute("alpha").locality is Locality.SEMIGLOBAL
    assert set(np.asarray(proj["eta"]).reshape(-1).tolist()) == {10.0}
    assert not any(isinstance(note, Loss) for note in found.reading.notes)


def test_pickling_an_old_file_again_does_not_make_it_new(tmp_path: Path) -> None:
    path = tmp_path / "again.data"
    path.write_bytes(pickle.dumps(v4_3(), 5))
    assert examine(path).versions == "4.3 to 4.5.2"


def connectivity(**changes: Any) -> dict[str, Any]:
    found = {
        "post_ranks": [0, 1, 2],
        "pre_ranks": RANKS,
        "w": W,
        "delay": STEPS,
        "max_delay": 4,
        "uniform_delay": -1,
        "size": 3,
        "nb_synapses": 6,
    }
    return {**found, **changes}


@pytest.mark.parametrize(
    ("changes", "dt", "steps"),
    [
        ({}, None, FLAT_STEPS),  # before 5.0: steps, whatever dt is
        ({}, 0.1, FLAT_STEPS),
        ({"delay": objects(MS)}, 0.5, FLAT_STEPS),  # since 5.0: ms
        ({"delay": objects(MS)}, None, FLAT_STEPS),  # max_delay tells dt
        ({"delay": [[2, 8], [4], [6, 4, 2]]}, None, FLAT_STEPS),  # dt = 2, an integer
        ({"delay": None, "uniform_delay": 3, "max_delay": 3}, None, 3),
        ({"delay": 1.5, "uniform_delay": 3, "max_delay": 3}, None, 3),
        ({"delay": None, "uniform_delay": 0, "max_delay": 0}, None, 1),
        ({"delay": None, "uniform_delay": -1, "max_delay": -1}, None, None),
    ],
)
def test_the_unit_of_connectivity_files(
    changes: dict[str, Any], dt: float | None, steps: Any, tmp_path: Path
) -> None:
    found = read(tmp_path, connectivity(**changes), dt=dt).reading.state.projections["old"].delays
    assert (found if found is None or isinstance(found, int) else np.asarray(found).tolist()) == steps


@pytest.mark.parametrize(
    ("delays", "dt", "steps", "said"),
    [
        ([[1.0, 2.0], [1.0], [3.0, 1.0, 1.0]], None, [1, 2, 1, 3, 1, 1], "ANNarchy's default; assumed"),
        ([[0.5, 1.0], [0.5], [1.5, 0.5, 0.5]], None, [1, 2, 1, 3, 1, 1], "dt = 0.5 ms, the shortest delay"),
        ([[0.1, 0.2], [0.1], [0.1 * 3, 0.1, 0.1]], 0.1, [1, 2, 1, 3, 1, 1], "as given"),
        (1.5, None, None, "nothing tells how long a step is"),
        (1.5, 0.5, 3, "as given"),
        (1.5, 1.0, None, "not whole numbers of steps"),
        (float("nan"), 1.0, None, "not whole numbers of steps"),
        ([[1.0], [1.0], [1.0]], 1.0, None, "does not fit"),
    ],
)
def test_delays_in_ms(delays: Any, dt: float | None, steps: Any, said: str, tmp_path: Path) -> None:
    reading = read(tmp_path, late(**ENDS, delays=delays), dt=dt).reading
    found = reading.state.projections["ff"].delays
    assert (found if found is None or isinstance(found, int) else np.asarray(found).tolist()) == steps
    assert any(said in note.text for note in reading.notes)


def test_a_population_that_was_overwritten_is_said_to_be(tmp_path: Path) -> None:
    content = {"time_step": 1, "net_id": 0, "x": late(**{**ENDS, "name": "x"}, delays=1.0)}
    content["obj_names"] = {"populations": ["x"], "projections": ["x", "gone"]}
    reading = read(tmp_path, content, dt=1.0).reading
    lost = {note.path: note.text for note in reading.notes if isinstance(note, Loss)}
    assert "overwritten" in lost["populations/x"]
    assert "listed in the file but not there" in lost["projections/gone"]


def test_names_that_every_other_reader_stumbles_over(tmp_path: Path) -> None:
    names = ["my pop", "a.b", "dir/sub", "pé ω", "time_step2", "name", "../up", "allow_pickle "]
    content: dict[str, Any] = {"time_step": 1, "net_id": 0}
    for name in names:
        content[name] = population(flat=False) | {"name": name}
    content["obj_names"] = {"populations": names, "projections": []}
    assert list(read(tmp_path, content).reading.state.populations) == names


def test_what_is_no_attribute_is_left_out_and_said(tmp_path: Path) -> None:
    odd = population(flat=True) | {
        "attributes": ["tau", "r", "times", "gone"],
        "variables": ["r", "times", "gone"],
    }
    reading = read(tmp_path, odd | {"times": [[1], [], [2, 3], []], "unknown": 3.0}).reading
    lost = {note.path for note in reading.notes if isinstance(note, Loss)}
    assert lost == {"populations/in/times", "populations/in/gone", "populations/in/unknown"}
    assert set(reading.state.populations["in"]) == {"tau", "r"}


@pytest.mark.parametrize("name", ["x.data", "x.npz", "x.mat", "x.txt.gz", "no extension"])
def test_the_extension_says_nothing(name: str, tmp_path: Path) -> None:
    found = read(tmp_path, connectivity(), name=name)
    assert found.container == ("gzip" if name.endswith(".gz") else "pickle")
    assert found.kind == "connectivity"


@pytest.mark.parametrize("content", [[1.0], 3, "text", {}, {"a": 1}, {"a": {"b": {}}, "c": 1}])
def test_what_is_nobodys_is_not_taken_for_a_network(content: object, tmp_path: Path) -> None:
    if isinstance(content, dict) and any(isinstance(entry, dict) for entry in content.values()):
        assert not read(tmp_path, content).reading.state.populations
    else:
        with pytest.raises(UnrecognisedFileError):
            read(tmp_path, content)


def test_errors_say_object_and_file(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError) as caught:
        read(tmp_path, network(late(**ENDS, pre_ranks=[[0], [-1], [2]]), flat=True))
    assert "ff" in str(caught.value)
    assert "old.data" in str(caught.value)
