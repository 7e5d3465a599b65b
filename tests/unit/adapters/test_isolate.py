"""A worker's answer, and what becomes of workers that crash, hang or lie."""

from __future__ import annotations

import io
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ann_ckpt import differences
from ann_ckpt.adapters.legacy import examine
from ann_ckpt.adapters.legacy.sandbox import client, wire
from ann_ckpt.adapters.legacy.sandbox.client import WorkerLimits, examine_isolated
from ann_ckpt.adapters.protocol import ForeignFile
from ann_ckpt.cli.info import describe_foreign
from ann_ckpt.errors import (
    CheckpointError,
    CorruptFileError,
    FileMissingError,
    OptionError,
    UnsafeFileError,
    WorkerCrashedError,
    WorkerTimeoutError,
)

PROJECTION = {
    "name": "ff",
    "pre": "a",
    "post": "b",
    "target": "exc",
    "post_ranks": [0, 1],
    "pre_ranks": [[0, 1], [2]],
    "attributes": ["eta", "alpha", "w"],
    "parameters": ["eta", "alpha"],
    "variables": ["w"],
    "delays": [[1.0, 2.0], [3.0]],
    "eta": 0.5,
    "alpha": [1.0, 2.0],
    "w": [[0.5, float("nan")], [-0.0]],
    "gone": 1,
}
POPULATION = {
    "name": "a",
    "geometry": (2, 2),
    "size": 4,
    "attributes": ["r", "on"],
    "parameters": ["on"],
    "variables": ["r"],
    "r": np.arange(4.0),
    "on": True,
}
NETWORK = {"time_step": 3, "a": POPULATION, "ff": PROJECTION, "obj_names": {}}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.data"
    path.write_bytes(pickle.dumps(NETWORK))
    return path


def same(a: ForeignFile, b: ForeignFile) -> bool:
    return describe_foreign(a) == describe_foreign(b) and not list(
        differences(a.reading.state, b.reading.state)
    )


def received(data: bytes, limit: int = 1 << 20) -> ForeignFile:
    pipe = io.BytesIO(data)

    def take(count: int) -> bytes:
        found = pipe.read(count)
        if len(found) < count:
            raise WorkerCrashedError("the pipe ended")
        return found

    return wire.receive(take, "x", limit)


def sent(found: ForeignFile) -> bytes:
    pipe = io.BytesIO()
    wire.send(found, pipe)
    return pipe.getvalue()


def message(header: object, tail: bytes = b"") -> bytes:
    data = json.dumps(header).encode()
    return len(data).to_bytes(8, "little") + data + tail


def test_what_a_worker_reads_arrives_whole(old: Path) -> None:
    here, there = examine(old, dt=0.5), examine_isolated(old, dt=0.5)
    assert same(here, there)
    assert [type(n) for n in here.reading.notes] == [type(n) for n in there.reading.notes]
    assert there.path == str(old)


def test_errors_arrive_with_class_and_words(tmp_path: Path) -> None:
    path = tmp_path / "x.data"
    path.write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(UnsafeFileError) as there:
        examine_isolated(path)
    with pytest.raises(UnsafeFileError) as here:
        examine(path)
    assert str(there.value) == str(here.value)
    assert type(there.value) is type(here.value)


def test_errors_of_the_caller_arrive_too(old: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="encoding="):
        examine_isolated(old, encoding="nonsense")
    with pytest.raises(FileMissingError):
        examine_isolated(tmp_path / "missing")


def test_time_is_limited(old: Path) -> None:
    limits = WorkerLimits(memory_bytes=4 << 30, cpu_seconds=60, wall_seconds=0.01)
    with pytest.raises(WorkerTimeoutError, match=r"over 0\.01 s and was stopped"):
        examine_isolated(old, limits=limits)


def run_instead(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(client, "_START", f"import os, signal, sys, time\n{code}")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV"),
        ("os.abort()", "ended by SIGABRT"),
        ("sys.exit(3)", "ended with status 3"),
        ("sys.stdout.write('nonsense and more')", "invalid answer"),
        ("sys.stdout.buffer.write(bytes(8) + b'{}')", "invalid answer"),
        ("sys.stdout.buffer.write(b'\\xff' * 100)", "invalid answer"),
    ],
)
def test_a_worker_that_crashes_or_lies(
    code: str, said: str, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_instead(monkeypatch, code)
    with pytest.raises(WorkerCrashedError, match=said) as caught:
        examine_isolated(old)
    assert isinstance(caught.value, UnsafeFileError)
    assert str(old) in str(caught.value)


def test_a_worker_that_sits_there_is_ended(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_instead(monkeypatch, "sys.stdout.buffer.write(b'12'); sys.stdout.flush(); time.sleep(600)")
    limits = WorkerLimits(memory_bytes=4 << 30, cpu_seconds=60, wall_seconds=0.5)
    with pytest.raises(WorkerTimeoutError):
        examine_isolated(old, limits=limits)


def test_a_worker_can_neither_write_nor_compute_for_ever(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "written"
    run_instead(
        monkeypatch,
        f"sys.path[:] = {sys.path!r}\n"
        "from ann_ckpt.adapters.legacy.sandbox.worker import confine\n"
        "confine(4 << 30, 1)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"try: open({str(target)!r}, 'w').write('x')\n"
        "except OSError: pass\n"
        "while True: pass\n",
    )
    limits = WorkerLimits(memory_bytes=4 << 30, cpu_seconds=1, wall_seconds=60)
    with pytest.raises(WorkerTimeoutError, match="over 1 s of CPU time"):
        examine_isolated(old, limits=limits)
    assert not target.exists() or target.read_bytes() == b""


def test_the_environment_stays_here(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "secret")
    run_instead(monkeypatch, "sys.exit(7 if 'SOME_SECRET' in os.environ else 5)")
    with pytest.raises(WorkerCrashedError, match="status 5"):
        examine_isolated(old)


GOOD = {
    "facts": ["pickle", "network", 1, "ANNarchy", "4.6", ""],
    "notes": [],
    "time": [0, 1.0],
    "carried": [[], None],
    "populations": [],
    "projections": [],
    "names": [],
    "snapshots": [],
    "arrays": [],
}


def population(variable: list[Any]) -> dict[str, Any]:
    return {"populations": [["p", [2], [], [variable], [[], None]]]}


def test_the_forgeries_differ_from_an_answer_that_is_taken() -> None:
    answer = {**GOOD, **population(["r", "local", 0]), "arrays": [["d", [2]]], "names": ["a"]}
    found = received(message(answer, np.array([1.0, 2.0]).tobytes()))
    assert found.reading.state.populations["p"]["r"].tolist() == [1.0, 2.0]
    assert list(found.snapshots) == ["a"]


def forgeries() -> dict[str, Any]:
    """Answers that a worker which was taken over might give."""
    attribute = population(["r", "local", 0])
    good = GOOD
    return {
        "a list": [],
        "nothing": {},
        "no facts": {**good, "facts": []},
        "facts that are no texts": {**good, "facts": [1, 2, 3, 4, 5, 6]},
        "half a surrogate pair": {**good, "facts": ["\ud800", "", 1, "", "", ""]},
        "objects in an array": {**good, "arrays": [["O", [1]]], **attribute},
        "a void type": {**good, "arrays": [["V", [1]]], **attribute},
        "a huge array": {**good, "arrays": [["d", [1 << 40]]], **attribute},
        "arrays that are huge together": {**good, "arrays": [["d", [1 << 16]]] * 3, **attribute},
        "a negative shape": {**good, "arrays": [["d", [-1]]], **attribute},
        "a shape of text": {**good, "arrays": [["d", ["2"]]], **attribute},
        "ninety axes": {**good, "arrays": [["d", [1] * 90]], **attribute},
        "an array that is not there": {**good, **attribute},
        "a text for an index": {**good, **population(["r", "local", "0"])},
        "an unknown locality": {**good, **population(["r", "elsewhere", 0]), "arrays": [["d", [2]]]},
        "a shape that does not fit": {**good, "arrays": [["d", [3]]], **attribute},
        "a float for a geometry": {**good, "populations": [["p", [2.5], [], [], [[], None]]]},
        "dynamics that are not there": {**good, "carried": [[["t", 0]], None]},
        "an unknown exactness": {**good, "carried": [[], ["very", []]]},
        "a snapshot too many": {**good, "names": ["a", "b"]},
        "a snapshot of nothing": {**good, "names": ["a", "b"], "snapshots": [{}]},
        "a truth for a time step": {**good, "time": [True, 1.0]},
        "dt that is no length": {**good, "time": [0, -1.0]},
        "an unknown error": {"error": {"code": "x", "fact": "y", "details": {}, "where": None}},
        "an error without words": {"error": {}},
        "an error that is a text": {"error": "boom"},
    }


@pytest.mark.parametrize("name", forgeries())
def test_forged_answers_are_refused(name: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        received(message(forgeries()[name], bytes(3 << 20)))
    assert isinstance(caught.value, (WorkerCrashedError, CorruptFileError))


def test_deep_json_does_not_end_this_process() -> None:
    data = b"[" * 1_000_000
    with pytest.raises(WorkerCrashedError):
        received(len(data).to_bytes(8, "little") + data)


def test_an_error_does_not_reach_the_terminal_raw() -> None:
    fields = {"code": "unsafe-file", "fact": "\x1b[2J" * 2000, "details": {"\x07": "\x1b"}, "where": "\x1b"}
    with pytest.raises(UnsafeFileError) as caught:
        received(message({"error": fields}))
    assert "\x1b" not in str(caught.value)
    assert "\x07" not in str(caught.value)
    assert len(str(caught.value)) < 5000


def test_every_cut_of_an_answer_is_noticed(old: Path) -> None:
    whole = sent(examine(old, dt=0.5))
    assert not list(differences(received(whole).reading.state, examine(old, dt=0.5).reading.state))
    for length in range(0, len(whole), 7):
        with pytest.raises(WorkerCrashedError):
            received(whole[:length])


def test_limits_grow_with_the_file() -> None:
    small, large = WorkerLimits.for_size(0), WorkerLimits.for_size(10 << 30)
    assert small.memory_bytes < large.memory_bytes
    assert small.cpu_seconds < large.cpu_seconds


def test_the_worker_finds_the_package_where_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder inside the package is on its path: a module there could hide one of Python's own."""
    monkeypatch.setattr(sys, "path", ["", "/nowhere"])
    package, nowhere = client.import_path()
    assert (Path(package) / "ann_ckpt" / "__init__.py").is_file()
    assert nowhere == "/nowhere"
