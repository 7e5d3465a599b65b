"""What can be said about a parameter file: the rules, and one finding of one of them.

Rule ids are stable: scripts match them, baselines store them, and an id that a release
has given out is never used for anything else.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from ann_ckpt.errors import OptionError, printable

__all__ = ["RULES", "Finding", "Rule", "Severity", "pointer", "quoted"]

_POINTER_LIMIT = 1000


class Severity(StrEnum):
    """How much a finding weighs."""

    ERROR = "error"
    """Nothing in the file is applied."""
    WARNING = "warning"
    """The file is applied; somebody should look."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong."""

    id: str
    name: str
    """Short and stable, in lower case with hyphens."""
    title: str
    """One sentence for lists of rules."""
    severity: Severity = Severity.ERROR
    status: int = 1
    """Exit status that a finding of this rule asks for."""


def _table(*rules: Rule) -> dict[str, Rule]:
    table: dict[str, Rule] = {}
    for rule in rules:
        if rule.id in table:
            raise OptionError(f"the rule {rule.id} stands twice")
        table[rule.id] = rule
    return table


RULES = _table(
    Rule("P001", "syntax", "The text is not well formed."),
    Rule("P002", "encoding", "The bytes are not UTF-8."),
    Rule("P003", "byte-order-mark", "The file begins with a byte-order mark."),
    Rule("P004", "empty", "The file holds nothing."),
    Rule("P005", "too-large", "The file is larger than any parameter file needs to be."),
    Rule("P006", "too-deep", "Objects and arrays are nested too deeply."),
    Rule("P007", "duplicate-key", "A name stands twice in one object."),
    Rule("P008", "not-finite", "NaN and Infinity are no JSON numbers."),
    Rule("P009", "number-overflow", "A number is beyond the range of a double."),
    Rule("P010", "number-too-long", "A number has more digits than any number needs."),
    Rule("P011", "not-an-object", "The top level is not an object."),
    Rule("P012", "broken-text", "A text holds half of a surrogate pair."),
    Rule("P013", "yaml-feature", "An alias, anchor, tag, merge key or second document in YAML."),
    Rule("P014", "xml-structure", "The XML does not have the form of a parameter file."),
    Rule("P015", "xml-entity", "A document type or entity in XML."),
    Rule("P101", "unknown-section", "The file has a section that there is not."),
    Rule("P102", "unknown-population", "The network has no population of that name."),
    Rule("P103", "unknown-projection", "The network has no projection of that name."),
    Rule("P104", "unknown-parameter", "The population or projection has no parameter of that name."),
    Rule("P105", "unknown-constant", "The network has no constant of that name."),
    Rule("P106", "missing-name", "The schema requires a name that is missing."),
    Rule("P107", "unknown-name", "The schema allows no such name there."),
    Rule("P201", "type", "The value has another type; nothing is converted."),
    Rule("P202", "length", "An array has another length than the network."),
    Rule("P203", "c-range", "The value is beyond the range of the parameter's C type."),
    Rule("P204", "bounds", "The value is beyond the bounds that the model declares."),
    Rule("P205", "not-allowed", "The value is none of those allowed."),
    Rule("P206", "schema", "The schema asks for something else."),
    Rule("P301", "locality", "The parameter has one value per neuron, dendrite or synapse."),
    Rule("P401", "inexact", "The number changes when the network stores it.", Severity.WARNING, 0),
    Rule(
        "P402", "looks-like", "A YAML text that other readers take for a number or bool.", Severity.WARNING, 0
    ),
    Rule("P403", "variable", "The name is a variable, which no parameter file sets.", Severity.WARNING, 0),
    Rule("P501", "schema-unusable", "The schema cannot be used.", status=4),
    Rule("P502", "checkpoint-unusable", "The checkpoint cannot be used.", status=4),
    Rule("P601", "unreadable", "The file is missing or cannot be read.", status=3),
)
"""Every rule by its id, in order."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong at one place of one file.

    Text that came from the file is escaped and shortened in ``message``; ``pointer``
    and ``suggestions`` hold the names as they are.
    """

    rule: str
    """Id in :data:`RULES`."""
    severity: Severity
    path: str
    """The file, as it was named."""
    pointer: str
    """JSON pointer of the value or name concerned; empty for the whole file."""
    line: int
    """From 1."""
    column: int
    """From 1, in Unicode characters."""
    end_column: int
    """Column behind the last character concerned, on the same line."""
    message: str
    suggestions: tuple[str, ...] = ()
    """What might have been meant, nearest first."""

    @property
    def exit_status(self) -> int:
        """Exit status that this finding asks for."""
        return RULES[self.rule].status

    def to_dict(self) -> dict[str, Any]:
        """Return plain strings, numbers and lists, ready for JSON."""
        return {**asdict(self), "severity": str(self.severity), "suggestions": list(self.suggestions)}

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.severity}[{self.rule}] {self.message}"


def pointer(path: tuple[str | int, ...]) -> str:
    """Return the JSON pointer (RFC 6901) of a path of names and indices.

    A pointer of more than 1,000 characters is cut and ends in an ellipsis, since names
    come from files.

    Examples
    --------
    >>> pointer(("populations", "a/b", "tau", 3))
    '/populations/a~1b/tau/3'
    """
    parts = []
    room = _POINTER_LIMIT
    for step in path:
        part = "/" + str(step)[: room + 1].replace("~", "~0").replace("/", "~1")
        parts.append(part)
        room -= len(part)
        if room < 0:
            return "".join(parts)[: _POINTER_LIMIT - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return "".join(parts)


def quoted(text: object, limit: int = 60) -> str:
    """Return text from a file in quotes, escaped and shortened, for a message."""
    return f"'{printable(text, limit)}'"
