"""Verifies exact resume of a model: runs it with and without a stop and compares every bit.

Each run is a process of its own, since a resumed run is one in real life too. The script
is imported there and its function called; nothing of the caller's process is used.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy.sandbox.client import import_path
from ann_ckpt.api import read
from ann_ckpt.errors import FileMissingError, OptionError, SimulatorError, printable
from ann_ckpt.model import Array, NetworkState, blocks, differences
from ann_ckpt.paths import absolute, is_file
from ann_ckpt.report import Note, Report

__all__ = [
    "ResumeReport",
    "junit",
    "verify_resume",
]

_IGNORED = ("metadata", "resume")
_TAIL = 3000
_SEEDS = (
    "does all that is random have a seed? In ANNarchy 5.0, Network(seed=) does not seed what is drawn for "
    "weights and connections: give each distribution a generator of its own, "
    "such as Uniform(0, 1, rng=numpy.random.default_rng(7))"
)
_RUN = "ann_ckpt.resume.run"
"""Started as a program, and therefore not imported."""


@dataclass(frozen=True, slots=True)
class ResumeReport(Report):
    """Report of comparing the runs."""

    model: str
    """Script and function: ``model.py:build``."""
    at: float
    """Time of the save, in ms."""
    duration: float
    """Time simulated after it, in ms."""
    compared: int
    """Arrays that were compared."""
    differing: tuple[Note, ...]
    """Where the resumed run differs from the one that went on after saving, and by how much."""
    unsteady: tuple[Note, ...]
    """Where two uninterrupted runs of the model differ already; then no resumed one can be exact."""
    notes: tuple[Note, ...]
    """What the load said."""
    culprit: str = ""
    """What differs first, and after how many steps; empty if nothing does, or it is not known."""
    run: str = ""
    """The function of the script that was called instead of simulating; then ``at`` and ``duration``
    count its calls."""

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.differing and not self.unsteady

    def headline(self) -> str:
        """Return the report in one line."""
        unit = f"calls of {self.run}" if self.run else "ms"
        what = (
            f"{printable(self.model, 400)}: saved at {self.at:g} {unit}, resumed for {self.duration:g} {unit}"
        )
        if self.ok:
            return f"{what}: exact, {self.compared} arrays are the same bit for bit"
        if self.unsteady:
            return f"{what}: two runs differ without any resuming; {_SEEDS}"
        first = f"; {printable(self.culprit, 400)}" if self.culprit else ""
        return f"{what}: NOT exact, {len(self.differing)} of {self.compared} arrays differ{first}"


@overload
def verify_resume(
    build: Callable[..., Any] | str,
    *,
    at: float,
    duration: float,
    barrier: bool = False,
    directory: str | os.PathLike[str] | None = None,
    run: str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> ResumeReport: ...


@overload
def verify_resume(
    build: Callable[..., Any] | str,
    *,
    at: Sequence[float],
    duration: float,
    barrier: bool = False,
    directory: str | os.PathLike[str] | None = None,
    run: str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> tuple[ResumeReport, ...]: ...


def verify_resume(
    build: Callable[..., Any] | str,
    *,
    at: float | Sequence[float],
    duration: float,
    barrier: bool = False,
    directory: str | os.PathLike[str] | None = None,
    run: str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> ResumeReport | tuple[ResumeReport, ...]:
    """Run a model with and without a save and a load in a new process, and compare.

    If the two differ, both are run once more, step by step, to name what differs first.

    Parameters
    ----------
    build : callable or str
        Returns the network, compiled or not. A function at the top of a script, or the
        same as text: ``"model.py:build"``, which may also name a network that the script
        makes. Networks that are not compiled are compiled with the instrumentation.
        Everything random needs a seed.
    at : float or sequence of float
        Time of the save, in ms. Of several, each is tried by itself.
    duration : float
        Time to simulate after it, in ms.
    barrier : bool
        Save with a reseed barrier.
    directory : path-like, optional
        Where networks are compiled and files kept; by default a temporary folder.
    run : str, optional
        A function of the script that is called with the network instead of simulating, a trial say.
        ``at`` and ``duration`` are numbers of calls then.
    arguments : mapping, optional
        What ``build`` is called with, by name; as JSON can hold it.

    Returns
    -------
    ResumeReport
        Or a tuple of them, one for each time, if ``at`` is a sequence.

    Raises
    ------
    SimulatorError
        If a run fails; the message ends with what it printed.
    FileMissingError, OptionError
        If the script does not exist, it is no Python, or ``build`` cannot be found again in a new process.
    """
    script, function = _place(build)
    times = [at] if isinstance(at, int | float) else list(at)
    if not (times and all(time >= 0 for time in times) and duration > 0):
        raise OptionError(f"at={at}, duration={duration}: expected times in ms, the second above 0")
    if run is not None and not (
        run.isidentifier() and all(float(n).is_integer() for n in (*times, duration))
    ):
        raise OptionError(
            f"run={printable(repr(run), 80)}, at={at}, duration={duration}: expected a function of the "
            "script, and numbers of calls"
        )
    try:
        named = json.loads(json.dumps(dict(arguments or {})))
    except (TypeError, ValueError) as error:
        raise OptionError(f"arguments= takes what JSON can hold: {printable(error, 200)}") from error
    with _folder(directory) as folder:
        reports = []
        for time in times:
            place = folder if len(times) == 1 else folder / f"at-{time:g}"
            place.mkdir(exist_ok=True)
            given = {
                "script": os.fspath(script),
                "function": function,
                "arguments": named,
                "run": run,
                "at": time,
                "duration": duration,
                "barrier": barrier,
                "directory": os.fspath(folder / "compiled"),
            }
            reports.append(_verified(place, given))
    return reports[0] if isinstance(at, int | float) else tuple(reports)


def _verified(folder: Path, given: dict[str, Any]) -> ResumeReport:
    """Run a model three times, and compare; each run is a process of its own."""
    files = {n: os.fspath(folder / f"{n}.h5") for n in ("through", "saved", "ended", "resumed", "watched")}
    _run("through", folder, given | {"ended": files["through"]})
    _run("interrupted", folder, given | {"saved": files["saved"], "ended": files["ended"]})
    answer = _run("resumed", folder, given | {"saved": files["saved"], "ended": files["resumed"]})
    through, ended, resumed = (read(files[name]) for name in ("through", "ended", "resumed"))
    differing, unsteady = tuple(_differing(ended, resumed)), tuple(_differing(through, ended))
    culprit = ""
    if differing and not unsteady:
        # What follows is only about where: a model that fails when it is run by steps has its answer.
        with contextlib.suppress(SimulatorError):
            _run("watched", folder, given | {"ended": files["watched"]})
            more = {"saved": files["saved"], "watched": os.fspath(folder / "watched.json")}
            culprit = _culprit(_run("compared", folder, given | more), given)
    return ResumeReport(
        model=f"{Path(given['script']).name}:{given['function']}",
        at=given["at"],
        duration=given["duration"],
        compared=_count(ended),
        differing=differing,
        unsteady=unsteady,
        notes=tuple(Note(**note) for note in answer),
        culprit=culprit,
        run=given["run"] or "",
    )


def _culprit(found: list[Any], given: dict[str, Any]) -> str:
    if not found:
        return ""
    step, paths = found
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    unit = "call" if given["run"] else "step"
    when = f"{step} {unit}{'s' if step > 1 else ''} after the save" if step else "as soon as it is loaded"
    return f"first {paths[0]}{more}, {when}"


def _place(build: Callable[..., Any] | str) -> tuple[Path, str]:
    """Return the script and the name of the function in it."""
    if isinstance(build, str):
        script, colon, function = build.rpartition(":")
        if not (colon and script and function.isidentifier()):
            raise OptionError(f"{printable(build)!r} is not of the form script.py:function")
    else:
        script, function = inspect.getsourcefile(build) or "", build.__qualname__
        if not script or not function.isidentifier():
            raise OptionError(f"{printable(function)} is not defined at the top level of a script")
    path = absolute(script)
    if not is_file(path):
        raise FileMissingError("the script does not exist", where=printable(path, 400))
    # Python goes by the name; asked here, because a run that fails answers with all that it printed.
    if importlib.util.spec_from_file_location("_model", path) is None:
        raise OptionError("the file is not a Python script", where=printable(path, 400))
    return path, function


@contextlib.contextmanager
def _folder(directory: str | os.PathLike[str] | None) -> Iterator[Path]:
    if directory is not None:
        path = absolute(directory)
        path.mkdir(parents=True, exist_ok=True)
        yield path
    else:
        with tempfile.TemporaryDirectory(prefix="ann_ckpt-") as temporary:
            yield Path(temporary)


def _run(kind: str, folder: Path, arguments: dict[str, Any]) -> list[Any]:
    answer = folder / f"{kind}.json"
    # Simulators call compilers and Python by name, and mean those that stand beside this interpreter.
    tools = os.pathsep.join((os.fspath(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    done = subprocess.run(  # noqa: S603 - our own interpreter, and a script that the caller chose
        [sys.executable, "-P", "-m", _RUN, kind, json.dumps(arguments), os.fspath(answer)],
        cwd=folder,
        env=os.environ | {"PATH": tools, "PYTHONPATH": os.pathsep.join(import_path())},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SimulatorError(
            f"the {kind} run of the model failed with status {done.returncode}",
            details={"printed": printable((done.stdout + done.stderr)[-_TAIL:], _TAIL)},
            where=printable(arguments["script"], 400),
        )
    found: list[Any] = json.loads(answer.read_text())
    return found


def junit(reports: Sequence[ResumeReport]) -> str:
    """Return reports as JUnit's XML, a test for each time of a save."""
    failed = sum(not report.ok for report in reports)
    suite = ET.Element(
        "testsuite", name="verify-resume", tests=str(len(reports)), failures=str(failed), errors="0"
    )
    for report in reports:
        unit = f" calls of {report.run}" if report.run else " ms"
        case = ET.SubElement(
            suite, "testcase", classname=printable(report.model, 400), name=f"at {report.at:g}{unit}"
        )
        if not report.ok:
            failure = ET.SubElement(case, "failure", message=printable(report.headline(), 1000))
            failure.text = str(report)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _count(state: NetworkState) -> int:
    owners = (*state.populations.values(), *state.projections.values())
    return (
        sum(len(o.attributes) + len(o.dynamics) for o in owners) + len(state.dynamics) + len(state.constants)
    )


def _differing(a: NetworkState, b: NetworkState) -> Iterator[Note]:
    for path in differences(a, b):
        if path.rpartition("/")[2] not in _IGNORED:
            yield Note(path, _size(_found(a, path), _found(b, path)))


def _found(state: NetworkState, path: str) -> Array | None:
    """Return the array at a path of :func:`~ann_ckpt.differences`; None if there stands none."""
    first, _, rest = path.partition("/")
    if first in ("constants", "dynamics"):
        return getattr(state, first).get(rest)  # type: ignore[no-any-return]
    for name, owner in getattr(state, first).items() if first in ("populations", "projections") else ():
        # A name may hold slashes, so that the path is looked at from the name on.
        if rest.startswith(f"{name}/"):
            group, _, attribute = rest[len(name) + 1 :].partition("/")
            if group == "dynamics":
                return owner.dynamics.get(attribute)  # type: ignore[no-any-return]
            if attribute in owner and group in ("parameters", "variables"):
                return owner[attribute]  # type: ignore[no-any-return]
    return None


def _size(a: Array | None, b: Array | None) -> str:
    """Say how far two arrays are apart."""
    if a is None or b is None:
        return "not the same"
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.dtype} {a.shape} and {b.dtype} {b.shape}"
    count, largest, where = 0, -1.0, ""
    for (start, x), (_, y) in zip(blocks(a), blocks(b), strict=True):
        differ = np.flatnonzero(_bits(x) != _bits(y))
        if not differ.size:
            continue
        count += differ.size
        one, other = (values.reshape(-1)[differ].astype(np.float64) for values in (x, y))
        with np.errstate(all="ignore"):
            apart = np.abs(one - other)
        apart[np.isnan(apart)] = np.inf  # nothing is further apart than a number and none
        if apart.max() > largest:
            largest = float(apart.max())
            place = [int(i) for i in np.unravel_index(differ[apart.argmax()], x.shape)]
            if place:
                place[0] += start
            where = f" at {place}" if place else ""
    return f"{count} values differ, the largest difference is {largest:.3g}{where}"


def _bits(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values).reshape(-1).view(f"u{values.dtype.itemsize}")
