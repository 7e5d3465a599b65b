"""How two networks differ, compared with a simple reference."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ann_ckpt
from ann_ckpt import (
    Attribute,
    AttributeInfo,
    CheckpointStore,
    Connectivity,
    Exactness,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    Recording,
    Resume,
    Series,
    TypeInfo,
    diff,
    differences,
)
from ann_ckpt.diffing import values
from ann_ckpt.model import Part
from tests.store.runs import state
from tests.strategies import networks

PRE, POST = 5, 4
FLOATS = st.sampled_from([0.0, -0.0, 1.0, 2.5, math.inf, -math.inf, math.nan])


@st.composite
def wirings(draw):
    """Synapses in any order, some of them twice."""
    posts = draw(st.lists(st.integers(0, POST - 1), unique=True))
    rows = [draw(st.lists(st.integers(0, PRE - 1), max_size=6)) for _ in posts]
    pointers = np.concatenate(([0], np.cumsum([len(row) for row in rows], dtype=np.int64)))
    return Connectivity(
        np.array(posts, np.int32), pointers, np.array([pre for row in rows for pre in row], np.int32)
    )


@st.composite
def wired(draw, wiring=None):
    """A network of one projection with a value of every kind."""
    c = draw(wirings()) if wiring is None else wiring
    w = draw(st.lists(FLOATS, min_size=c.n_synapses, max_size=c.n_synapses))
    s = draw(st.lists(st.integers(0, 2), min_size=c.n_rows, max_size=c.n_rows))
    delays = draw(st.none() | st.integers(1, 2) | st.just(np.arange(c.n_synapses, dtype=np.int32) % 3 + 1))
    ff = ProjectionState(
        "ff",
        "in",
        "out",
        "exc",
        c,
        delays=delays,
        variables={
            "w": Attribute(np.array(w, float), Locality.LOCAL),
            "s": Attribute(np.array(s, int), Locality.SEMIGLOBAL),
        },
    )
    return NetworkState(
        populations=[PopulationState("in", (PRE,)), PopulationState("out", (POST,))], projections=[ff]
    )


@st.composite
def pairs_of_networks(draw):
    """Two networks that have their synapses in common, or some of them."""
    first = draw(wired())
    return first, draw(wired(draw(st.none() | st.just(first.projections["ff"].connectivity))))


def by_synapse(projection: ProjectionState, each) -> dict[tuple[int, int, int], object]:
    """Values by post rank, pre rank, and which of several it is."""
    connectivity, found, seen = projection.connectivity, {}, Counter()
    for row, post in enumerate(connectivity.post_ranks.tolist()):
        for i in range(*connectivity.row_ptr[row : row + 2].tolist()):
            pair = (post, int(connectivity.pre_ranks[i]))
            found[*pair, seen[pair]] = each(i)
            seen[pair] += 1
    return found


def by_hand(path: str, a: dict, b: dict) -> tuple | None:
    """What should be said about values: compared, changed, largest and mean change."""
    both = [key for key in a if key in b]
    changed = [key for key in both if np.float64(a[key]).tobytes() != np.float64(b[key]).tobytes()]
    sizes = [abs(a[key] - b[key]) for key in changed if math.isfinite(a[key] - b[key])]
    if not changed:
        return None
    numbers = (max(sizes), pytest.approx(sum(sizes) / len(sizes))) if sizes else (None, None)
    return (path, len(both), len(changed), *numbers)


@given(networks(), networks())
def test_two_networks_are_the_same_exactly_if_nothing_differs(a, b):
    assert diff(a, a).same
    assert diff(a, b).same == (not list(differences(a, b)))
    assert diff(a, b).same == diff(b, a).same
    json.dumps(diff(a, b).to_dict())


@given(pairs_of_networks())
def test_synapses_and_their_values_are_those_of_a_comparison_by_hand(pair):
    a, b = pair
    report = diff(a, b)
    one, other = (network.projections["ff"] for network in pair)
    in_a, in_b = ([*by_synapse(p, lambda i: i)] for p in (one, other))
    posts_a, posts_b = (p.connectivity.post_ranks.tolist() for p in (one, other))
    kept = [key for key in in_a if key in in_b]
    moved = kept != [key for key in in_b if key in in_a]
    rows_moved = [p for p in posts_a if p in posts_b] != [p for p in posts_b if p in posts_a]
    found = [
        (s.kept, s.added, s.removed, s.dendrites_added, s.dendrites_removed, s.moved) for s in report.synapses
    ]
    if in_a == in_b and posts_a == posts_b:
        assert not found
    else:
        came = len(set(posts_b) - set(posts_a)), len(set(posts_a) - set(posts_b))
        assert found == [
            (len(kept), len(in_b) - len(kept), len(in_a) - len(kept), *came, moved or rows_moved)
        ]
    expected = {
        "w": [by_synapse(p, lambda i, p=p: float(p["w"][i])) for p in (one, other)],
        "s": [
            dict(zip(p.connectivity.post_ranks.tolist(), map(float, p["s"]), strict=True))
            for p in (one, other)
        ],
    }
    if one.delays is not None and other.delays is not None:
        delays = [np.broadcast_to(p.delays, p.connectivity.n_synapses) for p in (one, other)]
        expected["delays"] = [
            by_synapse(p, lambda i, d=d: float(d[i])) for p, d in zip((one, other), delays, strict=True)
        ]
        if isinstance(one.delays, int) and isinstance(other.delays, int):
            expected["delays"] = [{0: float(one.delays)}, {0: float(other.delays)}]
    by_hand_too = [by_hand(f"projections/ff/{name}", *sides) for name, sides in expected.items()]
    changes = [(c.path, c.compared, c.changed, c.largest, c.mean) for c in report.changed]
    assert sorted(changes) == sorted(filter(None, by_hand_too))


@given(pairs_of_networks(), st.integers(1, 5))
def test_the_size_of_a_piece_makes_no_difference(pair, at_once):
    whole = diff(*pair)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(values, "_AT_ONCE", at_once)
        patch.setattr(values, "BLOCK_BYTES", 8 * at_once)
        in_pieces = diff(*pair)
    approximately = [replace(c, mean=c.mean and pytest.approx(c.mean)) for c in whole.changed]
    assert list(in_pieces.changed) == approximately
    assert replace(in_pieces, changed=()) == replace(whole, changed=())


def test_everything_that_can_differ_is_said_in_words():
    first = state(0)
    second = state(2000)
    projection = second.projections["ff"]
    changed = replace(
        second,
        populations={
            "out": replace(second.populations["out"], neuron_type=TypeInfo("LIF")),
            "in": replace(
                second.populations["in"],
                geometry=(54, 100),
                parameters={"tau": 11.0},
                variables={"r": np.zeros((54, 100)), "threshold": np.ones((54, 100))},
            ),
            "new": PopulationState("new", (3,)),
        },
        projections={"ff": replace(projection, delays=2, parameters={"eta": np.float32(0.01)})},
        constants={},
    )
    text = str(diff(first, changed))
    for words in (
        "a and b differ",
        "time_step 0 became 2000",
        "populations: are in a different order",
        "populations/out: neuron_type None became TypeInfo(name='LIF'",
        "metadata: other note",
        "geometry (90, 60) became (54, 100)",
        "populations/in/threshold: moved from parameters to variables",
        "populations/in/r: shape (90, 60) became (54, 100)",
        "populations/in/tau: 10.0 became 11.0",
        "populations/new",
        "constants/period",
        "projections/ff/tau",
        "projections/ff: 80 synapses added, 0 removed",
        "projections/ff/delays: one per synapse became one for all",
        "projections/ff/eta: type float64 became float32",
        "projections/ff/w: 119,910 of 119,910 values, by at most 0.9",
    ):
        assert words in text, text


@pytest.mark.parametrize("values", [(1, True), (1, 1.0), (0, False), ([1], [True]), ({"b": 1}, {"b": 1.0})])
def test_metadata_are_compared_as_json_has_them(values):
    one, other = (NetworkState(metadata={"a": value, "same": [1, 2.5]}) for value in values)
    assert "metadata: other a" in str(diff(one, other)).splitlines()[-1]
    assert list(differences(one, other)) == ["metadata"]
    assert diff(one, replace(one, metadata=dict(reversed(one.metadata.items())))).same


def test_of_what_is_long_only_the_part_that_changed_is_named():
    pops = [
        PopulationState("out", (1,), neuron_type=TypeInfo("LIF", "long " * 99, {"equations": text}))
        for text in ("a", "b")
    ]
    report = diff(
        *(NetworkState(populations=[p], metadata={p.neuron_type.texts["equations"]: 1}) for p in pops)
    )
    assert [str(note) for note in report.described] == [
        "metadata: other a, b",
        "populations/out: neuron_type: other texts",
    ]


def test_a_type_with_attributes_that_has_other_equations_is_named():
    first, second = (
        PopulationState(
            "out",
            (1,),
            neuron_type=TypeInfo("LIF", text, {"equations": text}, {"v": AttributeInfo(unit="mV")}),
        )
        for text in ("dv/dt = 1", "dv/dt = 2")
    )
    report = diff(NetworkState(populations=[first]), NetworkState(populations=[second]))
    assert [str(note) for note in report.described] == [
        "populations/out: neuron_type: other description, texts"
    ]


def test_a_locality_that_changed_leaves_values_out_and_says_so():
    ring = Connectivity.from_rows([0, 1], [[0], [1]])
    pops = [PopulationState("in", (2,)), PopulationState("out", (2,))]
    sides = [
        NetworkState(
            populations=pops,
            projections=[ProjectionState("ff", "in", "out", "exc", ring, variables={"w": w})],
        )
        for w in (
            Attribute(np.array([1.0, 2.0]), Locality.LOCAL),
            Attribute(np.array([1.0, 2.0]), Locality.SEMIGLOBAL),
        )
    ]
    assert [str(note) for note in diff(*sides).described] == [
        "projections/ff/w: local became semiglobal, so values are not compared"
    ]


def test_long_lists_are_cut_on_paper_and_complete_in_json():
    many = NetworkState(populations=[PopulationState(f"p{i}", (1,)) for i in range(40)])
    report = diff(NetworkState(), many)
    assert "and 28 more" in str(report)
    assert len(report.to_dict()["added"]) == 40
    assert len(report.lines()) == 42


# --- Files ------------------------------------------------------------------------


def test_two_copies_of_a_file_are_compared_without_reading_a_large_array(tmp_path):
    for name in ("a.h5", "b.h5"):
        ann_ckpt.write(state(7), tmp_path / name)
    with ann_ckpt.open(tmp_path / "a.h5") as a, ann_ckpt.open(tmp_path / "b.h5") as b:
        assert diff(a, b).same
        small = sum(array.nbytes for array in a.arrays.values() if array.nbytes < 10_000)
        assert a.bytes_read < small + 64_000 < a.projections["ff"]["w"].nbytes / 4
        assert b.bytes_read == a.bytes_read


def test_of_two_checkpoints_of_a_store_only_the_blocks_that_differ_are_read(tmp_path):
    path = tmp_path / "run.ckpt"
    with CheckpointStore(path, "a") as store:
        for step in (1, 2):
            store.save(state(step, scale=16))
    with ann_ckpt.open(f"{path}@1") as a, ann_ckpt.open(f"{path}@2") as b:
        report = diff(a, b)
        large = sum(array.nbytes for array in b.arrays.values())
        assert b.bytes_read < large / 3
    expected = diff(state(1, scale=16), state(2, scale=16))
    assert report.changed == tuple(
        replace(e, mean=pytest.approx(e.mean), largest=e.largest) for e in expected.changed
    )
    assert {c.path for c in report.changed} >= {"projections/ff/w", "populations/in/r"}


def test_nothing_of_the_same_state_saved_twice_is_read(tmp_path):
    with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        store.save(state(1))
        store.save(state(1))
        with store[0] as a, store[1] as b:
            assert diff(a, b).same
            assert a.bytes_read < a.projections["ff"]["w"].nbytes / 4


@pytest.mark.parametrize("kinds", [("file", "store"), ("store", "file"), ("file", "state"), ("gzip", "file")])
def test_anything_that_holds_a_network_can_be_compared(tmp_path, kinds):
    def made(kind: str, step: int):
        if kind == "state":
            return state(step)
        compression = "gzip" if kind == "gzip" else "none"
        path = tmp_path / f"{kind}{step}{'.ckpt' if kind == 'store' else '.h5'}"
        ann_ckpt.write(state(step), path, compression=compression)
        return path

    assert diff(made(kinds[0], 5), made(kinds[1], 5)).same
    report = diff(made(kinds[0], 6), made(kinds[1], 2000))
    expected = diff(state(6), state(2000))
    assert report.synapses == expected.synapses
    assert [c.path for c in report.changed] == [c.path for c in expected.changed]


def test_files_are_called_by_their_paths(tmp_path):
    ann_ckpt.write(state(7), tmp_path / "a.h5")
    with ann_ckpt.open(tmp_path / "a.h5") as a:
        assert str(diff(a, tmp_path / "a.h5")) == f"{tmp_path}/a.h5 and {tmp_path}/a.h5 are the same"


def test_only_what_is_asked_for_is_compared():
    a, b = state(1), state(2)
    assert {c.path.split("/")[0] for c in diff(a, b, populations=False).changed} == {
        "projections",
        "constants",
    }
    assert not [c for c in diff(a, b, projections=False).changed if c.path.startswith("projections")]


def test_what_an_old_file_cannot_say_is_noted(tmp_path):
    ann_ckpt.save(tmp_path / "old.data", network=state(3))
    report = diff(tmp_path / "old.data", state(3))
    assert report.notes
    assert all("old.data: " in note.text for note in report.notes)


def further(**changes) -> NetworkState:
    """Orders, delays of pathways, values that are arrays."""
    synapses = Connectivity.from_rows([0, 1], [[0, 1], changes.pop("row", [2, 3])])
    n = synapses.n_synapses
    given = {
        "variables": {"x": np.arange(2 * n).reshape(n, 2)},
        "parameters": {"row": np.arange(6).reshape(2, 3), "g": Attribute(np.arange(3), Locality.GLOBAL)},
        "pathway_delays": {"pre": np.arange(n), "post": 0.5},
        "order": np.arange(n)[::-1],
    }
    return NetworkState(
        projections=[ProjectionState("ff", "a", "b", "exc", synapses, **{**given, **changes})]
    )


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"order": [0, 1, 2, 3]}, "order"),
        ({"pathway_delays": {"pre": np.arange(4) + 1, "post": 0.5}}, "pathway_delays/pre"),
        ({"pathway_delays": {"pre": np.arange(4), "post": 0.25}}, "pathway_delays/post"),
        ({"pathway_delays": {"pre": 0, "post": 0.5}}, "pathway_delays/pre"),
        ({"variables": {"x": np.ones((4, 2))}}, "x"),
        ({"variables": {"x": np.ones((4, 3))}}, "x"),
        ({"row": [2], "variables": {"x": np.ones((3, 3))}}, "x"),
    ],
)
def test_orders_pathways_and_values_that_are_arrays_are_compared(changes, path):
    assert diff(further(), further()).same
    if "row" not in changes:
        assert [c.path for c in diff(further(), further(**changes)).changed] == [f"projections/ff/{path}"]
    else:
        assert f"projections/ff/{path}" in [c.path for c in diff(further(), further(**changes)).changed]


def test_values_that_are_arrays_follow_their_synapses():
    report = diff(further(), further(row=[2], variables={"x": np.arange(6).reshape(3, 2)}))
    assert [s.removed for s in report.synapses] == [1]
    assert "projections/ff/x" not in [c.path for c in report.changed]
    assert "projections/ff/x" in [c.path for c in diff(further(), further(row=[3])).changed]
    assert diff(further(pathway_delays={}), further()).added == (
        "projections/ff/pathway_delays/pre",
        "projections/ff/pathway_delays/post",
    )


def of_values(values) -> NetworkState:
    return NetworkState(populations=[PopulationState("p", (len(values),), variables={"v": values})])


def test_one_changed_value_is_told_whatever_the_shape_of_its_array():
    report = diff(of_values(np.array([1.0])), of_values(np.array([2.0])))
    assert str(report.changed[0]) == "populations/p/v: 1.0 became 2.0"
    one = further(row=[], variables={"x": np.arange(4).reshape(2, 2)}, order=None)
    assert all(str(change).partition(": ")[2] for change in diff(one, further()).changed)


@given(pairs_of_networks())
def test_every_change_says_something(pair):
    assert all(str(change).partition(": ")[2] for change in diff(*pair).changed)


@pytest.mark.parametrize(
    ("before", "after", "changed", "largest"),
    [
        (np.array([2**53] * 3), np.array([2**53 + 1] * 3), 3, 1.0),
        (np.array([2**64 - 1, 0], np.uint64), np.array([2**64 - 3, 0], np.uint64), 1, 2.0),
        (np.array([2**53 + 1, 5]), np.array([2.0**53, 5.0]), 1, 1.0),
        (np.array([2**63, 7], np.uint64), np.array([-1, 7]), 1, 2.0**63),
        (np.array([2**63 - 1, 0]), np.array([2.0**63, 0.0]), 1, 1.0),
        (np.array([5, 6]), np.array([5.0, 6.0]), 0, None),
    ],
)
def test_large_integers_are_compared_exactly(before, after, changed, largest):
    (change,) = diff(of_values(before), of_values(after)).changed
    assert (change.changed, change.largest) == (changed, largest)
    if changed:
        assert change.mean == pytest.approx(change.largest)


SERIES = {
    "v": Series(times=np.arange(3), values=np.ones((3, 2))),
    "spike": Series(times=np.arange(3), ranks=np.arange(3)),
}
EXACT = Resume(Exactness.EXACT)
OBJECTS = {
    "populations": PopulationState("in", (2, 1), parameters={"tau": 1.0}, variables={"r": np.ones((2, 1))}),
    "projections": ProjectionState(
        "ff",
        "in",
        "out",
        "exc",
        Connectivity.from_rows([0, 2], [[0, 1], [1]]),
        parameters={"tau": 1.0},
        variables={"w": np.arange(3.0)},
    ),
    "recordings": Recording("m", of="populations/in", series=SERIES),
}
VARIED = {
    "populations": {
        "name": ["else"],
        "geometry": [(2,)],
        "neuron_type": [TypeInfo("LIF")],
        "part": [Part(0, 2), Part(1, 4)],
        "parameters": [{}, {"tau": 2.0}, {"tau": 1}, {"tau": 1.0, "new": 1.0}],
        "variables": [{"r": np.zeros((2, 1))}, {"r": 1.0}, {"r": np.ones((2, 1, 3))}],
        "dynamics": [{"queue": np.ones(3)}],
        "resume": [EXACT],
    },
    "projections": {
        "name": ["else"],
        "pre": ["else"],
        "post": ["else"],
        "target": ["inh"],
        "connectivity": [
            Connectivity.from_rows([0, 2], [[1, 0], [1]]),
            Connectivity.from_rows([0, 1], [[0, 1], [1]]),
            Connectivity.from_rows([2, 0], [[0, 1], [1]]),
            Connectivity.from_rows([0, 2, 1], [[0, 1], [1], []]),
        ],
        "delays": [1, np.arange(3)],
        "pathway_delays": [{"up": np.arange(3)}, {"up": 0.5}],
        "order": [[2, 0, 1]],
        "parameters": [{}, {"tau": 2.0}],
        "variables": [{"w": np.ones(3)}, {"w": np.ones((3, 2))}, {"w": Attribute([1, 2], "semiglobal")}],
        "dynamics": [{"queue": np.ones(3)}],
        "resume": [EXACT],
        "pre_size": [2],
        "post_size": [5],
        "pre_view": [[0, 1]],
        "post_view": [[0, 2]],
        "synapse_type": [TypeInfo("STDP")],
        "partial": [True],
    },
    "recordings": {
        "name": ["else"],
        "of": [""],
        "ranks": [[0, 1], []],
        "series": [
            {},
            {"v": SERIES["v"]},
            dict(reversed(SERIES.items())),
            {**SERIES, "v": replace(SERIES["v"], times=None)},
            {**SERIES, "v": replace(SERIES["v"], values=np.zeros((3, 2)))},
        ],
        "settings": [{"period": 2}],
        "carried": [{"offset": 1}],
    },
}


def having(group, *things) -> NetworkState:
    """A network that has some objects, and what the recordings among them are of."""
    beside = {"populations": [OBJECTS["populations"]]} if group == "recordings" else {}
    return NetworkState(**{**beside, group: things})


@pytest.mark.parametrize("group", OBJECTS)
def test_no_field_of_an_object_is_forgotten(group):
    """That all are varied here is a part of it: whoever adds a field varies it, too."""
    thing, varied = OBJECTS[group], VARIED[group]
    assert set(varied) == {field.name for field in fields(thing)}
    before = having(group, thing)
    for name, others in varied.items():
        for other in others:
            after = having(group, replace(thing, **{name: other}))
            assert list(differences(before, after)), (name, other)
            for report in (diff(before, after), diff(after, before)):
                assert not report.same, (name, other)


@pytest.mark.parametrize("group", OBJECTS)
def test_the_order_of_objects_is_compared(group):
    one, other = OBJECTS[group], replace(OBJECTS[group], name="other")
    a, b = having(group, one, other), having(group, other, one)
    assert list(differences(a, b)) == [group]
    assert not diff(a, b).same
    assert diff(a, a).same


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([1, 2], [np.nan, 2.5], "by at most 0.5, 0.5 on average, 1 of them not by a finite number"),
        ([1e308, 0], [-1e308, 1], "by at most 1, 1 on average, 1 of them not by a finite number"),
        ([0, 0], [np.inf, np.nan], "2 of them not by a finite number"),
        ([0, 0], [1e308, 1.5e308], "by at most 1.5e+308, 1.25e+308 on average"),
    ],
)
def test_what_did_not_change_by_a_finite_number_is_counted(
    before: list[float], after: list[float], said: str
) -> None:
    change = values.compare_values("v", np.array(before, np.float64), np.array(after, np.float64))
    assert str(change) == f"v: 2 of 2 values, {said}"
