"""Opening what a user names: an ordinary file, or a clear word on what it is instead."""

from __future__ import annotations

import os
import stat

from ann_ckpt.errors import FileMissingError, NotReadableError, printable
from ann_ckpt.paths import local_path

__all__ = ["open_regular"]


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open an existing regular file for reading and return its descriptor.

    Raises
    ------
    OptionError
        If it is no path of this machine.
    FileMissingError
        If there is nothing of that name.
    NotReadableError
        If it is a folder, a pipe or a device, or the system does not let us read it.
    """
    where = printable(local_path(path), 400)
    try:
        # Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise FileMissingError("there is no such file", where=where) from error
    except (OSError, ValueError) as error:
        raise NotReadableError(f"cannot read: {getattr(error, 'strerror', error)}", where=where) from error
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError as error:
        os.close(descriptor)
        raise NotReadableError(f"cannot read: {error.strerror}", where=where) from error
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise NotReadableError(f"this is {what}, not a file", where=where)
    return descriptor
