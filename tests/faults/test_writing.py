"""A fault at any system call of anything that writes: no crash, nothing lost, nothing false."""

from __future__ import annotations

import pytest

from tests.faults.bench import Bench
from tests.faults.operations import OPERATIONS
from tests.faults.shim import WRITING, Fault

pytestmark = pytest.mark.torture


@pytest.mark.parametrize("fault", WRITING, ids=lambda fault: fault.name)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_was_said_is_true_and_nothing_is_lost(
    bench: Bench, operation: str, fault: Fault, calls: int | None
) -> None:
    wrong = []
    for number in bench.numbers(operation, fault, calls):
        found = bench.inject(operation, fault, number)
        if found is None:
            break
        if found:
            wrong.append(f"{fault.name} at call {number} of {operation}: {found}")
    assert not wrong, "\n\n".join([f"{len(wrong)} of {number + 1} calls", *wrong[:5]])
