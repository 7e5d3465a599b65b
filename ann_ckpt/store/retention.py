"""Retention rules: which checkpoints to keep; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ann_ckpt.errors import OptionError
from ann_ckpt.store.catalog import CheckpointInfo

__all__ = ["Retention"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Retention rules: a checkpoint is kept if any rule selects it; the newest always is.

    Raises
    ------
    OptionError
        If no rule is given, or a number is below 1.
    """

    keep_last: int | None = None
    """How many of the newest stay."""
    keep_every: int | None = None
    """Of every so many time steps, the first checkpoint stays."""
    keep_tags: bool = True
    """Whether those stay that a tag names. A tag given twice names the newer one."""
    keep: Callable[[CheckpointInfo], bool] | None = None
    """Says of each checkpoint whether it stays."""

    def __post_init__(self) -> None:
        for name in ("keep_last", "keep_every"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise OptionError(f"{name}={number}; expected at least 1")
        if self.keep_last is None and self.keep_every is None and self.keep is None:
            raise OptionError(
                "no retention rule given", details={"expected": "keep_last, keep_every or keep"}
            )

    def doomed(self, infos: Sequence[CheckpointInfo]) -> list[CheckpointInfo]:
        """Return the checkpoints to remove.

        Parameters
        ----------
        infos : sequence of CheckpointInfo
            The whole series, oldest first. One that cannot be read stays, because nobody
            can say what it is.
        """
        kept = {info.name for info in infos[-max(1, self.keep_last or 1) :]}
        kept |= {info.name for info in infos if info.problem is not None}
        if self.keep_every is not None:
            firsts: dict[tuple[int, int], str] = {}
            for info in infos:
                firsts.setdefault((info.slot.round, info.slot.step // self.keep_every), info.name)
            kept |= set(firsts.values())
        if self.keep_tags:
            kept |= set({info.tag: info.name for info in infos if info.tag is not None}.values())
        if self.keep is not None:
            kept |= {info.name for info in infos if info.name not in kept and self.keep(info)}
        return [info for info in infos if info.name not in kept]
