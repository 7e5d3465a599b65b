"""GitLab's code quality report, which merge requests show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from ann_ckpt.params.checking.checker import Checked
from ann_ckpt.params.reports.common import against, fingerprinted, over_limit, relative
from ann_ckpt.params.rules import Severity

__all__ = ["gitlab"]

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor"}


def gitlab(checked: Sequence[Checked]) -> str:
    """Return a list with one entry for each finding."""
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
