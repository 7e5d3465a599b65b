"""JUnit XML, which nearly every CI shows as test results."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET  # only written here, never read

from ann_ckpt.errors import printable
from ann_ckpt.params.checking.checker import Checked
from ann_ckpt.params.findings import Finding
from ann_ckpt.params.reports.common import over_limit
from ann_ckpt.params.rules import Severity

__all__ = ["junit"]


def junit(checked: Sequence[Checked]) -> str:
    """Return a suite for each file: a test that passes, or one for each finding.

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
        cases = [_case(suite, path, finding) for finding in file.findings]
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


def _case(suite: ET.Element, path: str, finding: Finding) -> ET.Element:
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
