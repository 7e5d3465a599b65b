"""The public functions: save, load, open, read, write, verify.

Each finds out what it was given and hands over; the work is done elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ann_ckpt.adapters.formats import ANNARCHY, format_of, write_nameless, writer_for
from ann_ckpt.adapters.live import live_reading
from ann_ckpt.adapters.protocol import Builds, Reading
from ann_ckpt.adapters.simulators import SIMULATORS, clock_of, simulator_for
from ann_ckpt.arguments import check_flags
from ann_ckpt.durable import check_target
from ann_ckpt.errors import NotWritableError, OptionError, printable
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.model import NetworkState, plain_metadata
from ann_ckpt.paths import spoken
from ann_ckpt.provenance import now, provenance
from ann_ckpt.report import LoadReport, Meter, Note, Progress, SaveReport, VerifyReport
from ann_ckpt.selection import Attributes, Rows, Selection, Which
from ann_ckpt.single import check_single, is_meant_for_us, write_single
from ann_ckpt.store.buckets.bucket import Bucket
from ann_ckpt.store.opening import (
    PathLike,
    foreign_file,
    open_checkpoint,
    place_in_store,
    store_target,
    stored_reading,
)
from ann_ckpt.store.series import SeriesView
from ann_ckpt.store.store import CheckpointStore
from ann_ckpt.transfer import load_into
from ann_ckpt.transfer.names import Names, renamed

__all__ = [
    "build",
    "check_savable",
    "load",
    "open",
    "read",
    "save",
    "verify",
    "write",
]


def open(path: PathLike) -> Checkpoint:  # noqa: A001  (the name says what it does, qualified by the package)
    """Open a checkpoint for reading; nothing but its header is read.

    Parameters
    ----------
    path : path-like
        A checkpoint file; a store, for its newest checkpoint; ``run.ckpt@1000`` or
        ``run.ckpt@tag`` for a certain one; or an address, see ``docs/remote.md``. (Files of other
        programs: :func:`read` and :func:`load` take them.)

    Raises
    ------
    FileMissingError, NotReadableError
        If the system does not give the file.
    UnknownFormatError
        If it is not a checkpoint, or of a newer major version of the format.
    CorruptFileError, UnsafeFileError
        If it is damaged, or asks for what no checkpoint needs.
    """
    return open_checkpoint(path)


def read(path: PathLike, *, dt: float | None = None, encoding: str | None = None) -> NetworkState:
    """Read a whole checkpoint into memory, every digest checked, or a file of ANNarchy, Brian2 or SONATA.

    What such a file does not say stands in the state's metadata, under
    ``converted_from``, as :func:`~ann_ckpt.convert` leaves it in the new file.

    Parameters
    ----------
    path : path-like
        As for :func:`open`, or a pickle, a gzipped pickle, an ``.npz``, a ``.mat`` or a circuit.
    dt : float, optional
        Length of a step in ms, which ANNarchy's own files do not record.
    encoding : str, optional
        Of names in files from Python 2.

    Raises
    ------
    CorruptFileError, UnsafeFileError
        If the file is damaged, or asks for what no network needs.
    """
    foreign = foreign_file(path, dt=dt, encoding=encoding)
    if foreign is not None:
        return replace(foreign.reading.state, metadata={"converted_from": foreign.origin()})
    with open(path) as checkpoint:
        return checkpoint.state()


def write(
    state: NetworkState,
    path: PathLike,
    *,
    compression: str = "auto",
    progress: Progress | None = None,
) -> SaveReport:
    """Write a state, eager or lazy, to one self-contained checkpoint file, or add it to a store.

    The file appears whole or not at all; until then an older one stands.

    Parameters
    ----------
    state : NetworkState
        Arrays are taken in blocks, so that a lazy one may exceed memory.
    path : path-like
        Ends in ``.h5`` or ``.hdf5``, or names a store.
    compression : {"auto", "none", "gzip", "fast", "zstd", "blosc"}
        ``auto`` deflates each chunk where it pays; ``fast``, with LZ4 on all cores, ``zstd`` and ``blosc``
        need the ``plugins`` extra, for readers too.
    progress : callable, optional
        Called as ``progress(what, done, total)`` with bytes.

    Raises
    ------
    NotWritableError
        If the file cannot be written; an older one is untouched.
    """
    check_savable(path)
    return save(path, network=state, compression=compression, progress=progress)


def save(
    filename: PathLike,
    populations: Which = True,
    projections: Which = True,
    net_id: int = 0,
    *,
    network: Any = None,
    attributes: Attributes | None = None,
    rows: Rows | None = None,
    compression: str = "auto",
    metadata: Mapping[str, Any] | None = None,
    barrier: bool = False,
    monitors: bool = False,
    progress: Progress | None = None,
) -> SaveReport:
    """Save a network to a file, or add it to a store.

    The signature is ANNarchy's own, extended by keywords. Rows are streamed from the
    live network, so that no copy of a projection is ever made.

    Parameters
    ----------
    filename : path-like
        Missing folders are made. The extension decides: ``.h5`` and ``.hdf5`` for one self-contained file,
        ``.ckpt`` for a store, where only what changed is written; ``run.ckpt@name``
        gives the new checkpoint a tag. ``.data``, ``.txt``, ``.gz``, ``.npz`` and
        ``.mat`` are written as ANNarchy writes them, with all that these formats lack; under any
        other name that does not look like one of ours, the network is pickled, as ANNarchy does,
        and the report says so.
    populations, projections : bool, str or list of str
        All, none, or names and globs; a live population or projection stands for its name.
    net_id : int
        Number of the network, for simulators that keep them globally (ANNarchy 4).
    network : optional
        A compiled ANNarchy ``Network``, another simulator's network, a
        :class:`~ann_ckpt.NetworkState` or an open :class:`~ann_ckpt.Checkpoint`.
    attributes : str, list of str or mapping, optional
        Parameters and variables to save, by names and globs: ``["v", "w*"]``, or for each object
        ``{"exc": "v"}``; an object that is not named has all. Nothing resumes exactly from a part.
    rows : mapping of str to sequence of int, optional
        Save only some dendrites of a projection, ``{"ff": [0, 3]}``, by the ranks of their neurons. The
        file says that they are a part, and loading it leaves all others as they are.
    compression : str
        See :func:`write`.
    metadata : mapping, optional
        Texts, numbers, lists and mappings of them; kept beside the network. Numbers and
        small arrays of numpy, NaN, paths and dates are taken too, see ``docs/format.md``.
    barrier : bool
        Reseed the running network, from its seed and time step, at the moment of saving;
        whoever loads the file does the same. So stochastic networks resume exactly whose
        random generators cannot be read; see ``docs/exact-resume.md``.
    monitors : bool
        Also what the network's monitors hold, see ``docs/recordings.md``; reading it empties none.
    progress : callable, optional
        Called as ``progress(what, done, total)`` with bytes.

    Returns
    -------
    SaveReport
        What was saved, and what cannot be.

    Raises
    ------
    OptionError
        If the name is nearly one of a checkpoint or a store: ``net.h5.``, ``run.ckpt/x``.
    ObjectNotFoundError
        If a name, glob or rank is for nothing that is there.
    NotWritableError
        If the file cannot be written, or would be pickled in place of one that ANNarchy did not
        write. An older one is untouched.
    """
    check_flags(barrier=barrier, monitors=monitors)
    # Before anything happens to the network: a barrier reseeds it.
    metadata = {} if metadata is None else plain_metadata(metadata)
    target = store_target(filename)
    if target is not None:
        if not isinstance(network, NetworkState | Checkpoint):
            simulator_for(network, net_id)  # no store is made for what cannot be saved
        folder, tag = target
        # A store keeps to its own compression unless another one is asked for.
        chosen = None if compression == "auto" else compression
        with CheckpointStore(folder, mode="a", compression=chosen) as store:
            return store.save(
                network,
                tag=tag,
                metadata=metadata,
                populations=populations,
                projections=projections,
                attributes=attributes,
                rows=rows,
                net_id=net_id,
                barrier=barrier,
                monitors=monitors,
                progress=progress,
            )
    pickled = _is_pickled(filename)
    foreign = writer_for(filename)
    for asked, fact in ((monitors, _NO_RECORDINGS), (rows is not None, _NO_PARTS)):
        if asked and (pickled or foreign is not None):
            raise OptionError(
                fact,
                details={"hint": "save to a file that ends in .h5, or to a store"},
                where=filename,
            )
    reading, origin = live_reading(
        network,
        net_id,
        Selection(populations, projections, attributes, rows),
        barrier=barrier,
        metadata=metadata,
        monitors=monitors,
    )
    if pickled:
        note = Note("", f"pickled, as ANNarchy does: {printable(Path(filename).name, 80)!r} names no format")
        return write_nameless(replace(reading, notes=(note, *reading.notes)), filename)
    if foreign is not None:
        return foreign(reading, filename)
    return write_single(
        reading,
        filename,
        compression=compression,
        created=now(),
        provenance=provenance(origin),
        progress=progress,
    )


_NO_RECORDINGS = "monitors=True: files in ANNarchy's formats hold no recordings"
_NO_PARTS = "rows=: files in ANNarchy's formats cannot say that they hold a part of a projection"


def _is_pickled(filename: PathLike) -> bool:
    """Whether a file is pickled because its name asks for nothing else; raise if it cannot be written.

    Raises
    ------
    NotWritableError
        As :func:`check_savable`, and if a file is there that ANNarchy did not write.
    """
    if is_meant_for_us(filename) or writer_for(filename) is not None:
        check_savable(filename)
        return False
    final = check_target(filename)
    if final.exists() and final.stat().st_size and format_of(final) is not ANNARCHY:
        raise NotWritableError(
            "the file that is there is not one that ANNarchy wrote",
            details={"hint": "give the new file the extension .h5, or another name"},
            where=final,
        )
    return True


def check_savable(filename: PathLike) -> None:
    """Raise if a target names no format or cannot be written to, before anything is read.

    Raises
    ------
    OptionError
        If the extension names no format, or the path is not a local one.
    NotWritableError
        If there is something else than an ordinary file, a file that is write-protected,
        or a folder that cannot be written to or made. Stores are checked when they are opened.
    """
    if store_target(filename) is not None:
        return
    if writer_for(filename) is None:
        check_single(filename)
    else:
        check_target(filename)


def load(
    filename: PathLike,
    populations: Which = True,
    projections: Which = True,
    net_id: int = 0,
    *,
    network: Any = None,
    strict: bool = True,
    attributes: Attributes | None = None,
    names: Names | None = None,
    rows: Rows | None = None,
    monitors: bool = False,
    progress: Progress | None = None,
) -> LoadReport:
    """Load a file into a live, compiled network.

    Everything is checked against the network first, every selected value against its
    digest; only then is anything set. Where the stored connectivity differs from the
    live one, the projection is rebuilt.

    Parameters
    ----------
    filename : path-like
        The content decides what it is, not the extension.
    populations, projections : bool, str or list of str
        All, none, or names and globs; of the file only their bytes are read. With ``names``, the
        names in the file. A live population or projection stands for its name.
    net_id : int
        Number of the network, for simulators that keep them globally (ANNarchy 4).
    network : optional
        The live network; default is the simulator's global one.
    strict : bool
        True: any problem raises one error that lists them all, and nothing changes.
        False: what fits is loaded, the rest is in the report. If none of the file's populations and
        projections fits, the time step, constants and dynamics stay as they are.
    attributes : str, list of str or mapping, optional
        Parameters and variables to load, as for :func:`save`; the others stay as they are.
    names : mapping of str to str, optional
        Names of the file, or globs, and what they are called in the network: ``{"exc*": "E*"}``,
        where each ``*`` of the new name stands for what the old one matched. ``populations/a`` is the
        population only, where a projection has the same name.
    rows : mapping of str to sequence of int, optional
        Load only some dendrites of a projection, ``{"ff": [0, 3]}``, by the ranks of their neurons. With
        ``names``, the names in the file. They need the same synapses in the file and in the network;
        all others stay as they are.
    monitors : bool
        The network's monitors are cut back to what they held when the file was saved, and go on from
        there; the whole network is loaded. See ``docs/recordings.md``.
    progress : callable, optional
        Called as ``progress(what, done, total)`` with bytes.

    Raises
    ------
    MismatchError
        If ``strict`` and something does not fit; nothing was changed.
    """
    check_flags(strict=strict, monitors=monitors)
    simulator = simulator_for(network, net_id)
    selection = Selection(populations, projections, attributes, rows)
    with stored_reading(filename, selection, dt=lambda: clock_of(simulator).dt) as stored:
        state = stored.state
        if names is not None:
            state = renamed(state, names)
            selection = selection.renamed(state.populations, state.projections, old=stored.state.projections)
        return load_into(
            simulator,
            Reading(state, stored.notes),
            selection=selection,
            strict=strict,
            path=spoken(filename),
            monitors=monitors,
            progress=progress,
        )


def build(
    filename: PathLike,
    *,
    simulator: str | Builds,
    populations: Which = True,
    projections: Which = True,
    strict: bool = True,
    progress: Progress | None = None,
) -> tuple[Any, LoadReport]:
    """Make a network from a file, and load the file into it.

    Parameters
    ----------
    filename : path-like
        As :func:`load` takes it.
    simulator : str or object
        Name of a registered simulator that makes networks, or something with a method ``build(state)``.
    populations, projections : bool, str or list of str
        All, none, or names and globs; the network has no others.
    strict : bool
        True: if anything of the file does not fit what was made of it, an error lists all of that.
        False: what fits is loaded, the rest is in the report.
    progress : callable, optional
        Called as ``progress(what, done, total)`` with bytes.

    Returns
    -------
    network, report
        The network, as users of the simulator hold one, and what :func:`load` reports.

    Raises
    ------
    SimulatorError
        If no simulator of that name makes networks, or it cannot make this one.
    MismatchError
        If ``strict`` and something does not fit.
    """
    check_flags(strict=strict)
    make = simulator.build if isinstance(simulator, Builds) else SIMULATORS.builder(simulator)
    with stored_reading(filename, Selection(populations, projections)) as reading:
        network = make(reading.state)
        report = load_into(
            simulator_for(network), reading, strict=strict, path=spoken(filename), progress=progress
        )
    return network, report


def verify(path: PathLike, *, progress: Progress | None = None) -> VerifyReport:
    """Read everything in a checkpoint, or in a whole store, against its digests and say what is damaged.

    Raises
    ------
    OutsideStoreError
        If it is a file taken out of a store, where most of its values still are.
    """
    place = place_in_store(path)
    if place is not None and place[1] is None:
        folder = place[0]
        series = SeriesView(folder if isinstance(folder, Bucket) else folder.path)
        return series.verify(progress=progress)
    began = time.perf_counter()
    damaged = []
    with open(path) as checkpoint:
        checkpoint.check_place()
        arrays = checkpoint.arrays
        total = sum(array.nbytes for array in arrays.values()) if progress else 0
        meter = Meter(progress, total)
        for what, count, error in checkpoint.verify():
            if error is not None:
                damaged.append(Note(what, error.fact))
            meter.tick(what, count)
    return VerifyReport(spoken(path), len(arrays), tuple(damaged), meter.done, time.perf_counter() - began)
