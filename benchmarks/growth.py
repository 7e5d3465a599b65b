"""How cost grows along the series of cases, as a power: what more than was measured would take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmarks.harness import Role
from benchmarks.results import Result

__all__ = ["exponent", "growth"]

_LARGEST = 3
"""Points from which the power is taken: what is small takes what it takes to begin with."""
_TERABYTE = 1e12
_HEAD = """\
The power of what is on the horizontal axis by which time grows, from the three largest points, and what
would follow further out, taking time to grow with bytes and synapses at the least: powers below 1 come from
what a call takes to begin with.

| picture | contender | power | expected |
|---|---|---|---|"""


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """Return the power of x that the largest of some points ``(x, y)`` follow; None if there are too few."""
    logs = [(math.log(x), math.log(y)) for x, y in sorted(points)[-_LARGEST:] if x > 0 and y > 0]
    if len(logs) < 2:
        return None
    across, up = (sum(column) / len(logs) for column in zip(*logs, strict=True))
    return sum((x - across) * (y - up) for x, y in logs) / sum((x - across) ** 2 for x, _ in logs)


def growth(results: Iterable[Result]) -> str:
    """Return a table of our contenders in each series, in Markdown; empty if there are none."""
    series: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for result in results:
        for row in result.rows.values():
            if result.series and result.x and row.role is not Role.PEER and row.time is not None:
                at = series.setdefault((result.series, result.axis, row.name), [])
                at.append((result.x, row.time.median))
    lines = []
    for (title, axis, name), points in series.items():
        power = exponent(points)
        if power is None:
            continue
        x, y = max(points)
        in_bytes = axis.startswith("bytes")
        further = _TERABYTE if in_bytes else 10 * x
        rises = max(1.0, power) if in_bytes or axis == "synapses" else power
        seconds = float(f"{y * (further / x) ** rises:.2g}")
        what = "1 TB" if in_bytes else f"{further:,.0f} {axis}"
        expected = "" if axis.startswith("%") else f"{seconds:,g} s at {what}"
        lines.append(f"| {title} | {name} | {power:.2f} | {expected} |")
    return "\n".join([_HEAD, *lines]) if lines else ""
