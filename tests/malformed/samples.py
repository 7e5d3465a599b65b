"""The good file and the good store that hostile ones are made of, and how digests are made right again."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest import mock

import h5py
import numpy as np

import ann_ckpt
from ann_ckpt import (
    Attribute,
    Connectivity,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    TypeInfo,
)
from ann_ckpt.demo.network import DemoNetwork
from ann_ckpt.format import h5, layout
from ann_ckpt.format.digest import ArrayDigest, Digest, digest_of, digest_of_attributes, digest_tables
from ann_ckpt.format.layout import Index, IndexRow, index_table
from ann_ckpt.store.saving import placement
from tests.golden.networks import complete

SECRET = b"content of another file"
W = "projections/forward/variables/w"
STORE = "run.ckpt"
_DIGESTED = 1 << 20
"""Nobody waits for the digest of more than that."""
_NO_DIGEST = (KeyError, TypeError, ValueError, OSError, AttributeError, RuntimeError, IndexError)
"""What a spoiled file may answer with when it is asked for something that could have a digest."""


def network() -> DemoNetwork:
    return DemoNetwork(side=8)


def state(step: int = 3) -> NetworkState:
    """What the demo network holds after some steps, and all else that a file can say."""
    live = network()
    live.simulate(float(step))
    read = live.read().state
    ragged = ProjectionState(
        "ragged",
        "image",
        "layer",
        "exc",
        Connectivity.from_rows([5, 0, 3], [[6, 1], [], [2, 0, 4]]),
        delays=np.array([1, 5, 2, 2, 9], np.int32),
        parameters={"theta": np.array([0.1, 0.2, 0.3]), "w": np.array([1.0, -2.0, 3.0, 4.0, 5.0])},
        variables={"odd": Attribute(np.arange(4), Locality.UNKNOWN)},
        pre_size=256,
        post_size=64,
        pre_view=np.array([0, 1, 2, 4, 6]),
        post_view=np.array([0, 3, 5]),
        synapse_type=TypeInfo("STDP"),
    )
    extra = PopulationState("a/b", (2, 3), variables={"r": np.arange(6.0).reshape(2, 3)})
    return replace(
        read,
        populations={**read.populations, extra.name: extra},
        projections={**read.projections, ragged.name: ragged},
        metadata={"who": "sample", "nested": [1, {"u": None}]},
    )


@functools.cache
def _made() -> Path:
    """A folder with both, made once for a process."""
    folder = Path(mkdtemp(prefix="ann_ckpt-hostile-"))
    ann_ckpt.write(state(), folder / "net.h5")
    # Small arrays go to objects too, so that few bytes have everything that a store may have.
    with (
        mock.patch.object(placement, "INLINE_BYTES", 512),
        ann_ckpt.CheckpointStore(folder / STORE, "a") as store,
    ):
        for step in (2, 3, 4):
            store.save(state(step), tag=f"tag{step}")
    return folder


def forget() -> None:
    """Remove the folder with the good ones."""
    shutil.rmtree(_made(), ignore_errors=True)
    _made.cache_clear()


def good_file(path: Path) -> Path:
    shutil.copyfile(_made() / "net.h5", path)
    return path


def good_complete(path: Path) -> Path:
    """The network of the golden files."""
    made = _made() / "complete.h5"
    if not made.exists():
        ann_ckpt.write(complete(), made)
    shutil.copyfile(made, path)
    return path


def good_store(path: Path) -> Path:
    shutil.copytree(_made() / STORE, path)
    return path


def newest(store: Path) -> Path:
    """File of the newest checkpoint."""
    return max((store / "checkpoints").iterdir())


Rows = dict[str, IndexRow]


@contextmanager
def sealed(path: Path, *, arrays: bool = True) -> Iterator[tuple[h5py.File, Rows]]:
    """Open a checkpoint file to spoil it; then every digest is right again.

    The rows of the index may be changed, too; a row whose path is not there any more keeps
    its digest.

    Parameters
    ----------
    arrays : bool
        False leaves the digests of arrays, and of their blocks, as they are.
    """
    with h5py.File(path, "r+") as file:
        rows = dict(Index(file[layout.INDEX][()]))
        yield file, rows
        if arrays:
            _seal_arrays(file, rows)
        for key, row in rows.items():
            if row.encoding != layout.E_ARRAY:
                rows[key] = replace(row, digest=_digest(file, row) or row.digest)
        put_index(file, index_table(rows.values()))


def put_index(file: h5py.File, table: Any) -> None:
    """Replace the index; the root says its digest, and one of all that the root says."""
    del file[layout.INDEX]
    file[layout.INDEX] = table
    with contextlib.suppress(*_NO_DIGEST):
        if layout.A_INDEX_DIGEST in file.attrs and not _is_spoiled(file):
            set_attribute(file, layout.A_INDEX_DIGEST, np.bytes_(digest_of(table).encode()))
    with contextlib.suppress(*_NO_DIGEST):
        known = {*layout.ROOT_ATTRIBUTES, layout.A_INDEX_DIGEST}
        set_attribute(file, layout.A_HEADER_DIGEST, np.bytes_(_digest_of_attributes(file, known).encode()))


def _is_spoiled(file: h5py.File) -> bool:
    """Whether what should be a digest is something else, which is the defect then."""
    found = h5.read_attribute(file.id, layout.A_INDEX_DIGEST)
    return found.dtype != np.dtype("S32") or found.shape != ()


def set_attribute(owner: Any, name: str, value: Any, **options: Any) -> None:
    owner.attrs.create(name, value, **options)


def _seal_arrays(file: h5py.File, rows: Rows) -> None:
    beside: dict[int, Any] = {}
    for number, (key, row) in enumerate(rows.items()):
        if row.encoding == layout.E_ARRAY:
            with contextlib.suppress(*_NO_DIGEST):
                values = _values(file[row.path])
                digest: Any = Digest(values.dtype)
                if row.version != 1:
                    digest = ArrayDigest(values.dtype, values.shape)
                digest.update(values)
                rows[key] = replace(row, digest=digest.hex())
                if row.version != 1 and digest.beside.size:
                    beside[number] = digest.beside
    if beside and layout.DIGESTS_ARRAYS in file:
        for path, table in digest_tables(beside).items():
            replaced(file, path, table)


def _digest(file: h5py.File, row: IndexRow) -> str | None:
    """Return the digest that a row should have, None where nothing has one."""
    if row.encoding == layout.E_SHARED:
        return None
    with contextlib.suppress(*_NO_DIGEST):
        found = file[row.path or "/"]
        if isinstance(found, h5py.Dataset):
            return digest_of(_values(found))
        return _digest_of_attributes(found, layout.GROUP_ATTRIBUTES if row.path else layout.ROOT_ATTRIBUTES)
    return None


def _digest_of_attributes(owner: Any, known: AbstractSet[str]) -> str:
    return digest_of_attributes({k: h5.read_attribute(owner.id, k) for k in owner.attrs if k in known})


def _values(dataset: h5py.Dataset) -> Any:
    if dataset.nbytes > _DIGESTED:
        raise ValueError("nobody waits for that")
    return h5.read_whole(dataset.id, h5.memory_dtype(dataset.id.get_type()))


def replaced(file: h5py.File, path: str, values: Any, **options: Any) -> None:
    """Put other values in the place of a dataset."""
    del file[path]
    file.create_dataset(path, data=values, **options)


Spoil = Callable[[Path], object]
"""Spoils the good file, or the good store, at a path; what it needs beside it, it makes there."""
