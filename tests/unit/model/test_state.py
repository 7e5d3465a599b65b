"""States are validated when they are made, and say what is wrong."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from ann_ckpt import (
    Attribute,
    AttributeInfo,
    Connectivity,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    TypeInfo,
    read,
    write,
)
from ann_ckpt import open as open_checkpoint
from ann_ckpt.errors import (
    AttributeNotFoundError,
    CheckpointError,
    ConnectivityError,
    ObjectNotFoundError,
    OptionError,
    StateError,
)
from ann_ckpt.model import Exactness, Resume, blocks, differences, nbytes

ROWS = Connectivity.from_rows([1, 0], [[0, 2], [1]])


def projection(**changes):
    return ProjectionState(
        **{"name": "ff", "pre": "a", "post": "b", "target": "exc", "connectivity": ROWS, **changes}
    )


@pytest.mark.parametrize(
    ("post", "rows", "message"),
    [
        ([0, 0], [[1], [2]], "duplicate post rank"),
        ([0], [[1, 1]], "repeats within row 0"),
        ([0], [[-1]], "ranks from -1"),
        ([-3], [[1]], "ranks from -3"),
        ([0], [[2**31]], "2147483648"),
        ([0, 1], [[1]], "as many post ranks"),
        ([0], [[0.5]], "integers"),
        ([0], [[[1, 2]]], "flat"),
    ],
)
def test_from_rows_refuses(post, rows, message):
    with pytest.raises(ConnectivityError, match=message):
        Connectivity.from_rows(post, rows)


@pytest.mark.parametrize(
    ("pointers", "message"),
    [
        ([0, 2], "over 3 entries"),
        ([1, 2, 3], "increase from 0"),
        ([0, 2, 1], "increase"),
        ([0, 1, 2], "ends at 2"),
    ],
)
def test_row_pointers_have_to_fit(pointers, message):
    with pytest.raises(ConnectivityError, match=message):
        Connectivity(np.array([0, 1]), np.array(pointers), np.array([5, 6, 7]))


def test_rows_keep_their_order_and_multapses():
    connectivity = Connectivity(np.array([4, 2]), np.array([0, 3, 3]), np.array([7, 1, 7]))
    assert connectivity.row(0).tolist() == [7, 1, 7]
    assert connectivity.row(1).tolist() == []
    assert connectivity.row_sizes.tolist() == [3, 0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: PopulationState("p", ()),
        lambda: PopulationState("p", (1,) * 33),
        lambda: PopulationState("p", (-1,)),
        lambda: PopulationState("p", (3,), variables={"r": np.zeros(4)}),
        lambda: PopulationState("p", (3,), variables={"r": np.zeros(3, complex)}),
        lambda: PopulationState("p", (3,), variables={"r": ["a", "b", "c"]}),
        lambda: PopulationState("p", (2,), variables={"r": [[1, 2], [3]]}),
        lambda: PopulationState("p", (2,), parameters={"r": 1.0}, variables={"r": 1.0}),
        lambda: PopulationState("p", (2,), variables={"r": Attribute(np.zeros(2), Locality.SEMIGLOBAL)}),
        lambda: PopulationState("\ud800", (2,)),
        lambda: PopulationState("p", (2,), parameters={"\ud800": 1}),
        lambda: Attribute(np.float64(1), Locality.LOCAL),
        lambda: PopulationState("p", (2, 3), variables={"r": np.zeros(2)}),
        lambda: PopulationState("p", (2, 3), variables={"r": Attribute(np.zeros((3, 2)), Locality.LOCAL)}),
        lambda: projection(variables={"w": np.zeros((4, 3))}),
        lambda: projection(order=[0, 1]),
        lambda: projection(order=[0, 1, 1]),
        lambda: projection(order=[0, 1, 3]),
        lambda: projection(order=[0, -1, 2]),
        lambda: projection(order=[0.0, 1.0, 2.0]),
        lambda: projection(order=np.ma.masked_equal([0, 1, 2], 1)),
        lambda: projection(pathway_delays={"post": np.array([1, 2])}),
        lambda: projection(pathway_delays={"post": -1}),
        lambda: projection(pathway_delays={"post": float("nan")}),
        lambda: projection(pathway_delays={"post": True}),
        lambda: projection(pathway_delays={"post": np.array([0.1, 0.2, -0.3])}),
        lambda: projection(pathway_delays=[1, 2, 3]),
        lambda: projection(delays=-1),
        lambda: projection(delays=0.5),
        lambda: projection(delays=np.array([1, 2])),
        lambda: projection(delays=np.array([1, 2, -3])),
        lambda: projection(pre_size=2),
        lambda: projection(post_size=1),
        lambda: projection(post_size=2, post_view=[5]),
        lambda: projection(pre_view=[[1]]),
        lambda: projection(pre_view=[-1]),
        lambda: projection(post_view=[2**31]),
        lambda: projection(pre_view=[2**32 + 7]),
        lambda: projection(variables={"w": np.zeros(4)}),
        lambda: NetworkState(populations=[PopulationState("p", (1,)), PopulationState("p", (2,))]),
        lambda: NetworkState(populations={"q": PopulationState("p", (1,))}),
        lambda: NetworkState(populations=[projection()]),
        lambda: NetworkState(populations=[PopulationState("a", (5,))], projections=[projection(pre_size=3)]),
        lambda: NetworkState(time_step=-1),
        lambda: NetworkState(dt=0),
        lambda: NetworkState(dt=float("nan")),
        lambda: NetworkState(seed=2**63),
        lambda: NetworkState(metadata={"x": object()}),
        lambda: NetworkState(time_step=2**63),
        lambda: NetworkState(seed=10**5000),
        lambda: NetworkState(time_step=1.5),
        lambda: NetworkState(dt="1"),
        lambda: NetworkState(populations=PopulationState("p", (1,))),
        lambda: NetworkState(constants=[1.0]),
        lambda: NetworkState(resume="exact"),
        lambda: PopulationState(5, (1,)),
        lambda: PopulationState("p", "ab"),
        lambda: PopulationState("p", None),
        lambda: PopulationState("p", (1.5,)),
        lambda: PopulationState("p", (2**63,)),
        lambda: PopulationState("p", (1,), parameters=None),
        lambda: PopulationState("p", (1,), variables=[1.0]),
        lambda: PopulationState("p", (1,), parameters={1: 2.0}),
        lambda: PopulationState("p", (1,), dynamics={b"x": 2.0}),
        lambda: PopulationState("p", (1,), neuron_type="Izhikevich"),
        lambda: projection(synapse_type={}),
        lambda: projection(connectivity=None),
        lambda: projection(pre=None),
        lambda: projection(pre_size="3"),
        lambda: projection(delays=2**63),
        lambda: TypeInfo(None),
        lambda: TypeInfo("T", texts={"equations": None}),
        lambda: TypeInfo("T", attributes={"tau": {"unit": "ms"}}),
        lambda: AttributeInfo(unit=None),
        lambda: Connectivity.from_rows([1, 2], []),
    ],
)
def test_nonsense_is_refused(make):
    with pytest.raises(StateError):
        make()


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="numpy 1 has no arrays of 33 axes")
@pytest.mark.parametrize(
    "make",
    [
        lambda values: PopulationState("p", (1,) * 32, variables={"r": values}),
        lambda values: PopulationState("p", (1,), dynamics={"x": values}),
        lambda values: NetworkState(constants={"x": values}),
        lambda values: NetworkState(dynamics={"x": Late(values)}),
    ],
)
def test_more_axes_than_hdf5_has_are_refused(make):
    with pytest.raises(StateError):
        make(np.zeros((1,) * 33))


def test_values_that_are_arrays_have_their_axes_last():
    population = PopulationState("p", (2, 3), variables={"v": np.zeros((2, 3)), "a": np.zeros((2, 3, 4))})
    assert population.attribute("a").locality is Locality.LOCAL
    ff = projection(
        parameters={"g": Attribute(np.arange(4.0), Locality.GLOBAL)},
        variables={"x": np.arange(6).reshape(3, 2), "row": np.arange(10).reshape(2, 5)},
    )
    assert (ff.attribute("x").locality, ff.attribute("row").locality) == (
        Locality.LOCAL,
        Locality.SEMIGLOBAL,
    )
    post = int(ROWS.post_ranks[np.argmax(ROWS.row_sizes)])
    row = ff.find_row(post)
    one = ff.dendrite(post)
    assert np.array_equal(one["x"], ff["x"][ROWS.row_ptr[row] : ROWS.row_ptr[row + 1]])
    assert np.array_equal(one["row"], ff["row"][row])
    assert np.array_equal(one["g"], np.arange(4.0))
    every = ff.rows(0, ff.n_rows)
    assert np.array_equal(every["row"], np.repeat(ff["row"], ROWS.row_sizes, axis=0))
    pre = int(ROWS.pre_ranks[0])
    where = np.flatnonzero(ROWS.pre_ranks == pre)
    assert np.array_equal(ff.outgoing(pre)["x"], ff["x"][where])
    for name in ("x", "row", "g"):
        with pytest.raises(StateError, match="has the shape"):
            ff.dense(name)


def test_values_in_the_order_of_the_simulator_come_back_from_the_rows():
    own = np.array([7.0, 8.0, 9.0])
    order = np.array([2, 0, 1])
    rows = np.empty(3)
    rows[order] = own
    ff = projection(variables={"w": rows}, order=order)
    assert np.array_equal(ff["w"][ff.order], own)
    assert list(differences(ff_network(ff), ff_network(projection(variables={"w": rows})))) == [
        "projections/ff/order"
    ]


def test_pathway_delays_are_compared_by_name_type_and_value():
    one = projection(pathway_delays={"pre": 3, "post": np.array([0.1, 0.2, 0.3])})
    for other, where in (
        ({"pre": 3}, "pathway_delays"),
        ({"pre": 4, "post": np.array([0.1, 0.2, 0.3])}, "pathway_delays/pre"),
        ({"pre": 3, "post": np.array([1, 2, 3])}, "pathway_delays/post"),
    ):
        found = differences(ff_network(one), ff_network(projection(pathway_delays=other)))
        assert list(found) == [f"projections/ff/{where}"]


def ff_network(ff: ProjectionState) -> NetworkState:
    return NetworkState(projections=[ff])


@pytest.mark.parametrize("side", ["pre", "post", "target"])
def test_a_nul_at_the_end_of_a_stored_text_is_refused_and_one_inside_is_kept(side, tmp_path):
    for lost in ("a\0", "\0", "a\0\0"):
        with pytest.raises(StateError, match=f"{side} .*trailing NUL"):
            projection(**{side: lost})
    inside = projection(**{side: "\0a\0b"})
    write(NetworkState(projections=[inside]), tmp_path / "net.h5")
    assert getattr(read(tmp_path / "net.h5").projections["ff"], side) == "\0a\0b"


@pytest.mark.parametrize("name", ["a\0", "\0", "\0\0b"])
def test_names_with_nuls_come_back(name, tmp_path):
    population = PopulationState(
        name,
        (2,),
        parameters={name: 1.0},
        variables={f"v{name}": [1.0, 2.0]},
        neuron_type=TypeInfo(name, name, {name: name}, {name: AttributeInfo(name, name, name)}),
        dynamics={name: 3},
    )
    state = NetworkState(populations=[population], constants={name: 4.0}, metadata={name: name})
    write(state, tmp_path / "net.h5")
    assert not list(differences(state, read(tmp_path / "net.h5")))


def test_a_text_longer_than_an_attribute_can_be_is_refused(tmp_path):
    for length, fits in ((16 << 10, True), ((16 << 10) + 1, False), (1 << 20, False)):
        state = NetworkState(projections=[projection(target="x" * length)])
        if fits:
            write(state, tmp_path / "net.h5")
            assert read(tmp_path / "net.h5").projections["ff"].target == "x" * length
        else:
            with pytest.raises(StateError, match="cannot be stored"):
                write(state, tmp_path / "other.h5")
    assert [p.name for p in tmp_path.iterdir()] == ["net.h5"]


@pytest.mark.parametrize(
    "bound", [float("inf"), float("-inf"), float("nan"), np.float32("nan"), "0", 10**400]
)
@pytest.mark.parametrize("which", ["minimum", "maximum"])
def test_bounds_are_finite_numbers_or_none(which, bound):
    with pytest.raises(StateError, match=which):
        AttributeInfo(**{which: bound})


def test_bounds_of_numpy_come_back_exactly(tmp_path):
    info = AttributeInfo("double", minimum=np.float32(0.1), maximum=np.int64(2**60 + 1))
    assert (info.minimum, info.maximum) == (float(np.float32(0.1)), 2**60 + 1)
    kind = TypeInfo("T", attributes={"tau": info})
    write(NetworkState(populations=[PopulationState("p", (1,), neuron_type=kind)]), tmp_path / "net.h5")
    assert read(tmp_path / "net.h5").populations["p"].neuron_type == kind


HALF = "half \ud800"


@pytest.mark.parametrize(
    "make",
    [
        lambda: PopulationState(HALF, (1,)),
        lambda: PopulationState("p", (1,), parameters={HALF: 1.0}),
        lambda: PopulationState("p", (1,), dynamics={HALF: 1.0}),
        lambda: projection(name=HALF),
        lambda: projection(pre=HALF),
        lambda: projection(post=HALF),
        lambda: projection(target=HALF),
        lambda: NetworkState(constants={HALF: 1.0}),
        lambda: NetworkState(metadata={HALF: 1}),
        lambda: NetworkState(metadata={"x": [HALF]}),
        lambda: AttributeInfo(unit=HALF),
        lambda: AttributeInfo(ctype=HALF),
        lambda: AttributeInfo(description=HALF),
        lambda: TypeInfo(HALF),
        lambda: TypeInfo("T", HALF),
        lambda: TypeInfo("T", texts={HALF: ""}),
        lambda: TypeInfo("T", texts={"equations": HALF}),
        lambda: TypeInfo("T", attributes={HALF: AttributeInfo()}),
        lambda: Resume(Exactness.APPROXIMATE, (HALF,)),
    ],
)
def test_what_utf8_cannot_hold_is_refused_where_it_is_made(make):
    with pytest.raises(StateError) as caught:
        make()
    assert str(caught.value).isascii()


def test_a_part_may_lack_the_populations_that_it_connects():
    state = NetworkState(projections=[projection()])
    assert state.projections["ff"].n_synapses == 3


def test_names_that_are_not_there_offer_the_nearest():
    state = NetworkState(populations=[PopulationState("input", (1,), parameters={"tau": 1})])
    with pytest.raises(ObjectNotFoundError, match="did you mean 'input'"):
        state.population("inptu")
    with pytest.raises(AttributeNotFoundError, match="did you mean 'tau'"):
        state.populations["input"]["tua"]
    with pytest.raises(KeyError):
        state.projection("ff")


def test_foreign_byte_order_is_turned_exactly():
    population = PopulationState("p", (3,), variables={"r": np.array([1, 2, -0.0], ">f8")})
    assert population["r"].dtype.isnative
    assert np.asarray(population["r"]).tolist() == [1.0, 2.0, -0.0]


def test_single_weight_is_a_global_w():
    assert projection(parameters={"w": 1.0}).single_weight
    assert not projection(parameters={"w": [1.0, 2, 3]}).single_weight
    assert not projection().single_weight


def test_time_is_steps_times_dt():
    assert NetworkState(time_step=10, dt=0.5).time_ms == 5.0
    assert NetworkState(time_step=10).time_ms is None


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 5), (2, 0, 3)])
@pytest.mark.parametrize("at_most", [1, 24, 10**6])
def test_blocks_put_together_are_the_array(shape, at_most):
    array = np.arange(int(np.prod(shape)), dtype=np.int32).reshape(shape)
    pieces = [block for _, block in blocks(array, at_most=at_most)]
    together = np.concatenate(pieces) if shape and pieces else (pieces[0] if pieces else array)
    assert np.array_equal(together, array)
    assert nbytes(array) == array.nbytes


def test_states_survive_pickling():
    state = NetworkState(
        populations=[PopulationState("p", (2,), variables={"r": [1.0, 2.0]})], projections=[projection()]
    )
    again = pickle.loads(pickle.dumps(state))
    assert np.asarray(again.populations["p"]["r"]).tolist() == [1.0, 2.0]


def all_errors(cls=CheckpointError):
    """The package's errors; tests that ran before may have made classes of their own."""
    if cls.__module__.startswith("ann_ckpt."):
        yield cls
    for below in cls.__subclasses__():
        yield from all_errors(below)


@pytest.mark.parametrize("cls", sorted(set(all_errors()), key=lambda c: c.__name__), ids=lambda c: c.__name__)
def test_every_error_survives_pickling_and_has_its_own_code(cls):
    error = cls("the fact", details={"stored": "a, b"}, where="net.h5:/x")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert str(again) == str(error) == "the fact\n  stored:  a, b\n  where:   net.h5:/x"
    codes = [other.code for other in set(all_errors())]
    assert codes.count(cls.code) == 1
    assert 1 <= cls.exit_status < 64


class Late:
    """An array whose values are there when they are asked for."""

    def __init__(self, values):
        self.values = np.asarray(values)
        self.shape, self.dtype = self.values.shape, self.values.dtype

    def __getitem__(self, key):
        return self.values[key]

    def __array__(self, dtype=None, *, copy=None):
        return np.array(self.values, dtype)


def lazy_and_eager():
    def network(made):
        population = PopulationState("p", (3,), variables={"v": made(np.arange(3.0))}, parameters={"k": 1.0})
        synapses = Connectivity([0, 2], [0, 2, 3], made(np.array([1, 0, 2], np.int32)))
        projection = ProjectionState(
            "j",
            "p",
            "p",
            "exc",
            synapses,
            variables={"w": made(np.arange(3.0))},
            dynamics={"queue": made(np.arange(4.0))},
            delays=made(np.array([1, 2, 3], np.int32)),
        )
        return NetworkState(
            populations=[population],
            projections=[projection],
            constants={"c": made(np.arange(2.0))},
            dynamics={"rng": made(np.arange(5))},
            metadata={"a": 1},
            time_step=7,
        )

    return network(Late), network(np.asarray)


def test_a_network_in_memory_says_the_same_and_holds_plain_arrays():
    lazy, eager = lazy_and_eager()
    read = lazy.in_memory()
    assert not list(differences(read, eager))
    population, projection = read.populations["p"], read.projections["j"]
    held = [population["v"], projection["w"], projection.delays, projection.pre_ranks]
    held += [projection.dynamics["queue"], read.constants["c"], read.dynamics["rng"]]
    assert {type(array) for array in held} == {np.ndarray}
    assert population.in_memory() is population
    assert projection.in_memory() is projection


def test_synapses_are_equal_where_rows_and_order_are():
    lazy, eager = lazy_and_eager()
    a, b = lazy.projections["j"].connectivity, eager.projections["j"].connectivity
    assert a.equals(b)
    assert b.equals(a)
    others = ([0, 1], [0, 2, 3], [1, 0, 2]), ([0, 2], [0, 1, 3], [1, 0, 2]), ([0, 2], [0, 2, 3], [0, 1, 2])
    assert not any(a.equals(Connectivity(*other)) for other in others)
    assert not any(Connectivity(*other).equals(a) for other in others)


def test_columns_are_made_of_numbers_and_what_is_an_array_is_left_out_unless_asked_for():
    population = PopulationState("p", (3,), variables={"v": np.zeros(3), "a": np.zeros((3, 2))})
    ff = projection(variables={"w": np.arange(3.0), "x": np.arange(6).reshape(3, 2)})
    assert list(population._columns(None)) == ["rank", "v"]
    assert list(ff._columns(None)) == ["pre", "post", "w"]
    for asked in (lambda: population._columns(["a"]), lambda: ff._columns(["x"])):
        with pytest.raises(StateError, match=r"\(3, 2\)"):
            asked()


@pytest.mark.parametrize("lazily", [False, True])
def test_a_rank_is_an_integer_that_the_population_has(tmp_path, lazily):
    ff = projection(variables={"w": np.zeros(3)}, pre_size=3, post_size=3)
    if lazily:
        write(NetworkState(projections={"ff": ff}), tmp_path / "net.h5")
        opened = open_checkpoint(tmp_path / "net.h5")
        ff = opened.projections["ff"]
    calls = [
        ff.dendrite,
        ff.incoming,
        ff.outgoing,
        lambda rank: ff.rows(0, rank),
        lambda rank: ff.rows(rank, 2),
    ]
    for call in calls:
        for rank in (1.5, np.float64(1), "1", None):
            with pytest.raises(OptionError, match=r"(?s) is .*expected: an integer"):
                call(rank)
        assert len(call(np.int64(1))) == len(call(1))
    for call in (ff.dendrite, ff.incoming, ff.outgoing):
        for rank in (-1, 3, 2**40):
            with pytest.raises(ObjectNotFoundError, match=f"neuron {rank}"):
                call(rank)
    assert len(ff.incoming(2)) == 0, "it has a neuron, and no dendrite there"
    assert repr(ff.rows(0, 1)) == "<2 synapses, w>"
    if lazily:
        opened.close()


@pytest.mark.parametrize("other", [None, {}, "net.h5"])
def test_what_is_no_state_is_refused_before_anything_is_compared(other) -> None:
    for pair in ((NetworkState(), other), (other, NetworkState())):
        with pytest.raises(StateError, match="where a NetworkState was expected"):
            differences(*pair)


def test_a_dendrite_says_itself_what_it_has_not():
    ff = ProjectionState(
        "ff", "a", "b", "exc", Connectivity.from_rows([3], [[0, 1]]), variables={"w": [1.0, 2.0]}
    )
    with pytest.raises(AttributeNotFoundError, match="the dendrite of neuron 3 has no attribute 'x'"):
        ff.dendrite(3)["x"]


def matrix_of(values, **given):
    return projection(variables={"w": np.array(values)}).dense(**given)


@pytest.mark.parametrize(
    ("values", "given", "dtype"),
    [
        (np.array([2**53 + 1, 3, 4]), {}, "int64"),
        (np.array([2**64 - 1, 3, 4], np.uint64), {"fill": 7}, "uint64"),
        (np.array([1, 3, 4], np.int8), {}, "int8"),
        (np.array([1, 3, 4], np.int8), {"fill": -1.0}, "int8"),
        (np.array([1, 3, 4], np.int8), {"fill": 0.1}, "float64"),
        (np.array([1, 3, 4], np.int8), {"fill": 123457}, "float64"),
        (np.array([1, 3, 4], np.int8), {"fill": np.nan}, "float64"),
        (np.array([1, 3, 4], np.uint8), {"fill": -1}, "float64"),
        (np.array([2**53, 3, 4]), {"fill": np.nan}, "float64"),
        (np.array([True, False, True]), {}, "bool"),
        (np.array([True, False, True]), {"fill": 1}, "bool"),
        (np.array([True, False, True]), {"fill": 1e-5}, "float64"),
        (np.array([1, 3, 4], np.float32), {"fill": np.nan}, "float32"),
        (np.array([1, 3, 4], np.float32), {"fill": 1e300}, "float64"),
        (np.array([1.0, 3.0, 4.0]), {"fill": 2}, "float64"),
    ],
)
def test_a_matrix_has_the_values_and_the_fill_as_they_are(values, given, dtype):
    found = matrix_of(values, **given)
    assert found.dtype == dtype
    there = projection(variables={"w": np.ones(3)}).dense() == 1
    assert sorted(found[there].tolist()) == sorted(values.tolist())
    assert np.array_equal(found[~there], np.full((~there).sum(), given.get("fill", 0.0)), equal_nan=True)


@pytest.mark.parametrize("values", [[2**53 + 1, 3, 4], np.array([2**64 - 1, 3, 4], np.uint64)])
def test_a_matrix_that_would_change_values_is_refused(values):
    with pytest.raises(OptionError, match="float64"):
        matrix_of(values, fill=0.5)


@pytest.mark.parametrize("fill", ["0", None, [0.0], 1j])
def test_a_fill_is_a_number(fill):
    with pytest.raises(OptionError, match="fill"):
        matrix_of([1.0, 2.0, 3.0], fill=fill)
