"""What a long store in a bucket costs: requests and bytes of the real code over a transport in memory.

``python -m benchmarks.scale [CHECKPOINTS]``. Seconds are a model, not a measurement: each request takes one
round trip, as many at the same time as the package makes, and bytes come at one rate.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import obstore
from obstore.store import MemoryStore

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, PopulationState, Retention, remote

_PLACE = "s3://bucket/run.ckpt"
_VALUES = np.arange(8000.0)
_ROUND_TRIP = 0.03
_RATE = 100e6
_CALLS = ("put", "get", "head", "list", "list_with_delimiter", "delete")


class Transport:
    """A bucket in memory that counts what it is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = self._bytes = 0
        store = MemoryStore()
        remote._store = lambda *_: store  # type: ignore[assignment]
        for name in _CALLS:
            setattr(obstore, name, self._counted(name, getattr(obstore, name)))

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            found = call(*args, **options)
            items, size = 1, 0
            if name == "list":
                found = list(found)
                items = sum(map(len, found))
            elif name == "list_with_delimiter":
                items = len(found["objects"])
            elif name == "delete":
                items = len(args[1])
            if name == "get":
                size = found.range[1] - found.range[0]
            elif name == "put":
                content = args[2]
                size = content.stat().st_size if hasattr(content, "stat") else len(content)
            with self._lock:
                self._requests += max(1, -(-items // 1000))  # S3 lists and removes a thousand at a time
                self._bytes += size
            return found

        return counted

    def spent(self) -> tuple[int, int]:
        """Requests and bytes since this was asked last."""
        with self._lock:
            found = self._requests, self._bytes
            self._requests = self._bytes = 0
            return found


def network(step: int) -> NetworkState:
    """Eight arrays of which four change from step to step."""
    arrays = {f"v{i}": np.random.default_rng((step, i)).random(_VALUES.size) for i in range(4)}
    arrays |= {f"u{i}": _VALUES + i for i in range(4)}
    return NetworkState(
        populations=[PopulationState("p", _VALUES.shape, variables=arrays)], time_step=step, dt=1.0
    )


def main(count: int = 1000) -> None:
    """Print a table: for each call, requests, MiB and seconds by the model."""
    os.environ.setdefault("AWS_REGION", "here")
    transport = Transport()

    def row(what: str, call: Callable[[], Any], parallel: int = 1) -> None:
        transport.spent()
        call()
        asked, size = transport.spent()
        seconds = -(-asked // parallel) * _ROUND_TRIP + size / _RATE
        print(f"| {what} | {asked:,} | {size / 2**20:.2f} | {seconds:.1f} |", flush=True)

    with CheckpointStore(_PLACE, "a") as store:
        for step in range(count):
            store.save(network(step), tag="first" if step == 0 else None)
        objects = len({name for info in store.checkpoints for name in info.objects})
        print(f"{count:,} checkpoints, {objects:,} objects")
        print("| | requests | MiB | s |\n|---|---|---|---|")
        row("save", lambda: store.save(network(count)))
    row("open the newest", lambda: ann_ckpt.open(_PLACE).close())
    row("open by its step", lambda: ann_ckpt.open(f"{_PLACE}@{count // 2}").close())
    row("open by a tag, the oldest", lambda: ann_ckpt.open(f"{_PLACE}@first").close())
    row("list them (log)", lambda: CheckpointStore(_PLACE).checkpoints, 8)
    opened: list[CheckpointStore] = []
    row("open for saving", lambda: opened.append(CheckpointStore(_PLACE, "a")))
    row("the first save of a process", lambda: opened[0].save(network(count + 1)))
    opened[0].retention = Retention(keep_last=count)
    row("the first save with retention", lambda: opened[0].save(network(count + 2)), 8)
    row("each later one", lambda: opened[0].save(network(count + 3)))
    opened[0].close()
    with CheckpointStore(_PLACE, "prune") as store:
        row("prune half of them", lambda: store.prune(keep_last=count // 2, keep_tags=False), 8)
        row("gc", store.gc)


if __name__ == "__main__":
    began = time.perf_counter()
    main(*map(int, sys.argv[1:2]))
    print(f"({time.perf_counter() - began:.0f} s)", file=sys.stderr)
