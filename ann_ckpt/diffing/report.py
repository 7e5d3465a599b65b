"""The report of a comparison."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ann_ckpt.errors import printable
from ann_ckpt.model.units import quantity
from ann_ckpt.paths import spoken
from ann_ckpt.report import Note, Report

__all__ = ["StateDiff", "SynapseChange", "ValueChange"]

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class ValueChange:
    """How one array, or one value, differs."""

    path: str
    """``populations/out/r``, ``projections/ff/w``, ``projections/ff/delays``, ``constants/period``."""
    compared: int
    """Values that are in both; 0 where the shapes rule a comparison out."""
    changed: int
    """How many of them differ in any bit."""
    largest: float | None
    """Largest change, of those that are finite numbers; None if there is none."""
    mean: float | None
    """Mean size of the change, over the values that changed by a finite number."""
    text: str = ""
    """What else there is to say: the two values, types or shapes."""
    unit: str = ""
    """Unit of ``largest`` and ``mean``, as the files have it."""
    beyond: int = 0
    """How many of ``changed`` did not change by a finite number: they became NaN, or were infinite."""

    def __str__(self) -> str:
        parts = [printable(self.text, 200)] if self.text else []
        if self.compared > 1:
            parts.append(f"{self.changed:,} of {self.compared:,} values")
        if self.compared > 1 and self.largest is not None and self.mean is not None:
            largest, mean = (quantity(size, self.unit, 3) for size in (self.largest, self.mean))
            parts.append(f"by at most {largest}, {mean} on average")
        if self.compared > 1 and self.beyond:
            parts.append(f"{self.beyond:,} of them not by a finite number")
        return f"{printable(self.path, 200)}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class SynapseChange:
    """Synapses of one projection that were added and removed, matched by (pre, post)."""

    path: str
    """``projections/ff``."""
    kept: int
    added: int
    removed: int
    dendrites_added: int
    """Rows that only the second one has, with synapses or without."""
    dendrites_removed: int
    moved: bool
    """Whether those that stayed stand in another order."""

    def __str__(self) -> str:
        parts = [f"{self.added:,} synapses added", f"{self.removed:,} removed", f"{self.kept:,} kept"]
        if self.dendrites_added or self.dendrites_removed:
            parts.append(f"{self.dendrites_added:,} dendrites added, {self.dendrites_removed:,} removed")
        if self.moved:
            parts.append("in another order")
        return f"{printable(self.path, 200)}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True, repr=False)
class StateDiff(Report):
    """Differences between two networks, from ``a`` to ``b``."""

    a: str
    b: str
    described: tuple[Note, ...]
    """What is said of the networks and their objects besides values: steps, metadata, types, order."""
    added: tuple[str, ...]
    """Objects and attributes that only ``b`` has."""
    removed: tuple[str, ...]
    """Objects and attributes that only ``a`` has."""
    changed: tuple[ValueChange, ...]
    synapses: tuple[SynapseChange, ...]
    notes: tuple[Note, ...] = ()
    """What one of the sources could not say, so that nothing is known of it here."""

    @property
    def same(self) -> bool:
        """Whether the two are equal, bit for bit."""
        return not (self.described or self.added or self.removed or self.changed or self.synapses)

    def headline(self) -> str:
        """Return the result in one line."""
        names = " and ".join(printable(spoken(name), 200) for name in (self.a, self.b))
        if self.same:
            return f"{names} are the same"
        counts = {
            "described otherwise": len(self.described),
            "added": len(self.added),
            "removed": len(self.removed),
            "rewired": len(self.synapses),
            "changed": len(self.changed),
        }
        return f"{names} differ: " + ", ".join(f"{n} {what}" for what, n in counts.items() if n)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings, ready for JSON."""
        return {"same": self.same, **asdict(self), "a": spoken(self.a), "b": spoken(self.b)}

    def __str__(self) -> str:
        return "\n".join(self.lines(_SHOWN))

    def lines(self, at_most: int | None = None) -> list[str]:
        """Return the headline and what differs, under a title for each kind.

        Parameters
        ----------
        at_most : int, optional
            How many of each kind; the rest is counted.
        """
        lines = [self.headline()]
        for title, entries in (
            ("described otherwise", self.described),
            ("added", tuple(printable(path, 200) for path in self.added)),
            ("removed", tuple(printable(path, 200) for path in self.removed)),
            ("rewired", self.synapses),
            ("changed", self.changed),
            ("not known", self.notes),
        ):
            shown = entries[:at_most]
            if entries:
                lines += [f"  {title} ({len(entries)}):", *(f"    {entry}" for entry in shown)]
            if len(entries) > len(shown):
                lines.append(f"    and {len(entries) - len(shown)} more")
        return lines
