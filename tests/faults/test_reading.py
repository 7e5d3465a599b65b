"""A fault at any system call of anything that reads: right values, or a true word on what cannot be read."""

from __future__ import annotations

import pytest

from tests.faults.bench import Bench
from tests.faults.reading import READINGS
from tests.faults.shim import READING, Fault

pytestmark = pytest.mark.torture


@pytest.mark.parametrize("fault", READING, ids=lambda fault: fault.name)
@pytest.mark.parametrize("reading", READINGS)
def test_what_is_read_is_right_or_said_to_be_unreadable(
    bench: Bench, reading: str, fault: Fault, calls: int | None
) -> None:
    wrong = []
    # Even a small sample takes the first calls: there, files and folders are opened.
    for number in (0, 3, 17) if calls == 1 else range(calls or 1 << 30):
        found = bench.misread(reading, fault, number)
        if found is None:
            break
        if found:
            wrong.append(f"{fault.name} at call {number} of {reading}: {found}")
    assert not wrong, "\n\n".join([f"{len(wrong)} wrong", *wrong[:5]])
