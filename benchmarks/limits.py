"""What the machine can do: the same bytes with nothing around them."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Contender, Role, remove

__all__ = [
    "READ",
    "READ_BY_TWO",
    "READ_FRESH",
    "WRITE",
    "read_raw",
    "reading",
    "touched",
    "write_raw",
    "writing",
]

WRITE = "limit: os.write + fsync"
READ = "limit: preadv"
READ_BY_TWO = "limit: preadv, two threads"
READ_FRESH = "limit: preadv into new arrays"

_AT_ONCE = 64 << 20
"""Bytes in one system call; Linux takes at most 2 GiB."""


Values = Callable[[], Sequence[NDArray[Any]]]
"""Makes, or returns again, the arrays that a case is about."""


def writing(folder: Path, values: Values) -> Contender:
    """Return the contender that writes the bytes of some arrays and nothing else."""
    path = folder / "raw.bin"
    return Contender(
        WRITE,
        lambda: write_raw(path, values()),
        role=Role.LIMIT,
        before=values,
        after=lambda: remove(path),
        product=path,
        memory=False,
    )


def reading(folder: Path, values: Values) -> list[Contender]:
    """Return contenders that read the bytes of some arrays and nothing else.

    The first reads into memory that was touched before, the second does so on two
    threads, the third into arrays that are new each time. What they take is known.
    """
    path = folder / "raw.bin"
    given = cache(lambda: [touched(array.shape, array.dtype) for array in values()])
    kinds = cache(lambda: [(array.shape, array.dtype) for array in values()])
    return [
        Contender(
            READ,
            lambda: read_raw(path, given()),
            role=Role.LIMIT,
            prepare=lambda: write_raw(path, values()),
            before=given,
            product=path,
            memory=False,
        ),
        Contender(
            READ_BY_TWO,
            lambda: read_raw(path, given(), threads=2),
            role=Role.LIMIT,
            before=given,
            product=path,
            memory=False,
        ),
        Contender(
            READ_FRESH,
            lambda: read_raw(path, [np.empty(shape, dtype) for shape, dtype in kinds()]),
            role=Role.LIMIT,
            before=kinds,
            product=path,
            memory=False,
        ),
    ]


def write_raw(path: Path, arrays: Iterable[NDArray[Any]]) -> None:
    """Write the bytes of some arrays one after the other, and fsync."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        for array in arrays:
            view = _bytes_of(array)
            done = 0
            while done < len(view):
                done += os.write(descriptor, view[done : done + _AT_ONCE])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_raw(path: Path, out: Sequence[NDArray[Any]], *, offset: int = 0, threads: int = 1) -> None:
    """Fill arrays, which should have been touched before, from a file's bytes in order.

    Parameters
    ----------
    offset : int
        Where in the file the bytes of the first array begin.
    threads : int
        With more than one, each reads its share of every array.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        pieces = []
        for array in out:
            view = _bytes_of(array)
            share = -(-len(view) // threads) or 1
            pieces += [(view[start : start + share], offset + start) for start in range(0, len(view), share)]
            offset += len(view)
        if threads == 1:
            for piece, place in pieces:
                _fill(descriptor, piece, place)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda job: _fill(descriptor, *job), pieces))
    finally:
        os.close(descriptor)


def touched(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array whose memory the system has handed out already."""
    array = np.empty(shape, dtype)
    _bytes_of(array)[:: mmap.PAGESIZE] = bytes(len(range(0, array.nbytes, mmap.PAGESIZE)))
    return array


def _fill(descriptor: int, view: memoryview, offset: int) -> None:
    done = 0
    while done < len(view):
        got = os.preadv(descriptor, [view[done : done + _AT_ONCE]], offset + done)
        if not got:
            raise EOFError(f"the file ends {len(view) - done} bytes early")
        done += got


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
