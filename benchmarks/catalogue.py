"""All cases there are."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from benchmarks.harness import Case, Scale

__all__ = ["every_case", "find", "select"]

MODULES = (
    "full",
    "partial",
    "many",
    "converting",
    "live",
    "brian",
    "nest",
    "parameters",
    "store",
    "long",
    "pause",
)
"""Each has a function ``cases(scale)``; in the order of the report, what is newest in the package last."""


def every_case(scale: Scale) -> list[Case]:
    """Return every case at one scale."""
    found = list(_cases(scale))
    keys = [case.key for case in found]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise ValueError(f"these cases stand twice: {sorted(twice)}")
    return found


def find(key: str, scale: Scale) -> Case:
    """Return one case; modules behind the one that has it are not imported."""
    return next(case for case in _cases(scale) if case.key == key)


def _cases(scale: Scale) -> Iterator[Case]:
    for name in MODULES:
        yield from importlib.import_module(f"benchmarks.{name}").cases(scale)


def select(cases: Sequence[Case], patterns: Iterable[str]) -> list[Case]:
    """Return the cases whose keys match any of some globs, or begin with one; all if there are none.

    Raises
    ------
    LookupError
        If a pattern matches none.
    """
    wanted = list(patterns)
    chosen: dict[str, Case] = {}
    for pattern in wanted:
        matching = [c for c in cases if fnmatchcase(c.key, pattern) or c.key.startswith(pattern)]
        if not matching:
            raise LookupError(f"no case matches {pattern!r}; --list shows what there is")
        chosen |= {case.key: case for case in matching}
    return [case for case in cases if case.key in chosen] if wanted else list(cases)
