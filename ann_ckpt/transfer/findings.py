"""What comes out of comparing: things to do, and everything worth saying."""

from __future__ import annotations

from dataclasses import dataclass, field

from ann_ckpt.report import Note
from ann_ckpt.transfer.actions import Action

__all__ = ["Findings"]


@dataclass(slots=True)
class Findings:
    """Filled while a plan is made; frozen into the plan at its end."""

    actions: list[Action] = field(default_factory=list)
    cast: list[Note] = field(default_factory=list)
    rebuilt: list[Note] = field(default_factory=list)
    missing_in_file: list[Note] = field(default_factory=list)
    missing_in_network: list[Note] = field(default_factory=list)
    mismatched: list[Note] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def do(self, action: Action) -> None:
        """Put an action at the end of the plan."""
        self.actions.append(action)

    def mismatch(self, path: str, text: str) -> None:
        """Report what both sides have and does not fit."""
        self.mismatched.append(Note(path, text))

    def not_in_file(self, path: str, text: str) -> None:
        """Report what only the network has."""
        self.missing_in_file.append(Note(path, text))

    def not_in_network(self, path: str, text: str) -> None:
        """Report what only the file has."""
        self.missing_in_network.append(Note(path, text))

    def note(self, path: str, text: str) -> None:
        """Say what is no problem and still worth knowing."""
        self.notes.append(Note(path, text))
