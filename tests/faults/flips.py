"""One flipped bit at a time, in the bytes of a small file or of a small store."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import ann_ckpt
from ann_ckpt import (
    Attribute,
    CheckpointStore,
    Connectivity,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
)
from ann_ckpt.errors import CheckpointError
from ann_ckpt.store.saving import blocks, placement
from tests.faults.reading import parts

__all__ = ["flip", "flipped_files", "prepare_flips"]

FILE = "net.h5"
STORE = "run.ckpt"
FILE_STEP, STORE_STEP = 1, 2


def tiny(step: int) -> NetworkState:
    """A network of four neurons and a dozen synapses, with an attribute of each locality."""
    pointers = np.array([0, 5, 9, 12])
    # The first dendrite learns, so that a store has its weights in two objects.
    w = np.arange(12.0) + np.repeat([step, 0, 0], [5, 4, 3])
    return NetworkState(
        populations=[
            PopulationState(
                "p", (2, 2), parameters={"tau": 10.0}, variables={"r": step + np.arange(4.0).reshape(2, 2)}
            )
        ],
        projections=[
            ProjectionState(
                "ff",
                "p",
                "p",
                "exc",
                Connectivity([0, 1, 3], pointers, np.concatenate([np.arange(n) for n in (5, 4, 3)]) % 5),
                parameters={"eta": Attribute(np.array([0.5, 0.25, 0.125]), Locality.SEMIGLOBAL)},
                variables={"w": Attribute(w, Locality.LOCAL)},
            )
        ],
        constants={"c": np.array(2.5)},
        time_step=step,
        dt=0.5,
        seed=3,
        metadata={"note": "kept"},
    )


def prepare_flips(kind: str, folder: Path) -> None:
    """Write the file or store, with blocks and chunks so small that it has all kinds of them."""
    placement.INLINE_BYTES = 32
    blocks.ROW_BLOCK = 4
    blocks.LONGEST = 6
    if kind == "file":
        ann_ckpt.save(folder / FILE, network=tiny(1))
        return
    with CheckpointStore(folder / STORE, "a") as store:
        for step in range(1, STORE_STEP + 1):
            store.save(tiny(step))
        store.prune(keep_last=1)


def flipped_files(folder: Path) -> list[Path]:
    """Every file whose bits are flipped."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and "lock" not in p.name)


def flip(folder: str, file: str, bits: list[int]) -> dict[str, Any]:
    """Flip some bits of a file, one after another, and read everything each time.

    Returns
    -------
    dict
        ``wrong``: bits and what was wrong; ``refused``: how many flips met an error of ours.
    """
    path = Path(file)
    wrong: list[tuple[int, str]] = []
    refused = 0
    expected = _as_hdf5_sees(Path(folder))
    with path.open("r+b", buffering=0) as stream:
        for bit in bits:
            os.lseek(stream.fileno(), 0, os.SEEK_SET)
            before = os.pread(stream.fileno(), 1, bit // 8)
            os.pwrite(stream.fileno(), bytes([before[0] ^ 1 << bit % 8]), bit // 8)
            problem, met = _read_all(Path(folder), expected)
            os.pwrite(stream.fileno(), before, bit // 8)
            refused += met
            if problem:
                wrong.append((bit, problem))
    return {"wrong": wrong, "refused": refused}


def _read_all(folder: Path, expected: dict[str, bytes]) -> tuple[str, bool]:
    """Read every part, and verify; return what is wrong, and whether any of it met an error of ours."""
    met: list[str] = []
    for problem in _problems(folder, met):
        return problem, bool(met)
    if not _verified(folder):
        return "", True
    if met:
        return f"verify finds nothing, and reading says {met[0]}", True
    # What other tools see is covered as well: a value that changed for them is found by verify.
    with contextlib.suppress(Exception):
        found = _as_hdf5_sees(folder)
        differing = [name for name in expected if name in found and found[name] != expected[name]]
        if differing:
            return f"verify finds nothing, and HDF5 reads {differing[0]} differently", False
    return "", False


def _problems(folder: Path, met: list[str]) -> Iterator[str]:
    """Yield what is wrong about any part; what was refused goes to ``met``."""
    path, step = _checkpoint(folder)
    try:
        with ann_ckpt.open(path) as checkpoint:
            for what, right in parts(checkpoint, tiny(step)).items():
                try:
                    if not right():
                        yield f"{what} is wrong, and no error"
                except CheckpointError as error:
                    met.append(f"{what}: {error}")
    except CheckpointError as error:
        met.append(str(error))


def _checkpoint(folder: Path) -> tuple[Path, int]:
    file = folder / FILE
    return (file, FILE_STEP) if file.exists() else (folder / STORE, STORE_STEP)


def _verified(folder: Path) -> bool:
    try:
        return ann_ckpt.verify(_checkpoint(folder)[0]).ok
    except CheckpointError:
        return False


def _as_hdf5_sees(folder: Path) -> dict[str, bytes]:
    """Every value that plain h5py gives."""
    values: dict[str, bytes] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            values[name] = item[()].tobytes()

    path = _checkpoint(folder)[0]
    files = [path] if path.is_file() else list((path / "checkpoints").iterdir())
    with h5py.File(files[0], "r") as file:
        file.visititems(keep)
    return values
