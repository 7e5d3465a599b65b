"""Checks and resolves paths given by users; only local paths are accepted."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ann_ckpt.errors import OptionError, printable

__all__ = ["absolute", "exists", "is_file", "is_folder", "local_path", "same_file"]

# pathlib makes "s3:/bucket" of "s3://bucket"; one letter is a drive of Windows, not a scheme.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.:-]+):(//?)", re.ASCII)


def local_path(path: str | os.PathLike[str]) -> str:
    """Return a path as text; raises if it is not a local path.

    Raises
    ------
    OptionError
        If it is a URL, is empty, or holds a character that no path can hold.

    Examples
    --------
    >>> local_path("results/net.h5")
    'results/net.h5'
    >>> local_path("s3://bucket/run.ckpt")
    Traceback (most recent call last):
    ann_ckpt.errors.OptionError: the scheme 's3' is not supported...
    """
    text = os.fsdecode(path)
    where = printable(text, 400)
    if not text:
        raise OptionError("the path is empty")
    try:
        unusable = b"\0" in os.fsencode(text)
    except UnicodeEncodeError:
        unusable = True
    if unusable:
        raise OptionError("the path contains a character that is not allowed in file names", where=where)
    found = _SCHEME.match(text)
    if found and not (found[2] == "/" and os.path.lexists(f"{found[1]}:")):
        raise OptionError(
            f"the scheme {printable(found[1])!r} is not supported",
            details={
                "expected": "a path on this machine",
                "hint": f"a folder that is called {printable(found[1])}: is written ./{printable(found[0])}",
            },
            where=where,
        )
    return text


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return a path as absolute, independent of later changes of the working directory.

    Symbolic links and ``..`` are left to the system, which alone knows what they mean.

    Raises
    ------
    OptionError
        As :func:`local_path`; and if the path is relative and the working folder is gone.
    """
    given = Path(local_path(path))
    try:
        return given.absolute()
    except OSError as error:
        raise OptionError(
            f"relative path, but the working directory cannot be determined: {error.strerror}",
            details={"hint": "pass an absolute path"},
            where=printable(given, 400),
        ) from error


# pathlib raises where a name is too long or a folder cannot be entered; opening the file says so better.


def exists(path: str | os.PathLike[str]) -> bool:
    """Return whether something is at a path; False where the system does not tell."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a regular file is at a path; False where the system does not tell."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Return whether a folder is at a path; False where the system does not tell."""
    return os.path.isdir(path)  # noqa: PTH112


def same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Return whether two paths lead to one file that is there."""
    try:
        return os.path.samefile(one, other)  # noqa: PTH121
    except OSError:
        return False
