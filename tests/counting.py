"""Counts the bytes that are read from checkpoint files, whoever reads them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from ann_ckpt.format.bytes import FileBytes


@dataclass
class Count:
    """Bytes so far."""

    total: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def bytes_read() -> Iterator[Count]:
    """Count what is read inside the block: values, and what it takes to find and check them."""
    count, original = Count(), FileBytes.read_into

    def read_into(self: Any, buffer: Any, offset: int) -> int:
        done = original(self, buffer, offset)
        with count.lock:
            count.total += done
        return done

    with patch.object(FileBytes, "read_into", read_into):
        yield count
