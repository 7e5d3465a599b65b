"""What a long history costs: the newest checkpoint, one by its tag, one by its time, and the list of all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState
from benchmarks.harness import Case, Contender, Goal, Role, Scale

__all__ = ["cases", "make_history"]

_LENGTHS = {"tiny": (8,), "small": (50,), "full": (100, 10_000)}
_NOTED = "ann_ckpt"
_NOT_NOTED = "ann_ckpt without the catalog"

_ASKED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "latest": ("the newest checkpoint", lambda path: CheckpointStore(path).latest.close()),
    "tag": ("the oldest, by its tag", lambda path: ann_ckpt.open(f"{path}@oldest").close()),
    "at": ("the oldest but one, by its time", lambda path: CheckpointStore(path).at(time_ms=0.2).close()),
    "log": ("the list of all", lambda path: CheckpointStore(path).checkpoints),
}


def cases(scale: Scale) -> list[Case]:
    """Each question to stores of more and more checkpoints."""
    lengths = _LENGTHS[scale.name]
    return [
        Case(
            f"history/{what}/{length}-checkpoints",
            f"A history of {length:,} checkpoints: {title}",
            partial(_contenders, ask, length),
            brief=True,
            goals=(
                Goal(text="no slower than without the catalog", what=_NOTED, over=_NOT_NOTED, at_most=1.2),
            )
            if length == max(lengths)
            else (),
            series=f"Long histories: {title}",
            axis="checkpoints",
            x=length,
        )
        for what, (title, ask) in _ASKED.items()
        for length in lengths
    ]


def _contenders(ask: Callable[[Path], object], length: int, folder: Path) -> list[Contender]:
    return [
        Contender(
            name,
            partial(ask, folder / place),
            role=Role.OURS,
            prepare=partial(make_history, folder / place, length, noted=noted),
            memory=False,
        )
        for name, place, noted in ((_NOTED, "noted.ckpt", True), (_NOT_NOTED, "bare.ckpt", False))
    ]


def make_history(path: Path, length: int, *, noted: bool = True) -> None:
    """Make a store of many checkpoints, most of which are copies of one file."""
    with CheckpointStore(path, "a") as store:
        store.save(_state(1), tag="oldest")
        store.save(_state(2))
    second = path / "checkpoints/000000000002.h5"
    for step in range(3, length + 1):
        shutil.copy(second, second.with_name(f"{step:012d}.h5"))
    with CheckpointStore(path, "prune") as store:
        store.gc()
    if not noted:
        (path / "catalog").unlink()


def _state(step: int) -> NetworkState:
    values = np.full(3000, float(step))
    sheet = PopulationState("p", (3000,), variables={"r": values})
    return NetworkState(populations=[sheet], time_step=step, dt=0.1)
