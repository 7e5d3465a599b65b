"""Findings as people read them: one line each, and the source line with a caret below."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ann_ckpt.errors import printable
from ann_ckpt.params.checking.checker import Checked
from ann_ckpt.params.findings import Finding
from ann_ckpt.params.reports.common import against, over_limit
from ann_ckpt.params.rules import Severity
from ann_ckpt.params.text.document import SourceText

__all__ = [
    "human",
]

_BOLD, _DIM, _RED, _GREEN, _YELLOW = "1", "2", "31", "32", "33"
"""Codes of a terminal's styles (ECMA-48)."""

Paint = Callable[..., str]
"""``paint(text, *codes)``: the text in these styles, or as it is."""

_WIDTH = 100
"""Columns of a source line that are shown: a file of one line may be a megabyte wide."""
_BEFORE = 40
"""Columns shown before the caret in a line that is cut."""
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def human(checked: Sequence[Checked], *, colour: bool = False) -> str:
    """Return the findings of all files, each with its source line, and a summary.

    Parameters
    ----------
    checked : sequence of Checked
        One entry for each file.
    colour : bool
        Whether to use the colours of a terminal.
    """
    paint = _paint if colour else _plain
    lines: list[str] = []
    for file in checked:
        for finding in file.findings:
            lines += _finding(finding, file.source, paint)
        if file.dropped:
            lines.append(f"{printable(file.path, 400)}: {over_limit(file)}")
        if file.schema:
            said = f"{printable(file.path, 400)}: {printable(against(file), 400)}"
            lines.append(paint(said, _DIM))
    return "\n".join([*lines, _summary(checked, paint), ""])


def _plain(text: str, *_: str) -> str:
    return text


def _paint(text: str, *codes: str) -> str:
    return f"\x1b[{';'.join(codes)}m{text}\x1b[0m"


def _finding(finding: Finding, source: SourceText | None, paint: Paint) -> Iterator[str]:
    tint = _RED if finding.severity is Severity.ERROR else _YELLOW
    place = f"{printable(finding.place, 1400)}:"
    kind = paint(f"{finding.severity}[{finding.rule}]", _BOLD, tint)
    yield f"{paint(place, _BOLD)} {kind} {finding.message}"
    if source is not None and source.text and source.origin is None:
        text, start, width = _excerpt(source.line(finding.line), finding.column - 1, finding.end_column - 1)
        yield f"{paint(f'{finding.line:>5} |', _DIM)} {text}"
        yield f"{paint('      |', _DIM)} {' ' * start}{paint('^' * width, _BOLD, tint)}"


def _excerpt(line: str, start: int, end: int) -> tuple[str, int, int]:
    """Return what to show of a line, and in columns of the screen where the caret starts and its width."""
    first = max(0, start - _BEFORE) if len(line) > _WIDTH else 0
    cells = [_cell(c) for c in line[first : first + _WIDTH]]
    widths = [_columns(cell) for cell in cells]
    at, to = start - first, min(end - first, len(cells))
    shown = "".join(cells)
    if first + len(cells) < len(line):
        shown += _ELLIPSIS
    indent = sum(widths[:at])
    if first:
        shown, indent = _ELLIPSIS + shown, indent + 1
    return shown, indent, max(1, sum(widths[at:to]))


def _cell(character: str) -> str:
    if character == "\t":
        return "    "
    return printable(character)


def _columns(cell: str) -> int:
    """Return how many columns of a terminal some characters take."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in cell
    )


def _summary(checked: Sequence[Checked], paint: Paint) -> str:
    count = Counter(finding.severity for file in checked for finding in file.findings)
    files = _number(len(checked), "file")
    dropped = sum(file.dropped for file in checked)
    suppressed = sum(file.suppressed for file in checked)
    ignored = f" ({suppressed} ignored)" if suppressed else ""
    if not count:
        return paint(f"{files} checked, no findings{ignored}", _GREEN)
    parts = [_number(count[s], str(s)) for s in Severity if count[s]]
    more = f" and {dropped} more" if dropped else ""
    return paint(f"{', '.join(parts)}{more} in {files}{ignored}", _BOLD)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
