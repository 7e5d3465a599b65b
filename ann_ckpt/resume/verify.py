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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from ann_ckpt.adapters.legacy.sandbox.client import import_path
from ann_ckpt.api import read, write
from ann_ckpt.arguments import check_flags
from ann_ckpt.arguments import duration as in_ms
from ann_ckpt.durable import explained
from ann_ckpt.errors import FileMissingError, OptionError, SimulatorError, printable
from ann_ckpt.model import NetworkState
from ann_ckpt.paths import absolute, is_file
from ann_ckpt.report import Note
from ann_ckpt.resume.comparing import count_arrays, unlike
from ann_ckpt.resume.report import ResumeReport
from ann_ckpt.store.store import CheckpointStore

__all__ = ["verify_resume"]

_TAIL = 3000
_RUN = "ann_ckpt.resume.run"
"""Started as a program, and therefore not imported."""


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
    inside: float | None = None,
    other: Mapping[str, Any] | None = None,
    copy: str | None = None,
    restarts: int = 1,
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
    inside: float | None = None,
    other: Mapping[str, Any] | None = None,
    copy: str | None = None,
    restarts: int = 1,
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
    inside: float | None = None,
    other: Mapping[str, Any] | None = None,
    copy: str | None = None,
    restarts: int = 1,
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
    inside : float, optional
        Save so many ms after the call of ``run`` that follows the ``at``-th has begun. The resumed process
        calls it from its beginning, skips what it simulates until then, and loads.
    other : mapping, optional
        What the resumed process calls ``build`` with instead: another seed, so that it draws other
        connections, or another number of threads.
    copy : str, optional
        Load a copy of the file: ``"exported"`` from a store, ``"pruned"``, from a store whose other
        checkpoints were removed, or ``"converted"``, read and written anew.
    restarts : int
        In how many processes, one after the other, the rest is run: each loads what the one before it saved.

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
    NotWritableError
        If ``directory`` cannot be made.
    """
    check_flags(barrier=barrier)
    script, function = _place(build)
    times = [in_ms("at", time) for time in (at if isinstance(at, Iterable) else [at])]
    duration = in_ms("duration", duration)
    if not (times and duration):
        raise OptionError(f"at={at}, duration={duration}: expected times in ms, the second above 0")
    if run is not None and not (
        isinstance(run, str) and run.isidentifier() and all(n.is_integer() for n in (*times, duration))
    ):
        raise OptionError(
            f"run={printable(repr(run), 80)}, at={at}, duration={duration}: expected a function of the "
            "script, and numbers of calls"
        )
    if inside is not None and not (in_ms("inside", inside) and run is not None):
        raise OptionError(
            f"inside={inside}, run={run!r}: expected ms above 0, and a function that simulates them"
        )
    if copy not in _COPIES:
        raise OptionError(
            f"copy={printable(repr(copy), 80)}: expected one of {', '.join(filter(None, _COPIES))}"
        )
    if not isinstance(restarts, int) or restarts < 1 or (run is not None and duration % restarts):
        raise OptionError(f"restarts={restarts}: expected at least 1, and as many calls for each")
    try:
        named, instead = (json.loads(json.dumps(dict(given or {}))) for given in (arguments, other))
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"arguments= and other= take what JSON can hold: {printable(error, 200)}"
        ) from error
    how = ", ".join(filter(None, (
        f"saved {inside:.10g} ms inside a call" if inside is not None else "",
        f"from a copy that was {copy}" if copy else "",
        f"in {restarts} processes" if restarts > 1 else "",
        "built with " + ", ".join(f"{k}={_in_turn(named, k, v)}" for k, v in instead.items())
        if instead
        else "",
    )))  # fmt: skip
    with _folder(directory) as folder:
        reports = []
        for time in times:
            place = folder if len(times) == 1 else folder / f"at-{time:.10g}"
            with explained(place):
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
                "inside": inside,
            }
            reports.append(_verified(place, given, instead, copy, restarts, how))
    return tuple(reports) if isinstance(at, Iterable) else reports[0]


def _in_turn(named: Mapping[str, Any], name: str, value: Any) -> str:
    """Say what an argument was in the saved run, if it was given, and what it is in the resumed one."""
    return f"{named[name]} then {value}" if name in named else f"{value}"


def _verified(
    folder: Path, given: dict[str, Any], other: dict[str, Any], copy: str | None, restarts: int, how: str
) -> ResumeReport:
    """Run a model three times, and compare; each run is a process of its own."""
    names = ("through", "again", "saved", "copy", "ended", "resumed", "watched")
    files = {n: os.fspath(folder / f"{n}.h5") for n in names}
    _run("through", folder, given | {"ended": files["through"]})
    answers = [_run("interrupted", folder, given | {"saved": files["saved"], "ended": files["ended"]})]
    start = _copied(copy, files, folder)
    instead = given | {"arguments": given["arguments"] | other}
    leg = instead | {"duration": given["duration"] / restarts}
    loads: list[tuple[str, str]] = []
    for number in range(1, restarts + 1):
        ended = files["resumed"] if number == restarts else os.fspath(folder / f"restart-{number}.h5")
        loads.append((start, os.fspath(folder / f"loaded-{number}.h5")))
        answers.append(
            _run("resumed", folder, leg | {"saved": start, "loaded": loads[-1][1], "ended": ended})
        )
        # Only the first starts inside a call: the others begin where calls end.
        start, leg = ended, leg | {"inside": None}
    recorded = all(answer["recorded"] for answer in answers)
    through, ended_, resumed = (_comparable(files[n], recorded) for n in ("through", "ended", "resumed"))
    # A barrier is part of the file; a seed was given to one network, and not to the other.
    lost = tuple(
        note
        for saved, loaded in loads
        for note in unlike(
            _comparable(saved, recorded), _comparable(loaded, recorded), ignored=("reseeded", "seed")
        ).notes
    )
    if other:
        # What the network was seeded with is no longer what its generators hold.
        resumed = replace(resumed, seed=ended_.seed)
    differing, unsteady = unlike(ended_, resumed), unlike(through, ended_).notes
    culprit, disturbed = "", False
    if unsteady:
        _run("through", folder, given | {"ended": files["again"]})
        disturbed = not unlike(through, _comparable(files["again"], recorded)).notes
    elif lost:
        culprit = _culprit([0, [note.path for note in lost]], given)
    elif differing.notes:
        # What follows is only about where: a model that fails when it is run by steps has its answer.
        with contextlib.suppress(SimulatorError):
            _run("watched", folder, given | {"ended": files["watched"]})
            more = {"saved": _copied(copy, files, folder), "watched": os.fspath(folder / "watched.json")}
            culprit = _culprit(_run("compared", folder, instead | more), given)
        if not culprit and differing.first:
            culprit = f"first {differing.first}"
    return ResumeReport(
        model=f"{Path(given['script']).name}:{given['function']}",
        at=given["at"],
        duration=given["duration"],
        compared=count_arrays(ended_),
        differing=differing.notes,
        unsteady=unsteady,
        notes=tuple(Note(**note) for answer in answers for note in answer["notes"]),
        culprit=culprit,
        run=given["run"] or "",
        how=how,
        disturbed=disturbed,
        lost=lost,
    )


def _comparable(file: str, recorded: bool) -> NetworkState:
    """Read a file, without recordings if those cannot be compared."""
    state = read(file)
    return state if recorded else replace(state, recordings={})


_COPIES = (None, "exported", "pruned", "converted")


def _copied(copy: str | None, files: Mapping[str, str], folder: Path) -> str:
    """Return the file to start from: the one that was saved, or a copy that came about in another way."""
    if copy is None:
        return files["saved"]
    if copy == "converted":
        write(read(files["saved"]), files["copy"], compression="none")
        return files["copy"]
    with (
        tempfile.TemporaryDirectory(dir=folder) as place,
        CheckpointStore(Path(place) / "copy.ckpt", "w") as store,
    ):
        # What the two have in common is stored with the first, and has to outlive it.
        store.add(files["ended"])
        store.add(files["saved"], tag="saved")
        if copy == "pruned":
            store.prune(keep_last=1, keep_tags=False)
        store.export("saved", files["copy"])
    return files["copy"]


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
        function = getattr(build, "__qualname__", "")
        try:
            script = inspect.getsourcefile(build) or ""
        except TypeError:  # neither a function nor a class
            script = ""
        if not script or not function.isidentifier():
            raise OptionError(
                f"{printable(function or repr(build), 80)} is not defined at the top level of a script"
            )
    path = absolute(script)
    if not is_file(path):
        raise FileMissingError("the script does not exist", where=path)
    # Python goes by the name; asked here, because a run that fails answers with all that it printed.
    if importlib.util.spec_from_file_location("_model", path) is None:
        raise OptionError("the file is not a Python script", where=path)
    return path, function


@contextlib.contextmanager
def _folder(directory: str | os.PathLike[str] | None) -> Iterator[Path]:
    if directory is not None:
        path = absolute(directory)
        with explained(path):
            path.mkdir(parents=True, exist_ok=True)
        yield path
    else:
        with tempfile.TemporaryDirectory(prefix="ann_ckpt-") as temporary:
            yield Path(temporary)


def _run(kind: str, folder: Path, arguments: dict[str, Any]) -> Any:
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
            details={"printed": _tail(done.stdout + done.stderr)},
            where=arguments["script"],
        )
    return json.loads(answer.read_text())


def _tail(text: str) -> str:
    """Return the last lines of what a model printed, in which its error is."""
    lines = [printable(line, 400) for line in text.rstrip()[-_TAIL:].split("\n")]
    return "\n".join(lines) if len(lines) < 2 else "\n".join(["", *(f"    {line}" for line in lines)])
