"""ann_ckpt as a contender, beside `peers.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ann_ckpt
from ann_ckpt import NetworkState
from benchmarks.harness import Contender, Role, remove
from benchmarks.states import arrays_of, same

__all__ = ["FAST", "NAMES", "loading", "saving"]

NAMES = {"auto": "ann_ckpt", "none": "ann_ckpt uncompressed"}
"""How the tables call us, by the compression asked for."""
FAST = "ann_ckpt fast"
_ALL_NAMES = {**NAMES, "fast": FAST}


def saving(compression: str, folder: Path, state: Callable[[], NetworkState]) -> Contender:
    """Return the contender that writes a state to one file."""
    path = folder / f"{compression}.ours.h5"
    return Contender(
        _ALL_NAMES[compression],
        lambda: ann_ckpt.write(state(), path, compression=compression),
        role=Role.OURS,
        before=state,
        check=lambda _: same(arrays_of(state()), arrays_of(ann_ckpt.read(path))),
        after=lambda: remove(path),
        product=path,
    )


def loading(
    compression: str,
    folder: Path,
    state: Callable[[], NetworkState],
    *,
    run: Callable[[Path], Any],
    check: Callable[[Any], Any] | None = None,
) -> Contender:
    """Return the contender that reads something from the file of a state.

    Parameters
    ----------
    run : callable
        Given the path.
    check : callable, optional
        Given what was read; raises if it is not right.
    """
    path = folder / f"{compression}.ours.h5"
    return Contender(
        _ALL_NAMES[compression],
        lambda: run(path),
        role=Role.OURS,
        prepare=lambda: ann_ckpt.write(state(), path, compression=compression),
        check=check,
        product=path,
    )
