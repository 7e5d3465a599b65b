"""Reads ``.npz`` archives: zip files of arrays, each member checked before it is read."""

from __future__ import annotations

import errno
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Final

import numpy as np

from ann_ckpt.adapters.legacy.pickle.global_names import element_type
from ann_ckpt.adapters.legacy.pickle.reader import read_pickle
from ann_ckpt.adapters.legacy.streams import Budget, Stream, read_exactly
from ann_ckpt.adapters.legacy.values import Table, Value, array_value
from ann_ckpt.errors import CorruptFileError, UnsafeFileError, printable

__all__ = [
    "read_archive",
    "read_npy",
]

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES: Final = {1: 2, 2: 4, 3: 4}
_MAX_HEADER = 1 << 16
_MAX_AXES = 32
# What numpy.lib.format writes; Python 2 put an L behind long integers.
_HEADER: Final = re.compile(
    r"\{'descr': '([^']{1,16})', 'fortran_order': (True|False), 'shape': "
    r"\(((?:\d{1,15}L?, ?)*(?:\d{1,15}L?)?)\),? ?\} *\n?"
)


def read_npy(stream: Stream, budget: Budget, *, encoding: str | None) -> tuple[Value, frozenset[str]]:
    """Return the array in a member, to its last byte; object arrays go through the restricted pickle reader.

    Parameters
    ----------
    stream : Stream
        The member.
    budget : Budget
        What this file may use.
    encoding : str, optional
        Of texts from Python 2, in arrays of objects.
    """
    dtype, fortran, shape = _header(stream)
    if dtype.hasobject:
        return read_pickle(stream, budget, encoding=encoding)
    size = math.prod(shape) * dtype.itemsize
    if size != stream.left:
        raise CorruptFileError(
            f"an array of shape {shape} and type {dtype} needs {size} bytes; the member has {stream.left}"
        )
    data = read_exactly(stream, size)
    values = np.frombuffer(data, dtype) if data else np.empty(0, dtype)
    value = array_value(values.reshape(shape, order="F" if fortran else "C"), budget)
    if stream.read(1):  # also checks the member's checksum
        raise CorruptFileError("data follows the array")
    return value, frozenset()


def _header(stream: Stream) -> tuple[np.dtype[Any], bool, tuple[int, ...]]:
    start = read_exactly(stream, 8)
    if start[:6] != _MAGIC or start[6] not in _LENGTH_BYTES:
        raise CorruptFileError("the member is not a .npy array")
    length = int.from_bytes(read_exactly(stream, _LENGTH_BYTES[start[6]]), "little")
    if length > _MAX_HEADER:
        raise UnsafeFileError(f"the header of an array has {length} bytes")
    match = _HEADER.fullmatch(read_exactly(stream, length).decode("latin1"))
    if match is None:
        raise CorruptFileError("the header of an array differs from numpy's format")
    descr, fortran, axes = match.groups()
    shape = tuple(int(n) for n in re.findall(r"\d+", axes))
    if len(shape) > _MAX_AXES:
        raise UnsafeFileError(f"an array has {len(shape)} axes")
    return element_type(descr), fortran == "True", shape


_END: Final = struct.Struct("<4s4H2LH")  # end of central directory, without a comment
_LOCATOR: Final = struct.Struct("<4sLQL")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_FILE_HEADER = 30
_DIRECTORY_BYTES = 4 << 20
_ENCRYPTED = 0x1
_FAILURES: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,
    OSError,
)
# numpy from 1.19 to 1.26 stored savez_compressed(..., allow_pickle=True) as a member.
_STRAY = "allow_pickle"


def read_archive(
    file: BinaryIO, name: str, budget: Budget, *, encoding: str | None
) -> tuple[Value, frozenset[str]]:
    """Return all members by name, and what they reveal about the program that wrote them.

    Parameters
    ----------
    file : binary file
        The archive.
    name : str
        What to call it in messages.
    budget : Budget
        What this file may use.
    encoding : str, optional
        Of texts from Python 2.

    Raises
    ------
    UnsafeFileError
        If a member is encrypted, too large, named like a path, or refers to what
        arrays do not need.
    CorruptFileError
        If the archive is damaged, or members are double, overlap or are not arrays.
    """
    _check_directory(file, name, budget)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_members(members, name, budget)
            return _contents(archive, members, name, budget, encoding)
    except _FAILURES as error:
        if isinstance(error, (UnsafeFileError, CorruptFileError)):
            raise
        # zipfile calls a file that it cannot read no zip file. Places that make no sense end in EINVAL;
        # all else says that the disk fails.
        origin = error.__context__ if isinstance(error, zipfile.BadZipFile) else error
        if isinstance(origin, OSError) and origin.errno not in (None, errno.EINVAL):
            raise origin from None
        raise CorruptFileError(f"the archive is damaged: {printable(error)}", where=name) from error


class _MemberStream:
    """One member, inflated; the checksum is checked at its end."""

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, budget: Budget) -> None:
        self.name = name
        self.left = member.file_size
        self._file = archive.open(member)
        self._budget = budget

    def read(self, count: int) -> bytes:
        """Return at most ``count`` bytes, and none only at the end."""
        data = self._file.read(count)
        self.left = self.left - len(data) if data else 0
        self._budget.read(len(data))
        return data

    def expect(self, count: int) -> None:
        """Refuse a length beyond the end of the member."""
        if count > self.left:
            raise CorruptFileError(f"expected {count} more bytes, found {self.left}")


def _contents(
    archive: zipfile.ZipFile,
    members: Sequence[zipfile.ZipInfo],
    name: str,
    budget: Budget,
    encoding: str | None,
) -> tuple[Table, frozenset[str]]:
    table: Table = {}
    traits: frozenset[str] = frozenset()
    for member in members:
        key = member.orig_filename.removesuffix(".npy")
        where = f"{name}, member {printable(member.orig_filename, 60)}"
        stream = _MemberStream(archive, member, where, budget)
        try:
            table[key], found = read_npy(stream, budget, encoding=encoding)
            _check_path(key, table[key])
        except (UnsafeFileError, CorruptFileError) as error:
            error.where = error.where or where
            raise
        traits |= found
    if _STRAY in table and not isinstance(table[_STRAY], dict):
        del table[_STRAY]
    return table, traits


def _check_directory(file: BinaryIO, name: str, budget: Budget) -> None:
    """Refuse a list of members that is too long before anything reads it."""
    file.seek(max(0, budget.stored - _END.size - _LOCATOR.size))
    tail = file.read(_END.size + _LOCATOR.size)
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\x05\x06":
        raise CorruptFileError("the archive is truncated, or data follows its end", where=name)
    size = _END.unpack(tail[-_END.size :])[5]
    if len(tail) > _END.size and tail.startswith(b"PK\x06\x07"):
        offset = _LOCATOR.unpack(tail[: _LOCATOR.size])[2]
        file.seek(min(offset, budget.stored))
        end = file.read(_END64.size)
        if len(end) < _END64.size or end[:4] != b"PK\x06\x06":
            raise CorruptFileError("the archive's directory is at the wrong offset", where=name)
        size = max(size if size != 0xFFFFFFFF else 0, _END64.unpack(end)[8])
    if size > _DIRECTORY_BYTES:
        raise UnsafeFileError(f"the archive's directory has {size} bytes", where=name)
    file.seek(0)


def _check_members(members: Sequence[zipfile.ZipInfo], name: str, budget: Budget) -> None:
    limits = budget.limits
    if len(members) > limits.members:
        raise UnsafeFileError(f"the archive has {len(members)} members", where=name)
    seen: set[str] = set()
    end = 0
    for member in sorted(members, key=lambda m: m.header_offset):
        shown = f"member {printable(member.orig_filename, 60)!r}"
        if member.flag_bits & _ENCRYPTED or member.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise UnsafeFileError(f"{shown} is encrypted or packed in an unusual way", where=name)
        if not member.orig_filename.endswith(".npy") or "\0" in member.orig_filename:
            raise CorruptFileError(f"{shown} is not a .npy array", where=name)
        if member.orig_filename in seen:
            raise CorruptFileError(f"{shown} is a duplicate member", where=name)
        seen.add(member.orig_filename)
        if member.header_offset < end:
            raise UnsafeFileError(f"{shown} overlaps another", where=name)
        end = member.header_offset + _FILE_HEADER + len(member.orig_filename.encode()) + member.compress_size
        if member.file_size > limits.inflated_from(member.compress_size):
            raise UnsafeFileError(
                f"{shown} grows from {member.compress_size} to {member.file_size} bytes", where=name
            )
    total = sum(member.file_size for member in members)
    if total > limits.inflated_from(budget.stored):
        raise UnsafeFileError(f"the archive grows from {budget.stored} to {total} bytes", where=name)


def _check_path(key: str, value: Value) -> None:
    """Refuse a member that is named like a path out of a folder, unless an object has that name."""
    path = PurePosixPath(key.replace("\\", "/"))
    if (path.is_absolute() or ".." in path.parts) and not (
        isinstance(value, dict) and value.get("name") == key
    ):
        raise UnsafeFileError("the archive has a member whose name leads out of any folder")
