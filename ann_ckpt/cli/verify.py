"""``ann-ckpt verify`` compares everything with its digests, ``verify-resume`` tests exact resume."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from typing import Any

import click

from ann_ckpt.api import verify as verify_file
from ann_ckpt.cli.command import Command, complete_files, json_option, report_error
from ann_ckpt.cli.output import emit, print_json, progress_bar, safe
from ann_ckpt.errors import CheckpointError, CorruptFileError, OptionError, printable
from ann_ckpt.report import VerifyReport
from ann_ckpt.resume.report import ResumeReport, junit
from ann_ckpt.resume.verify import verify_resume
from ann_ckpt.texts import check_text_target, text_file

__all__ = [
    "verify",
    "verify_resume_command",
]

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|min|h)?")
_MS = {"ms": 1.0, "s": 1e3, "min": 6e4, "h": 3.6e6}
_SHOWN = 12


class _Duration(click.ParamType):  # type: ignore[type-arg]  # generic in the stubs only
    """Simulated time with a unit, as ms."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return ms."""
        if isinstance(value, float):
            return value
        match = _DURATION.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a time such as 100ms, 2.5s or 1min", param, ctx)
        return float(match[1]) * _MS[match[2] or "ms"]


class _Durations(_Duration):
    """Several of them, separated by commas."""

    name = "TIME,..."

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a list of ms."""
        if isinstance(value, list):
            return value
        return [_Duration.convert(self, part, param, ctx) for part in str(value).split(",")]


@click.command(
    name="verify-resume",
    cls=Command,
    examples=[
        ("ann-ckpt verify-resume model.py:build --at 100ms --for 200ms", "the network that build() returns"),
        (
            "ann-ckpt verify-resume model.py:build --at 10ms,50ms --for 1s --junit r.xml",
            "two saves",
        ),
        ("ann-ckpt verify-resume model.py:build --run trial --at 2 --for 3", "calls of trial(net)"),
        ("ann-ckpt verify-resume model.py:build --at 1s --for 1s --matrix threads=1,2", "four runs"),
        ("ann-ckpt verify-resume model.py:build --at 1s --for 1s --barrier", "save with a reseed barrier"),
    ],
)
@click.argument("model", metavar="SCRIPT.py:FUNCTION")
@click.option("--at", type=_Durations(), required=True, help="Simulated time of the save: 100ms; or several.")
@click.option("--for", "duration", type=_Duration(), required=True, help="Time to simulate after it.")
@click.option("--run", metavar="FUNCTION", help="Call this with the network; --at and --for count calls.")
@click.option(
    "--arg", "arguments", metavar="NAME=VALUE", multiple=True, help="Argument of FUNCTION, JSON or text."
)
@click.option("--inside", type=_Duration(), help="Save at this time inside the next call of --run.")
@click.option(
    "--other",
    metavar="NAME=VALUE",
    multiple=True,
    help="--arg of the resumed process, such as seed=2.",
)
@click.option(
    "--matrix", metavar="NAME=VALUE,...", help="Save with each value of an argument, and resume with each."
)
@click.option("--copy", type=click.Choice(["exported", "pruned", "converted"]), help="Resume from a copy.")
@click.option(
    "--restarts", type=click.IntRange(min=1), default=1, help="Resume so often, one after the other."
)
@click.option("--barrier", is_flag=True, help="Reseed the random generators where it is saved.")
@click.option("--directory", metavar="DIR", help="Compile and keep files here, not in a temporary folder.")
@click.option("--junit", "junit_file", metavar="FILE", help="Write the result as JUnit's XML, too.")
@json_option
def verify_resume_command(
    model: str,
    *,
    at: list[float],
    duration: float,
    run: str | None,
    arguments: tuple[str, ...],
    inside: float | None,
    other: tuple[str, ...],
    matrix: str | None,
    copy: str | None,
    restarts: int,
    barrier: bool,
    directory: str | None,
    junit_file: str | None,
    as_json: bool,
) -> int:
    """Check that a model resumes exactly.

    FUNCTION returns a network, or is one. It is run through; run again with a save on the way;
    and loaded in a new process and run to the same time. Then every value of every object is
    compared, bit for bit. The exit status is 1 if one differs; what differs first is named.
    """
    if junit_file is not None:
        check_text_target(junit_file)
    given, instead = (dict(map(_argument, texts)) for texts in (arguments, other))
    reports: list[ResumeReport] = []
    with contextlib.ExitStack() as stack:
        pairs = _pairs(matrix)
        if len(pairs) > 1 and directory is None:
            # What one pair compiles serves the next.
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="ann_ckpt-"))
        for one, another in pairs:
            reports += verify_resume(
                model,
                at=at,
                duration=duration,
                barrier=barrier,
                directory=directory,
                run=run,
                arguments=given | one,
                inside=inside,
                other=instead | another,
                copy=copy,
                restarts=restarts,
            )
    if junit_file is not None:
        with text_file(junit_file) as temporary:
            temporary.write_text(junit(reports), encoding="utf-8")
    if as_json:
        documents = [{"ok": report.ok, **report.to_dict()} for report in reports]
        print_json(documents[0] if len(documents) == 1 else documents)
    else:
        for report in reports:
            _print_resume(report)
    return 0 if all(report.ok for report in reports) else 1


def _pairs(matrix: str | None) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return what is built, and what is built instead in the resumed process: each value with each."""
    if matrix is None:
        return [({}, {})]
    name, _, values = matrix.partition("=")
    named = [dict([_argument(f"{name}={value}")]) for value in values.split(",")]
    return [(one, another) for one in named for another in named]


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise OptionError(f"--arg takes NAME=VALUE, not {printable(text, 80)!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _print_resume(report: ResumeReport) -> None:
    colour = "green" if report.ok else "bold red"
    emit(f"[{colour}]{safe(report.headline(), 1000)}[/]")
    for title, notes in (
        ("not as in the file after loading", report.lost),
        ("first differences", report.differing),
        ("two runs of the model differ in", report.unsteady),
        ("the load said", report.notes),
    ):
        if notes:
            emit(f"{title}:", *(f"  {safe(str(note), 600)}" for note in notes[:_SHOWN]))
        if len(notes) > _SHOWN:
            emit(f"  and {len(notes) - _SHOWN} more")


@click.command(
    cls=Command,
    examples=[
        ("ann-ckpt verify demo.h5", "check one file"),
        ("ann-ckpt verify *.h5 --json", "check many, for a script"),
        ("ann-ckpt verify run.ckpt", "check every checkpoint of a store"),
    ],
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, shell_complete=complete_files)
@json_option
def verify(files: tuple[str, ...], *, as_json: bool) -> int:
    """Read everything and check it against its digests.

    Every damaged array is named. All files are checked, whatever is found on the
    way; the exit status is 0 if all are intact, else the highest one met (5 for a
    damaged file).
    """
    status = 0
    documents: list[dict[str, Any]] = []
    for file in files:
        try:
            with progress_bar("verifying") as progress:
                report = verify_file(file, progress=progress)
        except CheckpointError as error:
            status = max(status, report_error(error))
            documents.append({"path": file, "ok": False, "error": error.code, "text": error.fact})
            continue
        documents.append({"ok": report.ok, **report.to_dict()})
        if not report.ok:
            status = max(status, CorruptFileError.exit_status)
        if not as_json:
            _print(report)
    if as_json:
        print_json(documents)
    return status


def _print(report: VerifyReport) -> None:
    colour = "green" if report.ok else "bold red"
    damaged = (f"  {safe(str(note), 800)}" for note in report.damaged)
    emit(f"[{colour}]{safe(report.headline(), 1000)}[/]", *damaged)
