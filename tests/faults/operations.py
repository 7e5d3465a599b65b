"""What people do with files and stores, each with what must hold after it was done, refused or killed.

An operation prepares a folder, is performed in it while faults are injected, and is judged afterwards by
another process that knows of no faults. :data:`Outcome` is all that the caller was told.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, Retention, differences
from ann_ckpt.cli import main
from ann_ckpt.errors import CheckpointError
from tests.faults.networks import net

__all__ = ["OPERATIONS", "Operation", "Outcome"]

STORE = "run.ckpt"
UNTOUCHED = "untouched"
"""An error that says so has changed nothing."""
IN_PLACE = "the new file is in place"
"""An error that says so could only not make it durable."""
NEXT = 900
"""Step of the save that must work after whatever happened."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the caller was told."""

    kind: str
    """``done``, ``failed`` or ``killed``; the last one says nothing."""
    message: str = ""
    """Of the error; or of a report, where it says that not all was done."""
    may_litter: bool = False
    """Whether the system refused to remove something, so that it may lie there until the next save."""

    @property
    def says_untouched(self) -> bool:
        return self.kind == "failed" and UNTOUCHED in self.message

    @property
    def says_done(self) -> bool:
        return self.kind == "done" or (self.kind == "failed" and IN_PLACE in self.message)


@dataclass(frozen=True, slots=True)
class Operation:
    """One of them."""

    name: str
    prepare: Callable[[Path], None]
    """Fills an empty folder."""
    perform: Callable[[Path], str | None]
    judge: Callable[[Path, Outcome], None]
    """Asserts what must hold."""


def expect_same(found: NetworkState, expected: NetworkState) -> None:
    assert list(differences(found, expected)) == [], f"step {found.time_step} is not what was saved"


def temporaries(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- One file ---------------------------------------------------------------------

Expected = Callable[[Path], NetworkState | None]
"""What a file of this path should hold; None for no file."""


@dataclass(frozen=True, slots=True)
class _FileJudge:
    """One file that is replaced, or made where there was none."""

    name: str
    old: Expected
    new: Expected
    then: Expected = lambda _: net(NEXT)
    """After the next save."""
    others: frozenset[str] = frozenset()
    """What else stands in the folder, and stays."""

    def __call__(self, folder: Path, outcome: Outcome) -> None:
        path = folder / self.name
        found = _state(path)
        old, new = self.old(path), self.new(path)
        allowed = [new] if outcome.says_done else [old]
        if outcome.kind == "killed":
            allowed.append(new)
        what = "nothing" if found is None else f"step {found.time_step}"
        assert any(_same(found, state) for state in allowed), f"{outcome}, and there is {what}"
        if found is not None and path.suffix == ".h5":
            assert ann_ckpt.verify(path).ok
        if outcome.kind != "killed" and not outcome.may_litter:
            assert not temporaries(folder), "temporary files stay"
        _save(path, NEXT)
        assert _same(_state(path), self.then(path)), "the next save did not work"
        assert names(folder) == {self.name, *self.others}


def _same(found: NetworkState | None, expected: NetworkState | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return not list(differences(found, expected))


def _state(path: Path) -> NetworkState | None:
    """What a file holds; of old formats without the word on where it comes from."""
    if not path.exists():
        return None
    found = ann_ckpt.read(path)
    return found if path.suffix == ".h5" else replace(found, metadata={})


def _save(path: Path, step: int) -> None:
    ann_ckpt.save(path, network=net(step))


def _file(name: str, target: str = "net.h5") -> Operation:
    return Operation(
        name,
        lambda folder: _save(folder / target, 1),
        lambda folder: _save(folder / target, 2),
        _FileJudge(target, lambda _: net(1), lambda _: net(2)),
    )


def _old_format(suffix: str) -> Operation:
    """A format of ANNarchy's own, which cannot hold all of a state."""

    def through(step: int) -> Expected:
        def state(path: Path) -> NetworkState | None:
            with tempfile.TemporaryDirectory() as folder:
                _save(Path(folder) / path.name, step)
                return _state(Path(folder) / path.name)

        return state

    return replace(
        _file(f"write{suffix}", f"net{suffix}"),
        judge=_FileJudge(f"net{suffix}", through(1), through(2), through(NEXT)),
    )


def _prepare_convert(folder: Path) -> None:
    _save(folder / "net.h5", 1)
    _save(folder / "old.npz", 2)


def _convert(folder: Path) -> None:
    ann_ckpt.convert(folder / "old.npz", folder / "net.h5")


_PARAMETERS = '{"populations": {"in": {"tau": 25.0}}}'


def _prepare_apply(folder: Path) -> None:
    _save(folder / "a.h5", 2)
    _save(folder / "net.h5", 1)
    (folder / "params.json").write_text(_PARAMETERS)


def _apply(folder: Path) -> None:
    names = [str(folder / name) for name in ("params.json", "a.h5", "net.h5")]
    command("params", "apply", names[0], "--checkpoint", names[1], "-o", names[2])


def _applied(path: Path) -> NetworkState:
    expect_same(ann_ckpt.read(path.parent / "a.h5"), net(2))
    return ann_ckpt.params.apply(path.parent / "params.json", net(2))


class CommandError(CheckpointError):
    """A command ended with an exit status that stands for an error of ours."""


def command(*arguments: str) -> None:
    """Run a command; raise what it said if it did not end well.

    Raises
    ------
    CommandError
        If it said so with the exit status of an error of ours.
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(list(arguments))
        except SystemExit as left:
            status = left.code
    if status:
        assert err.getvalue().startswith("error["), (status, err.getvalue())
        raise CommandError(err.getvalue())


# --- Stores -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _StoreJudge:
    """A store in which checkpoints come or go."""

    old: tuple[int, ...]
    new: tuple[int, ...]
    between: Callable[[tuple[int, ...]], bool] = lambda _: False
    """Whether a killed process, or one that says that not all was done, may leave these steps."""
    others: frozenset[str] = frozenset()
    missing: bool = False
    """Whether there was no store, and may be none unless it was done."""

    def __call__(self, folder: Path, outcome: Outcome) -> None:
        path = folder / STORE
        steps = self._steps(path)
        # What else may be in place is store.json.
        committed = outcome.says_done and "/checkpoints/" in outcome.message
        # What comes after the commit may be left undone, if that is said.
        undone = outcome.message and self.between(steps)
        if outcome.kind == "done" or committed:
            assert steps == self.new or undone, (outcome, steps)
        elif outcome.says_untouched:
            assert steps == self.old, (outcome.message, steps)
        else:
            assert steps in (self.old, self.new) or self.between(steps), (outcome, steps)
        if steps or not self.missing:
            _all_there(path, steps)
        if outcome.kind != "killed" and not outcome.may_litter:
            assert not temporaries(folder), "temporary files stay"
        with CheckpointStore(path, "a") as store:
            store.save(net(NEXT))
            assert store.gc(dry_run=True).objects == 0, "objects that nobody needs stay"
            assert store.verify().ok, store.verify()
            expect_same(store.latest.state(), net(NEXT))
        assert not temporaries(folder)
        assert names(path) - {"catalog"} == {"store.json", "checkpoints", "objects"}
        assert names(folder) == {STORE, *self.others}

    def _steps(self, path: Path) -> tuple[int, ...]:
        try:
            with CheckpointStore(path) as store:
                return tuple(info.time_step for info in store.checkpoints)
        except ann_ckpt.errors.FileMissingError:
            assert self.missing
            return ()


def _all_there(path: Path, steps: Iterable[int]) -> None:
    """These checkpoints, bit for bit: each value that is read is verified against its digest."""
    with CheckpointStore(path) as store:
        assert [info.problem for info in store.checkpoints if info.problem is not None] == []
        assert [info.time_step for info in store.checkpoints] == list(steps)
        for info in store.checkpoints:
            with store[info.name] as checkpoint:
                expect_same(checkpoint.state(), net(info.time_step))


def _series(*steps: int, mode: str = "a") -> Callable[[Path], None]:
    """What saves these steps into a store."""

    def prepare(folder: Path) -> None:
        with CheckpointStore(folder / STORE, mode) as store:
            for step in steps:
                store.save(net(step))

    return prepare


def _save_background(way: Literal["fork", "copy"]) -> Callable[[Path], None]:
    """What saves a step in the background, and waits for it."""

    def save(folder: Path) -> None:
        with CheckpointStore(folder / STORE, "a") as store:
            store.save_in_background(net(30), way=way)

    return save


def _save_retaining(folder: Path) -> str:
    """Return what the report says of what was not removed."""
    with CheckpointStore(folder / STORE, "a", retention=Retention(keep_last=2)) as store:
        return "; ".join(
            note.text for note in store.save(net(60)).notes if "pruned" in note.text or "pruning" in note.text
        )


def _prune(folder: Path) -> None:
    with CheckpointStore(folder / STORE, "prune") as store:
        store.prune(keep_last=1)


def _prepare_gc(folder: Path) -> None:
    """A store with objects that nobody needs, and files that a dead process was writing."""
    _series(1, 30, 60)(folder)
    path = folder / STORE
    (path / "checkpoints" / "000000000030.h5").unlink()
    (path / "objects" / ".new-7.tmp").write_bytes(b"begun")


def _gc(folder: Path) -> None:
    with CheckpointStore(folder / STORE, "prune") as store:
        store.gc()


def _judge_gc(folder: Path, outcome: Outcome) -> None:
    with CheckpointStore(folder / STORE, "prune") as store:
        if outcome.kind == "done":
            assert store.gc(dry_run=True).objects == 0
        store.gc()
    _StoreJudge((1, 60), (1, 60))(folder, outcome)


def _prepare_export(folder: Path) -> None:
    _series(1, 30)(folder)
    _save(folder / "net.h5", 2)


def _export(folder: Path) -> None:
    with CheckpointStore(folder / STORE) as store:
        store.export("1", folder / "net.h5")


def _judge_export(folder: Path, outcome: Outcome) -> None:
    _FileJudge("net.h5", lambda _: net(2), lambda _: net(1), others=frozenset((STORE,)))(folder, outcome)
    _StoreJudge((1, 30), (1, 30), others=frozenset(("net.h5",)))(folder, outcome)


def _prepare_add(folder: Path) -> None:
    _series(1)(folder)
    _save(folder / "net.h5", 30)


def _add(folder: Path) -> None:
    with CheckpointStore(folder / STORE, "a") as store:
        store.add(folder / "net.h5")


def _judge_add(folder: Path, outcome: Outcome) -> None:
    _StoreJudge((1,), (1, 30), others=frozenset(("net.h5",)))(folder, outcome)
    expect_same(ann_ckpt.read(folder / "net.h5"), net(30))


OPERATIONS = {
    operation.name: operation
    for operation in (
        _file("save-file"),
        Operation(
            "new-file",
            lambda folder: None,
            lambda folder: _save(folder / "net.h5", 2),
            _FileJudge("net.h5", lambda _: None, lambda _: net(2)),
        ),
        Operation("create", lambda folder: None, _series(), _StoreJudge((), (), missing=True)),
        Operation(
            "first-save",
            lambda folder: None,
            lambda folder: _save(folder / STORE, 1),
            _StoreJudge((), (1,), missing=True),
        ),
        Operation("save", _series(1), _series(30), _StoreJudge((1,), (1, 30))),
        Operation("save-background", _series(1), _save_background("copy"), _StoreJudge((1,), (1, 30))),
        Operation("save-forked", _series(1), _save_background("fork"), _StoreJudge((1,), (1, 30))),
        Operation(
            "save-retention",
            _series(1, 2, 30),
            _save_retaining,
            _StoreJudge((1, 2, 30), (30, 60), lambda steps: {30, 60} <= set(steps) <= {1, 2, 30, 60}),
        ),
        Operation(
            "begin-anew",
            _series(1, 30),
            _series(mode="w"),
            _StoreJudge((1, 30), (), lambda steps: set(steps) <= {1, 30}),
        ),
        Operation(
            "prune",
            _series(1, 2, 30, 60),
            _prune,
            _StoreJudge((1, 2, 30, 60), (60,), lambda steps: {60} <= set(steps) <= {1, 2, 30, 60}),
        ),
        Operation("gc", _prepare_gc, _gc, _judge_gc),
        Operation("export", _prepare_export, _export, _judge_export),
        Operation("add", _prepare_add, _add, _judge_add),
        Operation(
            "convert",
            _prepare_convert,
            _convert,
            _FileJudge(
                "net.h5",
                lambda _: net(1),
                lambda path: ann_ckpt.read(path.parent / "old.npz"),
                others=frozenset(("old.npz",)),
            ),
        ),
        Operation(
            "apply",
            _prepare_apply,
            _apply,
            _FileJudge("net.h5", lambda _: net(1), _applied, others=frozenset(("a.h5", "params.json"))),
        ),
        _old_format(".data"),
        _old_format(".txt.gz"),
        _old_format(".npz"),
        _old_format(".mat"),
    )
}
