"""A run that saves again and again: one state whose blocks change, and who keeps all of its versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xxhash
from numpy.typing import NDArray

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState
from ann_ckpt.store.saving.blocks import row_bounds
from benchmarks.harness import flush
from benchmarks.states import ROW, arrays_of, make_state

__all__ = ["ICECHUNK", "OURS", "OURS_RAW", "STORES", "TOLD", "VERSIONED", "Changing", "Series", "ten_rows"]

OURS = "ann_ckpt store"
OURS_RAW = "ann_ckpt store uncompressed"
VERSIONED = "versioned-hdf5"
TOLD = "versioned-hdf5, told what changed"
ICECHUNK = "icechunk + zarr, told what changed"

_CHUNK = 32 << 10
"""Entries in a chunk of the peers: as many as a block of ours has on average."""

Arrays = Mapping[str, NDArray[Any]]


class Changing:
    """A state with random weights in which a share of the blocks changes from version to version.

    One weight and one trace in each chosen block change, so that whoever cuts arrays in
    pieces of about that size has as many to write.

    Parameters
    ----------
    nbytes : int
        Bytes of values.
    share : float
        Of the blocks, at least one unless it is 0.
    wandering : bool
        Whether each version changes blocks of its own; otherwise it is always the same ones.
    """

    def __init__(self, nbytes: int, share: float, *, wandering: bool = False) -> None:
        self._nbytes = nbytes
        self._share = share
        self._wandering = wandering

    @cached_property
    def state(self) -> NetworkState:
        """The network; its arrays change in place."""
        return make_state("random", self._nbytes)

    @cached_property
    def arrays(self) -> Arrays:
        """The same arrays by name."""
        return arrays_of(self.state)

    def go_to(self, version: int) -> None:
        """Make it that version; a wandering state goes forward one by one only."""
        places = self._places(version if self._wandering else 0)
        for number, name in enumerate(("ff.w", "ff.trace")):
            self.arrays[name][places] = version + number / 2

    def _places(self, salt: int) -> NDArray[np.int64]:
        starts = row_bounds(self.state.projections["ff"].connectivity)[:-1]
        count = min(starts.size, max(1, round(self._share * starts.size))) if self._share else 0
        return np.sort(np.random.default_rng(salt).choice(starts, count, replace=False))


class Series(Protocol):
    """Something that keeps many versions of the same arrays."""

    def __init__(self, path: Path) -> None: ...

    def save(self, changing: Changing, version: int) -> None:
        """Add a version, durably."""

    def read(self, version: int) -> NDArray[Any]:
        """Return all weights of a version."""

    def rows(self, version: int) -> NDArray[Any]:
        """Return the weights of ten dendrites in the middle."""

    def prune(self, versions: range) -> None:
        """Remove versions, and give their space back as far as that is possible."""


class OurStore:
    """A store of ours, open as long as the run lasts."""

    _compression = "auto"

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _store(self) -> CheckpointStore:
        return CheckpointStore(self._path, "a", compression=self._compression)

    def save(self, changing: Changing, version: int) -> None:
        """Save the state."""
        self._store.save(replace(changing.state, time_step=version))

    def read(self, version: int) -> NDArray[Any]:
        """Open and read."""
        with ann_ckpt.open(f"{self._path}@{version}") as checkpoint:
            return np.asarray(checkpoint.projections["ff"]["w"])

    def rows(self, version: int) -> NDArray[Any]:
        """Open and read a slice."""
        with ann_ckpt.open(f"{self._path}@{version}") as checkpoint:
            weights = checkpoint.projections["ff"]["w"]
            return np.asarray(weights[ten_rows(weights.shape[0])])

    def prune(self, versions: range) -> None:
        """Open and prune."""
        with CheckpointStore(self._path, "prune") as store:
            store.prune(keep=lambda info: info.time_step not in versions)


class OurRawStore(OurStore):
    """The same without compression, as the others here have none."""

    _compression = "none"


class _Chunks:
    """Which chunks of some arrays have changed since the last look: what peers are told to write."""

    def __init__(self) -> None:
        self._digests: dict[tuple[str, int], bytes] = {}

    def changed(self, arrays: Arrays) -> Iterator[tuple[str, slice]]:
        for name, values in arrays.items():
            for start in range(0, max(1, values.shape[0] if values.shape else 1), _CHUNK):
                part = slice(start, start + _CHUNK)
                digest = xxhash.xxh3_128_digest(np.ascontiguousarray(np.atleast_1d(values)[part]))
                if self._digests.get((name, start)) != digest:
                    self._digests[name, start] = digest
                    yield name, part


class VersionedFile:
    """versioned-hdf5, given every array; it finds out itself which chunks it has."""

    def __init__(self, path: Path) -> None:
        self._file = path / "run.h5"

    def _parts(self, arrays: Arrays) -> Iterator[tuple[str, slice]]:
        """What to assign."""
        return ((name, slice(None)) for name in arrays)

    def save(self, changing: Changing, version: int) -> None:
        """Stage a version."""
        import h5py
        from versioned_hdf5 import VersionedHDF5File

        self._file.parent.mkdir(exist_ok=True)
        with (
            h5py.File(self._file, "a") as file,
            VersionedHDF5File(file).stage_version(f"v{version}") as group,
        ):
            for name, values in changing.arrays.items():
                if name not in group:
                    group.create_dataset(name, data=np.atleast_1d(values), chunks=(_CHUNK,))
            for name, part in self._parts(changing.arrays):
                group[name][part] = np.atleast_1d(changing.arrays[name])[part]
        flush(self._file)

    def read(self, version: int) -> NDArray[Any]:
        """Read a version."""
        return self._part(version, lambda _: slice(None))

    def rows(self, version: int) -> NDArray[Any]:
        """Read a slice of a version."""
        return self._part(version, ten_rows)

    def _part(self, version: int, part: Callable[[int], slice]) -> NDArray[Any]:
        import h5py
        from versioned_hdf5 import VersionedHDF5File

        with h5py.File(self._file, "r") as file:
            weights = VersionedHDF5File(file)[f"v{version}"]["ff.w"]
            return np.asarray(weights[part(weights.shape[0])])

    def prune(self, versions: range) -> None:
        """Delete versions; HDF5 keeps the space."""
        import h5py
        from versioned_hdf5 import delete_versions

        with h5py.File(self._file, "r+") as file:
            delete_versions(file, [f"v{version}" for version in versions])
        flush(self._file)


class VersionedFileTold(VersionedFile):
    """versioned-hdf5, given the chunks that changed, found with digests as ours are."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._chunks = _Chunks()

    def _parts(self, arrays: Arrays) -> Iterator[tuple[str, slice]]:
        return self._chunks.changed(arrays)


class IcechunkRepository:
    """zarr in icechunk, given the chunks that changed; a commit for each version, tagged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._chunks = _Chunks()
        self._known: set[Path] = set()

    @cached_property
    def _repository(self) -> Any:
        import icechunk

        storage = icechunk.local_filesystem_storage(str(self._path))
        return icechunk.Repository.open_or_create(storage)

    def save(self, changing: Changing, version: int) -> None:
        """Commit a version and fsync the files that it made."""
        import zarr

        session = self._repository.writable_session("main")
        group = zarr.open_group(session.store, mode="a")
        for name, values in changing.arrays.items():
            if name not in group:
                flat = np.atleast_1d(values)
                group.create_array(
                    name, shape=flat.shape, dtype=flat.dtype, chunks=(_CHUNK,), compressors=None
                )
        for name, part in self._chunks.changed(changing.arrays):
            group[name][part] = np.atleast_1d(changing.arrays[name])[part]
        group.attrs["version"] = version  # a commit without any change is refused
        snapshot = session.commit(f"v{version}")
        self._repository.create_tag(f"v{version}", snapshot_id=snapshot)
        files = {path for path in self._path.rglob("*") if path.is_file()}
        for path in files - self._known:
            flush(path)
        self._known = files

    def read(self, version: int) -> NDArray[Any]:
        """Read a version."""
        return np.asarray(self._weights(version)[:])

    def rows(self, version: int) -> NDArray[Any]:
        """Read a slice of a version."""
        weights = self._weights(version)
        return np.asarray(weights[ten_rows(weights.shape[0])])

    def _weights(self, version: int) -> Any:
        import icechunk
        import zarr

        repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(self._path)))
        return zarr.open_group(repository.readonly_session(tag=f"v{version}").store, mode="r")["ff.w"]

    def prune(self, versions: range) -> None:
        """Drop the tags, expire the snapshots, collect the garbage."""
        import datetime as dt

        import icechunk

        repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(self._path)))
        for version in versions:
            repository.delete_tag(f"v{version}")
        ancestry = list(repository.ancestry(branch="main"))
        keep = next(info for info in ancestry if info.message == f"v{versions.stop}")
        repository.expire_snapshots(older_than=keep.written_at)
        repository.garbage_collect(dt.datetime.now(dt.UTC))


def ten_rows(synapses: int) -> slice:
    """Entries of ten dendrites in the middle."""
    middle = synapses // ROW // 2 * ROW
    return slice(middle, middle + 10 * ROW)


STORES: Mapping[str, tuple[type[Series], tuple[str, ...]]] = {
    OURS_RAW: (OurRawStore, ()),
    OURS: (OurStore, ()),
    VERSIONED: (VersionedFile, ("versioned-hdf5", "h5py")),
    TOLD: (VersionedFileTold, ("versioned-hdf5", "h5py")),
    ICECHUNK: (IcechunkRepository, ("icechunk", "zarr")),
}
"""Who keeps versions, and the distributions that it needs."""
