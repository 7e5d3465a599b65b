"""Workflow commands of GitHub Actions, which become annotations in a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from ann_ckpt.errors import printable
from ann_ckpt.params.checking.checker import Checked
from ann_ckpt.params.findings import Finding
from ann_ckpt.params.reports.common import against, over_limit, relative

__all__ = ["github"]

_IN_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTY = {**_IN_MESSAGE, ":": "%3A", ",": "%2C"}


def github(checked: Sequence[Checked]) -> str:
    """Return one command for each finding, and a line of the log for each file."""
    lines = []
    for file in checked:
        lines += [_command(finding) for finding in file.findings]
        if file.dropped:
            place = _escape(relative(file.path), _IN_PROPERTY)
            lines.append(f"::warning file={place}::{_escape(over_limit(file), _IN_MESSAGE)}")
        if file.schema:  # no command, so that it is a line of the log only
            lines.append(f"{printable(file.path, 400)}: {printable(against(file), 400)}".replace("::", ": :"))
    return "".join(f"{line}\n" for line in lines)


def _command(finding: Finding) -> str:
    # Whatever comes from the file or its name is escaped: it could begin a command of its own.
    properties = {
        "file": relative(finding.path),
        "line": finding.line,
        "endLine": finding.line,
        "col": finding.column,
        "endColumn": finding.end_column,
        "title": f"ann-ckpt {finding.rule}",
    }
    listed = ",".join(f"{k}={_escape(str(v), _IN_PROPERTY)}" for k, v in properties.items())
    return f"::{finding.severity} {listed}::{_escape(finding.message, _IN_MESSAGE)}"


def _escape(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(c, c) for c in text)
