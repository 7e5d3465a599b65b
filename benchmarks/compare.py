"""This tree beside a commit: the same cases, measured in turn on this machine."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.catalogue import every_case, select
from benchmarks.harness import SCALES, Case, Role, Scale, remove
from benchmarks.results import Result, Row
from benchmarks.running import FOLDER, ROOT, WorkerDiedError, WorkerProcess, take_turn
from benchmarks.table import figure, seconds

__all__ = ["check_out", "compare"]


def check_out(commit: str, tree: Path) -> None:
    """Put the package as it was at a commit, and the benchmarks as they are now, into a folder.

    Raises
    ------
    LookupError
        If there is no such commit.
    """
    tree.mkdir(parents=True)
    packed = subprocess.run(
        ["git", "archive", commit, "ann_ckpt"], cwd=ROOT, capture_output=True, check=False
    )
    if packed.returncode:
        raise LookupError(packed.stderr.decode().strip())
    subprocess.run(["tar", "-x", "-C", str(tree)], input=packed.stdout, check=True)
    shutil.copytree(ROOT / "benchmarks", tree / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))


def compare(case: Case, scale: Scale, tree: Path, folder: Path, *, rounds: int) -> Result:
    """Measure what is ours in one case, here and in another tree, in turn.

    Returns
    -------
    Result
        With two rows for each contender: ``NAME, then`` and ``NAME, now``.
    """
    with (
        WorkerProcess(case, scale, folder / "then", tree=tree) as then,
        WorkerProcess(case, scale, folder / "now") as now,
    ):
        sides = {"then": then, "now": now}
        names = [name for name, who in now.ask("who").items() if who["role"] == Role.OURS]
        rows = {f"{name}, {side}": Row(name, Role.OURS) for name in names for side in sides}
        for side, worker in sides.items():
            for name in names:
                row = rows[f"{name}, {side}"]
                row.problem = worker.ask("prepare", name=name).get("problem", "")
        for turn in range(rounds + 1):
            for name in names:
                for side, worker in sides.items():
                    take_turn(worker, rows[f"{name}, {side}"], counts=turn > 0)
    remove(folder)
    return Result(case.key, case.title, case.nbytes, case.series, case.axis, case.x, rows)


def lines(result: Result) -> list[str]:
    """Return one line for each contender: time then, time now, and their ratio."""
    shown = []
    for name in dict.fromkeys(row.name for row in result.rows.values()):
        then, now = (result.rows[f"{name}, {side}"] for side in ("then", "now"))
        problem = then.problem or now.problem
        ratio = result.ratio(f"{name}, now", f"{name}, then")
        if problem or ratio is None or then.time is None or now.time is None:
            shown.append(f"{result.key:40} {name:28} {problem or 'not measured'}")
            continue
        extra = "".join(
            f", {what} x {figure(getattr(now, what) / getattr(then, what))}"
            for what in ("file", "read", "written")
            if getattr(then, what) and getattr(now, what) != getattr(then, what)
        )
        shown.append(
            f"{result.key:40} {name:28} {seconds(then.time.median):>8} -> {seconds(now.time.median):>8}"
            f"  x {figure(ratio.median)} ({figure(ratio.low)}-{figure(ratio.high)}){extra}"
        )
    return shown


def main() -> None:
    """Print then, now and the ratio for each of our contenders."""
    parser = argparse.ArgumentParser("python -m benchmarks.compare", description=__doc__)
    parser.add_argument("commit", help="what to compare with: a hash, a tag, HEAD~3")
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help="keys, their beginnings, or globs; default all"
    )
    parser.add_argument("--scale", choices=SCALES, default="small")
    parser.add_argument("--rounds", type=int, help="how often each side runs")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="on the disk to measure")
    options = parser.parse_args()
    scale = SCALES[options.scale]
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        tree, folder = Path(scratch) / "tree", Path(scratch) / "data"
        try:
            cases = select(every_case(scale), options.cases)
            check_out(options.commit, tree)
        except LookupError as error:
            parser.error(str(error))
        for case in cases:
            try:
                result = compare(case, scale, tree, folder, rounds=options.rounds or scale.rounds)
            except WorkerDiedError as death:
                print(f"{case.key:40} {death}", flush=True)
                continue
            print("\n".join(lines(result)), flush=True)


if __name__ == "__main__":
    main()
