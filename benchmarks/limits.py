"""What the machine can do: the same bytes with nothing around them."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["READ", "WRITE", "read_raw", "touched", "write_raw"]

WRITE = "limit: os.write + fsync"
READ = "limit: preadv"

_AT_ONCE = 64 << 20
"""Bytes in one system call; Linux takes at most 2 GiB."""


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
        with ThreadPoolExecutor(threads) as pool:
            for array in out:
                view = _bytes_of(array)
                share = -(-len(view) // threads) or 1
                pieces = [(start, min(start + share, len(view))) for start in range(0, len(view), share)]
                if threads == 1:
                    _fill(descriptor, view, offset)
                else:
                    list(
                        pool.map(
                            lambda p, v=view, o=offset: _fill(descriptor, v[p[0] : p[1]], o + p[0]), pieces
                        )
                    )
                offset += len(view)
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
