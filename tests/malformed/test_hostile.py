"""Hostile files and stores through every call and command: errors of ours, little memory, nothing touched.

``make test`` takes a sample; ``make torture`` lets every call loose on every case.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ann_ckpt
from tests.malformed.calls import FILE_CALLS, PATH_CALLS, STORE_CALLS
from tests.malformed.files import FILES, LARGE
from tests.malformed.paths import PATHS
from tests.malformed.samples import good_file, good_store, newest, sealed, state
from tests.malformed.stores import STORES

ROOT = Path(__file__).parents[2]
MEMORY_MIB = 256
"""Of the whole process, numpy, scipy, HDF5 and the command line included."""
EVERY = {"file": 15, "store": 8, "path": 1}
"""One case in so many is in the sample."""
CASES = {"file": [name for name in FILES if name != LARGE], "store": list(STORES), "path": list(PATHS)}
CALLS = {"file": list(FILE_CALLS), "store": list(STORE_CALLS), "path": list(PATH_CALLS)}

FELL = [
    ("file", "index: a population called '%ZZ'", ["look_at_parts", "ann-ckpt info {}", "ann-ckpt tree {}"]),
    ("file", "index: a constant called '%ZZ'", ["look_at_parts", "ann-ckpt ls {}"]),
    ("path", "a NUL", ["save_over", "save", "ann-ckpt params diff {} {here}/good.h5"]),
    ("path", "a pipe", ["read", "ann-ckpt params diff {} {here}/good.h5"]),
    ("path", "a path too long", ["convert", "ann-ckpt convert {} {here}/converted --no-isolate"]),
    ("path", "a store's name too long", ["ann-ckpt convert {} {here}/converted.h5 --no-isolate"]),
    ("file", "/: time_step is 2**64 - 1", ["write_again", "add_to_store"]),
    ("file", "projections/ragged: pre_size is a bool", ["look_at_parts"]),
    ("file", "hdf5: chunks_of_one_byte", ["verify", "read"]),
    ("file", "projections/ragged/post_ranks: records", ["look_at_parts"]),
    ("file", "projections/ragged/post_ranks: beyond 32 bits", ["look_at_parts"]),
    ("file", "projections/ragged/post_ranks: 32 axes", ["ann-ckpt show {} projections/ragged --rows 0:2"]),
    ("file", "projections/ragged/pre_ranks: one value", ["look_at_parts"]),
    ("file", "projections/ragged/delays: an empty axis", ["look_at_parts"]),
    ("file", "projections/ragged/parameters/w: three axes", ["look_at_parts"]),
    ("file", "row_ptr: rising only by overflow", ["look_at_parts", "read"]),
    ("store", "store.json: a pipe", ["list", "save"]),
    ("store", "store.json: a folder", ["list", "ann-ckpt log {}"]),
    ("store", "store.json: a link to zeros without end", ["list", "ann-ckpt gc {} --json"]),
    ("store", "store.json: 64 GiB of nothing", ["list"]),
    ("store", "store.json: not UTF-8", ["list"]),
    ("store", "store.json: nested deeply", ["list", "ann-ckpt log {}"]),
    ("store", "lock: a link to another's file", ["save"]),
    ("store", "lock: a link to nowhere", ["save"]),
    ("store", "lock.change: nested deeply", ["gc"]),
    ("store", "checkpoints: a link to another's folder", ["list", "prune"]),
    ("store", "checkpoints: a folder", ["export", "ann-ckpt export {} {here}/exported.h5", "latest"]),
    ("store", "objects: a link to another's folder", ["gc", "save"]),
    ("store", "a folder of objects: a link to another's folder", ["gc", "prune"]),
    ("store", "the next object: a link to another's file", ["save"]),
    ("store", "an object: a pipe", ["every_checkpoint", "save", "verify_store"]),
    ("store", "an object: a folder", ["every_checkpoint", "save"]),
    ("store", "one more object: a link to itself", ["gc"]),
    ("store", "the newest checkpoint: a link to a copy", ["list", "newest_whole"]),
    ("store", "links: HDF5 never finishes to open one", ["verify_store", "newest_whole"]),
]
"""What once went wrong, always looked at."""


class Probe:
    """A process that children are forked from, which spoil, call and report."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.malformed.probe", str(folder)],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, kind: str, case: str, calls: list[str]) -> list[dict[str, Any]]:
        """Return how each call on a case ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"kind": kind, "case": case, "calls": calls}) + "\n")
        self._process.stdin.flush()
        return list(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    made = Probe(tmp_path_factory.mktemp("hostile"))
    yield made
    made.close()


def wrong(found: list[dict[str, Any]]) -> list[str]:
    """Say what should not have happened."""
    said = []
    for one in found:
        if not one["ended"].startswith(("own ", "returned")):
            said.append(f"{one['call']}: {one['ended']}\n{one['text']}")
        elif "not enough memory" in one["text"] or one["mib"] > MEMORY_MIB:
            said.append(f"{one['call']}: {one['mib']:.0f} MiB\n{one['text']}")
    return said


def chosen(kind: str, rounds: int) -> Iterator[tuple[str, list[str]]]:
    """Some cases with some calls each, so that over all cases every call is made; all of them in the end."""
    calls, each = CALLS[kind], min(2 * rounds, len(CALLS[kind]))
    for number, case in enumerate(CASES[kind][:: max(1, EVERY[kind] // rounds)]):
        yield case, [calls[(number * each + step) % len(calls)] for step in range(each)]


@pytest.mark.torture
@pytest.mark.parametrize("kind", list(CASES))
def test_nothing_hostile_gets_further_than_an_error_of_ours(kind: str, probe: Probe, rounds: int) -> None:
    failed = {
        case: said for case, names in chosen(kind, rounds) if (said := wrong(probe.ask(kind, case, names)))
    }
    assert failed == {}


@pytest.mark.parametrize(
    ("kind", "case", "names"), FELL, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_went_wrong_once(kind: str, case: str, names: list[str], probe: Probe) -> None:
    assert wrong(probe.ask(kind, case, names)) == []


def test_zeros_take_memory_only_if_they_are_read_whole(probe: Probe) -> None:
    names = [
        "ann-ckpt info {}",
        "ann-ckpt tree {}",
        "ann-ckpt show {} projections/ragged --rows 0:2",
        "verify",
    ]
    assert wrong(probe.ask("file", LARGE, names)) == []


def test_a_foreign_exception_would_be_noticed(probe: Probe) -> None:
    found = probe.ask("file", "hdf5: no_index", ["no such call"])
    assert "KeyError" in found[-1]["text"]
    assert wrong(found)


def test_good_ones_are_good_and_stay_so_when_sealed_again(tmp_path: Path) -> None:
    """What is said of hostile ones is due to their one defect."""
    file, store = good_file(tmp_path / "net.h5"), good_store(tmp_path / "run.ckpt")
    for path in (file, newest(store)):
        with sealed(path):
            pass
    assert ann_ckpt.verify(file).ok
    assert ann_ckpt.verify(store).ok
    assert list(ann_ckpt.differences(ann_ckpt.read(file), state())) == []
    assert list(ann_ckpt.differences(ann_ckpt.read(store), state(4))) == []
