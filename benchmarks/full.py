"""Whole states: written and read, compressed and not, by kind of values and by size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import ann_ckpt
from benchmarks import limits, ours
from benchmarks.harness import Case, Contender, Goal, Role, Scale
from benchmarks.peers import PEERS, loading, saving
from benchmarks.states import KINDS, arrays_of, make_state, same

__all__ = ["cases"]

GIVEN = "ann_ckpt into given arrays"
SAME_FILE = "h5py, the same file"
_TENSORSTORE = "tensorstore zarr2"

_COMPARED = {
    "auto": ("h5py gzip+shuffle", "zarr", _TENSORSTORE, "icechunk"),
    "none": (
        "pickle 5",
        "numpy savez",
        "h5py contiguous",
        "safetensors",
        "tensorstore zarr3",
        "hickle",
        "anndata",
        "versioned-hdf5",
    ),
}
"""Who stands beside us: those that compress by default, or those that do not."""
_FEW = ("pickle 5", "h5py contiguous", "safetensors", "zarr")
"""Who stands beside us where others would tell nothing new."""
_PACKED = ("h5py gzip+shuffle", "zarr", _TENSORSTORE)
"""The same, of those that compress."""
_TELLING = "random"
"""The kind of values that is measured uncompressed, too: there, any others take as long."""
_WHOLE = (("random", "none"), ("mixed", "auto"))
"""What is measured at the size of the scale; half of it tells as much of the others."""


def cases(scale: Scale) -> list[Case]:
    """Saving and loading whole states."""
    found = []
    for kind in scale.kinds:
        for compression in ours.NAMES if kind == _TELLING else ("auto",):
            key = f"{kind}/{compression}"
            nbytes = scale.nbytes if (kind, compression) in _WHOLE else scale.nbytes // 2
            title = f"{KINDS[kind]}, {'default compression' if compression == 'auto' else 'uncompressed'}"
            few = _FEW if compression == "none" else _PACKED
            peers = _COMPARED[compression] if kind == "random" else few
            found += [
                Case(
                    f"full-save/{key}",
                    f"Full save: {title}",
                    partial(_saving, kind, nbytes, compression, peers),
                    nbytes=nbytes,
                    writes=True,
                    goals=_SAVE_GOALS.get((kind, compression), ()),
                ),
                Case(
                    f"full-load/{key}",
                    f"Full load: {title}",
                    partial(_loading, kind, nbytes, compression, peers),
                    nbytes=nbytes,
                    goals=_LOAD_GOALS.get((kind, compression), ()),
                ),
            ]
    for what, contenders in (("save", _saving), ("load", _loading)):
        for nbytes in scale.sizes:
            found.append(
                Case(
                    f"size/{what}/{nbytes >> 20}-MiB",
                    f"Full {what} by size: random weights, uncompressed, {nbytes >> 20} MiB",
                    partial(contenders, "random", nbytes, "none", _FEW),
                    nbytes=nbytes,
                    writes=what == "save",
                    series=f"Full {what} by size",
                    axis="bytes of values",
                    x=nbytes,
                )
            )
    return found


_SAVE_GOALS = {
    ("random", "none"): (
        Goal(
            text="at most 1.05 x the limit",
            what=ours.NAMES["none"],
            over=limits.WRITE,
            at_most=1.05,
        ),
    ),
    ("mixed", "auto"): (
        Goal(
            text="at least 5 x faster than h5py gzip+shuffle",
            what="h5py gzip+shuffle",
            over=ours.NAMES["auto"],
            at_least=5,
        ),
        Goal(
            text="at most the size that h5py gzip+shuffle writes",
            what=ours.NAMES["auto"],
            over="h5py gzip+shuffle",
            of="file",
            at_most=1.02,
        ),
        Goal(text="faster than zarr", what="zarr", over=ours.NAMES["auto"], at_least=1),
        Goal(text="faster than tensorstore", what=_TENSORSTORE, over=ours.NAMES["auto"], at_least=1),
        Goal(text="at most 64 MiB of memory", what=ours.NAMES["auto"], of="memory", at_most=64 << 20),
        Goal(text="fast: no slower than tensorstore", what=ours.FAST, over=_TENSORSTORE, at_most=1),
        Goal(
            text="fast: no larger than tensorstore", what=ours.FAST, over=_TENSORSTORE, of="file", at_most=1
        ),
    ),
}

_LOAD_GOALS = {
    ("random", "none"): (
        Goal(text="into given arrays at most 0.7 x the limit", what=GIVEN, over=limits.READ, at_most=0.7),
        Goal(
            text="into new arrays no slower than safetensors",
            what=ours.NAMES["none"],
            over="safetensors",
            at_most=1,
        ),
    ),
    ("mixed", "auto"): (
        Goal(
            text="at least 1.7 x plain h5py reading the same file",
            what=SAME_FILE,
            over=ours.NAMES["auto"],
            at_least=1.7,
        ),
        Goal(text="fast: no slower than tensorstore", what=ours.FAST, over=_TENSORSTORE, at_most=1),
    ),
}


def _saving(kind: str, nbytes: int, compression: str, peers: Sequence[str], folder: Path) -> list[Contender]:
    state = cache(lambda: make_state(kind, nbytes))
    arrays = cache(lambda: arrays_of(state()))
    return [
        limits.writing(folder, lambda: list(arrays().values())),
        ours.saving(compression, folder, state),
        *([ours.saving("fast", folder, state)] if compression == "auto" else []),
        *(saving(PEERS[name], folder, arrays) for name in peers),
    ]


def _loading(kind: str, nbytes: int, compression: str, peers: Sequence[str], folder: Path) -> list[Contender]:
    state = cache(lambda: make_state(kind, nbytes))
    arrays = cache(lambda: arrays_of(state()))
    whole, *more = (
        ours.loading(
            how, folder, state, run=ann_ckpt.read, check=lambda read: same(arrays(), arrays_of(read))
        )
        for how in ([compression, "fast"] if compression == "auto" else [compression])
    )
    assert whole.product is not None
    given = cache(lambda: _GivenArrays(whole.product))
    return [
        *limits.reading(folder, lambda: list(arrays().values())),
        whole,
        *more,
        Contender(GIVEN, lambda: given().read(), role=Role.OURS, before=given, product=whole.product),
        *([_same_file(whole.product)] if compression == "auto" else []),
        *(loading(PEERS[name], folder, arrays, check=lambda read: same(arrays(), read)) for name in peers),
    ]


def _same_file(path: Path) -> Contender:
    """Plain h5py, reading every dataset of the file that ann_ckpt wrote."""

    def read() -> None:
        import h5py

        def visit(_: str, found: Any) -> None:
            if isinstance(found, h5py.Dataset):
                np.asarray(found[()])

        with h5py.File(path, "r") as file:
            file.visititems(visit)

    return Contender(SAME_FILE, read, product=path, needs=("h5py",))


class _GivenArrays:
    """Memory for every array of a file, touched, and read into again and again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with ann_ckpt.open(path) as checkpoint:
            self._out = {
                name: limits.touched(array.shape, array.dtype)
                for name, array in checkpoint.arrays.items()
                if array.dtype.names is None
            }

    def read(self) -> None:
        with ann_ckpt.open(self._path) as checkpoint:
            for name, array in checkpoint.arrays.items():
                if name in self._out:
                    array.read_into(self._out[name])
