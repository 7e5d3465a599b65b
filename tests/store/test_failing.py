"""Full disks and other refusals: the store stays what it was, and the next save works."""

from __future__ import annotations

import errno
import os
import resource
import signal
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState, differences
from ann_ckpt.errors import NotWritableError
from ann_ckpt.store.saving import background as background_module
from tests.store.dying import CALLS, Mortal, fills_a_temporary_file
from tests.store.runs import state


def files(path: Path) -> dict[Path, int]:
    return {p: p.stat().st_size for p in path.rglob("*") if p.is_file() and "lock" not in p.name}


class Refusal(Mortal):
    """From one call on, the system refuses everything that needs space; removing still works."""

    def wrap(self, real):
        def call(*args, **kwargs):
            self.calls += not fills_a_temporary_file(real, args)
            if self.dead and real.__name__ != "unlink":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args, **kwargs)

        return call


@pytest.mark.parametrize("background", [False, "copy", "fork"])
@pytest.mark.parametrize("after", [0, 1, 2, 4, 6, 8, 10, 12, 14])
def test_a_save_that_is_refused_leaves_nothing_and_says_why(store, path, after, background):
    store.save(state(0))
    before = files(path)
    refusal = Refusal(after)
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, refusal.wrap(getattr(os, name)))
        try:
            report = store.save(state(500), background=background)
            report = report.wait() if background else report
        except NotWritableError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017
            report = None
    if report is None:
        committed = path / "checkpoints" / "000000000500.h5"
        # Once the name is there the checkpoint counts, although its folder could not be made safe.
        if not committed.exists():
            assert files(path) == before
    assert store.verify().ok
    store.save(state(501))
    assert not list(differences(store.latest.state(), state(501)))
    assert store.verify().ok


@pytest.mark.parametrize("kilobytes", [1, 40, 200, 900])
def test_a_disk_that_fills_up_in_the_middle_of_a_file(store, path, kilobytes):
    store.save(state(0))
    before = files(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, limits[1]))
    try:
        with pytest.raises(NotWritableError, match="File too large"):
            store.save(state(500, scale=8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert files(path) == before
    store.save(state(501))
    assert store.verify().ok


def test_a_source_that_fails_while_it_is_read_changes_nothing(store, path):
    class Broken:
        shape = (2_000_000,)
        dtype = np.dtype("f8")

        def __getitem__(self, key):
            if key.start > 1_000_000:
                raise RuntimeError("the simulator is gone")
            return np.zeros(key.stop - key.start)

        def __array__(self, dtype=None, *, copy=None):
            return self[slice(0, 2_000_000)]

    store.save(state(0))
    before = files(path)
    broken = NetworkState(
        populations=[PopulationState("p", (2_000_000,), variables={"r": Broken()})], time_step=1
    )
    for background in (False, True):
        with pytest.raises(RuntimeError, match="the simulator is gone"):
            store.save(broken, background=background)
        assert files(path) == before
    store.save(state(1))
    assert store.verify().ok


class Interrupt(KeyboardInterrupt):
    """Ctrl-C, told apart from a real one."""


def test_interrupted_by_the_keyboard_leaves_nothing(store, path):
    def progress(what, done, total):
        if done > total / 2:
            raise Interrupt

    store.save(state(0))
    before = files(path)
    for background in (False, "copy"):
        with pytest.raises(Interrupt):
            store.save(state(500), progress=progress, background=background)
        assert files(path) == before
    background_module._say_what_failed()  # at the end of the interpreter, nobody hears of it again
    store.save(state(1))


def test_a_store_that_cannot_be_written_is_said_at_opening(path):
    with CheckpointStore(path, "a") as store:
        store.save(state(0))

    real = os.open

    def read_only(name, flags, *more, **kwargs):
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(name, flags, *more, **kwargs)

    with mock.patch.object(os, "open", read_only):
        for mode in ("a", "w"):
            with pytest.raises(NotWritableError, match="Read-only file system"):
                CheckpointStore(path, mode)
        with pytest.raises(NotWritableError, match="Read-only file system"):
            CheckpointStore(path, "prune").prune(keep_last=1)
        assert not list(differences(ann_ckpt.read(path), state(0)))


@pytest.mark.parametrize("background", [False, "copy", "fork"])
def test_what_was_committed_keeps_its_objects_although_its_folder_could_not_be_made_safe(
    store, path, background
):
    """The rename has made the checkpoint visible; then fsync of its folder fails."""
    store.save(state(0))
    real, refused = os.fsync, []

    def fsync(descriptor):
        if os.path.realpath(f"/proc/self/fd/{descriptor}") == str(path.resolve() / "checkpoints"):
            refused.append(descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor)

    with mock.patch.object(os, "fsync", fsync), pytest.raises(NotWritableError):
        report = store.save(state(500), background=background)
        if background:
            report.wait()
    assert refused or background == "fork"  # a child's list is its own
    assert (path / "checkpoints" / "000000000500.h5").exists()
    with CheckpointStore(path) as reader:
        assert not list(differences(reader.latest.state(), state(500)))
        assert reader.verify().ok
    store.save(state(501))
    assert not list(differences(store.latest.state(), state(501)))
    assert store.verify().ok
