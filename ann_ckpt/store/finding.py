"""Which checkpoint of a store is meant: found by its place, step, name or tag, and opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ann_ckpt.errors import CheckpointError, FileMissingError, ObjectNotFoundError, printable
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.store.catalog import Catalog, CheckpointInfo
from ann_ckpt.store.folder import STEP_DIGITS, Slot, StoreFolder
from ann_ckpt.store.places import is_step

__all__ = ["open_one"]


def open_one(folder: StoreFolder, which: int | str) -> Checkpoint:
    """Open one checkpoint; nothing but headers is read to find it.

    Twelve digits or more are a name, as ``10-2`` is one without its zeros; it means that
    checkpoint and no other. A shorter number is a step. Of several checkpoints at one
    step, the one that was saved last is meant; so it is with tags.

    Parameters
    ----------
    which : int or str
        Place in the series, from the end if negative; or step, name or tag.

    Raises
    ------
    IndexError
        If there are not that many.
    ObjectNotFoundError
        If none is called so.
    """
    slots: list[Slot] | None = None
    # What is found may be pruned before it is open; then another one may be meant by now.
    while slots != (present := folder.slots()):
        slots = present
        candidates, fits = _candidates(slots, which)
        for slot in candidates:
            checkpoint = _open(folder, slot, which)
            if checkpoint is not None:
                if fits(checkpoint):
                    return checkpoint
                checkpoint.close()
    where = printable(folder.path, 400)
    if isinstance(which, int):
        raise FileMissingError("the checkpoint is listed, but not there", where=where)
    raise ObjectNotFoundError.among(
        printable(folder.path.name, 80), "checkpoint", which, _names(Catalog(folder).all()), where=where
    )


def _candidates(slots: Sequence[Slot], which: int | str) -> tuple[list[Slot], Callable[[Checkpoint], bool]]:
    """Where to look, newest first, and how to tell that it is the one."""
    if isinstance(which, int):
        return [slots[which]], lambda _: True
    if not is_step(which):
        return list(reversed(slots)), lambda checkpoint: checkpoint.tag == which
    number, _, again = which.partition("-")
    if again or len(which) >= STEP_DIGITS:
        named = Slot(int(again or 0), int(number))
        return [slot for slot in slots if slot == named], lambda _: True
    step = int(number)
    at_step = [slot for slot in reversed(slots) if slot.step == step]
    return at_step, lambda checkpoint: checkpoint.time_step == step


def _open(folder: StoreFolder, slot: Slot, which: int | str) -> Checkpoint | None:
    """Open a checkpoint; None if it is gone, or damaged while another one may have the tag."""
    try:
        return Checkpoint(folder.checkpoint_path(slot))
    except FileMissingError:
        return None
    except CheckpointError:
        if isinstance(which, int) or is_step(which):
            raise
        return None


def _names(infos: Sequence[CheckpointInfo]) -> list[str]:
    """What can stand behind ``@``, newest first, for messages."""
    tags = [info.tag for info in reversed(infos) if info.tag is not None]
    steps = [info.slot.name if info.time_step is None else str(info.time_step) for info in reversed(infos)]
    return list(dict.fromkeys(tags + steps))
