"""A power cut at any moment of a save or a prune, with every order in which a disk may have written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ann_ckpt import CheckpointStore, differences
from tests.store.powercut import Disk, Tree, crash_states, recording, tree_of
from tests.store.runs import state

pytestmark = pytest.mark.torture

SCALE = 1
AT_MOST = 4


def write(tree: Tree, root: Path) -> Path:
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("checkpoints", "objects"):
        (root / folder).mkdir(parents=True)
    for path, content in tree.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(content)
    return root


def check(root: Path, must: set[int], may: set[int]) -> bool:
    """Check what is left; return whether the optional step is there."""
    store = CheckpointStore(root)
    steps = {info.time_step for info in store.checkpoints}
    assert must <= steps <= must | may
    for checkpoint in store:
        with checkpoint:
            assert not list(differences(checkpoint.state(), state(checkpoint.time_step, scale=SCALE)))
    with CheckpointStore(root, "a") as writer:
        writer.save(state(99, scale=SCALE))
        assert not list(differences(writer.latest.state(), state(99, scale=SCALE)))
        assert writer.gc(dry_run=True).objects == 0
        assert not list(root.rglob("*.tmp"))
    return steps != must


@pytest.fixture
def before(path) -> Tree:
    with CheckpointStore(path, "a") as store:
        for step in (1, 2, 30):
            store.save(state(step, scale=SCALE), tag="first" if step == 1 else None)
    return tree_of(path)


def every_state(before: Tree, recorded, rounds: int, root: Path, must: set[int], may: set[int]) -> list[bool]:
    rng = np.random.default_rng(0)
    found = [
        check(write(tree, root), must, may) for tree in crash_states(before, recorded, rng, AT_MOST * rounds)
    ]
    assert len(found) > 10
    return found


def test_a_save_is_there_whole_or_not_at_all(path, before, tmp_path, rounds):
    with recording(path) as recorded, CheckpointStore(path, "a") as store:
        store.save(state(40, scale=SCALE))
    found = every_state(before, recorded, rounds, tmp_path / "after", {1, 2, 30}, {40})
    assert set(found) == {True, False}


def test_the_first_save_of_a_new_store(path, tmp_path, rounds):
    CheckpointStore(path, "a").close()
    before = tree_of(path)
    with recording(path) as recorded, CheckpointStore(path, "a") as store:
        store.save(state(1, scale=SCALE))
    assert set(every_state(before, recorded, rounds, tmp_path / "after", set(), {1})) == {True, False}


def test_a_save_that_finds_objects_of_an_interrupted_one(path, before, tmp_path, rounds):
    """Names that were not safe when the first save died must be when the second one is committed."""
    with recording(path) as first:
        store = CheckpointStore(path, "a")
        store.save(state(40, scale=SCALE))
        store.close()
    committed = next(
        i for i, call in enumerate(first.calls) if call[0] == "move" and "checkpoints" in str(call[2])
    )
    disk = Disk(before)
    for call in first.calls[:committed]:
        if call[0] != "sync" or call[2] is not None:
            disk.apply(*call)  # every name has reached memory, none the disk
    write({p: disk.contents[n] or b"" for p, n in disk.now.items() if n is not None}, path)
    with recording(path) as second, CheckpointStore(path, "a") as store:
        store.save(state(40, scale=SCALE))
    rng = np.random.default_rng(0)
    for call in second.calls:
        disk.apply(*call)
        for tree in disk.crashes(rng, AT_MOST * rounds):
            if "checkpoints/000000000040.h5" in tree:
                check(write(tree, tmp_path / "after"), {1, 2, 30, 40}, set())


def test_pruning_takes_nothing_that_stays(path, before, tmp_path, rounds):
    with recording(path) as recorded, CheckpointStore(path, "a") as store:
        assert len(store.prune(keep_last=1, keep_tags=False).removed) == 2
    every_state(before, recorded, rounds, tmp_path / "after", {30}, {1, 2})


def test_content_is_safe_before_it_gets_its_name_and_names_before_the_commit(path, before):
    """The order itself, so that a change of it fails here and not by chance only."""
    with recording(path) as recorded, CheckpointStore(path, "a") as store:
        store.save(state(40, scale=SCALE))
    calls = recorded.calls
    synced: dict[str, bytes] = {}
    safe_folders: set[str] = set()
    for number, (what, target, more) in enumerate(calls):
        if what == "sync" and more is not None:
            synced[target] = more
        elif what == "sync":
            safe_folders.add(target)
        elif what == "move":
            assert synced[target] == (path / more).read_bytes(), f"{target} was not safe when it got its name"
            safe_folders.discard(str(Path(more).parent))
            if more.startswith("checkpoints/"):
                moved = {str(Path(m).parent) for w, _, m in calls[:number] if w == "move" and m != more}
                assert moved
                assert moved <= safe_folders
                assert ("sync", "checkpoints", None) in calls[number:]
