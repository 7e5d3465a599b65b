"""HDF5 links and virtual datasets for shared arrays.

Every HDF5 tool can follow them. This package never does: it reads the tables, and
:func:`check_shared_link` holds the two against each other when a checkpoint is verified.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from h5py import h5d, h5l, h5p, h5s
from numpy.typing import NDArray

from ann_ckpt.errors import CorruptFileError
from ann_ckpt.format import h5, layout
from ann_ckpt.format.bytes import Bytes
from ann_ckpt.format.guard import sources_of
from ann_ckpt.format.shared.array import SharedArray
from ann_ckpt.format.virtual import check_sources

__all__ = [
    "check_shared_link",
    "create_shared_link",
]

_Run = tuple[int, int, int]
"""First entry in the array, first entry in the object, number of entries."""

_RUNS = 128
"""Runs in one mapping. HDF5 takes time with the square of their number to build a selection,
but ten times as long to store and follow one mapping per run."""
_WIDE = 2**32 - 1
"""Beyond it HDF5 1.10 can only write selections that are one range."""
_VALUES = layout.OBJECT_VALUES.encode()


def create_shared_link(parent: Any, link: str, array: SharedArray) -> None:
    """Create the HDF5 link or virtual dataset for ``array`` in the open group ``parent``."""
    if array.whole_object:
        name = array.pieces[0].source.name
        parent.links.create_external(link.encode(), layout.object_path(name).encode(), _VALUES)
        return
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_obj_track_times(False)
    creation.set_layout(h5d.VIRTUAL)
    if array.dtype.kind == "f":  # what other tools show where an object is missing; the default is 0
        creation.set_fill_value(np.array(np.nan, array.dtype))
    entries = {name: (item.entries, *array.shape[1:]) for name, item in array.objects.items()}
    for name, runs in _mappings(array):
        creation.set_virtual(
            _selection(array.shape, [(start, count) for start, _, count in runs]),
            layout.object_path(name).encode(),
            _VALUES,
            _selection(entries[name], [(start, count) for _, start, count in runs]),
        )
    h5d.create(parent, link.encode(), h5.file_type(array.dtype), h5s.create_simple(array.shape), creation)


def check_shared_link(file: Bytes, parent: Any, link: str, array: SharedArray, where: str) -> None:
    """Verify that the HDF5 links in a group of ``file`` agree with the tables.

    Raises
    ------
    CorruptFileError
        If it does not; the values themselves may be intact.
    """
    kind = parent.links.get_info(link.encode()).type
    if kind == h5l.TYPE_EXTERNAL:
        found = _external(parent, link, array)
    elif kind == h5l.TYPE_HARD:
        sources = sources_of(file, parent, link.encode())
        if sources is not None:
            check_sources(file, sources)
        found = _virtual(h5d.open(parent, link.encode()), array)
    else:
        found = {}
    expected: dict[str, list[_Run]] = {}
    for name, runs in _runs(array).items():
        expected[layout.object_path(name)] = _joined(runs)
    if found != expected:
        raise CorruptFileError("the HDF5 links do not match the piece tables", where=where)


def _external(parent: Any, link: str, array: SharedArray) -> dict[str, list[_Run]]:
    file, place = parent.links.get_val(link.encode())
    whole = (0, 0, array.shape[0])
    return {file.decode(): [whole]} if place == _VALUES and array.whole_object else {}


def _virtual(dataset: Any, array: SharedArray) -> dict[str, list[_Run]]:
    """Runs that a virtual dataset maps, by source; none where it is not what this package writes."""
    creation = dataset.get_create_plist()
    if (
        creation.get_layout() != h5d.VIRTUAL
        or h5.memory_dtype(dataset.get_type()) != array.dtype
        or dataset.shape != array.shape
    ):
        return {}
    found: dict[str, list[_Run]] = {}
    for number in range(creation.get_virtual_count()):
        if creation.get_virtual_dsetname(number) != layout.OBJECT_VALUES:
            return {}
        inside = _selected(creation.get_virtual_vspace(number))
        outside = _selected(creation.get_virtual_srcspace(number))
        found.setdefault(creation.get_virtual_filename(number), []).extend(_paired(inside, outside))
    return {name: _joined(sorted(runs)) for name, runs in found.items()}


def _runs(array: SharedArray) -> dict[str, list[_Run]]:
    """Pieces by source, in the order of the array."""
    runs: dict[str, list[_Run]] = {}
    for begin, piece in zip(array.piece_starts.tolist(), array.pieces, strict=False):
        runs.setdefault(piece.source.name, []).append((begin, piece.start, piece.entries))
    return runs


def _mappings(array: SharedArray) -> Iterator[tuple[str, list[_Run]]]:
    """Group the runs of each source; inside a mapping HDF5 pairs both sides in rising order."""
    widest = max(array.shape[0], *(item.entries for item in array.objects.values()))
    at_most = _RUNS if widest < _WIDE else 1
    for name, runs in _runs(array).items():
        group: list[_Run] = []
        for run in runs:
            if group and (len(group) == at_most or run[1] < group[-1][1] + group[-1][2]):
                yield name, group
                group = []
            group.append(run)
        yield name, group


def _selection(shape: tuple[int, ...], ranges: list[tuple[int, int]]) -> Any:
    """Return a dataspace of that shape with ranges of the first axis selected."""
    space = h5s.create_simple(shape)
    space.select_none()
    zeros, ones, rest = (0,) * (len(shape) - 1), (1,) * (len(shape) - 1), shape[1:]
    for start, count in ranges:
        space.select_hyperslab(
            (start, *zeros),
            (1, *ones),
            block=(count, *rest),
            op=h5s.SELECT_OR if len(ranges) > 1 else h5s.SELECT_SET,
        )
    return space


def _selected(space: Any) -> list[tuple[int, int]]:
    """Stretches of the first axis that a dataspace selects, rising; none if it selects anything else."""
    if space.get_select_type() not in (h5s.SEL_HYPERSLABS, h5s.SEL_ALL):
        return []
    if space.get_select_type() == h5s.SEL_ALL:
        return [(0, space.shape[0])]
    corners: NDArray[np.int64] = np.asarray(space.get_select_hyper_blocklist(), np.int64)
    rest = np.asarray(space.shape[1:], np.int64)
    if np.any(corners[:, 0, 1:] != 0) or np.any(corners[:, 1, 1:] != rest - 1):
        return []
    return sorted((int(a), int(b) - int(a) + 1) for a, b in corners[:, :, 0])


def _paired(inside: list[tuple[int, int]], outside: list[tuple[int, int]]) -> Iterator[_Run]:
    """Walk two selections of equal size side by side."""
    if sum(count for _, count in inside) != sum(count for _, count in outside):
        return
    left, right = iter(inside), iter(outside)
    (a, n), (b, m) = (0, 0), (0, 0)
    while True:
        if n == 0:
            a, n = next(left, (0, 0))
        if m == 0:
            b, m = next(right, (0, 0))
        step = min(n, m)
        if step == 0:
            return
        yield a, b, step
        a, b, n, m = a + step, b + step, n - step, m - step


def _joined(runs: Iterable[_Run]) -> list[_Run]:
    """Join runs that follow one another on both sides."""
    joined: list[_Run] = []
    for a, b, n in runs:
        if joined and joined[-1][0] + joined[-1][2] == a and joined[-1][1] + joined[-1][2] == b:
            joined[-1] = (*joined[-1][:2], joined[-1][2] + n)
        else:
            joined.append((a, b, n))
    return joined
