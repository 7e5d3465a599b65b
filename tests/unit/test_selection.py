"""Which objects a call is about."""

from __future__ import annotations

import pytest

from ann_ckpt import Connectivity, NetworkState, ProjectionState, Selection
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
    with pytest.raises(OptionError, match="names, globs or objects"):
        Selection(populations=[3]).pick("populations", NAMES)


def test_a_network_in_the_wrong_place_is_told_from_names():
    with pytest.raises(OptionError, match="pass network=net"):
        Selection(populations=object())


OBJECTS = {
    "populations/exc": ["tau", "v", "r"],
    "populations/inh": ["tau", "u"],
    "projections/exc": ["w", "eta"],
}


@pytest.mark.parametrize(
    ("attributes", "picked"),
    [
        (None, OBJECTS),
        ("tau", {"populations/exc": ["tau"], "populations/inh": ["tau"], "projections/exc": []}),
        (["v", "[uw]"], {"populations/exc": ["v"], "populations/inh": ["u"], "projections/exc": ["w"]}),
        ({"inh": "u"}, OBJECTS | {"populations/inh": ["u"]}),
        ({"exc": ["v", "w"]}, OBJECTS | {"populations/exc": ["v"], "projections/exc": ["w"]}),
        ({"populations/exc": "v"}, OBJECTS | {"populations/exc": ["v"]}),
        (
            {"*": "tau", "projections/*": "w"},
            {k: ["tau"] for k in ("populations/exc", "populations/inh")} | {"projections/exc": ["w"]},
        ),
        ({"inh": []}, OBJECTS | {"populations/inh": []}),
    ],
)
def test_attributes_are_picked_for_all_objects_or_for_each(attributes, picked):
    assert Selection(attributes=attributes).pick_attributes(OBJECTS) == picked


@pytest.mark.parametrize("attributes", ["x", {"inh": "v"}, {"out": "v"}, ["v", "q*"]])
def test_an_attribute_that_nothing_has_is_an_error(attributes):
    selection = Selection(attributes=attributes)
    with pytest.raises(ObjectNotFoundError, match="attributes="):
        selection.pick_attributes(OBJECTS)
    selection.pick_attributes(OBJECTS, strict=False)


@pytest.mark.parametrize("attributes", [3, [3], {"exc": 3}, {3: "v"}])
def test_attributes_are_texts(attributes):
    with pytest.raises(OptionError):
        Selection(attributes=attributes)


@pytest.mark.parametrize("rows", [[1], {"ff": 1}, {"ff": [1.5]}, {"ff": "a"}, {2: [1]}, "ff"])
def test_rows_are_ranks_of_projections(rows):
    with pytest.raises(OptionError):
        Selection(rows=rows)


class Live:
    def __init__(self, name):
        self.name = name


def test_live_objects_stand_for_their_names():
    exc, out = Live("in"), Live("out2")
    assert Selection(populations=exc).pick("populations", NAMES) == ["in"]
    assert Selection(populations=[out, "odd*"]).pick("populations", NAMES) == ["out2", "odd[1]"]
    assert Selection(rows={exc: [2]}).pick_rows("in") == [2]
    odd = {"populations/odd[1]": ["u", "v"], "projections/odd1": ["v", "w"]}
    picked = Selection(attributes={"populations/odd[1]": "v"}).pick_attributes(odd)
    assert picked == odd | {"populations/odd[1]": ["v"]}
    assert Selection(attributes={exc: "v"}).pick_attributes({"populations/in": "uv"}) == {
        "populations/in": ["v"]
    }


BRACKETS = {"populations/E[1]": ["u", "v"], "populations/E1": ["u", "v"]}


def test_a_name_that_is_there_is_no_glob_for_others():
    for key in ("E[1]", "populations/E[1]"):
        picked = Selection(attributes={key: "v"}).pick_attributes(BRACKETS)
        assert picked == BRACKETS | {"populations/E[1]": ["v"]}
        rows = Selection(rows={key.replace("populations", "projections"): [0]})
        assert rows.pick_rows("E1", ["E[1]", "E1"]) is None
        assert rows.pick_rows("E[1]", ["E[1]", "E1"]) == [0]
        assert rows.pick_rows("E1", ["E1", "E2"]) == [0]


def test_the_name_of_a_projection_goes_before_globs_whatever_their_order():
    for keys in (["*", "p1"], ["p1", "*"], ["*", "projections/p1"]):
        rows = Selection(rows={key: [len(key)] for key in keys})
        assert rows.pick_rows("p1") == [max(map(len, keys))]
        assert rows.pick_rows("p2") == [1]


def test_rows_of_a_network_are_those_of_the_projection_that_is_named():
    rows = Connectivity.from_rows([0, 1], [[0], [1]])
    network = NetworkState(projections=[ProjectionState(n, "a", "a", "exc", rows) for n in ("p[1]", "p1")])
    kept = network.only_rows(Selection(rows={"p[1]": [0]}))
    assert [projection.n_rows for projection in kept.projections.values()] == [1, 2]
