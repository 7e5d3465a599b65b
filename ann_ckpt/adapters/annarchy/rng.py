"""The states of random generators as arrays: Mersenne twisters in C++, and numpy's own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.model import Array

__all__ = [
    "DEFAULT",
    "TWISTERS",
    "barrier_seed",
    "default_array",
    "invalid_generators",
    "set_default",
    "twister_array",
    "twister_texts",
]

TWISTERS = "rng"
"""uint32, shape ``(n_generators, 625)``: 624 words of state and the place of the next."""
DEFAULT = "default_rng"
"""uint64, shape ``(6,)``: state and increment of PCG64, high words first; whether half a word is kept; it."""

_TWISTER = 625
_WORD = (1 << 64) - 1


def twister_array(texts: Sequence[str]) -> NDArray[np.uint32]:
    """Return generators from the text that C++ streams write of each."""
    return np.array([text.split() for text in texts], np.uint64).astype(np.uint32)


def twister_texts(array: Array) -> list[str]:
    """Return the text from which C++ streams read each generator."""
    return [" ".join(map(str, words)) for words in np.asarray(array).tolist()]


def default_array(generator: np.random.Generator) -> NDArray[np.uint64] | None:
    """Return a numpy generator, or None if it is not PCG64, the one that numpy makes by default."""
    state: Mapping[str, Any] = generator.bit_generator.state
    if state["bit_generator"] != "PCG64":
        return None
    words = []
    for number in (state["state"]["state"], state["state"]["inc"]):
        words += [number >> 64, number & _WORD]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64)


def set_default(generator: np.random.Generator, array: Array) -> None:
    """Put a numpy generator into the state that :func:`default_array` returned."""
    high, low, inc_high, inc_low, has_half, half = (int(word) for word in np.asarray(array))
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": high << 64 | low, "inc": inc_high << 64 | inc_low},
        "has_uint32": int(has_half != 0),
        "uinteger": half & 0xFFFF_FFFF,
    }


def invalid_generators(arrays: Mapping[str, Array]) -> str | None:
    """Say what is wrong with stored generators; None if nothing."""
    twisters, default = arrays.get(TWISTERS), arrays.get(DEFAULT)
    if twisters is not None and (twisters.dtype != np.uint32 or twisters.shape[1:] != (_TWISTER,)):
        return f"{TWISTERS} is {twisters.dtype} {twisters.shape}"
    if default is not None and (default.dtype != np.uint64 or default.shape != (6,)):
        return f"{DEFAULT} is {default.dtype} {default.shape}"
    return None


def barrier_seed(seed: int | None, time_step: int) -> int:
    """Return the seed for a reseed barrier: another one for each network and instant.

    Examples
    --------
    >>> barrier_seed(7, 1000), barrier_seed(7, 1001)
    (653215965, 149864569)
    """
    digest = hashlib.blake2b(f"{seed} {time_step}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") >> 1  # fits a signed 32-bit integer
