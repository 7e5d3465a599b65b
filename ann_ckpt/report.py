"""Reports of saving, loading and verifying; printable and convertible to JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ann_ckpt.errors import printable
from ann_ckpt.markup import card, preformatted

__all__ = [
    "LoadReport",
    "Loss",
    "Meter",
    "Note",
    "Progress",
    "Report",
    "SaveReport",
    "VerifyReport",
    "count",
    "human_bytes",
]

Progress = Callable[[str, int, int], None]
"""``progress(what, done, total)``: the object at work, and bytes done of the bytes in all."""

_SHOWN = 8


class Meter:
    """Counts bytes, and tells a progress callback.

    Parameters
    ----------
    progress : callable, optional
        Called after each step.
    total : int
        Bytes expected in all; if there are more, the total grows with them.
    """

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self.done = 0
        """Bytes so far."""

    def tick(self, what: str, count: int) -> None:
        """Add bytes of one object."""
        self.done += count
        if self._progress is not None:
            self._progress(what, self.done, max(self._total, self.done))


@dataclass(frozen=True, slots=True)
class Note:
    """A note on one object, for a report."""

    path: str
    """The object: ``populations/out``, ``projections/ff/w``, or empty for the whole network."""
    text: str
    """What about it, in one sentence."""

    def __str__(self) -> str:
        return (
            f"{printable(self.path)}: {printable(self.text, 400)}" if self.path else printable(self.text, 400)
        )


@dataclass(frozen=True, slots=True)
class Loss(Note):
    """A note on missing data in the source; the result is partial."""


def count(number_of: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> count(1, "dendrite"), count(1200, "synapse")
    ('1 dendrite', '1,200 synapses')
    """
    return f"{number_of:,} {noun}{'' if number_of == 1 else 's'}"


def human_bytes(count: float) -> str:
    """Return a byte count in readable units.

    Examples
    --------
    >>> human_bytes(1536), human_bytes(12)
    ('1.5 KiB', '12 B')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


class Report:
    """Printing shared by all reports: a headline, then each list of notes that is not empty."""

    __slots__ = ()

    def headline(self) -> str:
        """Return the report in one line."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings, ready for JSON."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.headline()}>"

    def _repr_html_(self) -> str:
        return card(self.headline(), preformatted("\n".join(str(self).split("\n")[1:])))

    def __str__(self) -> str:
        lines = [self.headline()]
        for entry in fields(self):  # type: ignore[arg-type]
            notes = getattr(self, entry.name)
            if isinstance(notes, tuple) and notes and isinstance(notes[0], Note):
                lines += _listed(entry.name.replace("_", " "), notes)
        return "\n".join(lines)


def _listed(title: str, notes: Sequence[Note]) -> list[str]:
    lines = [f"  {title} ({len(notes)}):", *(f"    {note}" for note in notes[:_SHOWN])]
    if len(notes) > _SHOWN:
        lines.append(f"    and {len(notes) - _SHOWN} more")
    return lines


@dataclass(frozen=True, slots=True, repr=False)
class SaveReport(Report):
    """Report of a save."""

    path: str
    saved: tuple[str, ...]
    """Objects written: ``populations/out``, ``projections/ff``, ..."""
    skipped: tuple[Note, ...]
    """Objects that cannot be saved, and what the source could not say."""
    bytes_written: int
    """Size of the new file in bytes."""
    seconds: float

    def headline(self) -> str:
        """Return the report in one line."""
        return (
            f"saved {count(len(self.saved), 'object')} to {printable(self.path)}: "
            f"{human_bytes(self.bytes_written)} in {self.seconds:.2f} s"
        )


@dataclass(frozen=True, slots=True, repr=False)
class LoadReport(Report):
    """Report of a load: what changed in the live network and what did not."""

    path: str
    loaded: tuple[str, ...]
    """Attributes set: ``populations/out/r``, ``projections/ff/w``, ..."""
    cast: tuple[Note, ...]
    """Values whose type differs between file and network and were converted."""
    rebuilt: tuple[Note, ...]
    """Projections whose stored connectivity differed and was put in place."""
    missing_in_file: tuple[Note, ...]
    """What the network has and the file does not; left as it was."""
    missing_in_network: tuple[Note, ...]
    """What the file has and the network does not; not loaded."""
    mismatched: tuple[Note, ...]
    """What is in both and does not fit; not loaded."""
    notes: tuple[Note, ...]
    """What the file could not say, or what a resumed run should know."""
    bytes_read: int
    """Bytes of values handed to the network."""
    seconds: float
    moved: tuple[int | None, int] | None = None
    """Time step before and after, where it was set to another one."""

    @property
    def problems(self) -> tuple[Note, ...]:
        """Problems that make a strict load fail."""
        return self.missing_in_file + self.missing_in_network + self.mismatched

    def headline(self) -> str:
        """Return the report in one line."""
        attributes = sum("/" in path for path in self.loaded)  # and not the time step or a seed
        clock = "" if self.moved is None else ", time step {} -> {}".format(*self.moved)
        return (
            f"loaded {count(attributes, 'attribute')} from {printable(self.path)}: "
            f"{human_bytes(self.bytes_read)} in {self.seconds:.2f} s, {count(len(self.problems), 'problem')}"
            f"{clock}"
        )


@dataclass(frozen=True, slots=True, repr=False)
class VerifyReport(Report):
    """Report of a verification."""

    path: str
    checked: int
    """Arrays whose values were read and hashed."""
    damaged: tuple[Note, ...]
    bytes_read: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether no damage was found."""
        return not self.damaged

    def headline(self) -> str:
        """Return the report in one line."""
        verdict = "intact" if self.ok else f"{len(self.damaged)} DAMAGED"
        return (
            f"{printable(self.path)}: {verdict}, {count(self.checked, 'array')}, "
            f"{human_bytes(self.bytes_read)} in {self.seconds:.2f} s"
        )
