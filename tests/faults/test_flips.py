"""Any single bit flipped: no part is read wrongly without an error, and verify finds what could be."""

from __future__ import annotations

import os
import queue
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.flips import flipped_files
from tests.faults.zygote import Zygote

pytestmark = pytest.mark.torture

SAMPLE = 100
"""Bits to flip in an ordinary run; ``make torture`` flips each one."""
BATCH = 100
"""Flips in one process."""


class _Worker:
    """A process with a copy of its own."""

    def __init__(self, begin: Path, number: int) -> None:
        self._begin = begin
        self.folder = begin.with_name(f"work-{number}")
        self._zygote = Zygote()

    def flip(self, file: Path, bits: list[int]) -> tuple[list[str], int]:
        """Return what was wrong, and how many flips met an error."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self._begin, self.folder)
        told = self._zygote.do("flip", folder=self.folder, file=self.folder / file, bits=bits)
        if told["status"] or told["foreign"]:
            if len(bits) > 1:
                halves = [self.flip(file, bits[i::2]) for i in (0, 1)]
                return halves[0][0] + halves[1][0], halves[0][1] + halves[1][1]
            said = told.get("foreign") or told["stderr"]
            return [f"bit {bits[0]} of {file}: status {told['status']}, {said}"], 0
        return [f"bit {bit} of {file}: {problem}" for bit, problem in told["wrong"]], told["refused"]

    def close(self) -> None:
        self._zygote.close()


@pytest.fixture(params=["file", "store"])
def workers(request: pytest.FixtureRequest, fast_folder: Path) -> Iterator[list[_Worker]]:
    begin = fast_folder / f"flips-{request.param}" / "begin"
    begin.mkdir(parents=True)
    with Zygote() as zygote:
        assert not zygote.do("prepare_flips", kind=request.param, folder=begin)["foreign"]
    made = [_Worker(begin, number) for number in range(os.cpu_count() or 1)]
    yield made
    for worker in made:
        worker.close()


def test_no_flipped_bit_changes_a_value_without_an_error(
    workers: list[_Worker], rounds: int, share: slice, counts: Counter[str]
) -> None:
    begin = workers[0].folder.with_name("begin")
    every = [(p.relative_to(begin), bit) for p in flipped_files(begin) for bit in range(8 * p.stat().st_size)]
    if rounds == 1:
        every = sorted(random.Random(0).sample(every, SAMPLE))
    batches = []
    for file in dict.fromkeys(file for file, _ in every):
        bits = [bit for other, bit in every if other == file]
        batches += [(file, bits[i : i + BATCH]) for i in range(0, len(bits), BATCH)]
    free: queue.Queue[_Worker] = queue.Queue()
    for worker in workers:
        free.put(worker)

    def run(batch: tuple[Path, list[int]]) -> tuple[list[str], int]:
        worker = free.get()
        try:
            return worker.flip(*batch)
        finally:
            free.put(worker)

    with ThreadPoolExecutor(len(workers)) as pool:
        found = list(pool.map(run, batches[share]))
    wrong = [text for texts, _ in found for text in texts]
    flipped = sum(len(bits) for _, bits in batches[share])
    counts["bits flipped"] += flipped
    counts["bits flipped: refused"] += sum(refused for _, refused in found)
    counts["bits flipped: wrong"] += len(wrong)
    assert not wrong, "\n\n".join([f"{len(wrong)} of {flipped} flips", *wrong[:20]])
