"""What an old file is, for people: who wrote it, what is in it, what it lacks."""

from __future__ import annotations

import os
from typing import Any, Final

from ann_ckpt.adapters.legacy.layouts import check_dt
from ann_ckpt.adapters.legacy.reading import interpret_document, open_document
from ann_ckpt.adapters.legacy.values import Document
from ann_ckpt.adapters.legacy.versions import kind_of_table, written_by
from ann_ckpt.model import PopulationState, ProjectionState

__all__ = ["describe"]

_OLDEST_PYTHON: Final = {"protocol3": "3.0", "protocol4": "3.4", "protocol5": "3.8"}


def describe(
    path: str | os.PathLike[str], *, dt: float | None = None, encoding: str | None = None
) -> dict[str, Any]:
    """Return what a file of ANNarchy's holds, as plain data ready for JSON.

    Parameters
    ----------
    path : path-like
        Any file that :func:`~ann_ckpt.adapters.legacy.read` reads.
    dt : float, optional
        Length of a step in ms, for delays.
    encoding : str, optional
        Of names in files from Python 2.

    Returns
    -------
    dict
        ``path``, ``container``, ``kind``, ``file_bytes``; ``annarchy`` and ``python``,
        the versions that write such files; ``time_step``, ``dt_ms``; ``populations``
        and ``projections``, each a list of dicts; ``notes``, a list of dicts with
        ``path`` and ``text``: what the file does not say.

    Raises
    ------
    UnsafeFileError, CorruptFileError, OptionError
        As reading does.
    """
    check_dt(dt)
    document, budget = open_document(path, encoding=encoding)
    reading = interpret_document(document, budget, path, dt=dt)
    state = reading.state
    return {
        "path": os.fspath(path),
        "container": document.container,
        "kind": str(kind_of_table(document.content)) if isinstance(document.content, dict) else None,
        "file_bytes": budget.stored,
        "annarchy": written_by(document),
        "python": _python(document),
        "time_step": state.time_step,
        "dt_ms": state.dt,
        "populations": [_population(p) for p in state.populations.values()],
        "projections": [_projection(p) for p in state.projections.values()],
        "notes": [{"path": note.path, "text": note.text} for note in reading.notes],
    }


def _python(document: Document) -> str | None:
    """Return which Python wrote the pickles of a file, as far as they show it."""
    if "python2" in document.traits:
        return "2"
    oldest = [version for trait, version in _OLDEST_PYTHON.items() if trait in document.traits]
    return f"{oldest[-1]} or later" if oldest else None


def _population(population: PopulationState) -> dict[str, Any]:
    return {
        "name": population.name,
        "geometry": list(population.geometry),
        "neurons": population.size,
        "parameters": list(population.parameters),
        "variables": list(population.variables),
    }


def _projection(projection: ProjectionState) -> dict[str, Any]:
    delays = projection.delays
    return {
        "name": projection.name,
        "pre": projection.pre,
        "post": projection.post,
        "target": projection.target,
        "dendrites": projection.n_rows,
        "synapses": projection.n_synapses,
        "delay_steps": delays if delays is None or isinstance(delays, int) else "per synapse",
        "parameters": list(projection.parameters),
        "variables": list(projection.variables),
    }
