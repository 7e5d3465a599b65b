from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt import Connectivity
from ann_ckpt.adapters.annarchy import storage
from ann_ckpt.adapters.annarchy.storage import StorageRules, rules_for
from ann_ckpt.model import arrays

POST_SIZE = 8
ROWS = st.lists(st.lists(st.integers(0, 5), max_size=5), max_size=6)


def synapses(posts: list[int], rows: list[list[int]]) -> Connectivity:
    flat = np.array([rank for row in rows for rank in row], np.int32)
    return Connectivity(np.array(posts, np.int32), np.cumsum([0, *map(len, rows)]), flat)


PLAIN = synapses([0, 2, 5], [[1, 4, 7], [0], [3, 5]])
FULL = synapses(list(range(POST_SIZE)), [[rank] for rank in range(POST_SIZE)])
POSTS_FALL = synapses([5, 0], [[1], [2]])
PRES_FALL = synapses([0, 2], [[4, 1], [0]])
TWICE = synapses([0, 2], [[1, 1], [0]])
HOLLOW = synapses([0, 2], [[1], []])
NO_ROW = synapses([], [])
NO_SYNAPSE = synapses([0], [[]])

# What crashed, or came back changed, when each was tried on the real thing.
REFUSED = {
    ("5.0.4.1", "lil", "post_to_pre"): [],
    ("5.0.4.1", "csr", "post_to_pre"): [POSTS_FALL],
    ("5.0.4.1", "csr", "pre_to_post"): [POSTS_FALL, PRES_FALL, HOLLOW, NO_ROW, NO_SYNAPSE],
    ("5.0.4.1", "coo", "post_to_pre"): [HOLLOW, NO_SYNAPSE],
    ("5.0.4.1", "ell", "post_to_pre"): [],
    ("5.0.4.1", "ellr", "post_to_pre"): [NO_ROW],
    ("5.0.4.1", "sell", "post_to_pre"): [POSTS_FALL, HOLLOW, NO_ROW, NO_SYNAPSE],
    ("5.0.4.1", "hyb", "post_to_pre"): [],
    ("5.0.4.1", "dense", "post_to_pre"): [PRES_FALL, TWICE],
    ("5.0.4.1", "dense", "pre_to_post"): [PRES_FALL, TWICE],
    ("5.0.4.1", "bsr", "post_to_pre"): [PRES_FALL, TWICE],
    ("4.8.2.7", "lil", "post_to_pre"): [],
    ("4.8.2.7", "dense", "post_to_pre"): [PLAIN, POSTS_FALL, PRES_FALL, TWICE, HOLLOW, NO_ROW, NO_SYNAPSE],
    ("4.8.2.7", "bsr", "post_to_pre"): [PRES_FALL, TWICE, NO_ROW, NO_SYNAPSE],
}
OFFERS = [PLAIN, FULL, POSTS_FALL, PRES_FALL, TWICE, HOLLOW, NO_ROW, NO_SYNAPSE]


@pytest.mark.parametrize(("release", "form", "order"), REFUSED)
def test_each_format_takes_what_it_can_hold(release: str, form: str, order: str) -> None:
    rules = rules_for(release, form, order)
    assert rules is not None
    refused = [offer for offer in OFFERS if rules.refusal(offer, POST_SIZE) is not None]
    assert refused == REFUSED[release, form, order]


@pytest.mark.parametrize(
    ("form", "order"), [("dia", "post_to_pre"), ("lil", "pre_to_post"), ("csr_vector", "post_to_pre")]
)
def test_a_format_that_was_not_tried_has_no_rules(form: str, order: str) -> None:
    assert rules_for("5.0.4.1", form, order) is None


@given(ROWS, st.booleans(), st.integers(1, 6))
def test_rising_rows_are_found_across_blocks(rows: list[list[int]], strictly: bool, elements: int) -> None:
    rules = StorageRules(distinct_pres=strictly, rising_pres=not strictly)
    offered = synapses(list(range(len(rows))), rows)
    expected = all(row == (sorted(set(row)) if strictly else sorted(row)) for row in rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "blocks", lambda array: arrays.blocks(array, at_most=4 * elements))
        assert (rules.refusal(offered, len(rows)) is None) == expected


def test_the_reason_is_a_sentence() -> None:
    rules = rules_for("5.0.4.1", "csr", "pre_to_post")
    assert rules is not None
    assert rules.refusal(HOLLOW, POST_SIZE) == "it cannot hold an empty dendrite"
