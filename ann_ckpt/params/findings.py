"""One finding about one place of a file, and the words that findings share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ann_ckpt.errors import ParameterFileError, printable
from ann_ckpt.markup import card, facts, table
from ann_ckpt.params.rules import RULES, Severity

__all__ = ["Finding", "Findings", "Related", "pointer", "quoted", "refusal"]

_POINTER_LIMIT = 1000
_SHOWN = 50
_SHOWN_IN_ERROR = 20


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that a finding is about."""

    pointer: str
    line: int
    column: int
    end_column: int
    message: str


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
    related: tuple[Related, ...] = ()
    """Other places of the same file that it is about."""
    located: bool = True
    """False for an object in memory that knows no lines; then the pointer says where."""

    @property
    def exit_status(self) -> int:
        """Exit status that this finding asks for."""
        return RULES[self.rule].status if self.severity is Severity.ERROR else 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain strings, numbers and lists, ready for JSON."""
        found = asdict(self)
        del found["located"]
        return found | {
            "severity": str(self.severity),
            "suggestions": list(self.suggestions),
            "related": [asdict(r) for r in self.related],
        }

    @property
    def place(self) -> str:
        """File, line and column; of an object in memory, the pointer."""
        if not self.located:
            return f"{self.path}{self.pointer and ':' + self.pointer}"
        return f"{self.path}:{self.line}:{self.column}"

    def _repr_html_(self) -> str:
        lines = {"in": self.place, "what": self.message}
        if self.suggestions:
            lines["instead"] = ", ".join(self.suggestions)
        return card(f"{self.severity}: {self.rule}", facts(lines))

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}[{self.rule}] {self.message}"


class Findings(list[Finding]):
    """A list of findings that shows itself as a table in a notebook, and as lines elsewhere."""

    def _repr_html_(self) -> str:
        if not self:
            return card("no findings")
        rows = [[f.place, f"{f.severity}: {f.rule}", f.message] for f in self[:_SHOWN]]
        left = len(self) - len(rows)
        more = f'<div class="ac-note">and {left:,} more</div>' if left else ""
        return card(f"{len(self):,} findings", table(["in", "rule", "what"], rows), more)

    def __repr__(self) -> str:
        lines = [
            *map(str, self[:_SHOWN]),
            *([f"and {len(self) - _SHOWN:,} more"] if len(self) > _SHOWN else []),
        ]
        return "\n".join(lines) or "no findings"


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


def refusal(findings: Sequence[Finding], errors: Sequence[Finding]) -> ParameterFileError:
    """Return the error that has all ``findings`` of a file, and shows those that are errors."""
    shown = "".join(f"\n  {printable(f, 600)}" for f in errors[:_SHOWN_IN_ERROR])
    more = f"\n  and {len(errors) - _SHOWN_IN_ERROR} more" if len(errors) > _SHOWN_IN_ERROR else ""
    noun = "finding" if len(errors) == 1 else "findings"
    error = ParameterFileError(
        f"{len(errors)} {noun} in the parameter file; nothing was changed{shown}{more}"
    )
    error.findings = tuple(findings)
    return error
