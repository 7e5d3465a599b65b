"""Which checkpoint of a store is meant: found by its place, step, name or tag, and opened."""

from __future__ import annotations

from collections.abc import Sequence

from ann_ckpt.errors import CheckpointError, FileMissingError, ObjectNotFoundError, printable
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.store.catalog import Catalog, CheckpointInfo, open_inside
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
    looked_at: list[Slot] | None = None
    # What is found may be pruned before it is open; then another one may be meant by now.
    while looked_at != (candidates := _candidates(folder, which)):
        looked_at = candidates
        for slot in candidates:
            checkpoint = _open(folder, slot, which)
            if checkpoint is not None:
                if _fits(checkpoint, which):
                    return checkpoint
                checkpoint.close()
    where = printable(folder.path, 400)
    if isinstance(which, int):
        raise FileMissingError("the checkpoint is listed, but not there", where=where)
    raise ObjectNotFoundError.among(
        printable(folder.path.name, 80), "checkpoint", which, _names(Catalog(folder).all()), where=where
    )


def _candidates(folder: StoreFolder, which: int | str) -> list[Slot]:
    """Where to look, newest first."""
    if isinstance(which, int):
        return [folder.slots()[which]]
    if not is_step(which):
        return folder.slots()[::-1]
    number, _, again = which.partition("-")
    slots = folder.slots(step=int(number))
    if not _is_name(which):
        return slots[::-1]
    named = Slot(int(again or 0), int(number))
    return [named] if named in slots else []


def _fits(checkpoint: Checkpoint, which: int | str) -> bool:
    """Whether it is the one, once it has been looked for in the right place."""
    if isinstance(which, int) or _is_name(which):
        return True
    return checkpoint.time_step == int(which) if is_step(which) else checkpoint.tag == which


def _is_name(which: str) -> bool:
    return is_step(which) and ("-" in which or len(which) >= STEP_DIGITS)


def _open(folder: StoreFolder, slot: Slot, which: int | str) -> Checkpoint | None:
    """Open a checkpoint; None if it is gone, or damaged while another one may have the tag."""
    try:
        return open_inside(folder.checkpoint_path(slot))
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
