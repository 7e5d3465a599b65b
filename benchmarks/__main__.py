"""Command line of the benchmarks."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmarks import machine
from benchmarks.catalogue import every_case, select
from benchmarks.harness import SCALES, Case, Scale
from benchmarks.peers import PEERS
from benchmarks.record import Record, RecordError
from benchmarks.running import FOLDER, ROOT, measure
from benchmarks.table import text

DISTRIBUTIONS = sorted({"numpy", "ANNarchy", *(name for peer in PEERS.values() for name in peer.needs)})


def main() -> None:
    """Measure what was asked for, print tables, and write JSON lines beside them."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help="keys, their beginnings, or globs; default all"
    )
    parser.add_argument("--scale", choices=SCALES, default="small")
    parser.add_argument("--rounds", type=int, help="how often each contender runs")
    parser.add_argument("--no-memory", action="store_true", help="leave out the runs that take peak memory")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="on the disk to measure")
    parser.add_argument("--json", type=Path, help="file that gets one JSON line for each case")
    parser.add_argument(
        "--resume", action="store_true", help="leave out the cases that the file of --json has already"
    )
    parser.add_argument("--list", action="store_true", help="name the cases and do nothing")
    options = parser.parse_args()
    if options.resume and not options.json:
        parser.error("--resume goes on in the file of --json, and none was named")
    scale = SCALES[options.scale]
    try:
        cases = select(every_case(scale), options.cases)
    except LookupError as error:
        parser.error(str(error))
    if options.list:
        for case in cases:
            print(f"{case.key}  {case.title}")
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    try:
        record = _record(options, _run(options, scale, cases))
    except RecordError as error:
        parser.error(str(error))
    if record is not None:
        cases = [case for case in cases if case.key not in record.results]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for number, case in enumerate(cases):
            result = measure(
                case,
                scale,
                Path(folder) / str(number),
                rounds=options.rounds,
                memory=not options.no_memory,
                say=lambda what, key=case.key: _say(f"{key}: {what}"),
            )
            _say("")
            print(text(result), end="\n\n", flush=True)
            if record is not None:
                record.add(result)


def _record(options: argparse.Namespace, run: dict[str, object]) -> Record | None:
    if options.json is None:
        return None
    return (Record.go_on if options.resume else Record.begin)(options.json, run)


def _run(options: argparse.Namespace, scale: Scale, cases: Iterable[Case]) -> dict[str, object]:
    """First line of the JSON: what this run is."""
    command = ["python -m benchmarks", *options.cases, f"--scale {scale.name}"]
    if options.rounds:
        command.append(f"--rounds {options.rounds}")
    if options.no_memory:
        command.append("--no-memory")
    return {
        "scale": scale.name,
        "commit": machine.commit_of(ROOT),
        "command": " ".join(command),
        "cases": [case.key for case in cases],
        "machine": machine.describe(DISTRIBUTIONS, options.folder),
    }


def _say(what: str) -> None:
    """Show what happens now in one line that is written over, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r{what[:100]:<100}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
