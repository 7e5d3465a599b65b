"""The shim itself: a bench that injects nothing would find nothing."""

from __future__ import annotations

import pytest

from tests.faults.bench import Bench
from tests.faults.operations import OPERATIONS
from tests.faults.shim import CHANGING, Kind

MAKES = {
    "save-file": Kind.WRITE | Kind.FSYNC | Kind.RENAME | Kind.CREATE | Kind.CLOSE,
    "save": Kind.WRITE | Kind.FSYNC | Kind.RENAME | Kind.CREATE | Kind.MKDIR | Kind.UNLINK,
    "prune": Kind.FSYNC | Kind.UNLINK,
    "create": Kind.MKDIR | Kind.FSYNC | Kind.RENAME,
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_is_seen(bench: Bench, operation: str) -> None:
    assert bench.calls(operation, CHANGING) >= 4
    for kind in MAKES.get(operation, Kind(0)):
        assert bench.calls(operation, kind), kind
