"""What is in a network of Brian2: groups, synapses, clocks, and what is no part of a state."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

__all__ = ["Content", "outside_frame", "where_made"]

_OURS = __name__.split(".", maxsplit=1)[0]
_MADE_IN = re.compile(r"File '(.+)', line \d+, in ")


@dataclass(slots=True)
class Content:
    """The objects of a network, by what becomes of them."""

    populations: dict[str, Any] = field(default_factory=dict)
    projections: dict[str, Any] = field(default_factory=dict)
    monitors: dict[str, Any] = field(default_factory=dict)
    operations: dict[str, Any] = field(default_factory=dict)
    """What has nothing but Python code and a flag that says whether it runs."""
    python: list[str] = field(default_factory=list)
    """Names of all that runs Python code of the user's."""
    inputs: dict[str, Any] = field(default_factory=dict)
    """What has nothing but a flag that says whether it runs."""
    clocks: dict[str, Any] = field(default_factory=dict)
    """Clocks other than the reference, by the name of an object that runs on them."""
    reference: Any = None
    """The clock whose steps are the network's."""

    @classmethod
    def of(cls, objects: Any, ignored: frozenset[Any]) -> Content:
        """Sort objects, all that they contain included."""
        content = cls()
        everything = {id(thing): thing for thing in _all(objects) if thing not in ignored}
        things = sorted(everything.values(), key=lambda thing: str(thing.name))
        for thing in things:
            content._file(thing)
        content._find_clocks([thing for thing in things if str(thing.name) not in content.monitors])
        return content

    def _file(self, thing: Any) -> None:
        from brian2 import (
            EventMonitor,
            NetworkOperation,
            PoissonInput,
            PopulationRateMonitor,
            StateMonitor,
            Synapses,
        )
        from brian2.core.spikesource import SpikeSource
        from brian2.groups.subgroup import Subgroup

        name, own_run = str(thing.name), isinstance(thing, NetworkOperation) or _is_of_users(type(thing).run)
        if own_run:
            self.python.append(name)
        if isinstance(thing, Synapses):
            self.projections[name] = thing
        elif isinstance(thing, SpikeSource) and not isinstance(thing, Subgroup):
            self.populations[name] = thing
        elif isinstance(thing, PoissonInput):
            self.inputs[name] = thing
        elif isinstance(thing, EventMonitor | StateMonitor | PopulationRateMonitor):
            self.monitors[name] = thing
        elif own_run:
            self.operations[name] = thing
        elif "Monitor" in type(thing).__name__:
            self.monitors[name] = thing

    def _find_clocks(self, things: list[Any]) -> None:
        from brian2 import get_device

        clocks = {id(thing.clock): thing.clock for thing in things}
        default = get_device().defaultclock
        regular = [c for c in clocks.values() if hasattr(c, "dt_")]
        if id(default) in clocks or not regular:
            self.reference = default
        else:
            self.reference = min(regular, key=lambda clock: (clock.dt_, str(clock.name)))
        named = {*self.populations, *self.projections}
        for thing in things:
            if thing.clock is not self.reference and (str(thing.name) in named or not _follows(thing)):
                self.clocks[str(thing.name)] = thing.clock


def _follows(thing: Any) -> bool:
    """Whether something runs on the clock of its group, which says the same."""
    from brian2 import CodeRunner

    return isinstance(thing, CodeRunner) and thing.clock is thing.group.clock


def _is_of_users(method: Any) -> bool:
    """Whether a method was not written by Brian, nor compiled by it."""
    return str(getattr(method, "__module__", "")).split(".", maxsplit=1)[0] != "brian2"


def _all(objects: Any) -> Iterator[Any]:
    for thing in objects:
        yield thing
        yield from _all(thing.contained_objects)


def outside_frame() -> tuple[FrameType | None, int]:
    """Return the first frame that is neither ours nor Brian's, and how far up from the caller it is."""
    frame, depth = sys._getframe(1), 0
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).split(".", maxsplit=1)[0]
        if package not in (_OURS, "brian2"):
            return frame, depth
        frame, depth = frame.f_back, depth + 1  # type: ignore[assignment]
    return None, depth


def where_made(objects: Any) -> Mapping[str, Any]:
    """Return what the modules define in which objects were made, for constants that equations name."""
    files = {file for thing in objects for file in _MADE_IN.findall(str(thing._full_creation_stack))}
    found: dict[str, Any] = {}
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if name in files and module.__name__.split(".", maxsplit=1)[0] != _OURS:
            found |= vars(module)
    return found
