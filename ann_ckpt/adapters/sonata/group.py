"""Groups of a SONATA file, each link and dataset looked at before it is followed or read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5t
from numpy.typing import NDArray

from ann_ckpt.adapters.sonata import heap, names
from ann_ckpt.durable import open_regular
from ann_ckpt.errors import CorruptFileError, UnsafeFileError, printable
from ann_ckpt.format import guard, h5
from ann_ckpt.format.bytes import Bytes, FileBytes

__all__ = ["Group", "open_root"]

_MEMBERS = 100_000
"""Most objects in one group."""
_EXACT = 2**53
"""Up to here, floating-point numbers are whole numbers of their own."""
_NUMBERS = (h5t.INTEGER, h5t.FLOAT, h5t.ENUM)
"""Classes of types; h5py has bools as an enumeration."""


@dataclass(frozen=True, slots=True)
class Group:
    """An open group."""

    group: Any
    file: Bytes
    where: str
    """File and path, for messages."""

    def version(self) -> tuple[int, ...]:
        """Version of the format, of the root; ``(0, 1)`` where the file does not say."""
        given = self._attribute(self.group, "version")
        if given is None:
            return names.VERSION
        if isinstance(given, str) or given.dtype.kind not in "iu":
            raise CorruptFileError("attribute 'version' is no list of integers", where=self.where)
        return tuple(given.reshape(-1)[:3].tolist())

    def names(self) -> list[str]:
        """Names of what is in it."""
        if len(self.group) > _MEMBERS:
            raise UnsafeFileError(f"a group has {len(self.group)} members", where=self.where)
        return list(self.group)

    def has_group(self, name: str) -> bool:
        """Whether there is a group of this name."""
        return self._child(name, h5py.Group) is not None

    def groups(self, name: str) -> Iterator[tuple[str, Group]]:
        """Yield the groups inside of one of the groups, with their names."""
        inner = self.child(name)
        for member in inner.names():
            if inner.has_group(member):
                yield member, inner.child(member)

    def child(self, name: str) -> Group:
        """Return a group in it."""
        found = self._child(name, h5py.Group)
        if found is None:
            raise CorruptFileError(f"there is no group {printable(name)!r}", where=self.where)
        return Group(found, self.file, f"{self.where}/{printable(name)}")

    def integers(self, name: str) -> NDArray[np.int64] | None:
        """Return a flat array of integers; None if there is none of this name."""
        dataset = self._child(name, h5py.Dataset)
        if dataset is None:
            return None
        where = f"{self.where}/{name}"
        found = guard.check_dataset(dataset.id, self.file.size, where)
        if len(found.shape) != 1 or found.dtype.kind not in "iu":
            raise CorruptFileError(
                f"{name} is {found.dtype} {found.shape}, not a flat array of integers", where=where
            )
        values = dataset[()]
        if values.size and values.max() >= 2**63:
            raise CorruptFileError(f"{name} goes up to {values.max()}", where=where)
        return np.asarray(values, np.int64)

    def node_ids(self, side: str) -> tuple[str, NDArray[np.int64]] | None:
        """Return the population and the node of each edge on one side; None if the group has no edges."""
        name = f"{side}_node_id"
        ids = self.integers(name)
        if ids is None:
            return None
        population = self._attribute(self._child(name, h5py.Dataset), "node_population")
        if isinstance(population, np.ndarray):
            if population.dtype.kind != "S" or population.size != 1:
                raise CorruptFileError("attribute 'node_population' is no name", where=f"{self.where}/{name}")
            population = bytes(population.reshape(-1)[0]).decode()
        return population or "", ids

    def indexed_nodes(self, side: str) -> int | None:
        """Number of nodes on one side, if there is an index that says so."""
        found: Any = self
        for name in ("indices", "source_to_target" if side == "source" else "target_to_source"):
            if not found.has_group(name):
                return None
            found = found.child(name)
        dataset = found._child("node_id_to_ranges", h5py.Dataset)
        return None if dataset is None or not dataset.shape else int(dataset.shape[0])

    def attributes(self, noun: str, size: int) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
        """Return the numbers of all nodes or edges by attribute, and why others are left out.

        An attribute may lie in several groups, each for some of the nodes or edges.

        Parameters
        ----------
        noun : str
            ``node`` or ``edge``.
        size : int
            How many there are.
        """
        groups = {int(n): self.child(n) for n in self.names() if n.isdecimal() and self.has_group(n)}
        ids, places = self.integers(f"{noun}_group_id"), self.integers(f"{noun}_group_index")
        if ids is None or places is None:
            ids, places = np.zeros(size, np.int64), np.arange(size)
        if ids.shape != (size,) or places.shape != (size,):
            raise CorruptFileError(
                f"{noun}_group_id or {noun}_group_index is not one per {noun}", where=self.where
            )
        left: dict[str, str] = {}
        parts = {number: group._numbers(left) for number, group in groups.items()}
        used = np.unique(ids).tolist() or list(parts)
        found = {}
        for name in dict.fromkeys(name for number in used for name in parts.get(number, {})):
            pieces = {number: parts.get(number, {}).get(name) for number in used}
            if any(piece is None for piece in pieces.values()):
                left.setdefault(name, f"some of the groups of {noun}s do not have it")
                continue
            common = np.result_type(*(piece.dtype for piece in pieces.values() if piece is not None))
            if any(_changed(piece, common) for piece in pieces.values() if piece is not None):
                left[name] = "no type holds the numbers of all its groups"
                continue
            array = np.empty(size, common)
            for number, piece in pieces.items():
                here = places[ids == number]
                assert piece is not None  # noqa: S101  looked at above
                if here.size and not 0 <= here.min() <= here.max() < len(piece):
                    left[name] = f"it has {len(piece)} values, and place {here.max()} is asked for"
                    break
                array[ids == number] = piece[here]
            else:
                found[name] = array
        return found, left

    def _numbers(self, left: dict[str, str], inside: str = "") -> dict[str, NDArray[Any]]:
        """Numbers by attribute, those of ``dynamics_params`` included; say why others are left out."""
        found: dict[str, NDArray[Any]] = {}
        coded = self.child("@library").names() if self.has_group("@library") else []
        for name in self.names():
            if name in ("@library", "dynamics_params") and self.has_group(name):
                continue
            if name in coded:
                left[name] = "it holds texts, as numbers of an @library"
                continue
            dataset = self._child(name, h5py.Dataset)
            if dataset is None:
                left[name] = "it is a group"
                continue
            why = _why_not(dataset)
            if why:
                left[name] = why
            else:
                guard.check_dataset(dataset.id, self.file.size, f"{self.where}/{printable(name)}")
                found[name] = dataset[()]
        if not inside and self.has_group("dynamics_params"):
            for name, values in self.child("dynamics_params")._numbers(left, "dynamics_params").items():
                found.setdefault(name, values)
        return found

    def _child(self, name: str, kind: type) -> Any:
        """Return a member of one kind, None if there is none; raise if the link leads elsewhere."""
        link = name.encode()
        # HDF5 would follow each part of it.
        if b"/" in link:
            raise CorruptFileError(f"a member is called {printable(name)!r}", where=self.where)
        if not self.group.id.links.exists(link):
            return None
        guard.check_link(self.group.id, link, name, self.where)
        # Before HDF5 looks at the object: it walks the list of sources, which need not come to an end.
        if guard.sources_of(self.file, self.group.id, link) is not None:
            raise UnsafeFileError(
                "the data lie in other files (virtual dataset)", where=f"{self.where}/{printable(name)}"
            )
        found = self.group[name]
        return found if isinstance(found, kind) else None

    def _attribute(self, owner: Any, name: str) -> NDArray[Any] | str | None:
        """Return what an attribute of an open object holds; None if it has none of this name."""
        if not h5a.exists(owner.id, name.encode()):
            return None
        attribute = h5a.open(owner.id, name.encode())
        kind = attribute.get_type()
        if kind.get_class() != h5t.STRING or not kind.is_variable_str():
            return h5.read_attribute(owner.id, name)
        if attribute.get_space().get_simple_extent_npoints() != 1:
            raise CorruptFileError(f"attribute {name!r} is not one text", where=self.where)
        return heap.read_text(self.file, owner.id, name)


def _changed(values: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Whether integers are others as floating-point numbers."""
    if values.dtype.kind not in "iu" or dtype.kind != "f" or not values.size:
        return False
    return max(-int(values.min()), int(values.max())) > _EXACT


def _why_not(dataset: Any) -> str:
    """Say why a dataset is no attribute of a network; nothing if it is one."""
    if dataset.id.get_type().get_class() not in _NUMBERS:
        return "it holds no numbers"
    if dataset.dtype.kind not in "iufb" or h5py.check_enum_dtype(dataset.dtype):
        return "it holds no numbers"
    if dataset.dtype.kind == "f" and dataset.dtype.itemsize not in (4, 8):
        return f"values of type {dataset.dtype} cannot be stored"
    if dataset.shape is None or len(dataset.shape) != 1:
        return f"its shape is {dataset.shape}"
    return ""


@contextlib.contextmanager
def open_root(path: str | os.PathLike[str]) -> Iterator[Group]:
    """Open an HDF5 file and yield its root; what HDF5 finds wrong inside of the block is said, too.

    Raises
    ------
    CorruptFileError
        If it is no HDF5 file, or damaged.
    """
    where = os.fspath(path)
    file = FileBytes(open_regular(path), where)
    try:
        guard.check_superblock(file)
        with guard.reporting_corruption(where):
            opened = h5.open_file(file)
            try:
                yield Group(h5py.Group(h5py.h5g.open(opened, b"/")), file, f"{where}:")
            finally:
                opened.close()
    finally:
        file.close()
