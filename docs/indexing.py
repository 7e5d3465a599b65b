"""Write docs/indexing.md: what numpy, h5py, zarr and ours do with the same keys; ``make api``."""

from __future__ import annotations

import io
import pickle
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dask.array
import h5py
import numpy as np
import pandas as pd
import polars as pl
import xarray as xr
import zarr
from zarr.storage import LocalStore

import ann_ckpt
from ann_ckpt.format.bytes import FileBytes

PAGE = Path(__file__).with_name("indexing.md")
LONG = np.random.default_rng(1).random(1_000_000)
WIDE = np.random.default_rng(2).random((1000, 1000))
SHORT = LONG[:2000]
CHUNK_BYTES = 64 << 10
SOME = np.arange(LONG.size) % 250_000 == 7
FEW = np.zeros(WIDE.shape, bool)
FEW[[3, 700], [5, 6]] = True
CASES = {
    "keys of one axis": """
        a[5]
        a[-1]
        a[np.int64(5)]
        a[np.array(5)]
        a[3:9]
        a[...]
        a[::1000]
        a[::-7]
        a[9:3:-2]
        a[500:500]
        a[[3, 500_000, -1]]
        a[[500_000, 3, 3]]
        a[np.array([[1, 2], [900_000, 4]])]
        a[[]]
        a[some]
        a[np.zeros(1_000_000, bool)]
        a[None, 3:9]
        a[..., None, 3:9]
        a[True]
    """,
    "keys of two axes": """
        g[3, 4]
        g[-1]
        g[:, 3]
        g[10:20, ::-1]
        g[[1, 900]]
        g[[900, 1], [2, 3]]
        g[np.ix_([900, 1], [2, 3])]
        g[3, [5, 1]]
        g[few]
        g[g[:, 0] > 0.99, 5]
    """,
    "wrong keys": """
        a[10**9]
        a[[0, 10**9]]
        a[0, 0]
        a[1.5]
        a["w"]
        a[np.zeros(3, bool)]
    """,
    "conversions": """
        np.asarray(a)
        np.array(s, np.float32)
        np.asarray(s, copy=False)
        np.mean(s)
        s * 2
        np.sqrt(s)
        s[0] in s
        np.array(list(s))
        pd.Series(s)
        pl.Series("s", s)
        xr.DataArray(s, dims="n")
        dask.array.from_array(s).sum().compute()
        pickle.loads(pickle.dumps(s))[:3]
        bool(s)
    """,
}
HEAD = """# Keys and conversions

What numpy does with an array in memory, and what h5py, zarr and this package do with the same values on disk,
in raw blocks of 64 KiB, of 256 KiB in a store. `a` has 1,000,000 numbers (8 MB), `g` 1000 x 1000, `s` 2000;
`some` is a mask with four true entries, `few` one with two. *same* means type, shape and every value;
otherwise the cell has the error, or what came instead. Then follows what was read from disk, each time
from a file opened anew: values, and what it took to find and check them. Written by `make api`, with
{versions}.
"""
COLUMNS = ("numpy", "h5py", "zarr", "ann_ckpt", "ann_ckpt, store")


class _CountingFile(io.FileIO):
    """A file that HDF5 reads through."""

    def readinto(self, buffer: Any) -> int:
        done = super().readinto(buffer) or 0
        _count(done)
        return done


_READ = [0]
_LOCK = threading.Lock()


def _count(done: int) -> None:
    with _LOCK:
        _READ[0] += done


@contextmanager
def _counting() -> Iterator[None]:
    """Count what zarr and this package read in any thread, whoever opened the file."""
    zarr_get, ours_read = LocalStore.get, FileBytes.read_into

    async def get(self: Any, *args: Any, **options: Any) -> Any:
        found = await zarr_get(self, *args, **options)
        _count(0 if found is None else len(found))
        return found

    def read_into(self: Any, buffer: Any, offset: int) -> int:
        done = ours_read(self, buffer, offset)
        _count(done)
        return done

    with patch.object(LocalStore, "get", get), patch.object(FileBytes, "read_into", read_into):
        yield


class _H5py:
    """Opened anew for each case, as the others: nothing is left of the case before."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "peer.h5"
        with h5py.File(self._path, "w") as file:
            for name, values in _arrays():
                file.create_dataset(name, data=values, chunks=_chunks(values))

    @contextmanager
    def opened(self) -> Iterator[dict[str, Any]]:
        """Yield the arrays by their letter."""
        with _CountingFile(self._path) as raw, h5py.File(raw, "r") as file:
            yield {name: file[name] for name, _ in _arrays()}


class _Zarr:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "peer.zarr"
        for name, values in _arrays():
            made = zarr.create_array(
                LocalStore(self._path),
                name=name,
                shape=values.shape,
                dtype=values.dtype,
                chunks=_chunks(values),
                compressors=None,
            )
            made[...] = values

    @contextmanager
    def opened(self) -> Iterator[dict[str, Any]]:
        group = zarr.open_group(self._path, mode="r")
        yield {name: group[name] for name, _ in _arrays()}


class _Ours:
    def __init__(self, path: Path) -> None:
        self._path = path
        populations = [
            ann_ckpt.PopulationState(name, values.shape, variables={"r": values})
            for name, values in _arrays()
        ]
        ann_ckpt.write(ann_ckpt.NetworkState(populations=populations), path, compression="none")

    @contextmanager
    def opened(self) -> Iterator[dict[str, Any]]:
        with ann_ckpt.open(self._path) as checkpoint:
            yield {name: checkpoint.populations[name]["r"] for name, _ in _arrays()}


def _arrays() -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    yield from {"a": LONG, "g": WIDE, "s": SHORT}.items()


def _chunks(values: np.ndarray[Any, Any]) -> tuple[int, ...]:
    entry = values.nbytes // len(values)
    return (min(len(values), CHUNK_BYTES // entry), *values.shape[1:])


def rows() -> Iterator[tuple[str, list[str]]]:
    """Yield each case with its cells, in the order of :data:`COLUMNS`; a title comes with none."""
    with tempfile.TemporaryDirectory() as folder, _counting():
        place = Path(folder)
        peers = [_H5py(place), _Zarr(place), _Ours(place / "net.h5"), _Ours(place / "run.ckpt")]
        for title, lines in CASES.items():
            yield title, []
            for case in filter(None, map(str.strip, lines.splitlines())):
                expected = _outcome(case, dict(_arrays()))
                cells = [_shown(expected)]
                for peer in peers:
                    with peer.opened() as arrays:
                        before = _READ[0]
                        found = _compared(_outcome(case, arrays), expected)
                        cells.append(f"{found}, {(_READ[0] - before + 500) // 1000} kB")
                yield case, cells


def _outcome(case: str, arrays: dict[str, Any]) -> Any:
    names = {"np": np, "pd": pd, "pl": pl, "xr": xr, "dask": dask, "pickle": pickle, "some": SOME, "few": FEW}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return eval(case, {**names, **arrays})  # noqa: S307  (the cases above)
        except Exception as error:  # noqa: BLE001  (whatever another library raises is what the page shows)
            return type(error)


def _compared(found: Any, expected: Any) -> str:
    if isinstance(found, type) or isinstance(expected, type):
        return "same" if found is expected else _shown(found)
    same = type(found) is type(expected) and _shown(found) == _shown(expected)
    return "same" if same and np.array_equal(np.asarray(found), np.asarray(expected)) else _shown(found)


def _shown(found: Any) -> str:
    if isinstance(found, type):
        return found.__name__
    if isinstance(found, bool):
        return str(found)
    kind = type(found).__name__
    return (
        kind if np.ndim(found) == 0 and kind != "ndarray" else f"{kind} {found.dtype} {found.shape}".lower()
    )


def versions() -> str:
    """Name what the page depends on."""
    named = [f"{module.__name__} {module.__version__}" for module in (np, h5py, zarr, pd, pl, xr, dask)]
    return f"{', '.join(named[:-1])} and {named[-1]}"


def page() -> str:
    """Return the page as it should be."""
    lines = [HEAD.format(versions=versions())]
    for case, cells in rows():
        if cells:
            lines.append(f"| `{case}` | {' | '.join(cells)} |")
        else:
            lines += [f"\n| {case} | {' | '.join(COLUMNS)} |", f"|---{'|---' * len(COLUMNS)}|"]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
