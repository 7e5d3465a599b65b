"""Layouts of shared arrays and the tables that hold them: each rule is broken once, alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ann_ckpt.format import layout
from ann_ckpt.format.shared.array import (
    BLOCK,
    Piece,
    SharedArray,
    SharedTables,
    StoredObject,
    block_records,
    shared_tables,
)

ONE = StoredObject("1" * 32, 10, 500)
TWO = StoredObject("2" * 32, 6, 300)
F8 = np.dtype("<f8")


def made(
    pieces: list[tuple[StoredObject, int, int]], counts: list[int], shape: tuple[int, ...]
) -> SharedArray:
    blocks = block_records(counts, [bytes([i]) * 16 for i in range(len(counts))])
    return SharedArray(F8, shape, tuple(Piece(*piece) for piece in pieces), blocks)


GOOD = [(ONE, 2, 5), (TWO, 0, 6), (ONE, 7, 3)]
COUNTS = [2, 3, 6, 3]


def test_a_layout_that_keeps_all_rules() -> None:
    array = made(GOOD, COUNTS, (14, 2))
    assert array.block_starts.tolist() == [0, 2, 5, 11, 14]
    assert array.block_places.tolist() == [2, 4, 0, 7]
    assert [list(array.objects)[i] for i in array.block_sources] == [ONE.name, ONE.name, TWO.name, ONE.name]


@pytest.mark.parametrize(
    ("pieces", "counts", "shape", "said"),
    [
        (GOOD, COUNTS, (), "at least one entry"),
        ([], [], (0,), "at least one entry"),
        (GOOD, COUNTS, (13,), "blocks do not add up"),
        (GOOD, [2, 3, 6, 2], (14,), "blocks do not add up"),
        (GOOD, [2, 3, 0, 6, 3], (14,), "blocks do not add up"),
        ([(ONE, 2, 5), (TWO, 0, 6), (ONE, 7, 2)], COUNTS, (14,), "pieces do not add up"),
        ([*GOOD, (TWO, 6, 0)], COUNTS, (14,), "pieces do not add up"),
        ([(ONE, 2, 5), (TWO, 1, 6), (ONE, 7, 3)], COUNTS, (14,), "extends beyond its object"),
        ([(ONE, -1, 5), (TWO, 0, 6), (ONE, 7, 3)], COUNTS, (14,), "extends beyond its object"),
        ([(ONE, 2, 5), (TWO, 0, 6), (ONE, 8, 3)], COUNTS, (14,), "extends beyond its object"),
        (GOOD, [2, 4, 5, 3], (14,), "spans two pieces"),
        ([(ONE, 2, 5), (TWO, 0, 6), (ONE, 6, 3)], COUNTS, (14,), "overlap"),
        ([(ONE, 0, 5), (ONE, 4, 6), (TWO, 0, 3)], [5, 6, 3], (14,), "overlap"),
    ],
)
def test_a_layout_that_breaks_one_rule_is_refused(
    pieces: list[Any], counts: list[int], shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        made(pieces, counts, shape)


def test_pieces_that_touch_share_nothing() -> None:
    made([(ONE, 5, 5), (ONE, 0, 5)], [5, 5], (10,))


@pytest.mark.parametrize(
    "name", ["", "1" * 31, "1" * 33, "G" * 32, "A" * 32, "../" + "1" * 29, "1" * 32 + "\n"]
)
def test_what_is_no_name_of_an_object_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of an object"):
        StoredObject(name, 1, 1)


# --- The tables -------------------------------------------------------------------


def tables() -> dict[str, np.ndarray]:
    return shared_tables([made(GOOD, COUNTS, (14, 2)), made([(TWO, 0, 6)], [6], (6,))])


def read(changed: dict[str, np.ndarray]) -> SharedTables:
    return SharedTables(
        changed[layout.SHARED_OBJECTS],
        changed[layout.SHARED_ARRAYS],
        changed[layout.SHARED_PIECES],
        lambda start, stop: changed[layout.SHARED_BLOCKS][start:stop],
    )


def test_tables_come_back_as_the_layouts_they_were_made_of() -> None:
    found = read(tables())
    assert len(found) == 2
    first, second = found.array(0), found.array(1)
    assert [(p.source, p.start, p.entries) for p in first.pieces] == GOOD
    assert (first.dtype, first.shape) == (F8, (14, 2))
    assert first.blocks["count"].tolist() == COUNTS
    assert [(p.source, p.start, p.entries) for p in second.pieces] == [(TWO, 0, 6)]
    assert second.whole_object


def _set(table: str, row: int, column: str, value: Any) -> Callable[[dict[str, np.ndarray]], None]:
    def change(found: dict[str, np.ndarray]) -> None:
        found[table][column][row] = value

    return change


def _retyped(table: str) -> Callable[[dict[str, np.ndarray]], None]:
    def change(found: dict[str, np.ndarray]) -> None:
        names = found[table].dtype.names
        assert names is not None
        found[table] = found[table].astype([(f"{n}_", found[table].dtype[n]) for n in names])

    return change


def _matrix(table: str) -> Callable[[dict[str, np.ndarray]], None]:
    def change(found: dict[str, np.ndarray]) -> None:
        found[table] = found[table][np.newaxis]

    return change


def _longer(table: str) -> Callable[[dict[str, np.ndarray]], None]:
    def change(found: dict[str, np.ndarray]) -> None:
        found[table] = np.concatenate((found[table], found[table][-1:]))

    return change


O, A, P, B = layout.SHARED_OBJECTS, layout.SHARED_ARRAYS, layout.SHARED_PIECES, layout.SHARED_BLOCKS  # noqa: E741


@pytest.mark.parametrize(
    ("change", "said"),
    [
        *((_retyped(table), "columns of a store table") for table in (O, A, P)),
        *((_matrix(table), "columns of a store table") for table in (O, A, P)),
        (_set(O, 0, "name", b"../../etc/passwd"), "not the name of an object"),
        (_set(A, 0, "pieces", 2), "does not match the array table"),
        (_longer(P), "does not match the array table"),
        (_set(A, 0, "pieces", 2**63), "implausibly large"),
        (_set(A, 0, "blocks", 2**63), "implausibly large"),
    ],
)
def test_tables_that_break_a_rule_are_refused_at_once(
    change: Callable[[dict[str, np.ndarray]], None], said: str
) -> None:
    found = tables()
    change(found)
    with pytest.raises(ValueError, match=said):
        read(found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_retyped(B), "columns of the"),
        (_set(A, 0, "dtype", b"|O"), "not the type"),
        (_set(A, 0, "shape", b"14x-2"), "not the shape"),
        (_set(A, 0, "shape", b"13x2"), "do not add up"),
        (_set(A, 0, "blocks", 3), "blocks do not add up"),
        (_set(P, 0, "count", 4), "pieces do not add up"),
        (_set(P, 0, "count", 2**64 - 1), "implausibly large"),
        (_set(P, 1, "start", 1), "extends beyond its object"),
        (_set(B, 0, "count", 3), "do not add up"),
    ],
)
def test_a_table_that_breaks_a_rule_of_one_array_is_refused_with_that_array(
    change: Callable[[dict[str, np.ndarray]], None], said: str
) -> None:
    found = tables()
    change(found)
    read_tables = read(found)
    with pytest.raises(ValueError, match=said):
        read_tables.array(0)


def test_a_piece_of_an_object_that_is_not_listed_is_refused() -> None:
    found = tables()
    found[P]["object"][0] = 2
    with pytest.raises((ValueError, IndexError)):
        read(found).array(0)


def test_blocks_are_asked_for_as_far_as_one_array_needs_them() -> None:
    asked = []
    found = tables()

    def blocks(start: int, stop: int) -> np.ndarray:
        asked.append((start, stop))
        return found[B][start:stop]

    SharedTables(found[O], found[A], found[P], blocks).array(1)
    assert asked == [(4, 5)]
    assert found[B].dtype == BLOCK
