"""Reports of saving to and pruning a store; printable and convertible to JSON."""

from __future__ import annotations

from dataclasses import dataclass

from ann_ckpt.errors import printable
from ann_ckpt.report import Note, Report, SaveReport, count, human_bytes
from ann_ckpt.store.saving.placement import ArrayAction, ArrayPlan

__all__ = [
    "PruneReport",
    "StorePlan",
    "StoreReport",
]


@dataclass(frozen=True, slots=True, repr=False)
class StorePlan(Report):
    """Plan of a save to a store."""

    arrays: tuple[ArrayPlan, ...]
    skipped: tuple[Note, ...]
    """Objects that cannot be saved, and what the source could not say."""

    @property
    def fresh_bytes(self) -> int:
        """Bytes of values that would be written, before compression."""
        return sum(array.fresh_bytes for array in self.arrays)

    def headline(self) -> str:
        """Return the plan in one line."""
        total = sum(array.nbytes for array in self.arrays)
        return f"{human_bytes(self.fresh_bytes)} of {human_bytes(total)} to write: {_counted(self.arrays)}"

    def __str__(self) -> str:
        return "\n".join([self.headline(), *(f"  {array}" for array in self.arrays)])


@dataclass(frozen=True, slots=True, repr=False)
class StoreReport(SaveReport):
    """Report of a save to a store; ``path`` is the checkpoint file."""

    name: str
    """The checkpoint's name in the series."""
    time_step: int | None
    tag: str | None
    arrays: tuple[ArrayPlan, ...]
    notes: tuple[Note, ...]
    """What was found on the way: leftovers swept, a damaged checkpoint not built upon."""
    pruned: tuple[str, ...]
    """Checkpoints that the store's own retention removed."""

    def of(self, action: ArrayAction | str) -> tuple[str, ...]:
        """Paths of the arrays that were ``new``, ``delta``, ``linked`` or ``inline``."""
        return tuple(array.path for array in self.arrays if array.action == action)

    @property
    def new(self) -> tuple[str, ...]:
        """Arrays written whole."""
        return self.of(ArrayAction.NEW)

    @property
    def linked(self) -> tuple[str, ...]:
        """Arrays of which nothing was written."""
        return self.of(ArrayAction.LINKED)

    @property
    def delta(self) -> tuple[str, ...]:
        """Arrays of which the changed blocks were written."""
        return self.of(ArrayAction.DELTA)

    def headline(self) -> str:
        """Return the report in one line."""
        tag = f" ({printable(self.tag, 40)})" if self.tag else ""
        return (
            f"saved {self.name}{tag}: {human_bytes(self.bytes_written)} in {self.seconds:.2f} s, "
            f"{_counted(self.arrays)}"
        )


@dataclass(frozen=True, slots=True, repr=False)
class PruneReport(Report):
    """Report of pruning a store."""

    path: str
    removed: tuple[str, ...]
    """Checkpoints, oldest first."""
    kept: tuple[str, ...]
    objects: int
    """Objects that no checkpoint needed."""
    bytes_freed: int
    dry_run: bool
    """Whether nothing was removed yet."""

    def headline(self) -> str:
        """Return the report in one line."""
        verb = "would remove" if self.dry_run else "removed"
        return (
            f"{printable(self.path)}: {verb} {len(self.removed)} of "
            f"{count(len(self.removed) + len(self.kept), 'checkpoint')} and {count(self.objects, 'object')}, "
            f"{human_bytes(self.bytes_freed)}"
        )


def _counted(arrays: tuple[ArrayPlan, ...]) -> str:
    counts = {action: sum(a.action is action for a in arrays) for action in ArrayAction}
    return ", ".join(f"{n} {action}" for action, n in counts.items() if n) or "no arrays"
