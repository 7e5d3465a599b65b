"""Reads mutants of genuine files, one after the other, and says which misbehaved.

Run as ``python -m tests.fuzz.legacy_probe FIRST COUNT FOLDER``. Before each mutant its
number goes to ``FOLDER/current``, so that whoever waits can tell what killed us.
"""

from __future__ import annotations

import collections
import json
import signal
import sys
from pathlib import Path

from ann_ckpt.adapters.legacy import examine
from ann_ckpt.adapters.legacy.reading import UNFORESEEN
from ann_ckpt.cli.info import describe_foreign
from ann_ckpt.errors import CorruptFileError, UnsafeFileError
from tests.fuzz.mutate import mutant
from tests.legacy import truth

SECONDS = 10
LARGEST = 120_000


class HungError(BaseException):
    """A mutant took longer than any genuine file."""


def corpus() -> list[Path]:
    """Genuine files of every version, format and kind that are small enough to read often."""
    return [path for path in truth.files() if path.stat().st_size < LARGEST]


def main(first: int, count: int, folder: Path) -> None:
    files = corpus()
    others = [path.read_bytes() for path in files[:: max(1, len(files) // 50)]]
    outcomes: collections.Counter[str] = collections.Counter()
    bad: list[str] = []
    signal.signal(signal.SIGALRM, _hung)
    for number in range(first, first + count):
        (folder / "current").write_text(str(number))
        original = files[number * 7919 % len(files)]
        path = folder / "mutant"
        path.write_bytes(mutant(original.read_bytes(), others, number))
        signal.alarm(SECONDS)
        try:
            describe_foreign(examine(path))
            outcomes["read"] += 1
        except (UnsafeFileError, CorruptFileError) as error:
            outcomes[type(error).__name__] += 1
            if error.fact.startswith(UNFORESEEN):
                bad.append(f"{number} of {truth.label(original)}: {error.__cause__!r}")
        except (Exception, HungError) as error:  # noqa: BLE001 - nothing else may come out
            bad.append(f"{number} of {truth.label(original)}: {type(error).__name__}: {error}")
        finally:
            signal.alarm(0)
    sys.stdout.write(json.dumps({"outcomes": outcomes, "bad": bad}))


def _hung(signum: int, frame: object) -> None:
    raise HungError


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
