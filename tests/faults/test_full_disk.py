"""A disk that is really full: a small file system in memory with so many bytes left."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.bench import Bench
from tests.faults.operations import OPERATIONS

pytestmark = pytest.mark.torture

PAGE = 4096
MOST = 768 << 10
"""More room than any of the operations needs."""
SIZE = 8 << 20


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("small")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_with_any_amount_of_room_the_call_says_what_became_of_it(
    bench: Bench, mount: Path, operation: str, rounds: int
) -> None:
    step = PAGE if rounds > 1 else MOST // 3
    wrong = []
    for room in range(0, MOST, step):
        found = bench.fill_up(operation, mount, room)
        if found:
            wrong.append(f"{room} bytes: {found}")
    assert not wrong, "\n\n".join([f"{len(wrong)} wrong", *wrong[:5]])
