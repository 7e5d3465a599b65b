"""An open HDF5 file: groups and datasets by path, with the trailer if there is one.

Datasets are found by what the file notes in its trailer, or by HDF5 if it notes nothing.
HDF5 opens the file when it is first needed, and what it is asked for passes
:mod:`ann_ckpt.format.guard` first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

from h5py import h5d, h5g

from ann_ckpt.errors import CorruptFileError, UnknownFormatError, UnsafeFileError, printable
from ann_ckpt.format import guard, h5
from ann_ckpt.format.bytes import Bytes
from ann_ckpt.format.chunk_locations import Trailer
from ann_ckpt.format.dataset import StoredArray

__all__ = [
    "OpenFile",
]


class OpenFile:
    """An open HDF5 file; it stays readable when it is renamed or removed.

    Parameters
    ----------
    file : Bytes
        Its bytes; closed with it.
    count : callable
        Told the number of bytes of each read of values.
    """

    def __init__(self, file: Bytes, *, count: Callable[[int], None]) -> None:
        self.file = file
        self._path = file.path
        self._count = count
        self._hdf5: Any = None
        self._groups: dict[str, Any] = {}

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self.file.closed

    def close(self) -> None:
        """Close the file; reads in progress finish first."""
        self.file.close()
        hdf5, self._hdf5 = self._hdf5, None
        if hdf5 is not None:
            self._groups.clear()
            if hdf5.valid:
                hdf5.close()

    def where(self, path: str) -> str:
        """File and path for messages."""
        return f"{self._shown}:/{printable(path, 400)}"

    @cached_property
    def _shown(self) -> str:
        return printable(self._path, 400)

    def group(self, path: str) -> Any:
        """Return an open group; the root for the empty path."""
        if path not in self._groups:
            self._groups[path] = self._open_group(path)
        return self._groups[path]

    def _open_group(self, path: str) -> Any:
        if not path:
            guard.check_superblock(self.file)
            self._hdf5 = h5.open_file(self.file)
            return h5g.open(self._hdf5, b"/")
        parent, link = self._place(path)
        guard.check_group(parent, link, path, self._path)
        return h5g.open(parent, link)

    def _place(self, path: str) -> tuple[Any, bytes]:
        parent_path, _, name = path.rpartition("/")
        parent, link = self.group(parent_path), name.encode()
        guard.check_link(parent, link, path, self._path)
        if guard.sources_of(self.file, parent, link) is not None:
            raise UnsafeFileError("the data lie in other files (virtual dataset)", where=self.where(path))
        return parent, link

    def array(self, path: str, row: int) -> StoredArray:
        """Return a dataset.

        Parameters
        ----------
        path : str
            Where HDF5 has it.
        row : int
            What the trailer knows it by.
        """
        return self.from_trailer(path, row) or self.through_hdf5(path)

    def from_trailer(self, path: str, row: int) -> StoredArray | None:
        """Return a dataset located by the trailer; None if the trailer does not list it."""
        where = self.where(path)
        found = None if self._trailer is None else self._trailer.find(row, where)
        if found is None:
            return None
        return StoredArray(*found, file=self.file, count=self._count, where=where)

    def through_hdf5(self, path: str) -> StoredArray:
        """Return a dataset as HDF5 sees it."""
        return StoredArray.opened(
            h5d.open(*self._place(path)),
            file=self.file,
            count=self._count,
            where=self.where(path),
        )

    def is_complete(self) -> bool:
        """Whether the file ends where HDF5 ends, or with a whole trailer.

        HDF5 takes the trailer away when it opens a file for writing, and it opens the objects
        of a checkpoint as the checkpoint was opened; their values are as they were.
        """
        try:
            self._read_trailer()
        except (CorruptFileError, UnknownFormatError):
            return False
        return True

    def verify_trailer(self, path: str, row: int) -> None:
        """Verify the trailer's digest and its record of one dataset; see :meth:`verify_locations`."""
        self._read_trailer()
        self.verify_locations(path, row)

    def verify_locations(self, path: str, row: int) -> None:
        """Verify the trailer's chunk locations of a dataset against HDF5's.

        Raises
        ------
        CorruptFileError
            If not; what either of them reads may be right.
        """
        if self._trailer is not None:
            self._trailer.check(h5d.open(*self._place(path)), row, self.where(path))

    @cached_property
    def _trailer(self) -> Trailer | None:
        with contextlib.suppress(CorruptFileError):  # verifying says so; HDF5 knows the places too
            return self._read_trailer()
        return None

    def _read_trailer(self) -> Trailer | None:
        return Trailer.read(self.file, end=guard.check_superblock(self.file))
