"""Workflow commands of GitHub Actions, which become annotations in a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from ann_ckpt.params.checking.checker import Checked
from ann_ckpt.params.findings import Finding
from ann_ckpt.params.reports.common import relative

__all__ = ["github"]

_IN_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTY = {**_IN_MESSAGE, ":": "%3A", ",": "%2C"}


def github(checked: Sequence[Checked]) -> str:
    """Return one command for each finding; nothing where there is none."""
    return "".join(f"{_command(finding)}\n" for file in checked for finding in file.findings)


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
