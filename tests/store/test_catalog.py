"""The catalog of a store spares thousands of looks, and never changes an answer."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ann_ckpt import CheckpointStore, NetworkState, PopulationState, Retention, differences
from ann_ckpt.errors import NotReadableError, ObjectNotFoundError
from ann_ckpt.store import catalog, folder, notes, summary
from tests.store.runs import state

MOST = 200
"""System calls of any of them, whatever the length of the history."""


@pytest.fixture(scope="module", autouse=True)
def few_looked_at():
    """Of short histories, too, most is known from the notes alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "_LOOKED_AT", 4)
        yield


@pytest.fixture
def opened(monkeypatch):
    """Names of the checkpoint files that were opened to look at their headers."""
    seen: list[str] = []
    real = summary.open_inside
    monkeypatch.setattr(summary, "open_inside", lambda path, *_: seen.append(Path(path).stem) or real(path))
    return seen


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A store of 20 checkpoints."""
    path = tmp_path_factory.mktemp("made") / "run.ckpt"
    with CheckpointStore(path, "a") as store:
        for step in range(20):
            store.save(small(step), tag=f"tag {step}" if step % 7 == 0 else None)
    return path


def small(step: int) -> NetworkState:
    """Values of which some are in objects, and two of three of those as before."""
    values = {f"v{i}": np.full(3000, step // 3 if i else step, np.float64) for i in range(3)}
    return NetworkState(populations=[PopulationState("p", (3000,), variables=values)], time_step=step, dt=0.1)


def answers(path: Path) -> list[object]:
    """Whatever a history is asked for."""
    store = CheckpointStore(path)
    infos = [(info.to_dict(), info.file_bytes, dict(info.objects)) for info in store.checkpoints]
    with store["tag 0"] as oldest, store.at(time_ms=0.7) as at:
        found = [oldest.path, at.path]
    return [
        infos,
        found,
        store.prune(keep_last=5, keep_every=4, dry_run=True),
        store.gc(dry_run=True).objects,
    ]


def copy(made: Path, folder: Path) -> Path:
    """A copy that knows its files: those of another folder are others."""
    path = Path(shutil.copytree(made, folder / "run.ckpt"))
    with CheckpointStore(path, "prune") as store:
        store.gc()
    return path


@pytest.mark.parametrize("at", range(0, 21, 4))
def test_threads_that_look_at_once_are_told_what_each_checkpoint_needs(made, monkeypatch, at):
    store = CheckpointStore(made)
    needed = {}
    for checkpoint in store:
        with checkpoint:
            needed[Path(checkpoint.path).stem] = checkpoint.objects
    lines = itertools.count()

    def loads(text: str) -> object:
        if next(lines) == at:  # another thread comes while this one is at a line
            with ThreadPoolExecutor() as pool:
                pool.submit(store._catalog._notes.read).result()
        return json.loads(text)

    monkeypatch.setattr(notes, "json", SimpleNamespace(loads=loads, dumps=json.dumps))
    for _ in range(2):
        assert {info.name: dict(info.objects) for info in store.checkpoints} == needed


def test_nothing_is_opened_that_is_noted(made, opened):
    infos = CheckpointStore(made).checkpoints
    assert [info.time_step for info in infos] == [*range(20)]
    assert not opened
    (made / "catalog").rename(made / "aside")
    assert CheckpointStore(made).checkpoints == infos
    assert len(opened) == 20
    (made / "aside").rename(made / "catalog")


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_catalog_that_is_cut_flipped_or_of_another_store_changes_no_answer(made, tmp_path_factory, data):
    path = Path(shutil.copytree(made, tmp_path_factory.mktemp("copy") / "run.ckpt"))
    (path / "catalog").unlink()
    right = answers(path)
    if data.draw(st.booleans()):
        with CheckpointStore(path, "prune") as store:
            store.gc()
    else:  # of the store that this one is a copy of
        shutil.copy(made / "catalog", path / "catalog")
    text = bytearray((path / "catalog").read_bytes())
    how = data.draw(st.sampled_from(["cut", "flipped", "doubled", "garbage", "gone", "line"]))
    at = data.draw(st.integers(0, len(text) - 1))
    if how == "cut":
        del text[at:]
    elif how == "flipped":
        text[at] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "doubled":
        text += text[:at]
    elif how == "garbage":
        text[at:] = data.draw(st.binary(max_size=200))
    elif how == "line":
        lines = text.splitlines(keepends=True)
        del lines[at % len(lines)]
        text[:] = b"".join(lines)
    (path / "catalog").write_bytes(text)
    if how == "gone":
        (path / "catalog").unlink()
    assert answers(path) == right
    with CheckpointStore(path, "a", retention=Retention(keep_last=15, keep_tags=False)) as store:
        store.save(small(20))
        assert [info.time_step for info in store.checkpoints] == [*range(6, 21)]
        assert store.verify().ok
        assert store.gc(dry_run=True).objects == 0
    noted = answers_of_files(path)
    assert CheckpointStore(path).checkpoints == noted


def answers_of_files(path: Path):
    """What the files themselves say."""
    (path / "catalog").rename(path / "aside")
    try:
        return CheckpointStore(path).checkpoints
    finally:
        (path / "aside").rename(path / "catalog")


@pytest.mark.parametrize("which", [3, 18])
def test_another_file_under_a_noted_name_is_looked_at(made, tmp_path, which):
    path = copy(made, tmp_path)
    with CheckpointStore(path, "a") as store:
        store.save(small(60), tag="other")
        victim, other = (
            store._folder.checkpoint_path(store.checkpoints[which].slot),
            store.checkpoints[-1].path,
        )
        replaced = tmp_path / "replaced"
        shutil.copy(other, replaced)
        replaced.replace(victim)
        assert store.checkpoints[which].tag == "other"
        assert CheckpointStore(path).checkpoints[which].tag == "other"
        assert CheckpointStore(path).checkpoints == answers_of_files(path)


def test_what_is_changed_in_its_place_among_the_newest_is_looked_at(made, tmp_path):
    path = copy(made, tmp_path)
    file = Path(CheckpointStore(path).checkpoints[-2].path)
    file.write_bytes(b"no checkpoint")
    assert CheckpointStore(path).checkpoints[-2].problem is not None


def change_in_place(made: Path, path: Path, which: int, tag: str) -> None:
    """Write what a checkpoint of another store says into one, which stays the same file."""
    with CheckpointStore(made.parent / "other.ckpt", "w") as other:
        other.save(small(100 + which), tag=tag)
    file = Path(CheckpointStore(path).checkpoints[which].path)
    inode = file.stat().st_ino
    file.write_bytes(Path(other.checkpoints[0].path).read_bytes())
    shutil.copytree(Path(other.path, "objects"), path / "objects", dirs_exist_ok=True)
    assert file.stat().st_ino == inode


def test_what_is_said_of_one_old_checkpoint_is_true_of_its_file(made, tmp_path):
    path = copy(made, tmp_path)
    change_in_place(made, path, 7, "mended")
    store = CheckpointStore(path)
    with store["mended"] as found, store.at(time_ms=10.7) as at, store.at(step=107) as step:
        assert found.path == at.path == step.path == store.checkpoints[7].path
    for ask in (lambda new: new["tag 7"], lambda new: new.at(time_ms=0.7)):
        with pytest.raises(ObjectNotFoundError):
            ask(CheckpointStore(path))
    assert "mended" in store
    assert "tag 7" not in store


def test_an_old_checkpoint_that_was_given_a_tag_in_its_place_is_not_removed(made, tmp_path):
    path = copy(made, tmp_path)
    change_in_place(made, path, 5, "keep me")
    with CheckpointStore(path, "prune") as store:
        store.prune(keep_last=1)
        assert [info.tag for info in store.checkpoints] == ["tag 0", "keep me", "tag 7", "tag 14", None]
        assert store.verify().ok


def test_gc_asks_every_file_what_it_needs(made, tmp_path):
    path = copy(made, tmp_path)
    change_in_place(made, path, 5, "other values")
    with CheckpointStore(path, "prune") as store:
        store.gc()
        assert store.verify().ok


def test_files_without_an_inode_are_always_looked_at(made, tmp_path, monkeypatch):
    path = copy(made, tmp_path)
    right = CheckpointStore(path).checkpoints
    lines = [line.partition(b" ")[2] for line in (path / "catalog").read_bytes().splitlines(keepends=True)]
    text, digest = b"", ""
    for number, line in enumerate(lines):
        lie = json.dumps(json.loads(line) | {"inode": 0, "tag": "a lie"}) + "\n" if number else line.decode()
        digest = notes._digest(digest, lie)
        text += f"{digest} {lie}".encode()
    (path / "catalog").write_bytes(text)
    real = folder.inodes_in
    monkeypatch.setattr(folder, "inodes_in", lambda path: dict.fromkeys(real(path), 0))
    assert CheckpointStore(path).checkpoints == right


def test_a_file_that_is_mended_is_looked_at_again(made, tmp_path):
    path = copy(made, tmp_path)
    store = CheckpointStore(path)
    right = store.checkpoints
    file = Path(right[2].path)
    text = file.read_bytes()
    file.write_bytes(b"no checkpoint")
    (path / "catalog").unlink()
    store = CheckpointStore(path)
    assert store.checkpoints[2].problem is not None
    file.write_bytes(text)
    assert store.checkpoints == right


@pytest.mark.parametrize("at", [2, -1])
def test_a_read_error_that_passes_is_forgotten(made, tmp_path, monkeypatch, at):
    path = copy(made, tmp_path)
    right = CheckpointStore(path).checkpoints
    (path / "catalog").unlink()
    store, real = CheckpointStore(path), summary.open_inside
    with monkeypatch.context() as patch:
        refused = right[at].path
        patch.setattr(
            summary, "open_inside", lambda path, *rest: (_refuse if path == refused else real)(path, *rest)
        )
        assert store.checkpoints[at].problem is not None
    assert store.checkpoints == right


def test_what_others_save_and_remove_is_seen_beside_the_notes(made, tmp_path, opened):
    path = copy(made, tmp_path)
    reader = CheckpointStore(path)
    assert len(reader.checkpoints) == 20
    opened.clear()
    with CheckpointStore(path, "a") as store:
        store.save(small(20), tag="new")
        store.prune(keep_last=5)
    assert [info.time_step for info in reader.checkpoints] == [0, 7, 14, *range(16, 21)]
    assert [name[:10] for name in opened] == [".ann_ckpt-"]  # the new one, before it had its name
    with CheckpointStore(path, "w") as store:
        assert not (path / "catalog").exists()
        store.save(small(0), tag="again")
    assert [info.tag for info in reader.checkpoints] == ["again"]


def test_a_disk_that_takes_no_notes_takes_checkpoints(path, monkeypatch):
    with CheckpointStore(path, "a") as store:
        store.save(state(0))
        (path / "catalog").unlink()
        (path / "catalog").mkdir()  # nothing can be written there
        store.save(state(1), tag="t")
        assert [info.tag for info in store.checkpoints] == [None, "t"]
    assert [info.tag for info in CheckpointStore(path).checkpoints] == [None, "t"]


def test_nothing_is_written_through_a_link(path, tmp_path):
    other = tmp_path / "other"
    other.write_text("of somebody else")
    with CheckpointStore(path, "a") as store:
        store.save(state(0))
        (path / "catalog").unlink()
        (path / "catalog").symlink_to(other)
        store.save(state(1))
        store.gc()
    assert other.read_text() == "of somebody else"
    assert len(CheckpointStore(path).checkpoints) == 2


def test_a_history_that_is_pruned_all_the_time_keeps_a_short_catalog(path):
    with CheckpointStore(path, "a", retention=Retention(keep_last=2)) as store:
        for step in range(75):
            store.save(small(step))
    lines = (path / "catalog").read_bytes().splitlines()
    assert len(lines) < 71
    assert json.loads(lines[-1].partition(b" ")[2])["time_step"] == 74


def test_a_name_that_is_given_again_is_not_taken_for_the_earlier_file(path, monkeypatch):
    """Even where the notes could not be written: what they said of that name goes away."""
    with CheckpointStore(path, "a") as store:
        for step in (1, 2):
            store.save(state(step))
        Path(store.checkpoints[-1].path).unlink()
        monkeypatch.setattr(os, "write", lambda *_: 0)
        store.save(state(2), tag="again")
        assert not (path / "catalog").exists()
    assert [info.tag for info in CheckpointStore(path).checkpoints] == [None, "again"]


def test_what_cannot_be_read_back_is_not_noted_as_if_it_needed_nothing(path, monkeypatch):
    with CheckpointStore(path, "a") as store:
        store.save(state(1))
        with monkeypatch.context() as patch:
            patch.setattr(summary, "open_inside", _refuse)
            store.save(state(2), tag="here")
        assert len((path / "catalog").read_bytes().splitlines()) == 2
        for step in range(3, 10):
            store.save(state(step))
        store.prune(keep_last=2)
        assert [info.tag for info in store.checkpoints] == ["here", None, None]
        assert store.verify().ok


def _refuse(path, *_):
    raise NotReadableError("cannot read: Input/output error", where=path)


# --- What it costs --------------------------------------------------------------------

COUNTED = """
import os, sys
from ann_ckpt import CheckpointStore, Retention
import ann_ckpt, tests.store.test_catalog as here

def run(path, count):
    def of(name, call):
        os.access(f"/begin {name}", 0)
        call()
        os.access("/end", 0)
    of("opening", lambda: CheckpointStore(path))
    of("latest", lambda: CheckpointStore(path).latest.close())
    of("time", lambda: CheckpointStore(path).at(time_ms=0.2).close())
    of("tag", lambda: ann_ckpt.open(f"{path}@oldest").close())
    of("log", lambda: CheckpointStore(path).checkpoints)
    gone = f"{count // 2:012d}"
    of("prune", lambda: CheckpointStore(path, "prune").prune(keep=lambda info: info.name != gone))
    rule = Retention(keep=lambda info: info.name != f"{count // 3:012d}")
    for name, step, given in (("save", count + 1, None), ("retention", count + 2, rule)):
        with CheckpointStore(path, "a", retention=given) as store:
            of(name, lambda: store.save(here.small(step)))

run(sys.argv[1], 80)
run(sys.argv[2], int(sys.argv[3]))
"""


_NOT_FILES = ("brk(", "mmap(", "munmap(", "mremap(", "madvise(", "futex(", "+++", "---", "<...")


@pytest.mark.torture
def test_calls_do_not_grow_with_the_history(tmp_path, rounds):
    # Of the same remainder by three as 80, so that the same values change.
    for count in (200,) if rounds == 1 else (200, 1_001, 10_001):
        for name, n in (("warm", 80), ("long", count)):
            long(tmp_path / str(count) / f"{name}.ckpt", n)
        log = tmp_path / "log"
        subprocess.run(
            ["strace", "-f", "-o", log, sys.executable, "-c", COUNTED]
            + [str(tmp_path / str(count) / f"{name}.ckpt") for name in ("warm", "long")]
            + [str(count)],
            check=True,
            cwd=Path(__file__).parents[2],
        )
        short, found = calls(log.read_text())
        assert set(found) == {"opening", "latest", "time", "tag", "log", "prune", "save", "retention"}
        grown = {name: calls - short[name] for name, calls in found.items()}
        listings = 6 * (count // 800)  # a call of the system lists some 800 names
        assert max(grown.values()) < 10 + listings, grown
        # What a save takes by itself has nothing to do with the history.
        found["retention"] -= found.pop("save")
        assert max(found.values()) <= MOST, found


def calls(text: str) -> list[dict[str, int]]:
    """Count the calls of all threads between the marks, of each run, but those for memory and locks."""
    runs: list[dict[str, int]] = []
    found: dict[str, int] = {}
    inside = ""
    for line in text.splitlines():
        call = line.split(maxsplit=1)[1]
        if '"/begin ' in call:
            inside = call.split('"')[1].removeprefix("/begin ")
            if inside in found or not runs:
                found = {}
                runs.append(found)
            found[inside] = 0
        elif '"/end"' in call:
            inside = ""
        elif inside and not call.startswith(_NOT_FILES):
            found[inside] += 1
    return runs


def long(path: Path, count: int) -> None:
    """A store of many checkpoints, most of which are copies of one file."""
    with CheckpointStore(path, "a") as store:
        store.save(small(0), tag="oldest")
        store.save(small(2))
    first = path / "checkpoints/000000000002.h5"
    for step in range(3, count + 1):
        shutil.copy(first, first.with_name(f"{step:012d}.h5"))
    with CheckpointStore(path, "prune") as store:
        store.gc()
    assert not list(differences(store[-1].state(), small(2)))
