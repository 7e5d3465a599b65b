"""Exactness: whether a resumed run repeats the saved one bit for bit, and if not why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ann_ckpt.errors import StateError, printable
from ann_ckpt.model.checks import check_text

__all__ = ["Exactness", "Resume"]


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
