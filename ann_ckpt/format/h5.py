"""A thin layer over h5py's low-level calls.

Networks of thousands of objects make thousands of small HDF5 calls, and h5py's
friendly layer costs more than HDF5 itself there. Every type that is read through
here is fixed-length by construction: anything else is refused before its bytes are
touched.
"""

from __future__ import annotations

import atexit
import io
import os
import weakref
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

import numpy as np
from h5py import h5a, h5d, h5f, h5fd, h5p, h5s, h5t
from numpy.typing import NDArray

from ann_ckpt.errors import UnsafeFileError, printable
from ann_ckpt.format.bytes import Bytes, NewFile

__all__ = [
    "attribute_names",
    "create_file",
    "file_type",
    "integers",
    "memory_dtype",
    "open_file",
    "optional_int",
    "read_attribute",
    "read_whole",
    "replace_attribute",
    "text_of",
    "write_attribute",
    "write_text",
    "write_whole",
]

_ATTRIBUTE_BYTES = 64 << 10
"""More does not fit into an HDF5 attribute of the format used here."""
_ATTRIBUTES = 256
"""Most attributes of one object; the format has names for about twenty."""
_METADATA_BLOCK = 1 << 14


_OPEN_FILES: weakref.WeakSet[Any] = weakref.WeakSet()
"""Files that HDF5 would close after Python has ended, through objects that are gone by then."""


def create_file(file: NewFile) -> Any:
    """Create an HDF5 file that HDF5 1.8 can read; return its id.

    Nothing that goes wrong while writing is raised here: whoever made ``file`` asks it.
    """
    access = _access(file)
    access.set_libver_bounds(h5f.LIBVER_EARLIEST, h5f.LIBVER_V110)
    access.set_meta_block_size(_METADATA_BLOCK)
    return _registered(h5f.create(b"new", h5f.ACC_TRUNC, h5p.create(h5p.FILE_CREATE), access))


def open_file(file: Bytes) -> Any:
    """Open an already open file with HDF5 for reading, independent of its name; return its id.

    HDF5 would share a file that it opens by name with everybody else in this process who
    has it open, plain h5py included, and insist on equal properties; and it would take a
    lock, which fails on some file systems and which an immutable file does not need.
    """
    return _registered(h5f.open(b"open", h5f.ACC_RDONLY, _access(_ReadByHdf5(file))))


def _access(file: io.RawIOBase) -> Any:
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    access.set_fileobj_driver(h5fd.fileobj_driver, file)
    return access


def _registered(file: Any) -> Any:
    _OPEN_FILES.add(file)
    return file


@atexit.register
def _close_all() -> None:
    for file in list(_OPEN_FILES):
        if file.valid:
            file.close()


class _ReadByHdf5(io.RawIOBase):
    """An open file in the form in which HDF5 reads one."""

    def __init__(self, file: Bytes) -> None:
        super().__init__()
        self._file = file
        self._at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        got = self._file.read_into(buffer, self._at)
        self._at += got
        return got


@cache
def file_type(dtype: np.dtype[Any]) -> Any:
    """HDF5 type of a numpy type: little-endian numbers, bool as enum, texts as UTF-8."""
    if dtype.names is not None:
        compound = h5t.create(h5t.COMPOUND, dtype.itemsize)
        for name in dtype.names:
            member, offset = dtype.fields[name][:2]  # type: ignore[index]
            compound.insert(name.encode(), offset, file_type(member))
        return compound
    if dtype.kind == "S":
        text = h5t.C_S1.copy()
        text.set_size(dtype.itemsize)
        text.set_strpad(h5t.STR_NULLPAD)
        text.set_cset(h5t.CSET_UTF8)
        return text
    return h5t.py_create(dtype.newbyteorder("<"))


def memory_dtype(kind: Any) -> np.dtype[Any]:
    """Return the numpy type of a stored HDF5 type, if it is one that this format uses.

    Raises
    ------
    UnsafeFileError
        For variable-length types, references, and all others that no checkpoint holds.
    """
    return _memory_dtype(kind.encode())


@lru_cache(256)
def _memory_dtype(encoded: bytes) -> np.dtype[Any]:
    kind = h5t.decode(encoded)
    cls = kind.get_class()
    if cls == h5t.STRING and not kind.is_variable_str():
        return np.dtype(f"S{kind.get_size()}")
    if cls == h5t.COMPOUND:
        names = [kind.get_member_name(i) for i in range(kind.get_nmembers())]
        return np.dtype(
            {
                "names": [n.decode() for n in names],
                "formats": [memory_dtype(kind.get_member_type(i)) for i in range(len(names))],
                "offsets": [kind.get_member_offset(i) for i in range(len(names))],
                "itemsize": kind.get_size(),
            }
        )
    if cls in (h5t.INTEGER, h5t.FLOAT) or (cls == h5t.ENUM and kind.get_size() == 1):
        dtype: np.dtype[Any] = kind.dtype
        kinds = "b" if cls == h5t.ENUM else "iuf"
        # Where the bits of a number lie is HDF5's to say as well, and h5py does not look at that.
        if dtype.kind in kinds and dtype.itemsize <= 8 and kind.equal(file_type(dtype)):
            return dtype
    raise UnsafeFileError("unsupported HDF5 type", details={"type": printable(type(kind).__name__)})


def write_attribute(owner: Any, name: str, value: NDArray[Any]) -> None:
    """Create a small attribute on an open group or file."""
    kind = file_type(value.dtype)
    h5a.create(owner, name.encode(), kind, _space(value.shape)).write(value, kind)


def replace_attribute(owner: Any, name: str, value: NDArray[Any]) -> None:
    """Write another value of the same type and shape into an attribute, where it lies."""
    h5a.open(owner, name.encode()).write(value, file_type(value.dtype))


def read_attribute(owner: Any, name: str) -> NDArray[Any]:
    """Return an attribute's value; :class:`KeyError` where there is none."""
    attribute = h5a.open(owner, name.encode())
    kind = attribute.get_type()
    dtype = memory_dtype(kind)
    space = attribute.get_space()
    if space.get_simple_extent_type() == h5s.NULL or attribute.get_storage_size() > _ATTRIBUTE_BYTES:
        raise UnsafeFileError(f"attribute {printable(name)!r} has an unsupported size")
    value = np.empty(space.get_simple_extent_dims(), dtype)
    attribute.read(value, kind)
    return value


def attribute_names(owner: Any) -> list[str]:
    """Names of all attributes of an open object, sorted by their UTF-8 bytes.

    Raises
    ------
    UnsafeFileError
        If there are more than any object of this format has.
    """
    count = h5a.get_num_attrs(owner)
    if count > _ATTRIBUTES:
        raise UnsafeFileError(f"an object has {count} attributes")
    names: list[bytes] = []
    h5a.iterate(owner, lambda name, *_: names.append(name))
    return [n.decode() for n in sorted(names)]


def write_whole(parent: Any, name: str, value: NDArray[Any], *, compact: bool) -> None:
    """Create a dataset in one piece and write it at once."""
    kind = file_type(value.dtype)
    dataset = h5d.create(parent, name.encode(), kind, _space(value.shape), _creation(compact))
    if value.size:
        dataset.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(value), kind)


def read_whole(dataset: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Read an unfiltered dataset at once through HDF5."""
    value = np.empty(dataset.shape, dtype)
    if value.size:
        dataset.read(h5s.ALL, h5s.ALL, value, file_type(dtype))
    return value


def write_text(parent: Any, name: str, text: str) -> NDArray[np.bytes_]:
    """Write a text as one fixed-length UTF-8 string; return what was stored."""
    value = np.array(text.encode() or b"\0")
    write_whole(parent, name, value, compact=value.nbytes < _ATTRIBUTE_BYTES // 2)
    return value


def optional_int(header: Mapping[str, Any], name: str) -> int | None:
    """Return an integer that may be absent.

    Raises
    ------
    ValueError
        If the value is something else.
    """
    if name not in header:
        return None
    if header[name].shape != ():
        raise ValueError(f"{name}: expected one integer")
    return integers(header, name)[0]


def integers(header: Mapping[str, Any], name: str) -> list[int]:
    """Return one or more integers.

    Raises
    ------
    ValueError
        If the value is something else.
    """
    value = header[name]
    if value.dtype.kind not in "iu" or value.ndim > 1:
        raise ValueError(f"{name}: expected integers")
    return [int(number) for number in value.reshape(-1)]


def text_of(value: NDArray[Any]) -> str:
    """Return the text in a fixed-length string value of shape ``()``.

    Raises
    ------
    ValueError
        If the value is no UTF-8 text.
    """
    if value.dtype.kind != "S" or value.shape != ():
        raise ValueError("expected a text")
    return bytes(value[()]).decode()


@cache
def _creation(compact: bool) -> Any:
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_obj_track_times(False)
    if compact:
        creation.set_layout(h5d.COMPACT)
    return creation


@lru_cache(1024)
def _space(shape: tuple[int, ...]) -> Any:
    return h5s.create_simple(shape) if shape else h5s.create(h5s.SCALAR)
