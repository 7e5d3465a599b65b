"""What is found while two networks are compared, collected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TypeVar

from ann_ckpt.diffing.report import StateDiff, SynapseChange, ValueChange
from ann_ckpt.diffing.values import compare_values
from ann_ckpt.errors import printable
from ann_ckpt.model import Array, Attribute, PopulationState, ProjectionState, Resume, TypeInfo
from ann_ckpt.report import Note

__all__ = ["Findings"]

T = TypeVar("T")
_FEW = 8


class Findings:
    """Every difference, in the order in which it is found."""

    def __init__(self) -> None:
        self._described: list[Note] = []
        self._added: list[str] = []
        self._removed: list[str] = []
        self._changed: list[ValueChange] = []
        self._synapses: list[SynapseChange] = []

    def result(self, names: tuple[str, str], notes: tuple[Note, ...]) -> StateDiff:
        """Return everything together."""
        return StateDiff(
            *names,
            described=tuple(self._described),
            added=tuple(self._added),
            removed=tuple(self._removed),
            changed=tuple(self._changed),
            synapses=tuple(self._synapses),
            notes=notes,
        )

    def note(self, path: str, text: str) -> None:
        """Keep something that is no value."""
        self._described.append(Note(path, text))

    def rewired(self, change: SynapseChange) -> None:
        """Keep which synapses came and went."""
        self._synapses.append(change)

    def change(self, change: ValueChange | None) -> None:
        """Keep how values changed, if they did."""
        if change is not None:
            self._changed.append(change)

    def fields(self, path: str, a: object, b: object, names: tuple[str, ...]) -> None:
        """Compare what is said about two objects."""
        for name in names:
            one, other = getattr(a, name), getattr(b, name)
            if one != other:
                self.note(path, f"{name}{_words(one, other)}")

    def common(self, path: str, a: Mapping[str, T], b: Mapping[str, T]) -> Iterator[tuple[str, T, T]]:
        """Yield what both have, with its path; keep what only one has."""
        for name in a:
            if name in b:
                yield f"{path}/{name}", a[name], b[name]
            else:
                self._removed.append(f"{path}/{name}")
        self._added += [f"{path}/{name}" for name in b if name not in a]

    def arrays(self, path: str, a: Mapping[str, Array], b: Mapping[str, Array]) -> None:
        """Compare arrays by their names."""
        for place, one, other in self.common(path, a, b):
            self.change(compare_values(place, one, other))

    def attributes(
        self, path: str, a: PopulationState | ProjectionState, b: PopulationState | ProjectionState
    ) -> Iterator[tuple[str, Attribute, Attribute]]:
        """Yield the attributes that both have, of the same locality; keep what is said about the others."""
        for group, elsewhere in (("parameters", "variables"), ("variables", "parameters")):
            for name in getattr(a, group):
                if name in getattr(b, elsewhere):
                    self.note(f"{path}/{name}", f"moved from {group} to {elsewhere}")
        for place, one, other in self.common(path, a.attributes, b.attributes):
            if one.locality == other.locality:
                yield place, one, other
            else:
                self.note(place, f"{one.locality} became {other.locality}, so values are not compared")


def _words(one: object, other: object) -> str:
    """How two values differ: of those with names inside, which of these."""
    inside, others = _named(one), _named(other)
    if inside is None or others is None:
        return f" {printable(one, 60)} became {printable(other, 60)}"
    nothing = object()
    differ = [n for n in {**inside, **others} if inside.get(n, nothing) != others.get(n, nothing)]
    return f": other {', '.join(printable(name, 40) for name in differ[:_FEW])}" + ", ..." * (
        len(differ) > _FEW
    )


def _named(value: object) -> Mapping[str, object] | None:
    if isinstance(value, TypeInfo | Resume):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value if isinstance(value, Mapping) else None
