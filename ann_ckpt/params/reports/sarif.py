"""SARIF 2.1.0, which code scanning services read."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ann_ckpt._version import __version__
from ann_ckpt.params.checking.checker import Checked
from ann_ckpt.params.findings import Finding, Related
from ann_ckpt.params.reports.common import against, fingerprinted, over_limit, relative
from ann_ckpt.params.rules import RULES, Severity

__all__ = ["sarif"]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning"}
_ROOT = "%SRCROOT%"
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
                "toolExecutionNotifications": [
                    {
                        "level": "note",
                        "message": {"text": f"{relative(file.path)}: {note}"},
                        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(file.path)}}}],
                    }
                    for file in checked
                    for note in (against(file), over_limit(file))
                    if note
                ],
            }
        ],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The top of the repository."}}},
        # Code scanning keeps runs of other categories apart from this one.
        "automationDetails": {"id": "ann-ckpt/parameters/"},
        "results": [_result(finding, digest) for finding, digest in fingerprinted(findings)],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rules() -> list[dict[str, Any]]:
    address = _help_address()
    return [
        {
            "id": rule.id,
            "name": rule.name,
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": f"{rule.title} {rule.why}"},
            "help": {
                "text": f"{rule.why}\nExample: {rule.wrong}\n{rule.mend}",
                "markdown": f"{rule.why}\n\n**Example**\n\n```\n{rule.wrong}\n```\n\n{rule.mend}",
            },
            **({"helpUri": address} if address else {}),
            "properties": {"tags": ["parameters"], "precision": "very-high"},
            "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        }
        for rule in RULES.values()
    ]


def _result(finding: Finding, digest: str) -> dict[str, Any]:
    location = _location(finding.path, finding)
    related = [_location(finding.path, r) | {"message": {"text": r.message}} for r in finding.related]
    if finding.pointer:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.pointer}]
    return {
        "ruleId": finding.rule,
        "ruleIndex": _INDEX[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [location],
        **({"relatedLocations": related} if related else {}),
        "partialFingerprints": {"annCkptFinding/v1": digest},
    }


def _location(path: str, at: Finding | Related) -> dict[str, Any]:
    uri = _uri(path)
    base = {} if uri.startswith("file:") else {"uriBaseId": _ROOT}
    region = {
        "startLine": at.line,
        "startColumn": at.column,
        "endLine": at.line,
        "endColumn": at.end_column,
    }
    return {"physicalLocation": {"artifactLocation": {"uri": uri, **base}, "region": region}}


def _help_address() -> str:
    """Return the address of the page about the rules where it is known: that of the action that runs.

    Elsewhere there is none: ``helpUri`` has to be absolute and to lead somewhere, and ``help`` has
    the text itself, which is what code scanning shows.
    """
    repository, ref = os.environ.get("GITHUB_ACTION_REPOSITORY"), os.environ.get("GITHUB_ACTION_REF")
    if not repository or not ref:
        return ""
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    return f"{server}/{quote(repository)}/blob/{quote(ref)}/docs/parameters.md#what-is-checked"


def _uri(path: str) -> str:
    shown = relative(path)
    return Path(shown).as_uri() if Path(shown).is_absolute() else quote(shown)
