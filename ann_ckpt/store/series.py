"""Read access to a store: checkpoints by position, step, time and tag; verifying and exporting them."""

from __future__ import annotations

import numbers
import operator
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.errors import (
    CheckpointError,
    ClosedCheckpointError,
    CorruptFileError,
    FileMissingError,
    NotReadableError,
    ObjectNotFoundError,
    OptionError,
    PlaceNotFoundError,
    PrunedError,
    WrongTypeError,
    printable,
)
from ann_ckpt.format.shared.array import BlockLocation
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.paths import absolute, address_of, spoken
from ann_ckpt.report import Meter, Note, Progress, SaveReport, VerifyReport, count, human_bytes
from ann_ckpt.single import write_single
from ann_ckpt.store.buckets.bucket import Bucket
from ann_ckpt.store.catalog import Catalog
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.history import Checkpoints, in_notebook
from ann_ckpt.store.inside import check_file
from ann_ckpt.store.names import STEP_DIGITS, Slot, is_step
from ann_ckpt.store.summary import CheckpointInfo, added_bytes, open_inside

__all__ = [
    "SeriesView",
    "WaitingCheckpoint",
    "export_checkpoint",
    "open_one",
]


class WaitingCheckpoint(Checkpoint):
    """A :class:`~ann_ckpt.Checkpoint` that opens its file on first use.

    Parameters
    ----------
    path : path-like
        A checkpoint file of a store.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._opening = threading.RLock()
        self._waits = True
        self._ended = False

    def __getattr__(self, name: str) -> Any:
        # Called only for what is not there: everything that opening the file brings.
        if name.startswith("__") or not self.__dict__.get("_waits"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        with self._opening:
            if self._waits:
                self._open()
        return getattr(self, name)

    def _open(self) -> None:
        if self._ended:
            raise ClosedCheckpointError("the checkpoint was closed", where=spoken(self.path))
        before = dict(self.__dict__)
        try:
            if address_of(self.path) is None:
                check_file(Path(self.path))
            super().__init__(self.path)
        except BaseException as error:
            self.__dict__.clear()
            self.__dict__.update(before)
            if isinstance(error, FileMissingError):
                raise PrunedError(
                    "the checkpoint was pruned before it was opened", where=spoken(self.path)
                ) from error
            raise
        self._waits = False

    def close(self) -> None:
        """Close the file if it was opened; unread data is no longer available."""
        with self._opening:
            self._ended = True
            if not self._waits:
                super().close()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._ended


def open_one(folder: StoreFolder | Bucket, which: int | str) -> Checkpoint:
    """Open one checkpoint; only headers are read to find it.

    Twelve digits or more are a name, as ``10-2`` is one without its zeros; it means that
    checkpoint and no other. A shorter number is a step. Of several checkpoints at one
    step, the one that was saved last is meant; so it is with tags.

    Parameters
    ----------
    which : int or str
        Place in the series, from the end if negative; or step, name or tag.

    Raises
    ------
    PlaceNotFoundError
        If there are not that many.
    ObjectNotFoundError
        If none is called so.
    WrongTypeError
        If ``which`` is neither a text nor an integer.
    NotReadableError
        If the system does not let one be read that may be meant.
    """
    if not isinstance(which, str):
        which = _integer(which, "a place in the series", folder)
    looked_at: list[Slot] | None = None
    # What is found may be pruned before it is open; then another one may be meant by now.
    # And where nothing fits by what is noted of the files, they are asked themselves.
    while looked_at != (candidates := _candidates(folder, which, sure=looked_at is not None)):
        looked_at = candidates
        for slot in candidates:
            checkpoint = _open(folder, slot, which)
            if checkpoint is not None:
                if _fits(checkpoint, which):
                    return checkpoint
                checkpoint.close()
    _check_there(folder)
    if isinstance(which, int):
        raise FileMissingError("the checkpoint is listed, but its file is missing", where=folder.path)
    raise ObjectNotFoundError.among(
        printable(Path(folder.path).name, 80),
        "checkpoint",
        which,
        _names(Catalog(folder).all(sure=True)),
        where=folder.path,
    )


def _check_there(folder: StoreFolder | Bucket) -> None:
    """Raise if a bucket that lists no checkpoint has no store either: it lists what is not there as empty."""
    if isinstance(folder, Bucket) and not folder.slots():
        folder.settings()


def _integer(given: Any, what: str, folder: StoreFolder | Bucket) -> int:
    try:
        return operator.index(given)
    except TypeError:
        raise _wrong_type(given, what, "an integer", folder) from None


def _wrong_type(given: Any, what: str, expected: str, folder: StoreFolder | Bucket) -> WrongTypeError:
    return WrongTypeError(
        f"{printable(repr(given))} is not {what}", details={"expected": expected}, where=folder.path
    )


def _candidates(folder: StoreFolder | Bucket, which: int | str, *, sure: bool) -> list[Slot]:
    """Where to look, newest first."""
    if isinstance(which, int):
        slots = folder.slots()
        if not -len(slots) <= which < len(slots):
            _check_there(folder)
            raise PlaceNotFoundError(
                f"the store has no checkpoint number {which}",
                details={"stored": count(len(slots), "checkpoint")},
                where=folder.path,
            )
        return [slots[which]]
    if not is_step(which):
        if isinstance(folder, Bucket):  # each header costs a request
            return folder.slots()[::-1]
        infos = reversed(Catalog(folder).all(sure=sure))
        # One that could not be read may have the tag; opening it says why not.
        return [info.slot for info in infos if info.tag == which or info.problem is not None]
    number, _, again = which.partition("-")
    if not _is_name(which):
        return folder.slots(step=int(number))[::-1]
    named = Slot(int(again or 0), int(number))
    return [named] if folder.has(named) else []


def _fits(checkpoint: Checkpoint, which: int | str) -> bool:
    """Whether it is the one, once it has been looked for in the right place."""
    if isinstance(which, int) or _is_name(which):
        return True
    return checkpoint.time_step == int(which) if is_step(which) else checkpoint.tag == which


def _is_name(which: str) -> bool:
    return is_step(which) and ("-" in which or len(which) >= STEP_DIGITS)


def _open(folder: StoreFolder | Bucket, slot: Slot, which: int | str) -> Checkpoint | None:
    """Open a checkpoint; None if it is gone, or damaged while another one may have the tag."""
    try:
        return open_inside(folder.checkpoint_path(slot))
    except FileMissingError:
        return None
    except NotReadableError:  # it may have the tag, and be whole
        raise
    except CheckpointError:
        if isinstance(which, int) or is_step(which):
            raise
        return None


def _names(infos: Sequence[CheckpointInfo]) -> list[str]:
    """What can stand behind ``@``, newest first, for messages."""
    tags = [info.tag for info in reversed(infos) if info.tag is not None]
    steps = [info.slot.name if info.time_step is None else str(info.time_step) for info in reversed(infos)]
    return list(dict.fromkeys(tags + steps))


_NEAREST = 3


class SeriesView:
    """Read-only interface of a store; never waits for a lock.

    Whatever is opened here is a lazy :class:`~ann_ckpt.Checkpoint`; close it, or use it
    as a context manager.
    """

    def __init__(self, path: str | os.PathLike[str] | Bucket) -> None:
        self._series = path if isinstance(path, Bucket) else StoreFolder(absolute(path))
        self._catalog = Catalog(self._series)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path,)  # for reading: no two processes save to one store

    @property
    def path(self) -> str:
        """The folder, as an absolute path: the working folder may change while a store is open."""
        return os.fspath(self._series.path)

    @property
    def checkpoints(self) -> list[CheckpointInfo]:
        """Summaries of all checkpoints, oldest first."""
        return Checkpoints(self._catalog.all(), self.path)

    @property
    def latest(self) -> Checkpoint:
        """The newest checkpoint, opened.

        Raises
        ------
        FileMissingError
            If there is none yet.
        """
        try:
            return self[-1]
        except IndexError:
            raise FileMissingError("the store has no checkpoints yet", where=self.path) from None

    def __len__(self) -> int:
        return len(self._series.slots())

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Checkpoint]:
        """Yield one checkpoint after another, oldest first; each opens its file when it is first asked."""
        for slot in self._series.slots():
            path = self._series.checkpoint_path(slot)
            # What is not there was pruned since the list was made.
            if isinstance(self._series, Bucket) or os.path.lexists(path):
                yield WaitingCheckpoint(path)

    def __contains__(self, which: object) -> bool:
        if not isinstance(which, str):
            return False
        try:
            open_one(self._series, which).close()
        except ObjectNotFoundError:
            return False
        except (NotReadableError, FileMissingError):
            raise  # nobody knows
        except CheckpointError:
            return True  # damaged, but there
        return True

    def __getitem__(self, which: int | str) -> Checkpoint:
        """Open a checkpoint by its place in the series, or by its tag, step or name.

        Raises
        ------
        PlaceNotFoundError
            If there are not that many; also an :class:`IndexError`.
        ObjectNotFoundError
            If none is called so; also a :class:`KeyError`.
        WrongTypeError
            If ``which`` is neither a text nor an integer; also a :class:`TypeError`.
        NotReadableError
            If the system or the server does not let one be read that may be meant.
        """
        return open_one(self._series, which)

    def at(self, *, step: int | None = None, time_ms: float | None = None) -> Checkpoint:
        """Open the checkpoint of exactly that time step, or simulated time.

        Of several at the same step, the one that was saved last is meant.

        Parameters
        ----------
        step : int, optional
            Steps simulated so far.
        time_ms : float, optional
            Simulated time in ms, to half a step.

        Raises
        ------
        ObjectNotFoundError
            If there is none; the message names the nearest, and those that are damaged.
        NotReadableError, CorruptFileError
            If one of that step was saved later and cannot be read; or, for a time that no other one
            has, if the system does not let one be read.
        OptionError
            If not exactly one of the two is given.
        WrongTypeError
            If the step is not an integer, or the time not a number; also a :class:`TypeError`.
        """
        if step is not None and time_ms is None:
            return open_one(self._series, self._at_step(_integer(step, "a step", self._series)).name)
        if time_ms is not None and step is None:
            if not isinstance(time_ms, numbers.Real):
                raise _wrong_type(time_ms, "a time in ms", "a number", self._series)
            return open_one(self._series, self._nearest(time_ms, "time_ms").name)
        raise OptionError("at() takes either a step or a time in ms", details={"given": f"{step}, {time_ms}"})

    def _at_step(self, step: int) -> CheckpointInfo:
        """Look at those that are called after the step; at the others only to say which come near."""
        infos = [self._catalog.look(slot) for slot in self._series.slots(step=step)]
        # One that cannot be read may be it; opening it says why not.
        meant = [info for info in infos if info is not None and (info.time_step == step or info.problem)]
        return meant[-1] if meant else self._nearest(step, "time_step")

    def _nearest(self, wanted: float, field: str) -> CheckpointInfo:
        """Return the checkpoint whose ``field`` is ``wanted``, or say which come near."""
        known: list[CheckpointInfo] = []
        unread: list[CheckpointInfo] = []
        for sure in (False, True):
            infos = self._catalog.all(sure=sure)
            # A step is in the name of a file that cannot be read, too; a time is not.
            unread = [info for info in infos if info.problem is not None and field == "time_ms"]
            known = [info for info in infos if getattr(info, field) is not None]
            known.sort(key=lambda info: abs(getattr(info, field) - wanted))
            exact = [info for info in known if abs(getattr(info, field) - wanted) <= _tolerance(info, field)]
            steps = {info.slot.step for info in exact}
            exact += [info for info in unread if info.slot.step in steps]
            found = max(exact, key=lambda info: info.slot, default=None)
            if found is not None and self._catalog.look(found.slot) == found:
                return found
        for info in reversed(unread):
            if (checkpoint := _open(self._series, info.slot, "")) is not None:
                checkpoint.close()
        when = f"step {wanted}" if field == "time_step" else f"{wanted} ms"
        near = list(dict.fromkeys(str(getattr(info, field)) for info in known))[:_NEAREST]
        details = {"nearest": ", ".join(near) or "nothing"}
        if unread:
            details["damaged"] = ", ".join(info.name for info in unread)
        raise ObjectNotFoundError(f"the store has no checkpoint at {when}", details=details, where=self.path)

    def export(
        self,
        which: int | str,
        path: str | os.PathLike[str],
        *,
        compression: str = "auto",
        progress: Progress | None = None,
    ) -> SaveReport:
        """Write one checkpoint as a self-contained file.

        Parameters
        ----------
        which : int or str
            Place in the series, or tag, step or name.
        path : path-like
            Ends in ``.h5`` or ``.hdf5``.
        compression : str
            Of its large arrays; see :func:`ann_ckpt.write`.
        progress : callable, optional
            Called as ``progress(what, done, total)`` with bytes.

        Raises
        ------
        FileMissingError
            If the newest is asked for, and the store is empty.
        """
        with self.latest if which == -1 else self[which] as checkpoint:
            return export_checkpoint(checkpoint, path, compression=compression, progress=progress)

    def verify(self, *, progress: Progress | None = None) -> VerifyReport:
        """Verify everything in the store against its digests.

        A checkpoint that is pruned meanwhile is left out.

        Parameters
        ----------
        progress : callable, optional
            Called as ``progress(what, done, total)`` with bytes.

        Raises
        ------
        FileMissingError
            If there is no store.
        """
        began = time.perf_counter()
        infos = self.checkpoints
        if not infos:
            _check_there(self._series)
        total = sum({n: size for info in infos for n, size in info.objects.items()}.values())
        seen: set[BlockLocation] = set()
        checked = 0
        damaged: list[Note] = []
        meter = Meter(progress, total)
        if isinstance(self._series, StoreFolder):
            try:
                self._series.check_checkpoints()
            except CorruptFileError as gone:
                damaged.append(Note("checkpoints", gone.fact))
        for info in infos:
            try:
                with open_inside(info.path, info.file_bytes) as checkpoint:
                    for path, count, error in checkpoint._verify(seen):
                        if error is not None:
                            damaged.append(Note(f"{info.name}:/{path}", error.fact))
                        meter.tick(f"{info.name}/{path}", count)
                    checked += len(checkpoint.arrays)
            except (FileMissingError, PrunedError):
                continue
            except CheckpointError as error:
                damaged.append(Note(info.name, error.fact))
        return VerifyReport(self.path, checked, tuple(damaged), meter.done, time.perf_counter() - began)

    def __repr__(self) -> str:
        infos = self._catalog.all()
        total = sum(added_bytes(infos))
        steps = f", steps {infos[0].time_step} to {infos[-1].time_step}" if infos else ""
        return (
            f"<store {printable(self.path)}: {count(len(infos), 'checkpoint')}{steps}, {human_bytes(total)}>"
        )

    def _repr_html_(self) -> str:
        return in_notebook(self.path, self._catalog.all())


def export_checkpoint(
    checkpoint: Checkpoint,
    path: str | os.PathLike[str],
    *,
    compression: str = "auto",
    progress: Progress | None = None,
) -> SaveReport:
    """Write an open checkpoint as a self-contained file; parameters as for :meth:`SeriesView.export`."""
    return write_single(
        Reading(checkpoint.state(lazy=True)),
        path,
        compression=compression,
        created=checkpoint.created,
        provenance=checkpoint.provenance,
        tag=checkpoint.tag,
        progress=progress,
    )


def _tolerance(info: CheckpointInfo, field: str) -> float:
    """Half a step for times, which people write down in ms; nothing for steps."""
    if field == "time_step" or info.time_ms is None or not info.time_step:
        return 0.0
    return info.time_ms / info.time_step / 2
