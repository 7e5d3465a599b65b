"""How checkpoints of a store are called: names of their files, and tags."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ann_ckpt.errors import OptionError, printable

__all__ = [
    "STEP_DIGITS",
    "SUFFIX",
    "Slot",
    "check_tag",
    "is_step",
    "step_text",
]

SUFFIX = ".ckpt"
"""How a store's folder is called, so that a path alone says what to create."""
STEP_DIGITS = 12
"""Digits of the step in the name of a checkpoint, at least."""
_SLOT = re.compile(rf"(\d{{{STEP_DIGITS}}}|[1-9]\d{{{STEP_DIGITS},19}})(?:-([1-9]\d{{0,8}}))?", re.ASCII)
_STEP = re.compile(r"\d+(-\d+)?")
_TAG_LENGTH = 100


def step_text(step: int) -> str:
    """Return a step as it stands in the name of a checkpoint."""
    return f"{step:0{STEP_DIGITS}d}"


@dataclass(frozen=True, order=True, slots=True)
class Slot:
    """Position of a checkpoint in the series, encoded in its file name.

    Checkpoints stand in the order in which they were saved. A name is the time step;
    where that does not rise, because the run went back or the step is not known, the
    name takes a number in which it does.

    Examples
    --------
    >>> Slot(0, 1000).name, Slot(2, 1000).name
    ('000000001000', '000000001000-2')
    >>> Slot.after(Slot(0, 1000), 1500), Slot.after(Slot(0, 1000), 400)
    (Slot(round=0, step=1500), Slot(round=1, step=400))
    """

    round: int
    """How often the series went back or stood still before."""
    step: int
    """Time step, or that of the checkpoint before where it is not known."""

    @property
    def name(self) -> str:
        """File name without its extension."""
        return step_text(self.step) + (f"-{self.round}" if self.round else "")

    @classmethod
    def parse(cls, name: str) -> Slot | None:
        """Return the slot of that name, or None for anything else."""
        found = _SLOT.fullmatch(name)
        return None if found is None else cls(int(found[2] or 0), int(found[1]))

    @classmethod
    def after(cls, newest: Slot | None, step: int | None) -> Slot:
        """Return the slot of a state that is saved now.

        Parameters
        ----------
        newest : Slot or None
            The last one of the series.
        step : int or None
            Time step of the state, if known.
        """
        if newest is None:
            return cls(0, step or 0)
        if step is None:
            return cls(newest.round + 1, newest.step)
        return cls(newest.round + (step <= newest.step), step)


def is_step(which: str) -> bool:
    """Whether the text after ``@`` is a step or a checkpoint's name, not a tag."""
    return len(which) <= _TAG_LENGTH and _STEP.fullmatch(which) is not None


def check_tag(tag: str) -> str:
    """Check a tag: after ``@`` it must be unambiguous.

    Raises
    ------
    OptionError
        If it is empty, too long, looks like a step, or holds an ``@`` or a control character.
    """
    if not isinstance(tag, str):
        raise OptionError(f"a tag is of type {type(tag).__name__}", details={"expected": "a text (str)"})
    if not 0 < len(tag) <= _TAG_LENGTH or "@" in tag or not tag.isprintable() or is_step(tag):
        raise OptionError(
            f"{printable(tag)!r} cannot be a tag",
            details={"expected": f"up to {_TAG_LENGTH} printable characters, no '@', not just a number"},
        )
    return tag
