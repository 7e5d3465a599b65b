"""GitLab's code quality report, which merge requests show."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ann_ckpt.params.checking.checker import Checked
from ann_ckpt.params.findings import Severity
from ann_ckpt.params.reports.common import fingerprinted, relative

__all__ = ["gitlab"]

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor"}


def gitlab(checked: Sequence[Checked]) -> str:
    """Return a list with one entry for each finding."""
    findings = [finding for file in checked for finding in file.findings]
    entries = [
        {
            "description": finding.message,
            "check_name": finding.rule,
            "fingerprint": digest,
            "severity": _SEVERITIES[finding.severity],
            "location": {"path": relative(finding.path), "lines": {"begin": finding.line}},
        }
        for finding, digest in fingerprinted(findings)
    ]
    return json.dumps(entries, indent=2) + "\n"
