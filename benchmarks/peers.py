"""What somebody would use instead, each as its own documentation uses it.

Every peer is given the same arrays by name. Writing ends with an fsync of all that was
written, because ours does too.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Contender, flush, remove

__all__ = ["PEERS", "Arrays", "Peer", "loading", "saving"]

Arrays = Mapping[str, NDArray[Any]]
Names = Sequence[str] | None
"""Which arrays; None for all."""
Ranges = Sequence[tuple[int, int]]
"""Some ``[start, stop)`` of the first axis."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A library that keeps named arrays."""

    name: str
    suffix: str
    write: Callable[[Path, Arrays], None]
    read: Callable[[Path, Names], Arrays]
    """Into memory, nothing but what is wanted where there is a way."""
    part: Callable[[Path, Sequence[str], Ranges], list[NDArray[Any]]] | None = None
    """The same ranges of some arrays, where there is a way without the rest of them."""
    modules: tuple[str, ...] = ()
    """Imported before anything is measured."""
    needs: tuple[str, ...] = ()
    """Distributions that have to be installed."""

    def path(self, folder: Path) -> Path:
        """Where it keeps arrays in a folder shared with others."""
        return folder / f"{self.name.replace(' ', '-')}{self.suffix}"

    def load(self) -> None:
        """Import what it needs."""
        for module in self.modules:
            importlib.import_module(module)

    def save(self, path: Path, arrays: Arrays) -> None:
        """Write, durably."""
        self.write(path, arrays)
        flush(path)


def saving(peer: Peer, folder: Path, arrays: Callable[[], Arrays]) -> Contender:
    """Return the contender that writes some arrays with a peer."""
    path = peer.path(folder)

    def before() -> None:
        peer.load()
        arrays()

    return Contender(
        peer.name,
        lambda: peer.save(path, arrays()),
        before=before,
        after=lambda: remove(path),
        product=path,
        needs=peer.needs,
    )


def loading(
    peer: Peer,
    folder: Path,
    arrays: Callable[[], Arrays],
    *,
    run: Callable[[Path], Any] | None = None,
    check: Callable[[Any], Any] | None = None,
) -> Contender:
    """Return the contender that reads back what the peer has written before.

    Parameters
    ----------
    run : callable, optional
        Given the path; reads everything if not given.
    check : callable, optional
        Given what was read; raises if it is not right.
    """
    path = peer.path(folder)
    return Contender(
        peer.name,
        (lambda: run(path)) if run is not None else (lambda: peer.read(path, None)),
        prepare=lambda: peer.save(path, arrays()),
        before=peer.load,
        check=check,
        product=path,
        needs=peer.needs,
    )


def _chosen(arrays: Arrays, names: Names) -> Arrays:
    return arrays if names is None else {name: arrays[name] for name in names}


def _write_pickle(path: Path, arrays: Arrays) -> None:
    with path.open("wb") as file:
        pickle.dump(dict(arrays), file, protocol=5)


def _read_pickle(path: Path, names: Names) -> Arrays:
    with path.open("rb") as file:
        return _chosen(pickle.load(file), names)


def _write_npz(path: Path, arrays: Arrays) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]


def _read_npz(path: Path, names: Names) -> Arrays:
    with np.load(path) as file:
        return {name: file[name] for name in (file.files if names is None else names)}


def _write_h5py(options: Mapping[str, Any], path: Path, arrays: Arrays) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, **(options if values.ndim else {}))


def _read_h5py(path: Path, names: Names) -> Arrays:
    import h5py

    with h5py.File(path, "r") as file:
        return {name: np.asarray(file[name][()]) for name in (file if names is None else names)}


def _part_h5py(path: Path, names: Sequence[str], ranges: Ranges) -> list[NDArray[Any]]:
    import h5py

    with h5py.File(path, "r") as file:
        return [file[name][start:stop] for name in names for start, stop in ranges]


def _write_safetensors(path: Path, arrays: Arrays) -> None:
    from safetensors.numpy import save_file

    save_file(dict(arrays), path)


def _read_safetensors(path: Path, names: Names) -> Arrays:
    from safetensors import safe_open
    from safetensors.numpy import load_file

    if names is None:
        everything: Arrays = load_file(path)
        return everything
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in names}


def _part_safetensors(path: Path, names: Sequence[str], ranges: Ranges) -> list[NDArray[Any]]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        slices = [file.get_slice(name) for name in names]
        return [part[start:stop] for part in slices for start, stop in ranges]


def _write_zarr(path: Path, arrays: Arrays) -> None:
    import zarr

    _fill_group(zarr.open_group(path, mode="w"), arrays)


def _read_zarr(path: Path, names: Names) -> Arrays:
    import zarr

    return _read_group(zarr.open_group(path, mode="r"), names)


def _part_zarr(path: Path, names: Sequence[str], ranges: Ranges) -> list[NDArray[Any]]:
    import zarr

    group = zarr.open_group(path, mode="r")
    arrays = [group[name] for name in names]
    return [np.asarray(array[start:stop]) for array in arrays for start, stop in ranges]


def _fill_group(group: Any, arrays: Arrays) -> None:
    for name, values in arrays.items():
        group.create_array(name, data=values)


def _read_group(group: Any, names: Names) -> Arrays:
    wanted = dict(group.arrays()) if names is None else {name: group[name] for name in names}
    return {name: np.asarray(array[...]) for name, array in wanted.items()}


def _tensorstore(driver: str, path: Path, name: str) -> dict[str, Any]:
    return {"driver": driver, "kvstore": {"driver": "file", "path": f"{path / name}/"}}


def _write_tensorstore(driver: str, path: Path, arrays: Arrays) -> None:
    import tensorstore

    waiting = []
    for name, values in arrays.items():
        spec = _tensorstore(driver, path, name)
        store = tensorstore.open(spec, create=True, dtype=values.dtype, shape=values.shape).result()
        waiting.append(store.write(values))
    for writing in waiting:
        writing.result()


def _read_tensorstore(driver: str, path: Path, names: Names) -> Arrays:
    import tensorstore

    wanted = [below.name for below in path.iterdir()] if names is None else names
    waiting = {name: tensorstore.open(_tensorstore(driver, path, name)).result().read() for name in wanted}
    return {name: reading.result() for name, reading in waiting.items()}


def _part_tensorstore(driver: str, path: Path, names: Sequence[str], ranges: Ranges) -> list[NDArray[Any]]:
    import tensorstore

    stores = [tensorstore.open(_tensorstore(driver, path, name)).result() for name in names]
    waiting = [store[start:stop].read() for store in stores for start, stop in ranges]
    return [reading.result() for reading in waiting]


def _write_hickle(path: Path, arrays: Arrays) -> None:
    import hickle

    hickle.dump(dict(arrays), path, mode="w")


def _read_hickle(path: Path, names: Names) -> Arrays:
    import hickle

    return _chosen(hickle.load(path), names)


def _write_anndata(path: Path, arrays: Arrays) -> None:
    import anndata.io
    import h5py

    with h5py.File(path, "w") as file:
        anndata.io.write_elem(file, "state", dict(arrays))


def _read_anndata(path: Path, names: Names) -> Arrays:
    import anndata.io
    import h5py

    with h5py.File(path, "r") as file:
        state = file["state"]
        return {
            name: np.asarray(anndata.io.read_elem(state[name]))
            for name in (state if names is None else names)
        }


def _write_versioned(path: Path, arrays: Arrays) -> None:
    import h5py
    from versioned_hdf5 import VersionedHDF5File

    with h5py.File(path, "w") as file, VersionedHDF5File(file).stage_version("v0") as version:
        for name, values in arrays.items():
            # It keeps no datasets of shape ().
            version.create_dataset(name, data=np.atleast_1d(values))


def _read_versioned(path: Path, names: Names) -> Arrays:
    import h5py
    from versioned_hdf5 import VersionedHDF5File

    with h5py.File(path, "r") as file:
        versions = VersionedHDF5File(file)
        version = versions[versions.current_version]
        return {name: np.asarray(version[name][:]) for name in (version if names is None else names)}


def _write_icechunk(path: Path, arrays: Arrays) -> None:
    import icechunk
    import zarr

    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(path)))
    session = repository.writable_session("main")
    _fill_group(zarr.group(store=session.store), arrays)
    session.commit("state")


def _read_icechunk(path: Path, names: Names) -> Arrays:
    import icechunk
    import zarr

    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(path)))
    return _read_group(zarr.open_group(repository.readonly_session("main").store, mode="r"), names)


def _with_h5py(name: str, options: Mapping[str, Any]) -> Peer:
    write = partial(_write_h5py, options)
    return Peer(name, ".h5", write, _read_h5py, _part_h5py, modules=("h5py",), needs=("h5py",))


def _with_tensorstore(name: str, driver: str) -> Peer:
    return Peer(
        name,
        f".{driver}",
        partial(_write_tensorstore, driver),
        partial(_read_tensorstore, driver),
        partial(_part_tensorstore, driver),
        modules=("tensorstore",),
        needs=("tensorstore",),
    )


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("pickle 5", ".pkl", _write_pickle, _read_pickle),
        Peer("numpy savez", ".npz", _write_npz, _read_npz),
        _with_h5py("h5py contiguous", {}),
        _with_h5py("h5py gzip+shuffle", {"compression": "gzip", "shuffle": True}),
        Peer(
            "safetensors",
            ".safetensors",
            _write_safetensors,
            _read_safetensors,
            _part_safetensors,
            modules=("safetensors.numpy",),
            needs=("safetensors",),
        ),
        Peer("zarr", ".zarr", _write_zarr, _read_zarr, _part_zarr, modules=("zarr",), needs=("zarr",)),
        _with_tensorstore("tensorstore zarr3", "zarr3"),
        _with_tensorstore("tensorstore zarr2", "zarr"),
        Peer("hickle", ".hkl", _write_hickle, _read_hickle, modules=("hickle",), needs=("hickle",)),
        Peer("anndata", ".h5ad", _write_anndata, _read_anndata, modules=("anndata.io",), needs=("anndata",)),
        Peer(
            "versioned-hdf5",
            ".h5",
            _write_versioned,
            _read_versioned,
            modules=("versioned_hdf5",),
            needs=("versioned-hdf5",),
        ),
        Peer(
            "icechunk",
            ".icechunk",
            _write_icechunk,
            _read_icechunk,
            modules=("icechunk", "zarr"),
            needs=("icechunk", "zarr"),
        ),
    )
}
"""By name, in the order of the tables; each with the defaults of its library."""
