"""Pictures of how cost grows, one for each series of cases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import cycle
from pathlib import Path

from benchmarks.harness import Role
from benchmarks.results import Result
from benchmarks.table import human

__all__ = ["draw"]

_OURS = ("#c0392b", "#e8927c", "#6e1a10", "#e0a030")
_LIMIT = "#000000"
_PEERS = ("#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22")


def draw(results: Iterable[Result], folder: Path) -> list[Path]:
    """Write one SVG for each series into ``folder`` and return the paths.

    Both axes are logarithmic; the bars go from the fastest to the slowest turn.
    """
    series: dict[str, list[Result]] = {}
    for result in results:
        if result.series and result.x is not None:
            series.setdefault(result.series, []).append(result)
    folder.mkdir(parents=True, exist_ok=True)
    return [_draw(title, members, folder) for title, members in series.items() if len(members) > 1]


def _draw(title: str, members: Sequence[Result], folder: Path) -> Path:
    import matplotlib as mpl

    mpl.use("svg")
    # The same picture has the same bytes each time.
    mpl.rcParams.update({"svg.hashsalt": title, "svg.fonttype": "none", "font.size": 9})
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    colours = {Role.OURS: cycle(_OURS), Role.LIMIT: cycle([_LIMIT]), Role.PEER: cycle(_PEERS)}
    for name, role in {row.name: row.role for result in members for row in result.rows.values()}.items():
        points = [
            (result.x, row.time)
            for result in members
            if (row := result.rows.get(name)) is not None and row.time is not None and not row.problem
        ]
        if not points:
            continue
        middle = [time.median for _, time in points]
        axes.errorbar(
            [x for x, _ in points],
            middle,
            yerr=[
                [time.median - time.low for _, time in points],
                [time.high - time.median for _, time in points],
            ],
            label=name,
            color=next(colours[role]),
            linewidth=2 if role is Role.OURS else 1,
            linestyle=":" if role is Role.LIMIT else "-",
            marker="o",
            markersize=3,
            capsize=2,
        )
    axes.set(title=title, xlabel=members[0].axis, ylabel="seconds", yscale="log")
    places = sorted({result.x for result in members if result.x is not None})
    if all(places):
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=min(place for place in places if place))
    in_bytes = members[0].axis.startswith("bytes")
    labels = [human(int(x)) if in_bytes else f"{x:,.10g}" for x in places]
    axes.set_xticks(places, labels, fontsize=8, rotation=30 if in_bytes else 0)
    if not all(places):
        axes.set_xlim(left=-places[1] / 3)
    axes.minorticks_off()
    axes.grid(visible=True, which="major", linewidth=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    path = folder / f"{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}.svg"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
