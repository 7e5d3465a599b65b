"""The reports for GitHub, GitLab, JUnit's readers and scripts, and all reports by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from xml.etree import ElementTree as ET  # only written here, never read

from ann_ckpt.errors import printable
from ann_ckpt.params.checking.checker import Checked
from ann_ckpt.params.findings import Finding
from ann_ckpt.params.reports.common import against, fingerprinted, over_limit, relative
from ann_ckpt.params.reports.human import human
from ann_ckpt.params.reports.sarif import sarif
from ann_ckpt.params.rules import Severity

__all__ = ["REPORTS", "Render", "github", "gitlab", "json_report", "junit"]

_IN_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTY = {**_IN_MESSAGE, ":": "%3A", ",": "%2C"}


def github(checked: Sequence[Checked]) -> str:
    """Return workflow commands of GitHub Actions, and a line of the log for each file.

    The commands become annotations in a pull request.
    """
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


_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor"}


def gitlab(checked: Sequence[Checked]) -> str:
    """Return GitLab's code quality report, which merge requests show: an entry for each finding."""
    findings = [finding for file in checked for finding in file.findings]
    schemas = {file.path: against(file) for file in checked}
    entries = [
        {
            "description": finding.message,
            "check_name": finding.rule,
            "fingerprint": digest,
            "severity": _SEVERITIES[finding.severity],
            "location": {"path": relative(finding.path), "lines": {"begin": finding.line}},
            "content": {"body": schemas.get(finding.path, "")},
        }
        for finding, digest in fingerprinted(findings)
    ]
    entries += [
        {
            "description": over_limit(file),
            "check_name": "limit",
            "fingerprint": hashlib.sha256(f"limit\0{relative(file.path)}".encode()).hexdigest()[:32],
            "severity": "info",
            "location": {"path": relative(file.path), "lines": {"begin": 1}},
        }
        for file in checked
        if file.dropped
    ]
    return json.dumps(entries, indent=2) + "\n"


def junit(checked: Sequence[Checked]) -> str:
    """Return JUnit's XML: a suite for each file, with a test that passes, or one for each finding.

    A warning is a test that passes and says something.
    """
    root = ET.Element("testsuites", name="ann-ckpt params")
    for file in checked:
        # XML cannot hold control characters in any form, and a file name may.
        path = printable(file.path, 400)
        suite = ET.SubElement(root, "testsuite", name=path)
        if file.schema:
            properties = ET.SubElement(suite, "properties")
            ET.SubElement(properties, "property", name="schema", value=printable(file.schema, 400))
        cases = [_test_case(suite, path, finding) for finding in file.findings]
        if file.dropped:
            cases.append(ET.SubElement(suite, "testcase", classname=path, name="over the limit"))
            ET.SubElement(cases[-1], "system-out").text = over_limit(file)
        if not cases:
            ET.SubElement(suite, "testcase", classname=path, name="parameters")
        suite.set("tests", str(max(1, len(cases))))
        suite.set("failures", str(len(file.errors)))
        suite.set("errors", "0")
        suite.set("skipped", "0")
    root.set("tests", str(sum(int(suite.get("tests", "0")) for suite in root)))
    root.set("failures", str(sum(len(file.errors) for file in checked)))
    root.set("errors", "0")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _test_case(suite: ET.Element, path: str, finding: Finding) -> ET.Element:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=path,
        name=f"{finding.rule} in line {finding.line}, column {finding.column}",
    )
    if finding.severity is Severity.ERROR:
        failure = ET.SubElement(case, "failure", type=finding.rule, message=finding.message)
        failure.text = printable(finding, 1000)
    else:
        ET.SubElement(case, "system-out").text = printable(finding, 1000)
    return case


def json_report(checked: Sequence[Checked]) -> str:
    """Return one object with the findings of all files; its form is ``schemas/report-1.schema.json``."""
    report = {
        "format_version": 1,
        "files": [file.path for file in checked],
        "schemas": {file.path: file.schema for file in checked},
        "findings": [finding.to_dict() for file in checked for finding in file.findings],
        "suppressed": sum(file.suppressed for file in checked),
        "dropped": sum(file.dropped for file in checked),
        "exit_status": max((file.exit_status for file in checked), default=0),
    }
    return json.dumps(report, indent=2, allow_nan=False) + "\n"


Render = Callable[[Sequence[Checked]], str]
"""Turns what was found in some files into the text of one report, its last newline included."""

REPORTS: Mapping[str, Render] = MappingProxyType(
    {
        "human": human,
        "json": json_report,
        "sarif": sarif,
        "github": github,
        "gitlab": gitlab,
        "junit": junit,
    }
)
