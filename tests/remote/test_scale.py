"""The requests that docs/scale.md tells of, counted with less: what grows, and what does not."""

from __future__ import annotations

from benchmarks.scale import Transport, history, together


def test_what_a_history_costs():
    counts = (10, 20)
    with Transport() as transport:
        small = {cost.what: cost for cost in history(transport, counts[0])}
    with Transport() as transport:
        large = {cost.what: cost for cost in history(transport, counts[1])}
    more = {what: large[what].requests - small[what].requests for what in small}
    # A request for each header, which has the digests of all blocks; everything else is as it was.
    grows = {"open by a tag, the oldest": 10, "list them (`log`)": 10, "prune half of them": 10}
    grows["the first save with retention"] = 10
    assert more == dict.fromkeys(small, 0) | grows
    assert {what: small[what].requests for what in ("save", "open the newest", "open by its step")} == {
        "save": 9,
        "open the newest": 2,
        "open by its step": 2,
    }
    assert large["list them (`log`)"].bytes < 21 * 180_000
    assert large["open by a tag, the oldest"].bytes < 22 * 50_000


def test_what_many_processes_cost():
    with Transport() as transport:
        few = {cost.what: cost for cost in together(transport, 4)}
    with Transport() as transport:
        many = {cost.what: cost for cost in together(transport, 8)}
    more = {what: many[what].requests - few[what].requests for what in few}
    last = more.pop("that of who comes last")
    assert set(more.values()) == {0}
    assert last == 4
    assert {what: cost.requests for what, cost in few.items() if what != "that of who comes last"} == {
        "open for saving": 8,
        "the first save": 21,
        "a later save": 9,
        "close": 2,
        "open for reading": 2,
    }
