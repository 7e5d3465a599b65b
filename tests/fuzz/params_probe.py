"""Checks many texts in one process with limits on time and memory; writes one JSON document.

python -m tests.fuzz.params_probe mutants FIRST COUNT
python -m tests.fuzz.params_probe shape NAME LARGEST
"""

from __future__ import annotations

import json
import resource
import sys
from collections import Counter
from pathlib import Path

from ann_ckpt.params import parse
from ann_ckpt.params.api import schema_of
from ann_ckpt.params.checking.checker import Checked, Checker
from ann_ckpt.params.config import Config, settled
from ann_ckpt.params.reports import REPORTS
from tests.fuzz.mutate import mutant
from tests.fuzz.params_shapes import SHAPES
from tests.unit.params.networks import network

EXAMPLES = Path(__file__).parents[2] / "examples" / "parameters"
SECONDS, MEMORY = 600, 2 << 30
"""Of one process: against hanging, and against eating the machine."""


def said(checked: Checked, text: str) -> None:
    """Look at what is said of a text: positions are in it, and every report can say it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for finding in checked.findings:
        assert 1 <= finding.line <= len(lines), finding
        assert 1 <= finding.column < finding.end_column, finding
        assert finding.column <= len(lines[finding.line - 1]) + 1, finding
        assert finding.message.isprintable(), finding
    for render in REPORTS.values():
        render([checked]).encode("utf-8")


def mutants(first: int, count: int) -> None:
    """Check damaged copies of the example files against the example's network."""
    seeds = [p for p in sorted(EXAMPLES.rglob("*")) if p.suffix in {".json", ".yaml", ".xml"}]
    originals = [(p.suffix, p.read_bytes()) for p in seeds]
    others = [raw for _, raw in originals]
    checker = Checker(schema_of(EXAMPLES / "network.schema.json"))
    outcomes: Counter[str] = Counter()
    for number in range(first, first + count):
        suffix, raw = originals[number % len(originals)]
        changed = mutant(raw, others, number)
        file = parse(changed, path=f"mutant{suffix}")
        checked = settled(checker.check(file), file, Config())
        outcomes["clean" if not checked.findings else checked.findings[0].rule] += 1
        if number % 10 == 0:
            said(checked, file.source.text)
    sys.stdout.write(json.dumps(outcomes))


def shapes(largest: int, names: list[str]) -> None:
    """Check texts of some shapes, each twice as long as the one before."""
    checker = Checker(schema_of(network()))
    rules: dict[str, list[str]] = {}
    for name in names:
        suffix, make = SHAPES[name]
        size, found = 1000, set()
        while size <= largest:
            file = parse(make(size), path=f"shape.{suffix}")
            checked = settled(checker.check(file), file, Config())
            said(checked, file.source.text)
            found |= {f.rule for f in checked.findings}
            size *= 2
        rules[name] = sorted(found)
    sys.stdout.write(json.dumps(rules))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    if sys.argv[1] == "mutants":
        mutants(int(sys.argv[2]), int(sys.argv[3]))
    else:
        shapes(int(sys.argv[2]), sys.argv[3:])
