"""Results as tables of text: for the terminal and, with the same cells, for the report."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import Role
from benchmarks.results import Outcome, Result, Row, Spread

__all__ = ["COLUMNS", "cells", "columns", "figure", "goal_line", "human", "markdown", "seconds", "text"]

COLUMNS = ("", "median", "from - to", "turns", "x limit", "x best peer", "memory", "file", "read", "written")
"""``memory`` is the peak above what was there before; ``read`` and ``written`` go through system calls."""


def columns(result: Result) -> tuple[str, ...]:
    """Return :data:`COLUMNS`, and what else the contenders of a result have taken the time of."""
    return (*COLUMNS, *dict.fromkeys(what for row in result.rows.values() for what in row.beside))


def cells(result: Result) -> list[tuple[str, ...]]:
    """Return one line for each contender, one text for each of :func:`columns`, two if not measured."""
    return [_cells(result, row) for row in result.rows.values()]


def text(result: Result) -> str:
    """Return a result as an aligned table, with its goals below."""
    size = f" ({human(result.nbytes)})" if result.nbytes else ""
    heads = columns(result)
    lines = [heads, *cells(result)]
    widths = [max(len(line[i]) for line in lines if len(line) > 2) for i in range(len(heads))]
    widths[0] = max(len(line[0]) for line in lines)
    shown = [f"{result.key}  {result.title}{size}"]
    for line in lines:
        first, *rest = line
        aligned = (
            [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
            if len(rest) > 1
            else rest
        )
        shown.append("  ".join([first.ljust(widths[0]), *aligned]).rstrip())
    return "\n".join(["  " + line if i else line for i, line in enumerate(shown)] + _goals(result))


def markdown(result: Result) -> str:
    """Return a result as a Markdown table."""
    heads = columns(result)
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    for name, *rest in cells(result):
        shown = rest if len(rest) > 1 else [*rest, *[""] * (len(heads) - 2)]
        bold = f"**{name}**" if result.rows[name].role is Role.OURS else name
        lines.append(f"| {' | '.join([bold, *shown])} |")
    return "\n".join(lines)


def goal_line(outcome: Outcome) -> str:
    """Return a goal with what was measured and whether that reaches it."""
    if outcome.value is None:
        return f"{outcome.text}: not measured"
    value = {"B": human, "s": seconds}.get(outcome.unit, figure)(outcome.value)
    return f"{outcome.text}: {value}, {'met' if outcome.met else 'MISSED'}"


def human(count: float | None) -> str:
    """Return a number of bytes in three digits or so."""
    if count is None:
        return "-"
    for unit in ("B", "KiB", "MiB"):
        if abs(count) < 1000:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} GiB"


def _goals(result: Result) -> list[str]:
    return [f"  goal: {goal_line(outcome)}" for outcome in result.goals]


def _cells(result: Result, row: Row) -> tuple[str, ...]:
    if row.problem or row.time is None:
        return (row.name, row.problem or "not measured")
    limit, best = result.limit, result.best_peer
    return (
        row.name,
        seconds(row.time.median),
        f"{seconds(row.time.low)} - {seconds(row.time.high)}",
        str(len(row.counted)),
        _ratio(result.ratio(row.name, limit.name) if limit else None),
        _ratio(result.ratio(row.name, best.name) if best else None),
        human(row.memory),
        human(row.file),
        human(row.read),
        human(row.written),
        *(_median(row.beside.get(what, ())) for what in columns(result)[len(COLUMNS) :]),
    )


def _median(values: Sequence[float]) -> str:
    spread = Spread.of(values)
    return seconds(spread.median) if spread else "-"


def _ratio(ratio: Spread | None) -> str:
    if ratio is None:
        return "-"
    return f"{figure(ratio.median)} ({figure(ratio.low)}-{figure(ratio.high)})"


def figure(value: float) -> str:
    """Return a ratio in three digits or so."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def seconds(value: float) -> str:
    """Return a time in three digits or so, with its unit."""
    if abs(value) < 1e-3:
        return f"{value * 1e6:.0f} us"
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.2f} s"
