"""Frames, tables, graphs, matrices, dask and xarray hold what the checkpoint holds."""

from __future__ import annotations

import pickle
import sys
from importlib.metadata import entry_points
from pathlib import Path

import cloudpickle
import dask.array
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr
from dask.base import tokenize

import ann_ckpt
from ann_ckpt import Connectivity, NetworkState
from ann_ckpt.errors import (
    ClosedCheckpointError,
    MissingExtraError,
    ObjectNotFoundError,
    OptionError,
    StateError,
)
from ann_ckpt.model import Attribute, Locality, PopulationState, ProjectionState
from ann_ckpt.xarray_engine import CheckpointBackend
from tests.golden.networks import further


def columns(projection):
    """What a table of all synapses has, by way of one dendrite after another."""
    rows = projection.connectivity
    sizes = np.diff(rows.row_ptr)
    return {
        "pre": np.asarray(rows.pre_ranks),
        "post": np.repeat(rows.post_ranks, sizes),
        "delay": np.asarray(projection.delays),
        "eta": np.full(rows.n_synapses, 0.5),
        "limit": np.repeat(np.asarray(projection["limit"]), sizes),
        "w": np.asarray(projection["w"]),
        "on": np.asarray(projection["on"]),
    }


@pytest.fixture(params=["memory", "lazy"])
def network(request, state, checkpoint):
    """The same network, whose populations and projections answer alike."""
    return state if request.param == "memory" else checkpoint


def test_a_frame_has_a_row_for_each_synapse(network, state):
    frame = network.projections["ff"].to_frame()
    expected = columns(state.projections["ff"])
    assert list(frame) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(frame[name], values)
        assert frame[name].dtype == values.dtype
    assert frame.attrs["units"] == {"delay": "steps", "w": "nS"}
    assert list(network.projections["ff"].to_frame(["w"])) == ["pre", "post", "delay", "w"]


def test_arrow_tables_go_to_polars_and_duckdb(network, state):
    projection, expected = network.projections["ff"], columns(state.projections["ff"])
    synapses = projection.to_arrow()
    assert synapses.field("w").metadata == {b"unit": b"nS"}
    for made in (pl.from_arrow(synapses), pl.DataFrame(projection)):
        for name, values in expected.items():
            np.testing.assert_array_equal(made[name].to_numpy(), values)
    found = duckdb.sql("select post, sum(w) as total from synapses group by post order by post").fetchall()
    sums = projection.to_frame(["w"]).groupby("post")["w"].sum()
    assert [post for post, _ in found] == list(sums.index)
    np.testing.assert_allclose([total for _, total in found], sums)


def test_populations_have_a_row_for_each_neuron(network, state):
    frame = network.populations["in"].to_frame()
    assert (frame.index.name, list(frame.index)) == ("rank", list(range(50)))
    assert (frame["tau"] == 10.0).all()
    np.testing.assert_array_equal(frame["r"], state.populations["in"]["r"])
    assert frame.attrs["units"] == {"tau": "ms", "r": "Hz"}
    np.testing.assert_array_equal(
        network.populations["grid"].to_frame()["v"], state.populations["grid"]["v"].ravel()
    )
    assert pl.DataFrame(network.populations["grid"]).columns == ["rank", "v"]


def test_what_cannot_be_a_column_is_refused_and_can_be_left_out():
    population = PopulationState(
        "q", (2,), variables={"rank": [1.0, 2.0], "h": Attribute(np.zeros((3, 2)), Locality.UNKNOWN)}
    )
    for wrong in (None, ["h"]):
        with pytest.raises(StateError, match="cannot be a column"):
            population.to_frame(wrong)
    assert list(population.to_frame([])) == []
    projection = ProjectionState(
        "p", "q", "q", "exc", Connectivity.from_rows([0], [[1]]), variables={"pre": [1.0], "w": [2.0]}
    )
    with pytest.raises(OptionError, match="'pre'"):
        projection.to_frame()
    assert projection.to_frame(["w"]).to_dict("list") == {"pre": [1], "post": [0], "w": [2.0]}


def test_edges_of_graphs_lead_from_pre_to_post(network, state):
    projection, expected = network.projections["ff"], columns(state.projections["ff"])
    pairs = list(zip(expected["pre"].tolist(), expected["post"].tolist(), strict=True))
    graph = projection.to_networkx()
    assert graph.is_directed()
    assert graph.number_of_nodes() == 50 + 90
    assert sorted(graph.edges()) == sorted((("in", a), ("grid", b)) for a, b in pairs)
    weights = sorted((a, b, data["w"], data["delay"]) for a, b, data in graph.edges(data=True))
    w, delay = expected["w"].tolist(), expected["delay"].tolist()
    assert weights == sorted((("in", a), ("grid", b), w[i], delay[i]) for i, (a, b) in enumerate(pairs))
    other = projection.to_igraph(["w"])
    assert other.is_directed()
    assert [(e.source, e.target - 50) for e in other.es] == pairs
    assert other.vs[50 + 7].attributes() == {"population": "grid", "rank": 7}
    assert other.es["w"] == expected["w"].tolist()
    assert sum(other.outdegree(range(50))) == len(pairs)


def test_a_loop_within_a_population_has_its_neurons_once(network):
    projection = network.projections["a/b"]
    assert sorted(projection.to_networkx().edges()) == [
        (("in", 0), ("in", 2)),
        (("in", 1), ("in", 2)),
        (("in", 2), ("in", 0)),
    ]
    graph = projection.to_igraph()
    assert graph.vcount() == projection.to_networkx().number_of_nodes() == 50
    assert [(e.source, e.target) for e in graph.es] == [(1, 2), (0, 2), (2, 0)]


@pytest.mark.parametrize("sizes", [{"pre_size": 9}, {"post_size": 9}, {}], ids=str)
def test_a_loop_has_all_neurons_whichever_size_is_known(sizes):
    rows = Connectivity.from_rows([4], [[6]])
    graph = ProjectionState("p", "q", "q", "exc", rows, **sizes)
    count = 9 if sizes else 7
    assert graph.to_igraph().vcount() == graph.to_networkx().number_of_nodes() == count
    assert [(e.source, e.target) for e in graph.to_igraph().es] == [(6, 4)]


def test_matrices_have_a_row_for_each_post_synaptic_neuron(network, state):
    expected = columns(state.projections["ff"])
    full = np.zeros((90, 50))
    np.add.at(full, (expected["post"], expected["pre"]), expected["w"])
    matrix = network.projections["ff"].tocoo()
    assert matrix.format == "coo"
    assert matrix.nnz == expected["w"].size
    np.testing.assert_allclose(matrix.toarray(), full)


def test_other_libraries_take_a_lazy_array(checkpoint, state):
    lazy, values = checkpoint.projections["ff"]["w"], state.projections["ff"]["w"]
    grid, grid_values = checkpoint.populations["grid"]["v"], state.populations["grid"]["v"]
    series = pd.Series(lazy)
    assert series.dtype == np.float64
    np.testing.assert_array_equal(series, values)
    assert pl.Series("w", lazy).to_list() == values.tolist()
    assert pl.Series("v", grid).to_list() == grid_values.tolist()
    assert pa.array(lazy).to_pylist() == values.tolist()
    for made in (xr.DataArray(lazy, dims="s"), xr.Dataset({"w": ("s", lazy)})["w"]):
        np.testing.assert_array_equal(made, values)
    assert pd.DataFrame({"w": lazy, "delay": checkpoint.projections["ff"].delays}).dtypes["delay"] == np.int32


def test_dask_reads_whole_blocks_when_it_computes(checkpoint, state):
    lazy, values = checkpoint.projections["ff"]["w"], np.asarray(state.projections["ff"]["w"])
    before = checkpoint.bytes_read
    made = lazy.to_dask()
    assert checkpoint.bytes_read - before < 100  # what opening the array takes
    assert (made.shape, made.dtype, type(made._meta)) == (values.shape, values.dtype, np.ndarray)
    assert made.sum().compute() == pytest.approx(values.sum())
    np.testing.assert_array_equal(lazy.to_dask(chunks=100)[::-3].compute(scheduler="threads"), values[::-3])
    assert lazy.to_dask().name == lazy.to_dask().name
    for chunks in (0, {0: 0}, (1, 2, 3), "x"):
        with pytest.raises(OptionError, match="does not suit an array of shape"):
            lazy.to_dask(chunks=chunks)
    assert lazy.to_dask().name != checkpoint.projections["ff"].pre_ranks.to_dask().name
    np.testing.assert_array_equal(
        dask.array.from_array(checkpoint.populations["grid"]["v"]), state.populations["grid"]["v"]
    )


def test_dask_names_and_sends_what_is_open_without_reading_it(checkpoint):
    ff, grid = checkpoint.projections["ff"], checkpoint.populations["grid"]
    things = [checkpoint, checkpoint.projections, ff, ff["w"], grid, ff["w"].to_dask()]
    before = checkpoint.bytes_read
    for thing in things:
        assert len(cloudpickle.dumps(thing)) < 2500
    assert len({tokenize(thing) for thing in (checkpoint, ff, ff["w"], ff.pre_ranks)}) == 4
    assert tokenize(ff) == tokenize(pickle.loads(pickle.dumps(ff)))
    assert checkpoint.bytes_read == before


def test_the_tree_has_names_units_and_values(checkpoint, state):
    tree = checkpoint.to_xarray()
    assert (tree.attrs["time_step"], tree.attrs["dt"], tree.attrs["metadata"]) == (1234, 0.1, '{"who": "me"}')
    assert tree["g"].item() == 9.81
    assert tree["period"].values.tolist() == [1.0, 2.0]
    assert set(tree["populations"].children) == {"in", "grid", "cube"}
    assert set(tree["projections"].children) == {"ff", "a%2Fb"}
    assert tree["populations/grid"]["v"].dims == ("neuron_0", "neuron_1")
    assert tree["populations/in"]["r"].attrs == {"units": "Hz", "locality": "local"}
    expected, ff = columns(state.projections["ff"]), tree["projections/ff"]
    assert ff["w"].attrs == {"units": "nS", "long_name": "the weight", "locality": "local"}
    assert (ff["w"].dims, ff["limit"].dims, ff["eta"].dims) == (("synapse",), ("dendrite",), ())
    for name, column in (
        ("w", "w"),
        ("on", "on"),
        ("pre_rank", "pre"),
        ("post_rank", "post"),
        ("delay", "delay"),
    ):
        np.testing.assert_array_equal(ff[name], expected[column])
        np.testing.assert_array_equal(ff[name][3:90:7], expected[column][3:90:7])
        np.testing.assert_array_equal(ff[name][[5, 2, -1]], expected[column][[5, 2, -1]])
    np.testing.assert_array_equal(ff["dendrite_rank"], state.projections["ff"].post_ranks)
    sums = ff["w"].groupby("post_rank").sum()
    np.testing.assert_allclose(sums, state.projections["ff"].to_frame().groupby("post")["w"].sum())
    v, grid = tree["populations/grid"]["v"], state.populations["grid"]["v"]
    np.testing.assert_array_equal(
        v[{"neuron_0": [4, 1], "neuron_1": slice(None, None, -2)}], grid[[4, 1]][:, ::-2]
    )
    np.testing.assert_array_equal(v[:, 3], grid[:, 3])
    np.testing.assert_array_equal(v[2][[1, 1]], grid[2][[1, 1]])


@pytest.mark.parametrize(
    "key",
    [
        (2, 1, [4, 0]),
        (slice(None), 1, [4, 0]),
        (1, slice(None, None, -1), 2),
        ([2, 0], [3, 1, 0], 1),
        ([2, 0], slice(1, 3), [4, 4]),
        (slice(0, 2), [1], slice(None)),
    ],
    ids=str,
)
def test_each_part_of_a_key_of_xarray_is_about_its_own_axis(checkpoint, state, key):
    values = np.asarray(state.populations["cube"]["v"])
    expected = xr.DataArray(values)[key]
    found = checkpoint.populations["cube"].to_xarray()["v"][key]
    np.testing.assert_array_equal(found, expected)
    assert found.shape == expected.shape


def test_a_tree_reads_nothing_until_it_is_asked(checkpoint):
    tree = checkpoint.to_xarray()
    before = checkpoint.bytes_read
    repr(tree)
    tree["projections/ff"]["w"].attrs  # noqa: B018
    assert checkpoint.bytes_read == before


def test_xarray_opens_a_checkpoint_by_the_name_of_its_engine(path, state):
    assert any(
        e.value == "ann_ckpt.xarray_engine:CheckpointBackend" for e in entry_points(group="xarray.backends")
    )
    with xr.open_datatree(path, engine="ann_ckpt") as tree:
        np.testing.assert_array_equal(tree["projections/ff"]["w"], state.projections["ff"]["w"])
        chunked = tree["projections/ff"].to_dataset().chunk()
        assert chunked["w"].sum().compute() == pytest.approx(np.sum(state.projections["ff"]["w"]))
        left = tree["projections/ff"]["on"]
    with pytest.raises(ClosedCheckpointError):
        left.variable.load()
    with xr.open_dataset(path, engine="ann_ckpt", group="populations/in", chunks={}) as dataset:
        assert isinstance(dataset["r"].data, dask.array.Array)
        np.testing.assert_array_equal(dataset["r"], state.populations["in"]["r"])
    with xr.open_dataset(path, engine=CheckpointBackend, drop_variables="g") as dataset:
        assert list(dataset) == ["period"]
    with pytest.raises(ObjectNotFoundError, match="did you mean '/populations/in'"):
        xr.open_dataset(path, engine="ann_ckpt", group="populations/im")
    with xr.open_dataset(path, engine="ann_ckpt", group=None) as dataset:
        assert "g" in dataset
    with xr.open_datatree(path, engine="ann_ckpt", group="populations", drop_variables="r") as tree:
        assert "r" not in tree["in"]
        assert "in" in tree.children
        left = xr.open_datatree(path, engine="ann_ckpt", group="/projections/ff")["w"]
    np.testing.assert_array_equal(left, state.projections["ff"]["w"])
    with pytest.raises(ObjectNotFoundError, match="did you mean '/populations'"):
        xr.open_datatree(path, engine="ann_ckpt", group="population")
    assert set(xr.open_groups(path, engine="ann_ckpt")) >= {"/", "/populations/in", "/projections/a%2Fb"}
    if path.suffix == ".ckpt":
        with xr.open_datatree(path) as guessed, xr.open_datatree(f"{path}@1234", engine="ann_ckpt") as one:
            assert one.attrs["time_step"] == guessed.attrs["time_step"] == 1234


def test_variables_of_a_tree_are_pickled_without_values(checkpoint, state):
    variable = checkpoint.to_xarray()["projections/ff"]["w"]
    post = checkpoint.to_xarray()["projections/ff"]["post_rank"].variable
    pickled = pickle.dumps(post._data)
    assert len(pickled) < 1500
    np.testing.assert_array_equal(np.asarray(variable), state.projections["ff"]["w"])


def test_an_attribute_called_like_a_coordinate_keeps_its_name(tmp_path):
    projection = ProjectionState(
        "p", "q", "q", "exc", Connectivity.from_rows([0], [[1]]), variables={"pre_rank": [7.0]}
    )
    ann_ckpt.write(NetworkState(projections=[projection]), tmp_path / "net.h5")
    with ann_ckpt.open(tmp_path / "net.h5") as checkpoint:
        dataset = checkpoint.projections["p"].to_xarray()
        assert dataset["pre_rank"].values.tolist() == [7.0]
        assert dataset["pre_rank_"].values.tolist() == [1]


def test_a_part_of_a_population_has_the_ranks_of_the_whole(state):
    for rank in range(3):
        part = state.part(rank, 3)
        for name, population in part.populations.items():
            columns = [n for n, a in population.attributes.items() if a.locality is Locality.LOCAL]
            whole = state.populations[name].to_frame(columns)
            frame = population.to_frame(columns)
            assert len(frame) == population.size
            assert frame.equals(whole.loc[frame.index])


def test_values_that_are_arrays_have_axes_of_their_own(tmp_path):
    state = further()
    ann_ckpt.write(state, tmp_path / "net.h5")
    with xr.open_datatree(tmp_path / "net.h5", engine="ann_ckpt") as tree:
        dims = {
            "populations/cells": {
                "tau_syn": ("neuron", "tau_syn_1"),
                "E_rev": ("E_rev_0",),
                "v": ("neuron",),
            },
            "populations/sheet": {"trace": ("neuron_0", "neuron_1", "trace_2")},
            "projections/stdp": {"row": ("dendrite", "row_1"), "trace": ("synapse", "trace_1")},
        }
        for path, named in dims.items():
            group, name = path.split("/")
            for attribute, expected in named.items():
                assert tree[path][attribute].dims == expected
                np.testing.assert_array_equal(tree[path][attribute], getattr(state, group)[name][attribute])
        np.testing.assert_array_equal(
            tree["populations/cells"]["tau_syn"][[4, 1], ::-2],
            np.asarray(state.populations["cells"]["tau_syn"])[[4, 1], ::-2],
        )


def test_an_axis_called_like_an_attribute_has_another_name(tmp_path):
    population = PopulationState("p", (4,), parameters={"tau_1": 7.0}, variables={"tau": np.ones((4, 3))})
    ann_ckpt.write(NetworkState(populations=[population]), tmp_path / "net.h5")
    with ann_ckpt.open(tmp_path / "net.h5") as checkpoint:
        dataset = checkpoint.populations["p"].to_xarray()
        assert dataset["tau_1"].item() == 7.0
        assert dataset["tau"].dims == ("neuron", "tau_1_")


@pytest.mark.parametrize(
    ("module", "extra", "call"),
    [
        ("pandas", "frames", lambda c: c.projections["ff"].to_frame()),
        ("pandas", "frames", lambda c: c.populations["in"].to_frame()),
        ("pyarrow", "frames", lambda c: c.projections["ff"].to_arrow()),
        ("pyarrow", "frames", lambda c: c.projections["ff"]["w"].__arrow_c_array__()),
        ("networkx", "graphs", lambda c: c.projections["ff"].to_networkx()),
        ("igraph", "graphs", lambda c: c.projections["ff"].to_igraph()),
        ("dask.array", "dask", lambda c: c.projections["ff"]["w"].to_dask()),
        ("xarray", "xarray", lambda c: c.to_xarray()),
        ("xarray", "xarray", lambda c: c.projections["ff"].to_xarray()),
        ("xarray", "xarray", lambda c: c.populations["in"].to_xarray()),
    ],
)
def test_what_is_not_installed_is_named_with_its_extra(checkpoint, monkeypatch, module, extra, call):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"ann_ckpt\[{extra}\]"):
        call(checkpoint)


def test_the_lines_of_the_document_run(state, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "arrays.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    ann_ckpt.write(state, "net.h5")
    names = {"__name__": "__main__"}
    for part in page.split("```python\n")[1:]:
        exec(part.partition("```")[0], names)
    assert names["table"].num_rows == state.projections["ff"].n_synapses
