"""Every name can be stored and comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ann_ckpt.format.layout import escape, unescape
from tests.strategies import NAMES


@given(NAMES | st.text(st.sampled_from("%/.0aA2F\x00")))
def test_escaping_is_undone_exactly_and_makes_a_link_name(name):
    link = escape(name)
    assert unescape(link) == name
    assert link
    assert not set(link) & {"/", "\0"}
    assert link not in (".", "..")


@given(st.lists(NAMES, unique=True, min_size=2, max_size=2))
def test_different_names_stay_different(names):
    assert escape(names[0]) != escape(names[1])


@pytest.mark.parametrize("link", ["a/b", "..", "", "%2f", "%zz", "a%41", "%%"])
def test_what_escape_never_makes_is_refused(link):
    with pytest.raises(ValueError, match="not an escaped name"):
        unescape(link)
