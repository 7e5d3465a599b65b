"""What a benchmark is: cases, the contenders in them, and the goals they are compared with.

A module of cases has one function ``cases(scale)`` that returns :class:`Case` objects and
is listed in ``benchmarks/catalogue.py``. A case names its contenders in a function that is
called in a worker process, so describing a case costs nothing and needs no data::

    def cases(scale):
        return [Case("save/random", "Full save", contenders=partial(_contenders, scale.nbytes))]

    def _contenders(nbytes, folder):
        state = functools.cache(lambda: make_state(nbytes))
        ours, raw = folder / "ours.h5", folder / "raw.bin"
        return [
            Contender("os.write + fsync", lambda: write_raw(raw, state()), role=Role.LIMIT,
                      before=state, product=raw, after=lambda: remove(raw)),
            Contender("ann_ckpt", lambda: ann_ckpt.write(state(), ours), role=Role.OURS,
                      before=state, product=ours, after=lambda: remove(ours)),
        ]

The contenders of a case run in turn, A B A B, in one process; the peak memory of each is
taken in a process of its own.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

__all__ = ["SCALES", "Case", "Contender", "Goal", "Measured", "Role", "Scale", "flush", "remove", "size_of"]


class Role(StrEnum):
    """What a contender stands for in the table."""

    OURS = "ours"
    LIMIT = "limit"
    """What the machine can do: ratios are taken to the first of these."""
    PEER = "peer"
    """What somebody would use instead; the fastest one is the best peer."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the data of a run are."""

    name: str
    nbytes: int
    """Bytes of values in the usual case."""
    sizes: tuple[int, ...]
    """Bytes of values where the growth with size is shown."""
    kinds: tuple[str, ...]
    """What whole states are full of: keys of :data:`benchmarks.states.KINDS`."""
    synapses: tuple[int, ...]
    """Synapses of the live networks."""
    rounds: int
    """How often each contender runs, the warming up not counted."""
    patience: float
    """Seconds after which a contender stops taking part in further rounds of its case."""


_ALL_KINDS = ("random", "float32", "constant", "sorted-ranks", "all-to-all", "mixed")

SCALES = {
    scale.name: scale
    for scale in (
        Scale("tiny", 1 << 20, (1 << 20,), _ALL_KINDS, (2_500,), 2, 5.0),
        Scale("small", 32 << 20, (1 << 20,), ("random",), (250_000,), 3, 1.0),
        Scale(
            "full",
            256 << 20,
            (1 << 20, 16 << 20, 256 << 20, 1 << 30),
            ("random", "float32", "sorted-ranks", "mixed"),
            (1_000_000, 4_000_000, 16_000_000),
            3,
            8.0,
        ),
    )
}


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run returns that has taken its figures itself: not all of it is what the case is about."""

    seconds: float
    memory: int = 0
    """Bytes, with those of other processes; the peak of this one counts if it is higher. No run in a
    process of its own is needed then."""
    beside: Mapping[str, float] = field(default_factory=dict)
    """Other seconds of the same run, by what they are: each gets a column of its own."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do what a case is about."""

    name: str
    run: Callable[[], Any]
    """The timed call, durable on disk when it returns if the case is about writing."""
    role: Role = Role.PEER
    prepare: Callable[[], Any] = _nothing
    """Called once before anything is timed: makes the files that ``run`` reads."""
    before: Callable[[], Any] = _nothing
    """Called before each run, untimed: data into memory."""
    after: Callable[[], Any] = _nothing
    """Called after each run, untimed: removes what it wrote."""
    check: Callable[[Any], Any] | None = None
    """Called once with what ``run`` returned, untimed; raises if it is not right."""
    product: Path | None = None
    """File or folder whose size is reported, read after each run."""
    needs: tuple[str, ...] = ()
    """Distributions that have to be installed; without them the table says so."""
    memory: bool = True
    """Whether its peak memory is of interest; it takes a process of its own."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of ``needs`` that are not installed here."""
        return tuple(name for name in self.needs if not _installed(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a measured value should be; evaluated on medians, or on ratios round by round."""

    text: str
    """As it stands in the report: ``at most 1.05 x the limit``."""
    what: str
    """Name of the contender it is about."""
    of: str = "seconds"
    """``seconds``, ``memory``, ``file``, ``read`` or ``written`` (bytes but for the first)."""
    over: str | None = None
    """Contender by whose value ``what``'s is divided; None for the plain value."""
    minus: str | None = None
    """Contender whose value is taken away from ``what``'s."""
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError(f"the goal {self.text!r} needs either at_most or at_least")
        if self.over is not None and self.minus is not None:
            raise ValueError(f"the goal {self.text!r} has both over and minus")

    def met(self, value: float) -> bool:
        """Whether ``value`` reaches the goal."""
        return value <= self.at_most if self.at_most is not None else value >= (self.at_least or 0.0)


@dataclass(frozen=True, slots=True)
class Case:
    """One table: contenders that do the same thing to the same data."""

    key: str
    """Unique; parts separated by slashes, so that globs select: ``save/random/none``."""
    title: str
    contenders: Callable[[Path], Sequence[Contender]]
    """Given a folder of its own, says who takes part; called in the worker process."""
    nbytes: int = 0
    """Bytes of values the case is about; 0 where that means nothing."""
    goals: tuple[Goal, ...] = ()
    writes: bool = False
    """Whether it is about writing files; then there are as many free pages at hand as a turn needs."""
    brief: bool = False
    """Whether calls take milliseconds; then a turn repeats them for a while, and its figures are means."""
    x: float | None = None
    """Where the case stands on the horizontal axis of its series' picture."""
    series: str = ""
    """Cases of one series make one picture, a line for each contender."""
    axis: str = ""
    """What ``x`` counts: ``bytes of values``, ``synapses``, ``share changed``, ..."""


def remove(path: Path) -> None:
    """Remove a file or folder if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Fsync a file, or everything in a folder and the folder itself."""
    if path.is_dir():
        for below in path.iterdir():
            flush(below)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_dir():
        return sum(below.stat().st_size for below in path.rglob("*") if below.is_file())
    return path.stat().st_size


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
