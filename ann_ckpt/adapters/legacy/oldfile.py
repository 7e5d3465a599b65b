"""What an old file is: the network in it, who wrote it, what it lacks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ann_ckpt.adapters.legacy.values import Document
from ann_ckpt.adapters.legacy.versions import kind_of_table, written_by
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.model import PopulationState, ProjectionState
from ann_ckpt.report import Loss, Note

__all__ = ["OldFile", "old_file"]

_OLDEST_PYTHON: Final = {"protocol3": "3.0", "protocol4": "3.4", "protocol5": "3.8"}


@dataclass(frozen=True, slots=True)
class OldFile:
    """A file that ANNarchy wrote, read."""

    path: str
    container: str
    """``pickle``, ``gzip``, ``npz`` or ``mat``."""
    kind: str
    """``network``, ``population``, ``projection`` or ``connectivity``."""
    file_bytes: int
    annarchy: str
    """Versions that write such files, such as ``4.5.3 to 4.5.4``."""
    python: str
    """Versions of Python that write such pickles: ``2``, ``3.8 or later``; empty if unknown."""
    reading: Reading
    """What is in it, and notes on what it does not say."""

    @property
    def lost(self) -> tuple[Note, ...]:
        """What the file should hold and does not."""
        return tuple(note for note in self.reading.notes if isinstance(note, Loss))

    @property
    def notes(self) -> tuple[Note, ...]:
        """What no such file says, and what was assumed instead."""
        return tuple(note for note in self.reading.notes if not isinstance(note, Loss))

    def origin(self) -> dict[str, Any]:
        """Return where a state comes from that was read of this file, ready for its metadata."""
        return {
            "file": Path(self.path).name,
            "container": self.container,
            "kind": self.kind,
            "annarchy": self.annarchy,
            "python": self.python,
            "notes": [[note.path, note.text] for note in self.reading.notes],
        }

    def describe(self) -> dict[str, Any]:
        """Return what the file holds as plain data, ready for JSON.

        Returns
        -------
        dict
            ``path``, ``container``, ``kind``, ``file_bytes``, ``annarchy`` and ``python``
            as here; ``time_step``, ``dt_ms``; ``populations`` and ``projections``, each
            a list of dicts; ``lost`` and ``notes``, lists of dicts with ``path`` and ``text``.
        """
        state = self.reading.state
        return {
            "path": self.path,
            "container": self.container,
            "kind": self.kind,
            "file_bytes": self.file_bytes,
            "annarchy": self.annarchy,
            "python": self.python,
            "time_step": state.time_step,
            "dt_ms": state.dt,
            "populations": [_population(p) for p in state.populations.values()],
            "projections": [_projection(p) for p in state.projections.values()],
            "lost": [_note(note) for note in self.lost],
            "notes": [_note(note) for note in self.notes],
        }


def old_file(path: str, file_bytes: int, document: Document, reading: Reading) -> OldFile:
    """Put together what was read of a file, and judge who wrote it."""
    kind = kind_of_table(document.content) if isinstance(document.content, dict) else None
    return OldFile(
        path=path,
        container=document.container,
        kind=str(kind or ""),
        file_bytes=file_bytes,
        annarchy=written_by(document),
        python=_python(document),
        reading=reading,
    )


def _python(document: Document) -> str:
    if "python2" in document.traits:
        return "2"
    oldest = [version for trait, version in _OLDEST_PYTHON.items() if trait in document.traits]
    return f"{oldest[-1]} or later" if oldest else ""


def _note(note: Note) -> dict[str, str]:
    return {"path": note.path, "text": note.text}


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
