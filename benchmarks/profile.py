"""Where our time goes in a case: the functions that it is spent in, over all threads.

The profiler makes calls of Python functions slower than they are; what C does inside a
call, such as hashing, deflating or reading, it does not touch.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.catalogue import every_case, select
from benchmarks.harness import SCALES, Case, Contender, Role
from benchmarks.running import FOLDER, ROOT
from benchmarks.table import figure, seconds
from benchmarks.worker import Worker

__all__ = ["Profile", "Spent", "profile"]

_CLOCKS: Final = ("cpu", "wall")
_SHOWN = 15


@dataclass(frozen=True, slots=True)
class Spent:
    """What one function took in one call of a contender, on average."""

    function: str
    seconds: float
    """In itself, without what it calls."""
    calls: float


@dataclass(frozen=True, slots=True)
class Profile:
    """One contender, profiled."""

    contender: str
    seconds: float
    """Of a call that nobody watches."""
    functions: tuple[Spent, ...]
    """Those that take longest first."""

    def lines(self, shown: int = _SHOWN) -> list[str]:
        """Return a heading, and a line for each of the first functions."""
        watched = sum(one.seconds for one in self.functions)
        found = [f"{self.contender}: {seconds(self.seconds)} a call, {seconds(watched)} while it is watched"]
        for one in self.functions[:shown]:
            share = one.seconds / watched
            found.append(f"  {seconds(one.seconds):>9} {share:6.1%} {figure(one.calls):>8} x  {one.function}")
        return found


def profile(case: Case, folder: Path, *, clock: str = "cpu") -> list[Profile]:
    """Profile what is ours in a case.

    Parameters
    ----------
    folder : Path
        Where files are made; stays as it is left.
    clock : {"cpu", "wall"}
        Processor time, or time that passes: waiting for locks and for the disk shows in the latter only.
    """
    import yappi

    yappi.set_clock_type(clock)
    calls: Counter[str] = Counter()
    watched = Worker(replace(case, contenders=partial(_watched, case, calls)), folder)
    plain = Worker(case, folder)
    found = []
    # Some read what others of them have prepared.
    names = [name for name, who in plain.who().items() if who["role"] == Role.OURS and not who["problem"]]
    for name in names:
        plain.prepare(name)
    for name in names:
        plain.run(name)  # warms up
        taken = plain.run(name)["seconds"]
        yappi.clear_stats()
        watched.run(name)
        found.append(Profile(name, taken, _functions(yappi.get_func_stats(), calls[name])))
    return found


def _watched(case: Case, calls: Counter[str], folder: Path) -> list[Contender]:
    return [replace(one, run=partial(_watch, one, calls)) for one in case.contenders(folder)]


def _watch(contender: Contender, calls: Counter[str]) -> Any:
    import yappi

    calls[contender.name] += 1
    yappi.start(builtins=True)
    try:
        return contender.run()
    finally:
        yappi.stop()


def _functions(stats: Any, calls: int) -> tuple[Spent, ...]:
    """Functions by the time that they took themselves, in one call of the contender on average."""
    spent = [Spent(_named(one), one.tsub / calls, one.ncall / calls) for one in stats]
    return tuple(sorted(spent, key=lambda one: one.seconds, reverse=True))


def _named(one: Any) -> str:
    if one.builtin:
        return f"{one.module}.{one.name}"
    path = Path(one.module)
    place = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
    return f"{place}:{one.lineno} {one.name}"


def main() -> None:
    """Print a profile for each of our contenders in some cases."""
    parser = argparse.ArgumentParser("python -m benchmarks.profile", description=__doc__)
    parser.add_argument("cases", nargs="+", metavar="CASE", help="keys, their beginnings, or globs")
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--clock", choices=_CLOCKS, default="cpu", help="processor time, or time that passes")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="on the disk to measure")
    options = parser.parse_args()
    try:
        cases = select(every_case(SCALES[options.scale]), options.cases)
    except LookupError as error:
        parser.error(str(error))
    options.folder.mkdir(parents=True, exist_ok=True)
    for case in cases:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            print(case.key)
            for one in profile(case, Path(folder), clock=options.clock):
                print("\n".join(one.lines()), flush=True)


if __name__ == "__main__":
    main()
