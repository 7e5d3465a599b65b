"""Tables and graphs of synapses, read by the libraries that people would use."""

from __future__ import annotations

import csv
from collections import Counter

import igraph
import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

import ann_ckpt
from ann_ckpt import Connectivity, NetworkState, ProjectionState
from ann_ckpt.adapters import edges
from ann_ckpt.errors import OptionError
from tests.ecosystem.test_exchange import columns


def test_csv_reads_back_exactly(path, state, tmp_path):
    report = ann_ckpt.export(path, tmp_path / "ff.csv", projections="ff")
    assert (report.format, report.saved) == ("csv", ("projections/ff",))
    told = {"float_precision": "round_trip"} if pd.__version__.startswith("2.") else {}
    frame = pd.read_csv(tmp_path / "ff.csv", **told)
    expected = columns(state.projections["ff"])
    assert list(frame) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(frame[name], values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.uint64, np.bool_])
def test_numbers_are_written_shortest_and_read_back(dtype):
    values = np.array([0.1, 1 / 3, 1e-30, 7, 100]).astype(dtype)
    texts = edges.texts(values)
    read = [text == "true" for text in texts] if dtype is np.bool_ else texts
    np.testing.assert_array_equal(np.array(read).astype(dtype), values)
    assert dtype is not np.float32 or texts[0] == "0.1"


def test_a_name_that_needs_quotes_stands_in_the_first_line(tmp_path):
    odd = ProjectionState(
        "p", "a", "b", "exc", Connectivity.from_rows([0], [[0]]), variables={'w,"\n': np.array([1.5])}
    )
    ann_ckpt.export(NetworkState(projections=[odd]), tmp_path / "p.csv")
    with (tmp_path / "p.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"pre": "0", "post": "0", 'w,"\n': "1.5"}]


def test_parquet_has_the_columns_of_a_frame_and_their_units(path, state, tmp_path):
    ann_ckpt.export(path, tmp_path / "ff.parquet", projections="ff")
    table = pq.read_table(tmp_path / "ff.parquet")
    assert table.schema.field("w").metadata[b"unit"] == b"nS"
    for name, values in columns(state.projections["ff"]).items():
        np.testing.assert_array_equal(table[name].to_numpy(), values)
        assert table[name].to_numpy().dtype == values.dtype


def test_several_projections_are_a_folder(path, state, tmp_path):
    ann_ckpt.export(path, tmp_path / "tables", format="parquet")
    assert sorted(p.name for p in (tmp_path / "tables").iterdir()) == ["a%2Fb.parquet", "ff.parquet"]
    assert pl.read_parquet(tmp_path / "tables" / "a%2Fb.parquet")["w"].to_list() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("synapses", [1, 2, 7, 100, 1 << 18])
def test_blocks_together_are_the_columns(network, state, synapses):
    whole = columns(state.projections["ff"])
    blocks = list(network.projections["ff"].column_blocks(synapses=synapses))
    assert all(len(block["pre"]) == synapses for block in blocks[:-1])
    for name, values in whole.items():
        np.testing.assert_array_equal(np.concatenate([block[name] for block in blocks]), values)


@pytest.fixture(params=["memory", "lazy"])
def network(request, state, checkpoint):
    return state if request.param == "memory" else checkpoint


def test_graphml_is_one_graph_of_everything(path, state, tmp_path):
    ann_ckpt.export(path, tmp_path / "net.graphml")
    graph = nx.read_graphml(tmp_path / "net.graphml", force_multigraph=True)
    sizes = Counter(data["population"] for _, data in graph.nodes(data=True))
    assert sizes == {name: population.size for name, population in state.populations.items()}
    for name, projection in state.projections.items():
        found = Counter(
            (graph.nodes[a]["rank"], graph.nodes[b]["rank"], data["w"], data["delay"])
            for a, b, data in graph.edges(data=True)
            if data["projection"] == name
        )
        rows = projection.connectivity
        posts = np.repeat(rows.post_ranks, rows.row_sizes)
        delays = np.broadcast_to(np.asarray(projection.delays), posts.shape)
        expected = zip(*(v.tolist() for v in (rows.pre_ranks, posts, projection["w"], delays)), strict=True)
        assert found == Counter(expected)
        assert {
            graph.nodes[a]["population"] for a, _, d in graph.edges(data=True) if d["projection"] == name
        } == {projection.pre}
    assert igraph.Graph.Read_GraphML(str(tmp_path / "net.graphml")).ecount() == graph.number_of_edges()


def test_edges_of_a_part_of_a_network_lead_to_nodes_of_the_whole(state, tmp_path):
    part = state.part(1, 3)
    ann_ckpt.export(part, tmp_path / "net.graphml")
    graph = nx.read_graphml(tmp_path / "net.graphml", force_multigraph=True)
    sizes = Counter(data.get("population") for _, data in graph.nodes(data=True))
    assert sizes == {name: population.size for name, population in state.populations.items()}
    assert graph.number_of_edges() == sum(p.n_synapses for p in part.projections.values()) > 0


def test_names_that_xml_cannot_hold_are_escaped(tmp_path):
    odd = ProjectionState(
        "<p>&\0", 'a"<', "b\n", "exc", Connectivity.from_rows([0], [[0]]), variables={"<w>": np.array([1.5])}
    )
    ann_ckpt.export(NetworkState(projections=[odd]), tmp_path / "p.graphml")
    graph = nx.read_graphml(tmp_path / "p.graphml")
    assert [data["<w>"] for _, _, data in graph.edges(data=True)] == [1.5]
    assert {data["population"] for _, data in graph.nodes(data=True)} == {'a"<', r"b\n"}


def test_one_table_has_one_projection(path, tmp_path):
    with pytest.raises(OptionError, match="one projection"):
        ann_ckpt.export(path, tmp_path / "x.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("target", "format_"), [("x.txt", None), ("x", None), ("x", "hdf5")])
def test_a_format_that_nobody_knows(path, tmp_path, target, format_):
    with pytest.raises(OptionError, match=r"format"):
        ann_ckpt.export(path, tmp_path / target, format=format_)


def test_a_checkpoint_is_rewritten_with_its_origin(path, state, tmp_path):
    ann_ckpt.export(path, tmp_path / "again.h5", compression="gzip")
    with ann_ckpt.open(path) as before, ann_ckpt.open(tmp_path / "again.h5") as after:
        assert (before.created, before.provenance) == (after.created, after.provenance)
    assert not list(ann_ckpt.differences(ann_ckpt.read(path), ann_ckpt.read(tmp_path / "again.h5")))
