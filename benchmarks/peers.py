"""What somebody would use instead, each as its own documentation uses it.

Every peer is given the same arrays by name. Writing ends with an fsync of all that was
written, because ours does too.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Contender, flush, remove

__all__ = ["PEERS", "Arrays", "Peer", "loading", "saving"]

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Peer:
    """A library that keeps named arrays."""

    name: str
    modules: tuple[str, ...]
    """Imported before anything is measured."""
    needs: tuple[str, ...]
    """Distributions that have to be installed."""
    suffix: str
    compresses: bool
    write: Callable[[Path, Arrays], None]
    read: Callable[[Path], Arrays]
    """Every array, in memory."""
    part: Callable[[Path, str, int, int], NDArray[Any]] | None = None
    """Elements ``[start, stop)`` of one array, where there is a way without the rest."""

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
    path = folder / f"{peer.name.replace(' ', '-')}{peer.suffix}"
    return Contender(
        peer.name,
        lambda: peer.save(path, arrays()),
        before=lambda: (peer.load(), arrays()),
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
    path = folder / f"{peer.name.replace(' ', '-')}{peer.suffix}"
    return Contender(
        peer.name,
        partial(run or peer.read, path),
        prepare=lambda: peer.save(path, arrays()),
        before=peer.load,
        check=check,
        product=path,
        needs=peer.needs,
    )


def _write_pickle(path: Path, arrays: Arrays) -> None:
    with path.open("wb") as file:
        pickle.dump(dict(arrays), file, protocol=5)


def _read_pickle(path: Path) -> Arrays:
    with path.open("rb") as file:
        read: Arrays = pickle.load(file)
    return read


def _read_npz(path: Path) -> Arrays:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def _write_h5py(options: Mapping[str, Any], path: Path, arrays: Arrays) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, **(options if values.ndim else {}))


def _read_h5py(path: Path) -> Arrays:
    import h5py

    with h5py.File(path, "r") as file:
        return {name: np.asarray(file[name][()]) for name in file}


def _part_h5py(path: Path, name: str, start: int, stop: int) -> NDArray[Any]:
    import h5py

    with h5py.File(path, "r") as file:
        part: NDArray[Any] = file[name][start:stop]
        return part


def _write_safetensors(path: Path, arrays: Arrays) -> None:
    from safetensors.numpy import save_file

    save_file(dict(arrays), path)


def _read_safetensors(path: Path) -> Arrays:
    from safetensors.numpy import load_file

    arrays: Arrays = load_file(path)
    return arrays


def _part_safetensors(path: Path, name: str, start: int, stop: int) -> NDArray[Any]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        part: NDArray[Any] = file.get_slice(name)[start:stop]
        return part


def _write_zarr(path: Path, arrays: Arrays) -> None:
    import zarr

    _fill_group(zarr.open_group(path, mode="w"), arrays)


def _read_zarr(path: Path) -> Arrays:
    import zarr

    return _read_group(zarr.open_group(path, mode="r"))


def _part_zarr(path: Path, name: str, start: int, stop: int) -> NDArray[Any]:
    import zarr

    return np.asarray(zarr.open_group(path, mode="r")[name][start:stop])


def _fill_group(group: Any, arrays: Arrays) -> None:
    for name, values in arrays.items():
        group.create_array(name, data=values)


def _read_group(group: Any) -> Arrays:
    return {name: np.asarray(array[...]) for name, array in group.arrays()}


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


def _read_tensorstore(driver: str, path: Path) -> Arrays:
    import tensorstore

    waiting = {
        below.name: tensorstore.open(_tensorstore(driver, path, below.name)).result().read()
        for below in path.iterdir()
    }
    return {name: reading.result() for name, reading in waiting.items()}


def _part_tensorstore(driver: str, path: Path, name: str, start: int, stop: int) -> NDArray[Any]:
    import tensorstore

    store = tensorstore.open(_tensorstore(driver, path, name)).result()
    part: NDArray[Any] = store[start:stop].read().result()
    return part


def _write_hickle(path: Path, arrays: Arrays) -> None:
    import hickle

    hickle.dump(dict(arrays), path, mode="w")


def _read_hickle(path: Path) -> Arrays:
    import hickle

    arrays: Arrays = hickle.load(path)
    return arrays


def _write_anndata(path: Path, arrays: Arrays) -> None:
    import anndata.io
    import h5py

    with h5py.File(path, "w") as file:
        anndata.io.write_elem(file, "state", dict(arrays))


def _read_anndata(path: Path) -> Arrays:
    import anndata.io
    import h5py

    with h5py.File(path, "r") as file:
        read = anndata.io.read_elem(file["state"])
    return {name: np.asarray(values) for name, values in read.items()}


def _write_versioned(path: Path, arrays: Arrays) -> None:
    import h5py
    from versioned_hdf5 import VersionedHDF5File

    with h5py.File(path, "w") as file, VersionedHDF5File(file).stage_version("v0") as version:
        for name, values in arrays.items():
            # It keeps no datasets of shape ().
            version.create_dataset(name, data=np.atleast_1d(values))


def _read_versioned(path: Path) -> Arrays:
    import h5py
    from versioned_hdf5 import VersionedHDF5File

    with h5py.File(path, "r") as file:
        versions = VersionedHDF5File(file)
        version = versions[versions.current_version]
        return {name: np.asarray(version[name][:]) for name in version}


def _write_icechunk(path: Path, arrays: Arrays) -> None:
    import icechunk
    import zarr

    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(path)))
    session = repository.writable_session("main")
    _fill_group(zarr.group(store=session.store), arrays)
    session.commit("state")


def _read_icechunk(path: Path) -> Arrays:
    import icechunk
    import zarr

    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(path)))
    return _read_group(zarr.open_group(repository.readonly_session("main").store, mode="r"))


_TENSORSTORE_ZARR3 = "tensorstore zarr3"
_TENSORSTORE_ZARR2 = "tensorstore zarr2"

PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("pickle 5", ("pickle",), (), ".pkl", False, _write_pickle, _read_pickle),
        Peer("numpy savez", (), (), ".npz", False, lambda p, a: np.savez(p, **a), _read_npz),
        Peer(
            "numpy savez_compressed",
            (),
            (),
            ".npz",
            True,
            lambda p, a: np.savez_compressed(p, **a),
            _read_npz,
        ),
        Peer(
            "h5py contiguous",
            ("h5py",),
            ("h5py",),
            ".h5",
            False,
            partial(_write_h5py, {}),
            _read_h5py,
            _part_h5py,
        ),
        Peer(
            "h5py gzip+shuffle",
            ("h5py",),
            ("h5py",),
            ".h5",
            True,
            partial(_write_h5py, {"compression": "gzip", "shuffle": True}),
            _read_h5py,
            _part_h5py,
        ),
        Peer(
            "safetensors",
            ("safetensors.numpy",),
            ("safetensors",),
            ".safetensors",
            False,
            _write_safetensors,
            _read_safetensors,
            _part_safetensors,
        ),
        Peer("zarr", ("zarr",), ("zarr",), ".zarr", True, _write_zarr, _read_zarr, _part_zarr),
        Peer(
            _TENSORSTORE_ZARR3,
            ("tensorstore",),
            ("tensorstore",),
            ".zarr",
            False,
            partial(_write_tensorstore, "zarr3"),
            partial(_read_tensorstore, "zarr3"),
            partial(_part_tensorstore, "zarr3"),
        ),
        Peer(
            _TENSORSTORE_ZARR2,
            ("tensorstore",),
            ("tensorstore",),
            ".zarr",
            True,
            partial(_write_tensorstore, "zarr"),
            partial(_read_tensorstore, "zarr"),
            partial(_part_tensorstore, "zarr"),
        ),
        Peer("hickle", ("hickle",), ("hickle",), ".hkl", False, _write_hickle, _read_hickle),
        Peer("anndata", ("anndata.io",), ("anndata",), ".h5ad", False, _write_anndata, _read_anndata),
        Peer(
            "versioned-hdf5",
            ("versioned_hdf5",),
            ("versioned-hdf5",),
            ".h5",
            False,
            _write_versioned,
            _read_versioned,
        ),
        Peer(
            "icechunk",
            ("icechunk", "zarr"),
            ("icechunk", "zarr"),
            ".icechunk",
            True,
            _write_icechunk,
            _read_icechunk,
        ),
    )
}
"""By name, in the order of the tables; each with the defaults of its library."""
