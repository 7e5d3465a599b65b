"""The random numbers of the process: numpy's global generator, and what compiled code has drawn of it.

Compiled code draws 20,000 numbers at once. Brian2 2.11 keeps them in arrays; before, it kept the
address of memory that the code frees and replaces.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.brian2.mapping import BUFFER, RAND, RANDN, random_arrays, twister_state
from ann_ckpt.model import Array

__all__ = ["get_random", "reseed", "set_random"]


def get_random(device: Any) -> dict[str, NDArray[Any]]:
    """Return the random numbers of a runtime device as dynamics."""
    state: Any = np.random.get_state()  # noqa: NPY002
    return random_arrays(state, _unused(device, "rand"), _unused(device, "randn"))


def set_random(device: Any, dynamics: Mapping[str, Array]) -> None:
    """Set the random numbers of a runtime device; :func:`invalid_random` has nothing against them."""
    np.random.set_state(twister_state(dynamics))  # noqa: NPY002
    for name, kind in ((RAND, "rand"), (RANDN, "randn")):
        rest = np.asarray(dynamics[name])
        if rest.size:
            _memory(device, kind, allocate=True)[BUFFER - rest.size :] = rest
        getattr(device, f"{kind}_buffer_index")[:] = BUFFER - rest.size if rest.size else 0


def reseed(device: Any, seed: int) -> None:
    """Give numpy's global generator a new seed, and forget what was drawn."""
    device.seed(seed % 2**32)


def _unused(device: Any, kind: str) -> NDArray[np.float64]:
    """Return the numbers that were drawn and not used; with the index at 0 new ones are drawn first."""
    index = int(getattr(device, f"{kind}_buffer_index")[0])
    return _memory(device, kind)[index:].copy() if index else np.zeros(0)


def _memory(device: Any, kind: str, *, allocate: bool = False) -> NDArray[np.float64]:
    buffer = getattr(device, f"{kind}_buffer")
    if buffer.dtype == np.float64:
        return np.asarray(buffer)
    if allocate and not buffer[0]:
        libc = ctypes.CDLL(None)  # the generated code gives the memory back with its free()
        libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        buffer[0] = libc.malloc(BUFFER * 8)
    pointer = ctypes.cast(int(buffer[0]), ctypes.POINTER(ctypes.c_double))
    return np.ctypeslib.as_array(pointer, (BUFFER,))
