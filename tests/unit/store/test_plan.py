"""What is written and what is shared, decided from digests alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.format.chunking import StorageChoice
from ann_ckpt.format.digest import block_digests
from ann_ckpt.format.plan import ArrayEntry
from ann_ckpt.format.shared.array import SharedArray, StoredObject, block_records
from ann_ckpt.store.saving.placement import ArrayAction, Placement, is_shared, sources_to_keep

EDGES = [0, 3, 4, 9, 11, 20, 26, 30]


class Disk:
    """Objects in memory, and a history of saves of one array."""

    def __init__(self) -> None:
        self.objects: dict[str, np.ndarray] = {}
        self.layout: SharedArray | None = None
        self.written = 0

    def save(self, values: np.ndarray, edges: list[int]) -> Placement:
        records = block_records(np.diff(edges), block_digests(values, edges))
        placement = Placement(values.dtype, values.shape, self.layout)
        if not placement.keep_all(records):
            fresh = placement.take(records)
            parts = [values[a:b] for a, b, new in zip(edges, edges[1:], fresh, strict=False) if new]
            self.layout = placement.layout(self._write(placement.object_name(), parts))
        return placement

    def _write(self, name: str, parts: list[np.ndarray]) -> StoredObject | None:
        if not parts:
            return None
        self.objects[name] = np.concatenate(parts)
        self.written += len(self.objects[name])
        return StoredObject(name, len(self.objects[name]), self.objects[name].nbytes)

    def read(self) -> np.ndarray:
        assert self.layout is not None
        parts = [self.objects[p.source.name][p.start : p.start + p.entries] for p in self.layout.pieces]
        return np.concatenate(parts)


@st.composite
def histories(draw):
    """States of one array of a few distinct values, so that blocks repeat, vanish and come back."""
    states = []
    for _ in range(draw(st.integers(1, 8))):
        n = draw(st.integers(1, 40))
        cuts = draw(st.sets(st.integers(1, n - 1), max_size=8)) if n > 1 else set()
        values = np.repeat(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)), 1)
        states.append((values, [0, *sorted(cuts), n]))
    return states


@given(histories())
def test_whatever_the_history_the_pieces_are_the_array(states):
    disk = Disk()
    for values, edges in states:
        disk.save(values, edges)
        assert np.array_equal(disk.read(), values)


@given(histories(), st.integers(1, 3))
def test_no_more_is_written_than_is_new(states, batch):
    disk = Disk()
    for values, edges in states:
        records = block_records(np.diff(edges), block_digests(values, edges))
        before = disk.layout
        placement = Placement(values.dtype, values.shape, before)
        parts = [records[i : i + batch] for i in range(0, len(records), batch)]
        fresh = np.concatenate([placement.take(part) for part in parts])
        known: Counter[bytes] = Counter()
        if before is not None:
            usable = sources_to_keep(before)
            places = before.places(0, before.blocks.size)
            known.update(
                record.tobytes()
                for record, (name, *_) in zip(before.blocks, places, strict=True)
                if name in usable
            )
        new = Counter(record.tobytes() for record in records) - known
        assert Counter(record.tobytes() for record in records[fresh]) == new
        disk.save(values, edges)


def test_nothing_changed_keeps_the_layout_itself():
    disk = Disk()
    values = np.arange(30.0)
    disk.save(values, EDGES)
    before = disk.layout
    placement = disk.save(values.copy(), EDGES)
    assert disk.layout is before
    assert placement.plan("w").action is ArrayAction.LINKED


def test_only_changed_blocks_are_written_and_side_by_side():
    disk = Disk()
    values = np.arange(30.0)
    assert disk.save(values, EDGES).plan("w").action is ArrayAction.NEW
    changed = values.copy()
    changed[[5, 21]] = -1
    plan = disk.save(changed, EDGES).plan("w")
    assert (plan.action, plan.fresh_bytes, plan.pieces) == (ArrayAction.DELTA, (5 + 6) * 8, 5)
    assert disk.written == 30 + 11
    assert disk.layout is not None
    assert [(p.start, p.entries) for p in disk.layout.pieces] == [(0, 4), (0, 5), (9, 11), (5, 6), (26, 4)]


def test_blocks_that_only_moved_are_not_written():
    disk = Disk()
    values = np.arange(30.0)
    disk.save(values, EDGES)
    longer = np.insert(values, 9, [7.5, 7.5])
    plan = disk.save(longer, [0, 3, 4, 9, 11, 13, 22, 28, 32]).plan("w")
    assert plan.fresh_bytes == 2 * 8
    assert plan.pieces == 3


def test_alike_blocks_stay_in_long_pieces():
    disk = Disk()
    edges = list(range(0, 101, 5))
    disk.save(np.zeros(100), edges)
    changed = np.zeros(100)
    changed[50] = 1
    assert disk.save(changed, edges).plan("w").pieces <= 4


@pytest.mark.parametrize("other", [np.arange(30, dtype="f4"), np.arange(30, dtype="i8"), np.zeros((30, 2))])
def test_another_type_or_shape_shares_nothing(other):
    disk = Disk()
    disk.save(np.zeros(30), EDGES)
    disk.layout, before = None, disk.layout
    placement = Placement(other.dtype, other.shape, before)
    placement.take(block_records(np.diff(EDGES), block_digests(other, EDGES)))
    assert placement.fresh_entries == 30


def test_objects_are_named_by_content_and_type():
    def name(values, edges):
        placement = Placement(values.dtype, values.shape)
        placement.take(block_records(np.diff(edges), block_digests(values, edges)))
        return placement.object_name()

    values = np.arange(30, dtype="i4")
    assert name(values, EDGES) == name(values.copy(), EDGES)
    others = [name(values + 1, EDGES), name(values.view("u4"), EDGES), name(values.view("f4"), EDGES)]
    assert len({name(values, EDGES), name(values, [0, 30]), *others}) == 5


def history(n_blocks: int, changes_per_save: int, saves: int, entries: int = 8192) -> list[SharedArray]:
    """Layouts of an array of 64 KiB blocks of which a few change at random in each save."""
    rng = np.random.default_rng(0)
    disk, layouts = Disk(), []
    version = np.zeros(n_blocks, int)
    edges = list(range(0, n_blocks * entries + 1, entries))
    fake = np.broadcast_to(np.float64(0), (n_blocks * entries,))
    layout = None
    for _ in range(saves):
        records = block_records(
            [entries] * n_blocks, [f"{i:08d}{v:08d}".encode() for i, v in enumerate(version)]
        )
        placement = Placement(fake.dtype, fake.shape, layout)
        if not placement.keep_all(records):
            placement.take(records)
            fresh = placement.fresh_entries
            made = StoredObject(placement.object_name(), fresh, 8 * fresh) if fresh else None
            layout = placement.layout(made)
        layouts.append(layout)
        version[rng.choice(n_blocks, changes_per_save, replace=False)] += 1
    del disk, edges
    return layouts


@pytest.mark.parametrize(("n_blocks", "changes"), [(4, 1), (30, 1), (300, 3), (1000, 10), (1000, 300)])
def test_pieces_objects_and_dead_values_stay_bounded(n_blocks, changes):
    for layout in history(n_blocks, changes, 200):
        mib = layout.shape[0] * 8 / 2**20
        assert len(layout.pieces) <= max(64, n_blocks // 2) + 2 * changes
        assert len(layout.objects) <= min(2 + mib / 4, 64) + 1
        assert sum(o.entries for o in layout.objects.values()) < 3 * layout.shape[0]


@pytest.mark.parametrize(("n_blocks", "changes"), [(300, 3), (1000, 10)])
def test_over_a_long_run_about_what_changes_is_written(n_blocks, changes):
    layouts = history(n_blocks, changes, 200)
    seen: dict[str, int] = {}
    for layout in layouts:
        seen |= {name: item.entries for name, item in layout.objects.items()}
    changed = changes * 200 / n_blocks
    assert sum(seen.values()) / layouts[0].shape[0] < 1 + 7 * changed


def test_few_objects_are_kept_all():
    layouts = history(300, 3, 3)
    assert sources_to_keep(layouts[1]) == set(layouts[1].objects)


@pytest.mark.parametrize(
    ("shape", "shared"),
    [((2048,), False), ((2049,), True), ((10, 300), True), ((0,), False), ((), False), ((2, 3 << 20), False)],
)
def test_small_arrays_and_such_with_huge_entries_stay_in_the_file(shape, shared):
    values = np.broadcast_to(np.float64(0), shape)
    assert is_shared(ArrayEntry("x", values, StorageChoice("contiguous"))) is shared


@given(histories())
def test_objects_hold_at_most_twice_the_array_before_and_what_was_written(states):
    """The bound of docs/store.md."""
    disk, before = Disk(), None
    for values, edges in states:
        written = disk.written
        disk.save(values, edges)
        held = sum(item.entries for item in disk.layout.objects.values())
        if before is not None:
            assert held <= 2 * before + disk.written - written
        before = len(values)


def test_that_bound_is_kept_where_old_values_pile_up():
    """A few blocks of each save live on while the others are replaced again and again."""
    n, entries = 2000, 8192
    fake = np.broadcast_to(np.float64(0), (n * entries,))
    version = np.zeros(n, int)
    layout, largest = None, 0.0
    for save in range(12):
        records = block_records([entries] * n, [f"{i:08d}{v:08d}".encode() for i, v in enumerate(version)])
        placement = Placement(fake.dtype, fake.shape, layout)
        placement.take(records)
        fresh = placement.fresh_entries
        layout = placement.layout(StoredObject(placement.object_name(), fresh, 8 * fresh))
        held = sum(item.entries for item in layout.objects.values())
        assert held <= 2 * n * entries + fresh
        largest = max(largest, held / (n * entries))
        version[100 * save + 100 :] += 1
    assert 2 < largest <= 3
