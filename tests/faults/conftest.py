"""One fault bench for all tests, and a line of counts at the end."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.bench import Bench

IN_MEMORY = Path("/dev/shm")
COUNTS: Counter[str] = Counter()


@pytest.fixture(scope="session")
def fast_folder() -> Iterator[Path]:
    """A folder in memory if there is such a thing: what is asked of the disk here is refused anyway."""
    usable = IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if usable else None, prefix="ann_ckpt-tests-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def bench(fast_folder: Path) -> Iterator[Bench]:
    with Bench(fast_folder, COUNTS) as made:
        yield made


@pytest.fixture(scope="session")
def counts() -> Counter[str]:
    """What was tried; shown at the end."""
    return COUNTS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if COUNTS:
        terminalreporter.section("injected faults")
        for what, count in sorted(COUNTS.items()):
            terminalreporter.write_line(f"{count:8,} {what}")
