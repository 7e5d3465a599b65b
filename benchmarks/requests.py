"""Requests and bytes over a network, counted on a web server on loopback.

These are no times: on loopback, requests cost nothing. What one costs elsewhere is its round trip.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import ann_ckpt
from ann_ckpt import Connectivity, NetworkState, PopulationState, ProjectionState
from tests.remote.server import Server

_SIDE, _ROW = 2000, 1000
_READ = 1_000_000
"""Weights that are read together: 8 MB."""
_STEPS = ("open", "list", "ten dendrites", "8 MB array")


def network() -> NetworkState:
    """Return a network of some 60 MiB once it is compressed."""
    random = np.random.default_rng(1)
    rows = [np.sort(random.permutation(_SIDE)[:_ROW]) for _ in range(_SIDE)]
    synapses = Connectivity.from_rows(range(_SIDE), rows)
    count = _SIDE * _ROW
    return NetworkState(
        populations=[PopulationState(name, (_SIDE,), variables={"v": random.random(_SIDE)}) for name in "ab"],
        projections=[
            ProjectionState(
                name,
                "a",
                "b",
                "exc",
                synapses,
                variables={"w": random.random(count), "u": random.random(count)},
                delays=1,
            )
            for name in ("ff", "fb")
        ],
        time_step=1,
    )


def ours(address: str) -> Iterator[None]:
    """Open, list, read ten dendrites and an array; pause after each."""
    with ann_ckpt.open(address) as checkpoint:
        yield
        _ = [*checkpoint.populations, *checkpoint.projections]
        yield
        projection = checkpoint.projections["ff"]
        for rank in range(10):
            projection.dendrite(rank)
        yield
        _ = checkpoint.projections["fb"].variables["w"].values[:_READ]
        yield


def _hdf5(address: str) -> Iterator[None]:
    import fsspec

    with fsspec.open(address, "rb") as raw, h5py.File(raw) as file:
        yield
        _ = [*file["populations"], *file["projections"]]
        yield
        _ten(lambda name: file[f"projections/ff/{name}"])
        yield
        _ = file["projections/fb/variables/w"][:_READ]
        yield


def _zarr(address: str) -> Iterator[None]:
    import zarr
    from obstore.store import HTTPStore
    from zarr.storage import ObjectStore

    made = HTTPStore.from_url(address, client_options={"allow_http": True})
    yield from _arrays(zarr.open_consolidated(ObjectStore(made, read_only=True), mode="r"))


def _icechunk(address: str) -> Iterator[None]:
    import icechunk
    import zarr

    server, _, bucket = address.rpartition("/")
    # Of an S3 server it needs no more than a web server does, as long as it only reads.
    storage = icechunk.s3_storage(
        bucket=bucket,
        prefix=None,
        endpoint_url=server,
        region="here",
        allow_http=True,
        force_path_style=True,
        anonymous=True,
    )
    session = icechunk.Repository.open(storage).readonly_session("main")
    yield from _arrays(zarr.open_group(session.store, mode="r"))


def _arrays(group: Any) -> Iterator[None]:
    """Do to arrays of zarr what :func:`ours` does to a checkpoint."""
    yield
    _ = list(group)
    yield
    _ten(lambda name: group[name.replace("variables/", "ff.")])
    yield
    _ = group["fb.w"][:_READ]
    yield


def _ten(array: Callable[[str], Any]) -> None:
    pointers = array("row_ptr")[:11]
    for start, stop in pairwise(pointers):
        for name in ("pre_ranks", "variables/w", "variables/u"):
            _ = array(name)[int(start) : int(stop)]


def _write_zarr(path: Path, state: NetworkState) -> None:
    import zarr

    _fill(zarr.open_group(path, mode="w"), state)
    zarr.consolidate_metadata(path)


def _write_icechunk(path: Path, state: NetworkState) -> None:
    import icechunk
    import zarr

    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(path)))
    session = repository.writable_session("main")
    _fill(zarr.group(session.store), state)
    session.commit("a network")


def _fill(group: Any, state: NetworkState) -> None:
    for name in ("ff", "fb"):
        for attribute in ("w", "u"):
            values = np.asarray(state.projections[name].variables[attribute].values)
            group.create_array(f"{name}.{attribute}", data=values, chunks=(131_072,))
    synapses = state.projections["ff"].connectivity
    group.create_array("row_ptr", data=np.asarray(synapses.row_ptr))
    group.create_array("pre_ranks", data=np.asarray(synapses.pre_ranks), chunks=(262_144,))


def main() -> None:
    """Print a table: for each contender and each step, requests and MiB."""
    state = network()
    with tempfile.TemporaryDirectory() as folder:
        ann_ckpt.write(state, Path(folder) / "net.h5")
        with ann_ckpt.CheckpointStore(Path(folder) / "run.ckpt", "a") as store:
            store.save(state)
        contenders: dict[str, tuple[Callable[[str], Iterator[None]], str]] = {
            "ann_ckpt, a file": (ours, "net.h5"),
            "ann_ckpt, a store": (ours, "run.ckpt/checkpoints/000000000001.h5"),
        }
        if importlib.util.find_spec("fsspec") and importlib.util.find_spec("aiohttp"):
            contenders["h5py over fsspec"] = (_hdf5, "net.h5")
        if importlib.util.find_spec("zarr"):
            _write_zarr(Path(folder) / "net.zarr", state)
            contenders["zarr over obstore"] = (_zarr, "net.zarr")
        if importlib.util.find_spec("icechunk"):
            _write_icechunk(Path(folder) / "icechunk", state)
            contenders["zarr over icechunk"] = (_icechunk, "icechunk")
        server = Server(Path(folder))
        print(f"{'requests / MiB':20}", *(f"{step:>16}" for step in _STEPS))
        for name, (steps, path) in contenders.items():
            server.spent()
            spent = [server.spent() for _ in steps(f"{server.url}/{path}")]
            print(f"{name:20}", *(f"{f'{asked} / {count / 2**20:.2f}':>16}" for asked, count in spent))
        server.stop()


if __name__ == "__main__":
    main()
