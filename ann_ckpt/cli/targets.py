"""Checks whether a command may overwrite its output path."""

from __future__ import annotations

from pathlib import Path

from ann_ckpt.adapters.formats import format_of, writer_for
from ann_ckpt.api import check_savable
from ann_ckpt.errors import (
    CheckpointError,
    FormatVersionError,
    NotWritableError,
    OptionError,
    UnknownFormatError,
)
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.paths import exists, is_folder, local_path, same_file
from ann_ckpt.store.opening import store_target

__all__ = ["check_checkpoint_target"]


def check_checkpoint_target(target: str, *, source: str | None = None) -> None:
    """Refuse an output path for a network where something else would be overwritten.

    Parameters
    ----------
    source : str, optional
        The file that is read, which has to stay as it is.

    Raises
    ------
    OptionError
        If the target is the source, or names no format.
    NotWritableError
        If it cannot be written, or holds something that is not a network.
    """
    if source is not None:
        _refuse_source(target, source)
    check_savable(target)
    if store_target(target) is None and _size(target):
        if writer_for(target) is None:
            known, what = _is_checkpoint(target), "a checkpoint"
        else:
            known, what = _is_foreign(target), "a file that ANNarchy wrote"
        if not known:
            raise _refusal(target, f"the file that is there is not {what}")


def _size(target: str) -> int:
    return Path(target).stat().st_size if exists(target) else 0


def _refuse_source(target: str, source: str) -> None:
    if same_file(local_path(target), local_path(source)) and not is_folder(source):
        raise OptionError("the output would overwrite the input", where=target)


def _is_checkpoint(path: str) -> bool:
    """Whether it is a checkpoint, including damaged ones and newer versions."""
    try:
        Checkpoint(path).close()
    except FormatVersionError:
        return True
    except UnknownFormatError:
        return False
    except CheckpointError:
        return True
    return True


def _is_foreign(path: str) -> bool:
    try:
        return format_of(path) is not None
    except CheckpointError:
        return True


def _refusal(target: str, fact: str) -> NotWritableError:
    return NotWritableError(fact, details={"hint": "remove it first, or choose another name"}, where=target)
