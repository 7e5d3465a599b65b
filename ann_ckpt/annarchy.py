"""Functions for ANNarchy users: compile with the instrumentation, load connectivity from old files.

    import ann_ckpt

    ann_ckpt.annarchy.compile(net)      # instead of net.compile()

A network compiled so gives out and takes back what ANNarchy otherwise keeps to itself:
delay queues, spikes on their way, refractory countdowns, random generators. Its results
are the same, bit for bit. See ``docs/exact-resume.md``.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

from ann_ckpt.adapters import legacy
from ann_ckpt.adapters.annarchy.bindings import by_name
from ann_ckpt.adapters.annarchy.building import build, build_directory, step_length
from ann_ckpt.adapters.annarchy.instrument import (
    Instrumentation,
    InstrumentationWarning,
    compile_instrumented,
)
from ann_ckpt.errors import ObjectNotFoundError, OptionError
from ann_ckpt.report import Note

# Without compile(), which is used qualified: a star import would hide the builtin.
__all__ = ["Instrumentation", "InstrumentationWarning", "SameNameWarning", "from_file", "instrument"]


class SameNameWarning(UserWarning):
    """ANNarchy gave two objects of a network the same name; in checkpoints they have different ones."""


def instrument() -> Instrumentation:
    """Instrument every ANNarchy 5.0 network that is compiled from now on.

    Use the result as a context manager around ``compile()``, or call its ``remove()``.
    Networks that were compiled before stay as they are.

    Warns
    -----
    InstrumentationWarning
        Once, if ANNarchy is of a version that is not known or its code generator has
        changed. Then nothing is changed, and networks work as they always did.

    Examples
    --------
    >>> with ann_ckpt.annarchy.instrument():          # doctest: +SKIP
    ...     net.compile()
    """
    return Instrumentation()


def compile(network: Any, **options: Any) -> None:  # noqa: A001  (ANNarchy's own word for it)
    """Compile a network with the instrumentation, while no other process compiles in the same directory.

    Parameters
    ----------
    network : ANNarchy.Network
    **options
        What its ``compile()`` takes. Without ``directory``, the environment variable ``ANN_CKPT_BUILD``
        names it, which the scripts of ``ann-ckpt batch-script`` set; else it is ``annarchy``.

    Warns
    -----
    InstrumentationWarning
        If ANNarchy is not what the instrumentation knows, or its generated C++ does not build with
        it. The network is then compiled as usual.
    SameNameWarning
        If ANNarchy gave two populations or two projections the same automatic name, and under which
        name each is saved.

    Raises
    ------
    SimulatorError
        If two of them have a name in common that somebody gave them; such a network cannot be saved.
    NotWritableError
        If the lock beside the directory cannot be made.
    """
    for noun, objects in (
        ("population", network.get_populations()),
        ("projection", network.get_projections()),
    ):
        for name, thing in by_name(noun, objects).items():
            if name != thing.name:
                warnings.warn(
                    f"two {noun}s are called {thing.name!r}; this one is saved as {name!r}, unless it gets a "
                    f"name of its own: {noun}.name = ...",
                    SameNameWarning,
                    stacklevel=2,
                )
    chosen = options.pop("directory", None) or os.environ.get("ANN_CKPT_BUILD") or "annarchy"
    with build_directory(chosen) as directory:
        compile_instrumented(network, directory=directory, **options)


def from_file(
    projection: Any,
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    encoding: str | None = None,
    storage_format: str | None = None,
    storage_order: str | None = None,
) -> tuple[Note, ...]:
    """Give a projection the connectivity in a file, before the network is compiled.

    ANNarchy's own method of that name unpickles the file, and takes delays in the unit
    of its own version. This one runs nothing, knows which unit the file has, and reads
    every version and format, ``.mat`` included.

    Parameters
    ----------
    projection : ANNarchy.Projection
        Not connected yet.
    path : path-like
        What ``save_connectivity()`` or ``save()`` of any ANNarchy wrote.
    name : str, optional
        Which projection of the file, if it holds several.
    encoding : str, optional
        Of names from Python 2.
    storage_format, storage_order : str, optional
        As for ANNarchy's own connectors.

    Returns
    -------
    tuple of Note
        What the file does not say.

    Raises
    ------
    ObjectNotFoundError
        If the file holds no projection of that name.
    OptionError
        If it holds several and ``name`` is not given.
    UnsafeFileError, CorruptFileError
        If the file cannot be believed.
    ConnectivityError
        If it connects neurons that the populations do not have.
    SimulatorError
        If the network is compiled already.

    Examples
    --------
    >>> ann_ckpt.annarchy.from_file(proj, "trained.npz")          # doctest: +SKIP
    """
    reading = legacy.read(path, dt=step_length(projection), encoding=encoding)
    stored = reading.state.projections
    where = os.fspath(path)
    if name is None:
        if len(stored) > 1:
            raise OptionError("the file holds several projections; name= must select one", where=where)
        name = next(iter(stored), "")
    if name not in stored:
        raise ObjectNotFoundError.among("the file", "projection", name, stored, where=where)
    build(projection, stored[name], storage_format=storage_format, storage_order=storage_order)
    return reading.notes
