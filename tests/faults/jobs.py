"""What the processes of the fault bench do, by name."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from ann_ckpt.errors import CheckpointError
from tests.faults import shim
from tests.faults.flips import flip
from tests.faults.flips import prepare_flips as _prepare_flips
from tests.faults.networks import small_blocks
from tests.faults.operations import OPERATIONS, Outcome
from tests.faults.reading import READINGS

__all__ = ["JOBS", "warm_up"]


def prepare(operation: str, folder: str) -> dict[str, Any]:
    OPERATIONS[operation].prepare(Path(folder))
    return {}


def prepare_reading(reading: str, folder: str) -> dict[str, Any]:
    READINGS[reading].prepare(Path(folder))
    return {}


def prepare_flips(kind: str, folder: str) -> dict[str, Any]:
    _prepare_flips(kind, Path(folder))
    return {}


def perform(operation: str, folder: str, fault: dict[str, Any] | None, number: int = -1) -> dict[str, Any]:
    """Perform an operation with a fault; return what its caller was told."""
    told: dict[str, Any] = {"kind": "done", "message": ""}
    if fault is not None:
        shim.arm(Path(folder), shim.Fault(**fault), number)
    try:
        told["message"] = OPERATIONS[operation].perform(Path(folder)) or ""
    except CheckpointError as error:
        told = {"kind": "failed", "message": str(error), "error": type(error).__name__}
    if fault is not None:
        shim.disarm()
        told |= {"seen": shim.seen(), "met": shim.met(), "first": shim.first()}
    return told


def read(reading: str, folder: str, fault: dict[str, Any] | None, number: int = -1) -> dict[str, Any]:
    """Read with a fault; return what the reader was told. Wrong values are a foreign error."""
    told: dict[str, Any] = {"kind": "done", "message": ""}
    if fault is not None:
        shim.arm(Path(folder), shim.Fault(**fault), number)
    try:
        READINGS[reading].read(Path(folder))
    except CheckpointError as error:
        told = {"kind": "failed", "message": str(error), "code": error.code}
    if fault is not None:
        shim.disarm()
        told |= {"met": shim.met(), "first": shim.first()}
    return told


def judge(operation: str, folder: str, outcome: dict[str, Any]) -> dict[str, Any]:
    """Assert what must hold after what its caller was told."""
    known = {field.name for field in fields(Outcome)}
    OPERATIONS[operation].judge(Path(folder), Outcome(**{k: v for k, v in outcome.items() if k in known}))
    return {}


def warm_up() -> None:
    """Do everything once in this process, so that its forks find modules and networks in memory."""
    small_blocks()
    for operation in OPERATIONS.values():
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder) / "work"
            work.mkdir()
            operation.prepare(work)
            operation.perform(work)
            operation.judge(work, Outcome("done"))
    for reading in READINGS.values():
        with tempfile.TemporaryDirectory() as folder:
            reading.prepare(Path(folder))
            reading.read(Path(folder))


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    job.__name__: job for job in (prepare, prepare_reading, prepare_flips, perform, read, judge, flip)
}
