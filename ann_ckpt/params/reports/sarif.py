"""SARIF 2.1.0, which code scanning services read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ann_ckpt._version import __version__
from ann_ckpt.params.checking.checker import Checked
from ann_ckpt.params.findings import RULES, Finding, Severity
from ann_ckpt.params.reports.common import fingerprinted, relative

__all__ = ["sarif"]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning"}
_INDEX = {rule: i for i, rule in enumerate(RULES)}


def sarif(checked: Sequence[Checked]) -> str:
    """Return one run with the findings of all files."""
    findings = [finding for file in checked for finding in file.findings]
    run = {
        "tool": {"driver": {"name": "ann-ckpt", "version": __version__, "rules": _rules()}},
        # Columns count characters, not UTF-16 units.
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": all(file.exit_status <= 1 for file in checked),
                "exitCode": max((file.exit_status for file in checked), default=0),
            }
        ],
        "results": [_result(finding, digest) for finding, digest in fingerprinted(findings)],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rules() -> list[dict[str, Any]]:
    return [
        {
            "id": rule.id,
            "name": rule.name,
            "shortDescription": {"text": rule.title},
            "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        }
        for rule in RULES.values()
    ]


def _result(finding: Finding, digest: str) -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(finding.path)},
            "region": {
                "startLine": finding.line,
                "startColumn": finding.column,
                "endLine": finding.line,
                "endColumn": finding.end_column,
            },
        }
    }
    if finding.pointer:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.pointer}]
    return {
        "ruleId": finding.rule,
        "ruleIndex": _INDEX[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [location],
        "partialFingerprints": {"annCkptFinding/v1": digest},
    }


def _uri(path: str) -> str:
    shown = relative(path)
    return Path(shown).as_uri() if Path(shown).is_absolute() else quote(shown)
