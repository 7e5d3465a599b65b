"""What is written comes back, bit for bit, whole or in parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ann_ckpt
from ann_ckpt import Connectivity, Locality, NetworkState, PopulationState, ProjectionState, Selection
from ann_ckpt.errors import CorruptFileError, StateError
from ann_ckpt.format import plan
from tests.strategies import networks


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("roundtrip") / "net.h5"


@given(networks(), st.sampled_from(["auto", "none", "gzip"]))
def test_every_network_comes_back_exactly(path, state, compression):
    ann_ckpt.write(state, path, compression=compression)
    assert list(ann_ckpt.differences(state, ann_ckpt.read(path))) == []
    assert ann_ckpt.verify(path).ok


def test_thousands_of_single_values_come_back(tmp_path):
    """More than the description of one compound has room for."""
    values = {f"a rather long name for number {i}": float(i) for i in range(3000)}
    state = NetworkState(
        populations=[PopulationState("p", (2,), parameters=values)],
        dynamics={name: np.array(value) for name, value in values.items()},
    )
    ann_ckpt.write(state, tmp_path / "net.h5")
    assert list(ann_ckpt.differences(state, ann_ckpt.read(tmp_path / "net.h5"))) == []
    assert ann_ckpt.verify(tmp_path / "net.h5").ok


@pytest.mark.parametrize("where", ["population", "single value", "array"])
def test_a_name_too_long_to_be_read_again_is_refused_before_anything_is_written(tmp_path, where):
    name = "x" * 20_000
    parameters = {"single value": {name: 1.0}, "array": {name: np.arange(2.0)}}.get(where, {})
    population = PopulationState(name if where == "population" else "p", (2,), parameters=parameters)
    state = NetworkState(populations=[population])
    with pytest.raises(StateError, match="20000 characters"):
        ann_ckpt.write(state, tmp_path / "net.h5")
    assert list(tmp_path.iterdir()) == []


@given(networks())
def test_a_lazy_state_says_what_an_eager_one_says(path, state):
    ann_ckpt.write(state, path)
    with ann_ckpt.open(path) as ckpt:
        assert list(ann_ckpt.differences(state, ckpt.state(lazy=True))) == []


@given(networks())
def test_rewriting_a_lazy_checkpoint_changes_nothing(path, state):
    ann_ckpt.write(state, path)
    copy = path.with_name("copy.h5")
    with ann_ckpt.open(path) as ckpt:
        ann_ckpt.save(copy, network=ckpt)
    assert list(ann_ckpt.differences(state, ann_ckpt.read(copy))) == []


@given(networks())
def test_views_of_synapses_have_the_delays_of_pathways(path, state):
    ann_ckpt.write(state, path)
    with ann_ckpt.open(path) as ckpt:
        for projection in (*ckpt.projections.values(), *state.projections.values()):
            whole = state.projections[projection.name]
            rows, pointers = whole.connectivity, whole.connectivity.row_ptr
            views = [(projection.rows(0, rows.n_rows), np.arange(rows.n_synapses))]
            for i, post in enumerate(rows.post_ranks.tolist()):
                places = np.arange(pointers[i], pointers[i + 1])
                views += [(projection.dendrite(post), places), (projection.incoming(post), places)]
            for pre in np.unique(rows.pre_ranks).tolist():
                views.append((projection.outgoing(pre), np.flatnonzero(rows.pre_ranks == pre)))
            for view, places in views:
                assert view.pathway_delays.keys() == whole.pathway_delays.keys()
                for name, delays in whole.pathway_delays.items():
                    expected = delays[places] if delays.shape else delays
                    assert np.array_equal(view.pathway_delays[name], expected)
                    assert view.pathway_delays[name].dtype == delays.dtype


class Unchecked:
    """Integers that are looked at only when they are written."""

    def __init__(self, values):
        self.values = np.array(values)
        self.shape, self.dtype = self.values.shape, self.values.dtype

    def __getitem__(self, key):
        return self.values[key]

    def __array__(self, dtype=None, *, copy=None):
        return self.values


@given(st.lists(st.integers(-1, 4), min_size=4, max_size=4))
def test_a_stored_order_that_is_no_permutation_is_found(path, order):
    synapses = Connectivity.from_rows([0, 1], [[0, 1], [0, 1]])
    ff = ProjectionState("ff", "p", "p", "exc", synapses, order=Unchecked(order))
    ann_ckpt.write(NetworkState(projections=[ff]), path)
    report = ann_ckpt.verify(path)
    assert report.ok is (sorted(order) == [0, 1, 2, 3])
    assert all("permutation" in note.text and note.path == "projections/ff" for note in report.damaged)


@pytest.mark.parametrize("said", ["all", "ascending", "any"])
@pytest.mark.parametrize("posts", [[0, 1, 2], [0, 2, 5], [2, 0, 1]])
def test_rows_in_another_order_than_the_file_says_are_found(path, monkeypatch, posts, said):
    synapses = Connectivity.from_rows(posts, [[post] for post in posts])
    monkeypatch.setattr(plan, "_row_order", lambda _: said)
    ann_ckpt.write(NetworkState(projections=[ProjectionState("ff", "p", "p", "exc", synapses)]), path)
    right = said == "any" or posts == [0, 1, 2] or (said, posts) == ("ascending", [0, 2, 5])
    assert ann_ckpt.verify(path).ok is right
    with ann_ckpt.open(path) as checkpoint:
        for post in [*posts, 7]:
            try:
                found = checkpoint.projections["ff"].incoming(post)
            except CorruptFileError:
                assert not right
            else:
                assert found.pre_ranks.tolist() == [post] * (post in posts)


@given(networks(), st.data())
def test_a_selection_is_the_part_it_names(path, state, data):
    ann_ckpt.write(state, path)
    pops = (
        data.draw(st.lists(st.sampled_from(list(state.populations) or [""]), unique=True))
        if state.populations
        else []
    )
    with ann_ckpt.open(path) as ckpt:
        part = ckpt.state(Selection(populations=pops, projections=False))
    assert list(part.populations) == [n for n in state.populations if n in pops]
    assert not part.projections


def large_network(n_rows: int = 300, seed: int = 0) -> NetworkState:
    """Rows of up to 1,500 synapses, so that arrays span several chunks, raw and deflated."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(2000)[: rng.integers(0, 1500)] for _ in range(n_rows)]
    connectivity = Connectivity.from_rows(rng.permutation(n_rows * 2)[:n_rows], rows)
    n = connectivity.n_synapses
    return NetworkState(
        populations=[
            PopulationState("in", (2000,), variables={"r": rng.random(2000)}),
            PopulationState("out", (n_rows, 2), variables={"v": rng.random((n_rows, 2), dtype=np.float32)}),
        ],
        projections=[
            ProjectionState(
                "ff",
                "in",
                "out",
                "exc",
                connectivity,
                delays=rng.integers(1, 9, n),
                parameters={"tau": 3.0, "theta": rng.random(n_rows)},
                variables={
                    "w": rng.random(n),
                    "trace": np.zeros(n, np.float32),
                    "noise": rng.integers(0, 2**63, n),
                    "flag": rng.random(n) < 0.5,
                },
                pre_size=2000,
                post_size=2 * n_rows,
            )
        ],
        time_step=5,
        dt=1.0,
    )


@pytest.fixture(scope="module", params=["auto", "none", "gzip"])
def large(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "net.h5"
    state = large_network()
    ann_ckpt.write(state, path, compression=request.param)
    with ann_ckpt.open(path) as ckpt:
        yield state.projections["ff"], ckpt.projections["ff"]


@given(data=st.data())
def test_lazy_equals_eager_for_any_slice(large, data):
    eager, lazy = large
    name = data.draw(st.sampled_from(["w", "trace", "noise", "flag", "theta"]))
    key = data.draw(
        st.slices(eager[name].shape[0]) | st.integers(-eager[name].shape[0], eager[name].shape[0] - 1)
    )
    assert lazy[name][key].tobytes() == np.asarray(eager[name][key]).tobytes()


@given(data=st.data())
def test_lazy_equals_eager_for_rows(large, data):
    eager, lazy = large
    rank = int(data.draw(st.sampled_from(eager.connectivity.post_ranks.tolist())))
    one, other = eager.dendrite(rank), lazy.dendrite(rank)
    assert one.pre_ranks.tolist() == other.pre_ranks.tolist()
    assert {n: np.asarray(v).tobytes() for n, v in one.values.items()} == {
        n: np.asarray(v).tobytes() for n, v in other.values.items()
    }
    low = data.draw(st.integers(0, eager.n_rows))
    high = data.draw(st.integers(0, eager.n_rows))
    assert lazy.rows(low, high)["w"].tolist() == eager.rows(low, high)["w"].tolist()
    assert lazy.rows(low, high).delays.tolist() == eager.rows(low, high).delays.tolist()


def test_matrices_agree_with_the_rows(large):
    eager, lazy = large
    matrix = lazy.tocsr("w")
    assert matrix.shape == (600, 2000)
    for rank in eager.connectivity.post_ranks[:20].tolist():
        row = np.zeros(2000)
        dendrite = eager.dendrite(rank)
        row[dendrite.pre_ranks] = dendrite["w"]
        assert np.array_equal(matrix[[rank]].toarray()[0], row)
    assert np.array_equal(lazy.dense("w"), matrix.toarray())
    assert np.isnan(lazy.dense("w", fill=np.nan)).sum() == 600 * 2000 - eager.n_synapses


@pytest.mark.parametrize("rank", [0, 7, 1999])
def test_outgoing_is_the_column_of_incoming(large, rank):
    eager, lazy = large
    found = lazy.outgoing(rank)
    expected = {
        int(post): float(eager.dendrite(post)["w"][eager.dendrite(post).pre_ranks == rank][0])
        for post in eager.connectivity.post_ranks.tolist()
        if rank in eager.dendrite(post).pre_ranks
    }
    assert dict(zip(found.post_ranks.tolist(), found["w"].tolist(), strict=True)) == expected
    assert found["theta"].shape == found.pre_ranks.shape


def test_locality_of_plain_values_follows_their_shape():
    connectivity = Connectivity.from_rows([0, 1], [[0, 1], [2]])
    projection = ProjectionState(
        "p", "a", "b", "exc", connectivity, parameters={"g": 1, "s": [1.0, 2.0], "l": [1.0, 2.0, 3.0]}
    )
    assert [projection.attribute(n).locality for n in "gsl"] == [
        Locality.GLOBAL,
        Locality.SEMIGLOBAL,
        Locality.LOCAL,
    ]


@pytest.mark.parametrize("compression", ["none", "auto", "gzip"])
@pytest.mark.parametrize("shape", [(1000, 1000), (700, 999), (3, 260_000), (90, 131, 77)], ids=str)
def test_rows_of_any_size_are_written_in_whole_chunks(tmp_path, shape, compression):
    values = np.random.default_rng(0).integers(0, 9, shape).astype(np.float64)
    population = ann_ckpt.PopulationState("q", shape, variables={"r": values})
    ann_ckpt.write(
        ann_ckpt.NetworkState(populations=[population]), tmp_path / "net.h5", compression=compression
    )
    with ann_ckpt.open(tmp_path / "net.h5") as checkpoint:
        np.testing.assert_array_equal(checkpoint.populations["q"]["r"], values)
        assert [error for _, _, error in checkpoint.verify() if error] == []


@pytest.mark.parametrize("target", ["net.h5", "net.ckpt"])
@pytest.mark.parametrize("shape", [(1,) * 31 + (20_000,), (20_000,) + (1,) * 31, (2,) * 14 + (1,) * 18])
def test_as_many_axes_as_hdf5_has_come_back(tmp_path, shape, target):
    values = np.arange(math.prod(shape), dtype=float).reshape(shape)
    state = ann_ckpt.NetworkState(populations=[ann_ckpt.PopulationState("p", shape, variables={"r": values})])
    ann_ckpt.write(state, tmp_path / target)
    assert list(ann_ckpt.differences(state, ann_ckpt.read(tmp_path / target))) == []
    assert ann_ckpt.verify(tmp_path / target).ok


@pytest.mark.parametrize("n", [3, 30_000])
@pytest.mark.parametrize("target", ["net.h5", "run.ckpt"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"ranks": -1},
        {"ranks": 7, "pre_size": 7},
        {"delays": -1},
        {"pathway": -0.5},
        {"pathway": np.nan},
    ],
    ids=str,
)
def test_a_lazy_projection_that_nobody_could_read_is_not_saved(tmp_path, n, target, wrong):
    def late(values, last):
        values[-1] = last
        return Unchecked(values)

    ranks = np.zeros(n, np.int32)
    ff = ProjectionState(
        "ff",
        "p",
        "p",
        "exc",
        Connectivity([0], [0, n], late(ranks, wrong.get("ranks", 6))),
        delays=late(np.ones(n, np.int64), wrong.get("delays", 0)),
        pathway_delays={"up": late(np.ones(n), wrong.get("pathway", np.inf))},
        pre_size=wrong.get("pre_size"),
    )
    with pytest.raises(StateError, match=r"projections/ff/\S+ go from"):
        ann_ckpt.write(NetworkState(projections=[ff]), tmp_path / target)
    assert not [p for p in tmp_path.rglob("*.h5") if p.parent.name != "objects"]


@pytest.mark.parametrize("target", ["net.h5", "run.ckpt"])
def test_verify_counts_the_arrays(tmp_path, target):
    (tmp_path / "empty").mkdir()
    ann_ckpt.write(NetworkState(), tmp_path / "empty" / target)
    assert ann_ckpt.verify(tmp_path / "empty" / target).checked == 0
    ann_ckpt.write(large_network(20), tmp_path / target)
    with ann_ckpt.open(tmp_path / target) as checkpoint:
        assert ann_ckpt.verify(tmp_path / target).checked == len(checkpoint.arrays) > 3
