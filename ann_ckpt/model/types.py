"""What a model declares: neuron and synapse types as text, and whether a run can be resumed exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ann_ckpt.errors import StateError, printable
from ann_ckpt.model.plain import bound, check_kind, check_text, mapping, whole

__all__ = ["AttributeInfo", "Exactness", "Part", "Resume", "TypeInfo"]


@dataclass(frozen=True, slots=True)
class AttributeInfo:
    """What a neuron or synapse model declares about one attribute."""

    ctype: str = ""
    """C type in the simulator: ``double``, ``float``, ``int``, ``bool``; empty if unknown."""
    description: str = ""
    unit: str = ""
    minimum: float | None = None
    """Lower bound that the model enforces, in the attribute's unit."""
    maximum: float | None = None
    """Upper bound that the model enforces, in the attribute's unit."""

    def __post_init__(self) -> None:
        for what in ("ctype", "description", "unit"):
            object.__setattr__(self, what, check_text(f"the {what} of an attribute", getattr(self, what)))
        for what in ("minimum", "maximum"):
            object.__setattr__(self, what, bound(what, getattr(self, what)))


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """A neuron or synapse type as text."""

    name: str
    description: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Parts of the definition as the user wrote them: ``parameters``, ``equations``, ``spike``, ..."""
    attributes: Mapping[str, AttributeInfo] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_text("the name of a type", self.name))
        title = f"type {printable(self.name)!r}"
        object.__setattr__(self, "description", check_text(f"{title}: the description", self.description))
        texts = {
            check_text(f"{title}: the name of a text", name): check_text(f"{title}: {printable(name)}", text)
            for name, text in mapping(f"{title}: texts", self.texts).items()
        }
        object.__setattr__(self, "texts", texts)
        attributes = mapping(f"{title}: attributes", self.attributes)
        for name, declared in attributes.items():
            check_text(f"{title}: the name of an attribute", name)
            check_kind(f"{title}, attribute {printable(name)!r}", declared, AttributeInfo)
        object.__setattr__(self, "attributes", dict(attributes))


class Exactness(StrEnum):
    """Exactness: how a resumed run compares with the uninterrupted one."""

    EXACT = "exact"
    """Every value of every later step is the same, bit for bit."""
    RESEEDED = "exact after a reseed barrier"
    """The same, because both runs reseeded their random generators where the state was taken."""
    APPROXIMATE = "approximate"
    """Something that the simulator carries from step to step is not in the state."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Exactness of resuming one population, projection or network, with reasons."""

    exactness: Exactness
    reasons: tuple[str, ...] = ()
    """Why it is not exact, one thing each; empty exactly if it is :attr:`Exactness.EXACT`."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "exactness", Exactness(self.exactness))
        except ValueError as error:
            raise StateError(f"unknown exactness {printable(self.exactness)!r}") from error
        object.__setattr__(self, "reasons", tuple(check_text("a reason", r) for r in self.reasons))
        if (self.exactness is Exactness.EXACT) != (not self.reasons):
            raise StateError(f"exactness is {self.exactness}, with {len(self.reasons)} reasons against it")

    def __str__(self) -> str:
        return f"{self.exactness}: {', '.join(self.reasons)}" if self.reasons else str(self.exactness)


@dataclass(frozen=True, slots=True)
class Part:
    """Which neurons of a population are here, of a network that several processes have together."""

    first: int
    """Where they begin along the first axis of the whole population's geometry."""
    whole: int
    """Length of that axis."""

    def __post_init__(self) -> None:
        for name in ("first", "whole"):
            object.__setattr__(self, name, whole(f"the part of a population: {name}", getattr(self, name)))
