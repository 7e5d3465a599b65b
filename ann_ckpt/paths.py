"""Checks and resolves what users name: paths on this machine, and addresses of objects elsewhere."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass, replace
from pathlib import Path

from ann_ckpt.errors import OptionError, printable

__all__ = [
    "Address",
    "absolute",
    "address_of",
    "exists",
    "is_file",
    "is_folder",
    "local_path",
    "path_text",
    "same_file",
    "spoken",
]

# pathlib makes "s3:/bucket" of "s3://bucket"; one letter is a drive of Windows, not a scheme.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.:-]+):(//?)", re.ASCII)
_BUCKETS = ("s3", "gs", "az")
_ADDRESS_SCHEMES = (*_BUCKETS, "http", "https")


@dataclass(frozen=True, slots=True)
class Address:
    """Where an object lies that is read over a network."""

    scheme: str
    root: str
    """Bucket, container, or host with its port."""
    key: str
    """Path below it, as it was given: for ``http`` and ``https`` percent-encoded."""
    query: str = ""
    """What stands behind a ``?``, for ``http`` and ``https``: often a signature, so messages leave it out."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.root}/{self.key}" + (f"?{self.query}" if self.query else "")

    @property
    def shown(self) -> str:
        """The address for messages, without what may be secret."""
        return printable(spoken(str(self)), 400)

    @property
    def name(self) -> str:
        """Last part of the key."""
        return self.key.rpartition("/")[2]

    def at(self, key: str) -> Address:
        """Return the address of another object under the same root."""
        return replace(self, key=key)

    def beside(self, relative: str) -> Address:
        """Return the address of an object by its path from the folder of this one."""
        return self.at(posixpath.normpath(posixpath.join(posixpath.dirname(self.key), relative)))


def path_text(path: object) -> str:
    """Return a path as text.

    Raises
    ------
    OptionError
        If it is something else; arguments are easily given in the wrong order.
    """
    text = path if isinstance(path, str) else os.fspath(path) if isinstance(path, os.PathLike) else None
    if not isinstance(text, str):
        raise OptionError(
            f"a path is of type {type(path).__name__}", details={"expected": "a text (str) or a pathlib.Path"}
        )
    return text


def spoken(path: str | os.PathLike[str]) -> str:
    """Return a path as reports, pictures and messages have it: an address without what may be secret.

    Examples
    --------
    >>> spoken("https://me:password@host/net.h5?X-Amz-Signature=1f2e")
    'https://host/net.h5?...'
    """
    text = path_text(path)
    scheme = _scheme_in(text)
    if scheme is None:
        return text
    if scheme not in _BUCKETS:  # there it belongs to the name
        text, mark, _ = text.partition("?")
        text += f"{mark}..." * bool(mark)
    return re.sub(r"(?<=:/)(/?)[^/]*@", r"\1", text, count=1)


def address_of(path: str | os.PathLike[str]) -> Address | None:
    """Return the address that ``path`` is; None for a path on this machine.

    Schemes that cannot be read are left to :func:`local_path`, which refuses them by name.

    Raises
    ------
    OptionError
        If it is no path, does not name an object, or holds a character that no path can hold.

    Examples
    --------
    >>> address_of("s3://bucket/runs/net.h5")
    Address(scheme='s3', root='bucket', key='runs/net.h5', query='')
    >>> address_of("results/net.h5") is None
    True
    """
    text = path_text(path)
    scheme = _scheme_in(text)
    if scheme is None or scheme not in _ADDRESS_SCHEMES:
        return None
    _refuse_unusable(text)
    root, _, key = text[len(scheme) + 1 :].lstrip("/").partition("/")
    query = ""
    if scheme in ("http", "https"):
        key, _, query = key.partition("?")
        key = key.partition("#")[0]
    if not root or not key.strip("/"):
        raise OptionError(
            "the address does not name an object",
            details={"expected": f"{scheme}://{'host' if query or 'http' in scheme else 'bucket'}/name.h5"},
            where=spoken(text),
        )
    return Address(scheme, root, key.rstrip("/"), query)


def _scheme_in(text: str) -> str | None:
    """Return the scheme in front of a text; None if there is none, or a folder is called so."""
    found = _SCHEME.match(text)
    if found is None or (found[2] == "/" and os.path.lexists(f"{found[1]}:")):
        return None
    return found[1]


def _refuse_unusable(text: str) -> None:
    try:
        unusable = b"\0" in os.fsencode(text)
    except UnicodeEncodeError:
        unusable = True
    if unusable:
        raise OptionError(
            "the path contains a character that is not allowed in file names",
            where=spoken(text),
        )


def local_path(path: str | os.PathLike[str]) -> str:
    """Return a path as text; raises if it is not a local path.

    Raises
    ------
    OptionError
        If it is no path, is a URL, is empty, or holds a character that no path can hold.

    Examples
    --------
    >>> local_path("results/net.h5")
    'results/net.h5'
    >>> local_path("s3://bucket/run.ckpt")
    Traceback (most recent call last):
    ann_ckpt.errors.OptionError: the scheme 's3' is not supported here...
    """
    text = path_text(path)
    if not text:
        raise OptionError("the path is empty")
    _refuse_unusable(text)
    scheme = _scheme_in(text)
    if scheme is not None:
        shown = printable(scheme)
        hint = f"a folder that is called {shown}: is written ./{shown}:/"
        if scheme in _ADDRESS_SCHEMES:
            hint = "such addresses are for stores, and for reading"
        raise OptionError(
            f"the scheme {shown!r} is not supported{' here' * (scheme in _ADDRESS_SCHEMES)}",
            details={"expected": "a path on this machine", "hint": hint},
            where=spoken(text),
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
            where=given,
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
