"""Before a network is compiled: its synapses, and a directory that nobody else compiles into.

ANNarchy's own ``from_file`` takes the unit of delays for steps or for ms depending on
its version, whatever the file has. Here steps come in, and ANNarchy gets both forms:
steps in the list of synapses, ms where it asks for the longest delay.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ann_ckpt.durable import not_writable
from ann_ckpt.errors import ConnectivityError, SimulatorError, printable
from ann_ckpt.model import ProjectionState

__all__ = ["build", "build_directory", "step_length"]

_LOG = logging.getLogger("ann_ckpt")


@contextlib.contextmanager
def build_directory(directory: str | os.PathLike[str]) -> Iterator[str]:
    """Yield a directory to compile into; no other process is in this block with the same one.

    ANNarchy compares what it generates with what was compiled last, and loads a copy of the library, so
    that processes may have one directory, one after the other. The lock stands beside it as
    ``directory.lock``; where there are no locks, each process gets a directory of its own. If
    the last one did not come to the end of the block, the libraries are removed: ANNarchy could take
    one for that of the sources that it left.

    Raises
    ------
    NotWritableError
        If the directory around it cannot be written to.
    """
    path = Path(directory).absolute()
    lock = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise not_writable(lock, error) from error
    try:
        if not _locked(descriptor, path):
            yield f"{path}-{socket.gethostname()}-{os.getpid()}"
            return
        if os.pread(descriptor, 1, 0):
            for library in path.glob("ANNarchyWrapper*"):
                library.unlink()
        os.pwrite(descriptor, b"compiling\n", 0)
        yield os.fspath(path)
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, path: Path) -> bool:
    """Wait for the lock; False if the file system has none."""
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _LOG.info("another process compiles in %s; waiting for it", path)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def step_length(projection: Any) -> float:
    """Return dt in ms of the network that an ANNarchy projection belongs to."""
    if _is_five(projection):
        from ANNarchy.intern.ConfigManagement import ConfigManager

        return float(ConfigManager().get("dt", projection.net_id))
    from ANNarchy.intern.ConfigManagement import get_global_config

    return float(get_global_config("dt"))


def build(
    projection: Any,
    stored: ProjectionState,
    *,
    storage_format: str | None = None,
    storage_order: str | None = None,
) -> None:
    """Connect an ANNarchy projection as another one was connected.

    Parameters
    ----------
    projection : ANNarchy.Projection
        Not connected, of a network that is not compiled.
    stored : ProjectionState
        Ranks, delays in steps, and ``w``; without ``w``, weights are 0.
    storage_format, storage_order : str, optional
        As for ANNarchy's own connectors.

    Raises
    ------
    SimulatorError
        If the network is compiled already.
    ConnectivityError
        If a rank lies outside the projection's populations.
    """
    if projection.initialized:
        raise SimulatorError(
            f"projection {printable(projection.name)!r} is compiled already",
            details={"hint": "load() rebuilds a compiled projection"},
        )
    _check_ranks(projection, stored)
    dt = step_length(projection)
    synapses = _synapses(projection, stored, dt)
    longest = synapses.max_delay * dt
    projection.connector_name = projection.connector_description = "From File"
    projection._store_connectivity(
        projection._load_from_lil,
        (synapses,),
        longest if synapses.uniform_delay >= 0 else [[longest]],
        storage_format=storage_format,
        storage_order=storage_order,
    )


def _synapses(projection: Any, stored: ProjectionState, dt: float) -> Any:
    """Return ANNarchy's list of synapses; rows without any are left out, as it wants them."""
    kind = importlib.import_module("ANNarchy.cython_ext").LILConnectivity
    synapses = kind(dt=dt) if _is_five(projection) else kind()
    connectivity = stored.connectivity
    bounds = connectivity.row_ptr
    filled = np.flatnonzero(np.diff(bounds))
    # In the order of post ranks, as ANNarchy wants them: told to sort, it expects a list of delays
    # and weights for each row, and reads past the end where one stands for all.
    filled = filled[np.argsort(connectivity.post_ranks[filled], kind="stable")]

    def rows(values: Any) -> list[list[Any]]:
        flat = np.asarray(values)
        return [flat[bounds[row] : bounds[row + 1]].tolist() for row in filled.tolist()]

    synapses.post_rank = connectivity.post_ranks[filled].tolist()
    synapses.pre_rank = rows(connectivity.pre_ranks)
    synapses.size, synapses.nb_synapses = len(filled), connectivity.n_synapses
    synapses.requires_sorting = False
    weights = np.asarray(stored["w"]) if "w" in stored else np.zeros(())
    if weights.shape:
        per_synapse = np.repeat(weights, np.diff(bounds)) if weights.size != bounds[-1] else weights
        synapses.w = rows(per_synapse)
    else:
        synapses.w = [[float(weights)]]
        projection._single_constant_weight = True
    _set_delays(synapses, stored, rows)
    return synapses


def _set_delays(synapses: Any, stored: ProjectionState, rows: Any) -> None:
    delays = stored.delays
    if delays is None or isinstance(delays, int):
        # One step is how long it takes without delays, which ANNarchy notes as 0.
        uniform = 0 if delays is None or delays <= 1 else delays
        synapses.max_delay = synapses.uniform_delay = uniform
        synapses.delay = [[uniform]]
        return
    synapses.max_delay = int(np.asarray(delays).max(initial=1))
    synapses.uniform_delay = -1
    synapses.delay = rows(delays)


def _check_ranks(projection: Any, stored: ProjectionState) -> None:
    sides = (("post", stored.connectivity.post_ranks), ("pre", np.asarray(stored.connectivity.pre_ranks)))
    for side, ranks in sides:
        population = getattr(projection, side)
        size = getattr(population, "population", population).size
        if ranks.size and ranks.max() >= size:
            raise ConnectivityError(
                f"the file connects {side}-synaptic neuron {ranks.max()}",
                details={"expected": f"ranks below {size}, the size of {printable(population.name)!r}"},
            )


def _is_five(projection: Any) -> bool:
    return hasattr(projection, "net_id") and importlib.import_module("ANNarchy").__release__.startswith("5.")
