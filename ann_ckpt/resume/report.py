"""What came of comparing a resumed run with the uninterrupted one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from ann_ckpt.errors import printable
from ann_ckpt.report import Note, Report

__all__ = [
    "ResumeReport",
    "junit",
]

_SEEDS = (
    "does all that is random have a seed? In ANNarchy 5.0, Network(seed=) does not seed what is drawn for "
    "weights and connections: give each distribution a generator of its own, "
    "such as Uniform(0, 1, rng=numpy.random.default_rng(7))"
)


@dataclass(frozen=True, slots=True, repr=False)
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
    """What the load said, and which recordings could not be compared."""
    culprit: str = ""
    """What differs first, and after how many steps; empty if nothing does, or it is not known."""
    run: str = ""
    """The function of the script that was called instead of simulating; then ``at`` and ``duration``
    count its calls."""
    how: str = ""
    """What was done otherwise than saving once and loading the file itself into the same model."""
    disturbed: bool = False
    """Whether runs that save nothing are the same, so that saving is what changes them."""
    lost: tuple[Note, ...] = ()
    """Where the network differs from the file as soon as it is loaded."""

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not (self.differing or self.unsteady or self.lost)

    def headline(self) -> str:
        """Return the report in one line."""
        unit = f"calls of {self.run}" if self.run else "ms"
        what = (
            f"{printable(self.model, 400)}: saved at {self.at:.10g} {unit}, "
            f"resumed for {self.duration:.10g} {unit}"
            f"{f' ({printable(self.how, 400)})' if self.how else ''}"
        )
        if self.ok:
            return f"{what}: exact, {self.compared} arrays are the same bit for bit"
        if self.disturbed:
            return f"{what}: the run that was saved differs from those that were not; saving changes it"
        if self.unsteady:
            return f"{what}: two runs differ without any resuming; {_SEEDS}"
        first = f"; {printable(self.culprit, 400)}" if self.culprit else ""
        differing = len(self.differing) or len(self.lost)
        return f"{what}: NOT exact, {differing} of {self.compared} arrays differ{first}"


def junit(reports: Sequence[ResumeReport]) -> str:
    """Return reports as JUnit's XML, a test for each time of a save."""
    failed = sum(not report.ok for report in reports)
    suite = ET.Element(
        "testsuite", name="verify-resume", tests=str(len(reports)), failures=str(failed), errors="0"
    )
    for report in reports:
        unit = f" calls of {report.run}" if report.run else " ms"
        how = f" ({printable(report.how, 400)})" if report.how else ""
        name = f"at {report.at:.10g}{unit}{how}"
        case = ET.SubElement(suite, "testcase", classname=printable(report.model, 400), name=name)
        if not report.ok:
            failure = ET.SubElement(case, "failure", message=printable(report.headline(), 1000))
            failure.text = str(report)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
