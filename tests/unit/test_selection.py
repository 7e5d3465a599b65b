"""Which objects a call is about."""

from __future__ import annotations

import pytest

from ann_ckpt import Selection
from ann_ckpt.errors import ObjectNotFoundError, OptionError

NAMES = ["in", "out1", "out2", "odd[1]", "*"]


@pytest.mark.parametrize(
    ("which", "picked"),
    [
        (True, NAMES),
        (False, []),
        ("in", ["in"]),
        ("out*", ["out1", "out2"]),
        (["out2", "in"], ["in", "out2"]),
        ("odd[1]", ["odd[1]"]),
        ("*", ["*"]),
        ([], []),
        (("out?", "in"), ["in", "out1", "out2"]),
    ],
)
def test_picks_in_the_networks_order(which, picked):
    assert Selection(populations=which).pick("populations", NAMES) == picked


def test_a_name_that_matches_nothing_is_an_error_that_offers_the_nearest():
    with pytest.raises(ObjectNotFoundError, match="did you mean 'out1'"):
        Selection(projections=["in", "uot1"]).pick("projections", NAMES)


def test_other_types_are_refused():
    with pytest.raises(OptionError, match="names or globs"):
        Selection(populations=[3]).pick("populations", NAMES)


def test_a_network_in_the_wrong_place_is_told_from_names():
    with pytest.raises(OptionError, match="pass network=net"):
        Selection(populations=object())
