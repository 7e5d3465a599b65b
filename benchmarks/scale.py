"""What long stores in buckets cost, and many processes: requests and bytes of the real code, counted.

``python -m benchmarks.scale [CHECKPOINTS] [PROCESSES]``. The transport is in memory. Blocks have 64 bytes
in place of 256 KiB: so a network of 512 kB has all the headers of one of 2 GB. Seconds are a model, not a
measurement: each request takes one round trip, as many at the same time as the package makes, and bytes
come at one rate.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple, Self
from unittest import mock

import numpy as np
import obstore
from obstore.store import MemoryStore

import ann_ckpt
from ann_ckpt import CheckpointStore, NetworkState, Part, PopulationState, Retention, remote
from ann_ckpt.store.saving import blocks

_PLACE = "s3://bucket/run.ckpt"
_VALUES = np.arange(8000.0)
_BLOCK = 64
_ROUND_TRIP = 0.03
_RATE = 100e6
_PAGE = 1000
"""Objects that S3 lists, or removes, in one request."""
_CALLS = ("put", "get", "head", "list", "list_with_delimiter", "delete")


class Cost(NamedTuple):
    """What one call has asked of the server."""

    what: str
    requests: int
    bytes: int
    parallel: int
    """Requests that are made at the same time."""

    @property
    def seconds(self) -> float:
        """How long that takes by the model."""
        return -(-self.requests // self.parallel) * _ROUND_TRIP + self.bytes / _RATE


class Transport(AbstractContextManager["Transport"]):
    """A bucket in memory that counts what it is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = self._bytes = 0
        self._patches = ExitStack()

    def __enter__(self) -> Self:
        store = MemoryStore()
        self._patches.enter_context(mock.patch.dict(os.environ, {"AWS_REGION": "here"}))
        self._patches.enter_context(mock.patch.object(remote, "_store", return_value=store))
        self._patches.enter_context(mock.patch.object(blocks, "_EVEN_BYTES", _BLOCK))
        for name in _CALLS:
            counted = self._counted(name, getattr(obstore, name))
            self._patches.enter_context(mock.patch.object(obstore, name, counted))
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.close()

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            found = call(*args, **options)
            if name == "list":
                return self._pages(found)
            items, size = 1, 0
            if name == "list_with_delimiter":
                items = len(found["objects"])
            elif name == "delete":
                items = len(args[1])
            elif name == "get":
                size = found.range[1] - found.range[0]
            elif name == "put":
                content = args[2]
                size = content.stat().st_size if hasattr(content, "stat") else len(content)
            self._add(max(1, -(-items // _PAGE)), size)
            return found

        return counted

    def _pages(self, found: Iterable[Any]) -> Iterator[Any]:
        """Count a listing as far as somebody reads it."""
        empty = True
        for some in found:
            empty = False
            self._add(1, 0)
            yield some
        if empty:
            self._add(1, 0)

    def _add(self, requests: int, size: int) -> None:
        with self._lock:
            self._requests += requests
            self._bytes += size

    def cost(self, what: str, call: Callable[[], Any], parallel: int = 1) -> Cost:
        """Return what a call asks for."""
        self._requests = self._bytes = 0
        call()
        return Cost(what, self._requests, self._bytes, parallel)


def network(step: int) -> NetworkState:
    """Eight arrays of which four change from step to step."""
    arrays = {f"v{i}": np.random.default_rng((step, i)).random(_VALUES.size) for i in range(4)}
    arrays |= {f"u{i}": _VALUES + i for i in range(4)}
    return NetworkState(
        populations=[PopulationState("p", _VALUES.shape, variables=arrays)], time_step=step, dt=1.0
    )


def share(step: int, rank: int, ranks: int) -> NetworkState:
    """What one of several processes has, of a network that is larger the more there are."""
    whole = network(step).populations["p"]
    part = Part(rank * _VALUES.size, ranks * _VALUES.size)
    population = PopulationState("p", _VALUES.shape, variables=whole.variables, part=part)
    return NetworkState(populations=[population], time_step=step, dt=1.0)


def history(transport: Transport, count: int) -> Iterator[Cost]:
    """Yield what is asked for of a store of so many checkpoints."""
    cost = transport.cost
    with CheckpointStore(_PLACE, "a") as store:
        for step in range(count):
            store.save(network(step), tag="first" if step == 0 else None)
        yield cost("save", lambda: store.save(network(count)))
    yield cost("open the newest", lambda: ann_ckpt.open(_PLACE).close())
    yield cost("open by its step", lambda: ann_ckpt.open(f"{_PLACE}@{count // 2}").close())
    yield cost("open by a tag, the oldest", lambda: ann_ckpt.open(f"{_PLACE}@first").close())
    yield cost("list them (`log`)", lambda: CheckpointStore(_PLACE).checkpoints, 8)
    opened: list[CheckpointStore] = []
    yield cost("open for saving", lambda: opened.append(CheckpointStore(_PLACE, "a")))
    yield cost("the first save of a process", lambda: opened[0].save(network(count + 1)))
    opened[0].retention = Retention(keep_last=count)
    yield cost("the first save with retention", lambda: opened[0].save(network(count + 2)), 8)
    yield cost("each later one", lambda: opened[0].save(network(count + 3)))
    opened[0].close()
    with CheckpointStore(_PLACE, "prune") as store:
        yield cost("prune half of them", lambda: store.prune(keep_last=count // 2, keep_tags=False), 8)
        yield cost("gc", store.gc)


def together(transport: Transport, ranks: int) -> Iterator[Cost]:
    """Yield what so many processes ask for that save together, in their second start.

    All but three have closed the store before the next one opens it: here, they would be too many threads.
    """
    place = f"s3://bucket/{ranks}.ckpt"

    def join(rank: int) -> CheckpointStore:
        return CheckpointStore(place, "a", rank=rank, ranks=ranks)

    for step in (0, 1):
        with join(0) as first:
            first.save(share(step, 0, ranks))
            for rank in range(1, ranks - 2 * step):
                with join(rank) as store:
                    store.save(share(step, rank, ranks))
            if step == 1:
                yield from _last_two(transport, join, ranks)
    yield transport.cost("open for reading", lambda: ann_ckpt.open(place).close())


def _last_two(transport: Transport, join: Callable[[int], CheckpointStore], ranks: int) -> Iterator[Cost]:
    cost = transport.cost
    opened: list[CheckpointStore] = []
    yield cost("open for saving", lambda: opened.append(join(ranks - 2)))
    one, last = *opened, join(ranks - 1)
    yield cost("the first save", lambda: one.save(share(1, ranks - 2, ranks)))
    yield cost("that of who comes last", lambda: last.save(share(1, ranks - 1, ranks)), 8)
    yield cost("a later save", lambda: one.save(share(2, ranks - 2, ranks)))
    yield cost("close", one.close)
    last.close()


def main(count: int = 1000, ranks: int = 300) -> None:
    """Print two tables: for each call, requests, MiB and seconds by the model."""
    with Transport() as transport:
        for title, costs in (
            (f"{count:,} checkpoints", history(transport, count)),
            (f"{ranks:,} processes", together(transport, ranks)),
        ):
            print(f"| {title} | requests | MiB | s |\n|---|---|---|---|")
            for cost in costs:
                row = f"| {cost.what} | {cost.requests:,} | {cost.bytes / 2**20:.2f} | {cost.seconds:.1f} |"
                print(row, flush=True)


if __name__ == "__main__":
    began = time.perf_counter()
    main(*map(int, sys.argv[1:3]))
    print(f"({time.perf_counter() - began:.0f} s)", file=sys.stderr)
