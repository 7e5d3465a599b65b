"""``ann-ckpt verify-resume``: tests whether a model resumes exactly."""

from __future__ import annotations

import re

import click

from ann_ckpt.cli.command import Command, json_option
from ann_ckpt.cli.output import emit, print_json, safe
from ann_ckpt.resume.verify import ResumeReport, verify_resume

__all__ = [
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


@click.command(
    name="verify-resume",
    cls=Command,
    examples=[
        ("ann-ckpt verify-resume model.py:build --at 100ms --for 200ms", "the network that build() returns"),
        ("ann-ckpt verify-resume model.py:build --at 1s --for 1s --barrier", "save with a reseed barrier"),
    ],
)
@click.argument("model", metavar="SCRIPT.py:FUNCTION")
@click.option("--at", type=_Duration(), required=True, help="Simulated time of the save, such as 100ms.")
@click.option("--for", "duration", type=_Duration(), required=True, help="Time to simulate after it.")
@click.option("--barrier", is_flag=True, help="Reseed the random generators where it is saved.")
@click.option("--directory", metavar="DIR", help="Compile and keep files here, not in a temporary folder.")
@json_option
def verify_resume_command(
    model: str, *, at: float, duration: float, barrier: bool, directory: str | None, as_json: bool
) -> int:
    """Check that a model resumes exactly.

    FUNCTION returns a network. It is run through; run again with a save on the way;
    and loaded in a new process and run to the same time. Then every value of every object is
    compared, bit for bit. The exit status is 1 if one differs.
    """
    report = verify_resume(model, at=at, duration=duration, barrier=barrier, directory=directory)
    if as_json:
        print_json({"ok": report.ok, **report.to_dict()})
    else:
        _print(report)
    return 0 if report.ok else 1


def _print(report: ResumeReport) -> None:
    colour = "green" if report.ok else "bold red"
    emit(f"[{colour}]{safe(report.headline(), 1000)}[/]")
    for title, notes in (
        ("first differences", report.differing),
        ("two runs of the model differ in", report.unsteady),
        ("the load said", report.notes),
    ):
        if notes:
            emit(f"{title}:", *(f"  {safe(str(note), 600)}" for note in notes[:_SHOWN]))
        if len(notes) > _SHOWN:
            emit(f"  and {len(notes) - _SHOWN} more")
