"""The JSON report; its form is ``schemas/report-1.schema.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ann_ckpt.params.checking.checker import Checked

__all__ = ["json_report"]


def json_report(checked: Sequence[Checked]) -> str:
    """Return one object with the findings of all files, in their order."""
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
