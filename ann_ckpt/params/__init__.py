"""Parameter files that a CI can trust: read with positions, checked, compared, applied whole."""

from ann_ckpt.params.api import (
    IgnoredValueWarning,
    ParameterFileWarning,
    UnknownNameWarning,
    apply,
    schema_for,
    validate,
)
from ann_ckpt.params.calls import NotWrittenWarning, load_parameters, save_parameters
from ann_ckpt.params.diff import Difference, diff
from ann_ckpt.params.file import ParameterFile, load, parse
from ann_ckpt.params.findings import Finding, Findings
from ann_ckpt.params.rules import RULES, Rule, Severity
from ann_ckpt.params.schema.schema import Schema

__all__ = [
    "RULES",
    "Difference",
    "Finding",
    "Findings",
    "IgnoredValueWarning",
    "NotWrittenWarning",
    "ParameterFile",
    "ParameterFileWarning",
    "Rule",
    "Schema",
    "Severity",
    "UnknownNameWarning",
    "apply",
    "diff",
    "load",
    "load_parameters",
    "parse",
    "save_parameters",
    "schema_for",
    "validate",
]
