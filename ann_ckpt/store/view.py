"""Looking back: the checkpoints of a store by place, step, time and tag."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator

from ann_ckpt.errors import CheckpointError, FileMissingError, ObjectNotFoundError, OptionError, printable
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.paths import absolute
from ann_ckpt.report import human_bytes
from ann_ckpt.store.catalog import Catalog, CheckpointInfo
from ann_ckpt.store.finding import open_one
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.waiting import WaitingCheckpoint

__all__ = ["SeriesView"]

_NEAREST = 3


class SeriesView:
    """What can be asked of a store without changing it; never waits for anybody.

    Whatever is opened here is a lazy :class:`~ann_ckpt.Checkpoint`; close it, or use it
    as a context manager.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._folder = StoreFolder(absolute(path))
        self._catalog = Catalog(self._folder)

    @property
    def path(self) -> str:
        """The folder, as an absolute path: the working folder may change while a store is open."""
        return os.fspath(self._folder.path)

    @property
    def checkpoints(self) -> list[CheckpointInfo]:
        """What there is, oldest first."""
        return self._catalog.all()

    @property
    def latest(self) -> Checkpoint:
        """The checkpoint that was saved last, opened.

        Raises
        ------
        FileMissingError
            If there is none yet.
        """
        try:
            return self[-1]
        except IndexError:
            raise FileMissingError(
                "the store holds no checkpoint yet", where=printable(self.path, 400)
            ) from None

    def __len__(self) -> int:
        return len(self._folder.slots())

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Checkpoint]:
        """Yield one checkpoint after another, oldest first; each opens its file when it is first asked."""
        for slot in self._folder.slots():
            path = self._folder.checkpoint_path(slot)
            if os.path.lexists(path):  # else it was pruned since the list was made
                yield WaitingCheckpoint(path)

    def __contains__(self, which: object) -> bool:
        if not isinstance(which, str):
            return False
        try:
            open_one(self._folder, which).close()
        except ObjectNotFoundError:
            return False
        except CheckpointError:
            return True  # damaged, but there
        return True

    def __getitem__(self, which: int | str) -> Checkpoint:
        """Open a checkpoint by its place in the series, or by its tag, step or name.

        Raises
        ------
        IndexError
            If there are not that many.
        ObjectNotFoundError
            If none is called so; also a :class:`KeyError`.
        TypeError
            If ``which`` is neither a text nor an integer.
        """
        return open_one(self._folder, which if isinstance(which, str) else operator.index(which))

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
            If there is none; the message names the nearest.
        OptionError
            If not exactly one of the two is given.
        TypeError
            If the step is not an integer.
        """
        if step is not None and time_ms is None:
            return open_one(self._folder, self._at_step(operator.index(step)).name)
        if time_ms is not None and step is None:
            return open_one(self._folder, self._nearest(time_ms, "time_ms").name)
        raise OptionError("at() takes either a step or a time in ms", details={"given": f"{step}, {time_ms}"})

    def _at_step(self, step: int) -> CheckpointInfo:
        """Look at those that are called after the step; at the others only to say which come near."""
        infos = [self._catalog.look(slot) for slot in self._folder.slots(step=step)]
        exact = [info for info in infos if info is not None and info.time_step == step]
        return exact[-1] if exact else self._nearest(step, "time_step")

    def _nearest(self, wanted: float, field: str) -> CheckpointInfo:
        """Return the checkpoint whose ``field`` is ``wanted``, or say which come near."""
        known = [info for info in self._catalog.all() if getattr(info, field) is not None]
        known.sort(key=lambda info: abs(getattr(info, field) - wanted))
        exact = [info for info in known if abs(getattr(info, field) - wanted) <= _tolerance(info, field)]
        if exact:
            return max(exact, key=lambda info: info.slot)
        when = f"step {wanted}" if field == "time_step" else f"{wanted} ms"
        shown = ", ".join(str(getattr(info, field)) for info in known[:_NEAREST]) or "nothing"
        raise ObjectNotFoundError(
            f"the store has no checkpoint at {when}",
            details={"nearest": shown},
            where=printable(self.path, 400),
        )

    def __repr__(self) -> str:
        infos = self._catalog.all()
        sizes = {name: size for info in infos for name, size in info.objects.items()}
        total = sum(sizes.values()) + sum(info.file_bytes for info in infos)
        steps = f", steps {infos[0].time_step} to {infos[-1].time_step}" if infos else ""
        return f"<store {printable(self.path)}: {len(infos)} checkpoints{steps}, {human_bytes(total)}>"


def _tolerance(info: CheckpointInfo, field: str) -> float:
    """Half a step for times, which people write down in ms; nothing for steps."""
    if field == "time_step" or info.time_ms is None or not info.time_step:
        return 0.0
    return info.time_ms / info.time_step / 2
