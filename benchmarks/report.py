"""From the JSON of a run to docs/benchmarks.md, its pictures, and a line of history."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.catalogue import every_case
from benchmarks.growth import growth
from benchmarks.harness import SCALES, Scale
from benchmarks.pictures import draw
from benchmarks.record import Record
from benchmarks.results import Result, judge
from benchmarks.running import ROOT
from benchmarks.table import goal_line, human, markdown

__all__ = ["report"]

HISTORY = Path(__file__).parent / "history.jsonl"
REASONS = Path(__file__).parent / "reasons.toml"
_WHOLE_RUN = "run"
"""Key of what is to be said of all of it."""
DOCS = ROOT / "docs"

_HOW = """\
Each table is one case. All contenders do the same thing to the same data, in turn, A B A B, in
one process; the first turn warms up and counts only if it was long, and who took long sits out the
turns that are left. Where calls take milliseconds, a turn repeats them for 50 ms and counts their
mean. `turns` is the number of turns that count, `from - to` their spread. A ratio is taken turn by
turn, and its median and spread are shown. *x limit* compares with what the machine can do (the first
line: the same bytes through `os.write` and fsync, or through `preadv`), *x best peer* with the
fastest of the libraries. Writing includes fsync, for everybody; before each turn of writing, twice as
many bytes as it needed before, for files and itself, go to a file that is removed at once, so that
nobody has to wait for memory that a virtual machine gave back to its host; who needs little waits
until what others freed has gone back. Reading finds the file in the page cache.

`memory` is the peak of resident memory above what was there before the call, each taken in a
process of its own; a load counts the arrays that it returns. `read` and `written` are bytes that
went through system calls; what a library reads through a memory map does not show there.

Of pauses, everything changes between two saves and again while one runs in the background: the time is that
of the call, *until on disk* ends when the checkpoint is durable, and *a step meanwhile* is the mean of the
steps in between. The limit is a fork, whose child ends at once; the steps in its line are those while
nothing is saved. Memory is that of the process and its children together, pages that they share counted once.
"""


def report(
    runs: Sequence[Mapping[str, Any]],
    results: Sequence[Result],
    pictures: Iterable[Path],
) -> str:
    """Return the text of docs/benchmarks.md.

    Parameters
    ----------
    runs : sequence of mapping
        First line of each JSON file: scale, commit, command, machine; the machine is the same.
    results : sequence of Result
        In the order of the tables.
    pictures : iterable of Path
        Relative to docs/.
    """
    origin = "\n".join(f"- `{one['command']}`{_commit(one)}" for one in runs)
    minutes = sum(result.took for result in results) / 60
    reasons = tomllib.loads(REASONS.read_text())
    parts = [
        "# Benchmarks",
        f"Written by `python -m benchmarks.report` from {minutes:.0f} minutes of measuring on one machine:",
        origin + _not_reached(runs, results),
        "\n".join(f"- {what}: {value}" for what, value in runs[0]["machine"].items()),
        *filter(None, [reasons.get(_WHOLE_RUN)]),
        "## Goals",
        _goals(results, reasons),
        "## How to read the tables",
        _HOW.strip(),
    ]
    drawn = list(pictures)
    table = growth(results)
    if drawn or table:
        parts += ["## Growth", *(f"![{p.stem.replace('-', ' ')}]({p.as_posix()})" for p in drawn)]
        parts += [table] * bool(table)
    for section, members in groupby(results, lambda result: result.key.split("/")[0]):
        parts.append(f"## {section.replace('-', ' ').capitalize()}")
        for result in members:
            size = f", {human(result.nbytes)}" if result.nbytes else ""
            parts += [f"### {result.title}{size}", f"`{result.key}`", markdown(result)]
            parts += ["\n".join(f"- {goal_line(outcome)}" for outcome in result.goals)] * bool(result.goals)
    return "\n\n".join(parts) + "\n"


def _in_order(results: Mapping[str, Result], scale: Scale) -> list[Result]:
    """Results in the order of the catalogue, compared with the goals of today."""
    found = []
    for case in every_case(scale):
        if case.key in results:
            result = results[case.key]
            result.goals = judge(case, result)
            found.append(result)
    return found


def _commit(run: Mapping[str, Any]) -> str:
    return f" at commit {run['commit']}" if run["commit"] else ""


def _not_reached(runs: Iterable[Mapping[str, Any]], results: Iterable[Result]) -> str:
    """Say which cases nobody came to, because a run was stopped."""
    reached = {result.key for result in results}
    wanted = dict.fromkeys(key for run in runs for key in run.get("cases", ()))
    missing = [f"`{key}`" for key in wanted if key not in reached]
    return f"\n\nNot reached: {', '.join(missing)}." if missing else ""


def _goals(results: Iterable[Result], reasons: Mapping[str, str]) -> str:
    lines = ["| case | goal and what was measured |", "|---|---|"]
    missed = []
    for result in results:
        for outcome in result.goals:
            lines.append(f"| `{result.key}` | {goal_line(outcome)} |")
            if outcome.met is False and result.key in reasons and result.key not in missed:
                missed.append(result.key)
    text = "\n".join(lines)
    if missed:
        why = "\n".join(f"- `{key}`: {reasons[key].strip()}" for key in missed)
        text += f"\n\nWhere the time goes in those that were missed, from profiles:\n\n{why}"
    return text


def history_line(runs: Sequence[Mapping[str, Any]], results: Iterable[Result]) -> str:
    """Return one line that later runs can be compared with."""
    results = list(results)
    return json.dumps(
        {
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            **runs[0],
            "command": " && ".join(run["command"] for run in runs),
            "cases": [result.key for result in results],
            "seconds": {
                result.key: {
                    row.name: float(f"{row.time.median:.4g}") for row in result.rows.values() if row.time
                }
                for result in results
            },
            "goals": {
                result.key: {o.text: [o.value and float(f"{o.value:.4g}"), o.met] for o in result.goals}
                for result in results
                if result.goals
            },
        }
    )


def main() -> None:
    """Write the report of a run; a full one becomes a line of history too."""
    parser = argparse.ArgumentParser("python -m benchmarks.report", description=__doc__)
    parser.add_argument(
        "json",
        type=Path,
        nargs="+",
        help="what `python -m benchmarks --json` wrote; of a case that was run again, the last one counts",
    )
    parser.add_argument("--docs", type=Path, default=DOCS, help="where benchmarks.md and the pictures go")
    options = parser.parse_args()
    records = [Record.read(path) for path in options.json]
    runs = [record.run for record in records]
    found = {key: result for record in records for key, result in record.results.items()}
    results = _in_order(found, SCALES[runs[0]["scale"]])
    pictures = draw(results, options.docs / "benchmarks")
    text = report(runs, results, [picture.relative_to(options.docs) for picture in pictures])
    (options.docs / "benchmarks.md").write_text(text)
    if runs[0]["scale"] == SCALES["full"].name and options.docs == DOCS:
        with HISTORY.open("a") as history:
            history.write(history_line(runs, results) + "\n")


if __name__ == "__main__":
    main()
