"""The report formats by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from ann_ckpt.params.checking.checker import Checked
from ann_ckpt.params.reports.github import github
from ann_ckpt.params.reports.gitlab import gitlab
from ann_ckpt.params.reports.human import human
from ann_ckpt.params.reports.json import json_report
from ann_ckpt.params.reports.junit import junit
from ann_ckpt.params.reports.sarif import sarif

__all__ = ["REPORTS", "Render"]

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
