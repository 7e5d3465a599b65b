"""Stores: saves that write what changed, reading after many of them, and getting space back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import ann_ckpt
from benchmarks import limits
from benchmarks.harness import Case, Contender, Goal, Role, Scale, remove
from benchmarks.series import ICECHUNK, OURS, OURS_RAW, STORES, VERSIONED, Changing, Series, ten_rows

__all__ = ["cases"]

FULL = "ann_ckpt, a full file"
FULL_RAW = "ann_ckpt, a full file uncompressed"
_WHOLE = {FULL_RAW: "none", FULL: "auto"}
"""Full files by their compression."""
_OURS = (OURS, OURS_RAW)
_SHARES = (0.0, 0.01, 0.1, 1.0)
_HISTORY_BYTES = 128 << 20
"""States are no larger where a long history has to be written first."""
_SAVES = {"tiny": (2, 20), "small": (5, 20), "full": (20, 200)}
"""Checkpoints in what is called few and many."""
_PRUNED = 10
_HASHING_SHOWS = 256 << 20
"""Smaller states are hashed sooner than files are opened and locks taken."""
_HISTORIES = {name: store for name, store in STORES.items() if name != VERSIONED}
"""Whoever wrote it, a file of versioned-hdf5 is the same; told what changed, it is written sooner."""


def cases(scale: Scale) -> list[Case]:
    """Saving, reading and pruning series of checkpoints."""
    nbytes = min(scale.nbytes, _HISTORY_BYTES)
    few, many = _SAVES[scale.name]
    return [
        *(
            Case(
                f"store-save/{100 * share:g}-percent",
                f"Incremental save: {100 * share:g} % of the blocks changed",
                partial(_saving, scale.nbytes, share),
                nbytes=scale.nbytes,
                writes=True,
                goals=_save_goals(share, scale.nbytes),
                series="Incremental save by share that changed",
                axis="% of the blocks changed",
                x=100 * share,
            )
            for share in _SHARES
        ),
        *(
            Case(
                f"store-read/{key}",
                f"Reading {words} after {saves} saves, 1 % of the blocks changed in each",
                partial(_reading, nbytes, saves, what),
                nbytes=nbytes,
                brief=True,
                goals=tuple(_as_full_files(text, bound)) if bound else (),
                series="Reading all weights of the newest checkpoint" if what == "newest" else "",
                axis="saves",
                x=saves,
            )
            for key, what, words, saves, text, bound in (
                (
                    "newest-of-few",
                    "newest",
                    "all weights of the newest",
                    few,
                    "at most 1.1 x a full file",
                    1.1,
                ),
                ("newest", "newest", "all weights of the newest", many, "at most 1.5 x a full file", 1.5),
                ("oldest", "oldest", "all weights of the oldest", many, "", None),
                ("ten-rows", "ten rows", "ten rows of the newest", many, "at most 2 x a full file", 2.0),
            )
        ),
        Case(
            "store-prune/half",
            f"Removing the {_PRUNED} oldest of {2 * _PRUNED} checkpoints, 10 % of the blocks changed in each",
            partial(_pruning, nbytes),
            nbytes=nbytes,
        ),
    ]


def _save_goals(share: float, nbytes: int) -> tuple[Goal, ...]:
    if share == 1.0:
        return ()
    if share == 0.0:
        ours = [Goal(text="at most 200 KB written", what=OURS_RAW, of="written", at_most=200_000)]
        if nbytes >= _HASHING_SHOWS:
            ours.append(Goal(text="hashed at 5 GB/s at least", what=OURS_RAW, at_most=nbytes / 5e9))
    else:
        # Weights and traces are four fifths of the state; a state of few blocks changes one of each at least.
        changed = max(share * nbytes, 2 << 20)
        bound = 1.05 * changed + 256_000
        text = "1.05 x the changed blocks and 256 KB written at most"
        ours = [Goal(text=text, what=OURS_RAW, of="written", at_most=bound)]
    if 0 < share < 0.1:
        ours += _as_full_files("a tenth of a full save", 0.1)
    return (
        *ours,
        Goal(text="10 x faster than versioned-hdf5", what=VERSIONED, over=OURS_RAW, at_least=10),
        Goal(text="3 x faster than icechunk", what=ICECHUNK, over=OURS_RAW, at_least=3),
    )


def _as_full_files(text: str, bound: float) -> list[Goal]:
    """Stores compared with full files of the same compression."""
    return [
        Goal(text=text, what=OURS, over=FULL, at_most=bound),
        Goal(text=f"uncompressed: {text}", what=OURS_RAW, over=FULL_RAW, at_most=bound),
    ]


def _saving(nbytes: int, share: float, folder: Path) -> list[Contender]:
    changing = cache(lambda: Changing(nbytes, share))
    return [
        limits.writing(folder, lambda: list(changing().arrays.values())),
        *(_saves(name, changing, folder) for name in STORES),
        *(_saves_whole(name, changing, folder) for name in _WHOLE),
    ]


def _saves_whole(name: str, changing: Callable[[], Changing], folder: Path) -> Contender:
    """Write everything into a file of its own."""
    path = folder / "full.h5"
    return Contender(
        name,
        lambda: ann_ckpt.write(changing().state, path, compression=_WHOLE[name]),
        role=Role.OURS,
        before=lambda: changing().go_to(1),
        after=lambda: remove(path),
        product=path,
    )


def _saves(name: str, changing: Callable[[], Changing], folder: Path) -> Contender:
    """One more save into a series that has a first one."""
    kind, needs = STORES[name]
    path = folder / name.replace(" ", "-")
    series = cache(lambda: kind(path))
    version = 0

    def advance() -> None:
        nonlocal version
        if version == 0:
            remove(path)  # of the process that took the memory
            changing().go_to(0)
            series().save(changing(), 0)
        version += 1
        changing().go_to(version)

    def check(_: Any) -> None:
        np.testing.assert_array_equal(series().read(version), changing().arrays["ff.w"])

    return Contender(
        name,
        lambda: series().save(changing(), version),
        role=_role(name),
        before=advance,
        check=check,
        product=path,
        needs=needs,
    )


def _reading(nbytes: int, saves: int, what: str, folder: Path) -> list[Contender]:
    """Each contender writes the same history for itself, then reads from it."""
    version = 0 if what == "oldest" else saves - 1
    expected = cache(lambda: _at_version(nbytes, version).arrays["ff.w"])

    def from_file(path: Path) -> Any:
        with ann_ckpt.open(path) as checkpoint:
            weights = checkpoint.projections["ff"]["w"]
            return np.asarray(weights[ten_rows(weights.shape[0])] if what == "ten rows" else weights)

    def write(path: Path, compression: str) -> None:
        ann_ckpt.write(_at_version(nbytes, version).state, path, compression=compression)

    def check(values: Any) -> None:
        wanted = expected()
        np.testing.assert_array_equal(values, wanted[ten_rows(wanted.size)] if what == "ten rows" else wanted)

    found = []
    for name, compression in _WHOLE.items():
        path = folder / f"{compression}.full.h5"
        found.append(
            Contender(
                name,
                partial(from_file, path),
                role=Role.LIMIT,
                prepare=partial(write, path, compression),
                check=check,
                product=path,
            )
        )
    for name, (kind, needs) in _HISTORIES.items():
        path = folder / name.replace(" ", "-")
        series = kind(path)
        read = series.rows if what == "ten rows" else series.read
        found.append(
            Contender(
                name,
                partial(read, version),
                role=_role(name),
                prepare=partial(_history, kind, path, nbytes, saves, 0.01),
                check=check,
                product=path,
                needs=needs,
            )
        )
    return found


def _role(name: str) -> Role:
    return Role.OURS if name in _OURS else Role.PEER


def _at_version(nbytes: int, version: int) -> Changing:
    changing = Changing(nbytes, 0.01, wandering=True)
    for number in range(version + 1):
        changing.go_to(number)
    return changing


def _history(kind: type[Series], path: Path, nbytes: int, saves: int, share: float) -> None:
    """Write a series from its beginning."""
    changing, series = Changing(nbytes, share, wandering=True), kind(path)
    for version in range(saves):
        changing.go_to(version)
        series.save(changing, version)


def _pruning(nbytes: int, folder: Path) -> list[Contender]:
    return [_prunes(name, nbytes, folder) for name in _HISTORIES]


def _prunes(name: str, nbytes: int, folder: Path) -> Contender:
    """Prune a copy; what is left on the disk is the size in the table."""
    kind, needs = STORES[name]
    made, path = folder / f"{name}-made".replace(" ", "-"), folder / name.replace(" ", "-")

    def copy() -> None:
        remove(path)
        # Files of a store never change, so links are copies; a file that is written in place is copied.
        shutil.copytree(made, path, copy_function=os.link if name in _OURS else shutil.copy2)

    return Contender(
        name,
        lambda: kind(path).prune(range(_PRUNED)),
        role=_role(name),
        prepare=partial(_history, kind, made, nbytes, 2 * _PRUNED, 0.1),
        before=copy,
        check=lambda _: kind(path).read(2 * _PRUNED - 1),
        product=path,
        needs=needs,
    )
