"""Records are those of the blocks, whatever was hashed before; and what is the same is not hashed again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.format.digest import block_digests
from ann_ckpt.format.shared.array import block_records
from ann_ckpt.store.saving import blocks
from ann_ckpt.store.saving.blocks import BlockDigestCache, digest_whole


def directly(values, cuts):
    return block_records(np.diff(cuts), block_digests(values, cuts.tolist()))


@st.composite
def cut_values(draw):
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=12))
    width = draw(st.sampled_from([(), (3,)]))
    values = np.random.default_rng(draw(st.integers(0, 3))).integers(0, 4, (sum(lengths), *width))
    return values, np.concatenate(([0], np.cumsum(lengths)))


@given(st.lists(cut_values(), min_size=1, max_size=6), st.booleans())
def test_records_are_those_of_the_blocks_after_any_history(history, several_saves):
    known = BlockDigestCache()
    for values, cuts in history * 2:
        if several_saves:
            known.begin()
        found = known.records(values, cuts, digest_whole(values))
        np.testing.assert_array_equal(found, directly(values, cuts))


def test_only_what_changed_since_the_save_before_is_hashed_block_by_block(monkeypatch):
    hashed = []
    monkeypatch.setattr(
        blocks,
        "block_digests",
        lambda values, cuts: hashed.append(len(cuts)) or block_digests(values, cuts),
    )
    known, values, cuts = BlockDigestCache(), np.arange(1000.0), np.arange(0, 1001, 10)

    def save():
        hashed.clear()
        known.begin()
        found = known.records(values, cuts, digest_whole(values))
        np.testing.assert_array_equal(found, directly(values, cuts))
        return max(hashed) > 2

    assert save()
    assert not save()
    values[555] = -1.0
    assert save()
    assert not save()
    known.begin()  # a save that did not meet it
    assert save()
