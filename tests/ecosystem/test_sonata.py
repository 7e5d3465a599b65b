"""libsonata, bluepysnap and bmtk read what is exported, and find the same weights, delays and ranks."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import bluepysnap
import libsonata
import numpy as np
import pytest
from bmtk.utils.sonata import File

import ann_ckpt
from ann_ckpt.adapters.formats import examine
from ann_ckpt.adapters.sonata.names import in_file
from ann_ckpt.report import Loss

DT = 0.1

# bmtk calls pandas in a way that is going to change.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


@pytest.fixture(scope="module")
def circuit(path, tmp_path_factory):
    """The folder that a checkpoint, in a file and in a store, was exported to."""
    folder = tmp_path_factory.mktemp("sonata") / "circuit"
    report = ann_ckpt.export(path, folder, format="sonata")
    assert {"populations/in", "populations/grid", "projections/ff", "projections/a/b"} < set(report.saved)
    return folder


def expected(projection):
    """Synapses as rows: pre, post, weight, delay in ms."""
    rows = projection.connectivity
    return {
        "pre": np.asarray(rows.pre_ranks),
        "post": np.repeat(rows.post_ranks, rows.row_sizes),
        "w": np.asarray(projection["w"]),
        "delay": np.broadcast_to(np.asarray(projection.delays), rows.n_synapses) * DT,
    }


@pytest.fixture(params=["ff", "a/b"])
def synapses(request, state):
    return request.param, expected(state.projections[request.param])


def test_libsonata_reads_values_and_both_indices(circuit, state, synapses):
    name, rows = synapses
    edges = libsonata.CircuitConfig.from_file(circuit / "circuit_config.json").edge_population(in_file(name))
    everything = edges.select_all()
    projection = state.projections[name]
    assert (edges.source, edges.target) == (projection.pre, projection.post)
    np.testing.assert_array_equal(edges.source_nodes(everything), rows["pre"])
    np.testing.assert_array_equal(edges.target_nodes(everything), rows["post"])
    np.testing.assert_array_equal(edges.get_attribute("syn_weight", everything), rows["w"])
    np.testing.assert_array_equal(edges.get_attribute("delay", everything), rows["delay"])
    for rank in range(50):
        reached = np.flatnonzero(rows["post"] == rank)
        left = np.flatnonzero(rows["pre"] == rank)
        np.testing.assert_array_equal(np.sort(edges.afferent_edges([rank]).flatten()), reached)
        np.testing.assert_array_equal(np.sort(edges.efferent_edges([rank]).flatten()), left)


def test_libsonata_reads_neurons(circuit, state):
    config = libsonata.CircuitConfig.from_file(circuit / "circuit_config.json")
    assert config.node_populations == {"in", "grid", "cube"}
    nodes = config.node_population("grid")
    assert nodes.size == 90
    values = nodes.get_attribute("v", nodes.select_all())
    np.testing.assert_array_equal(values, np.asarray(state.populations["grid"]["v"]).reshape(-1))


def test_bluepysnap_reads_a_frame_of_edges(circuit, synapses):
    name, rows = synapses
    edges = bluepysnap.Circuit(circuit / "circuit_config.json").edges[in_file(name)]
    frame = edges.get(np.arange(edges.size), ["@source_node", "@target_node", "syn_weight", "delay"])
    for column, key in zip(frame, ("pre", "post", "w", "delay"), strict=True):
        np.testing.assert_array_equal(frame[column], rows[key])


def test_bluepysnap_reads_neurons(circuit, state):
    nodes = bluepysnap.Circuit(circuit / "circuit_config.json").nodes["in"]
    np.testing.assert_array_equal(nodes.get(properties="r"), np.asarray(state.populations["in"]["r"]))


def test_bmtk_reads_edges_by_their_ends_and_types(circuit, state, synapses):
    name, rows = synapses
    files = [str(circuit / name) for name in ("nodes.h5", "edges.h5")]
    tables = [str(circuit / name) for name in ("node_types.csv", "edge_types.csv")]
    edges = File(data_files=files, data_type_files=tables).edges[in_file(name)]
    target = state.projections[name].target
    for key, ask in (("post", edges.get_target), ("pre", edges.get_source)):
        for rank in range(0, 50, 7):
            found = Counter()
            for edge in ask(rank):
                assert edge["target"] == target
                found[edge.source_node_id, edge.target_node_id, edge["syn_weight"], edge["delay"]] += 1
            picked = rows[key] == rank
            assert found == Counter(
                zip(*(rows[k][picked].tolist() for k in ("pre", "post", "w", "delay")), strict=True)
            )


def test_bmtk_reads_neurons(circuit, state):
    nodes = File(
        data_files=[str(circuit / "nodes.h5")], data_type_files=[str(circuit / "node_types.csv")]
    ).nodes["in"]
    frame = nodes.to_dataframe()
    np.testing.assert_array_equal(frame["r"], np.asarray(state.populations["in"]["r"]))
    assert (frame["tau"] == 10.0).all()


# --- published circuits ------------------------------------------------------------
# Of the test data in the sources of bluepysnap and libsonata; `make test-sonata` gets them.


def published(name: str) -> Path:
    return Path(os.environ["ANN_CKPT_SONATA"]) / name


@pytest.mark.published
@pytest.mark.parametrize(
    ("config", "edges"),
    [
        ("bluepysnap-3.0.8/tests/data/circuit_config.json", {"default", "default2"}),
        ("libsonata-0.2.2/tests/data/config/circuit_config.json", {"edges-AB"}),
    ],
)
def test_a_published_circuit_is_imported(config, edges, tmp_path):
    ann_ckpt.convert(published(config), tmp_path / "net.h5")
    state = ann_ckpt.read(tmp_path / "net.h5")
    assert set(state.projections) == edges
    stored = libsonata.CircuitConfig.from_file(published(config))
    for name in edges:
        theirs, ours = stored.edge_population(name), state.projections[name]
        everything = theirs.select_all()
        order = np.argsort(theirs.target_nodes(everything), kind="stable")
        rows = ours.connectivity
        posts = np.repeat(rows.post_ranks, rows.row_sizes)
        np.testing.assert_array_equal(theirs.source_nodes(everything)[order], rows.pre_ranks)
        np.testing.assert_array_equal(theirs.target_nodes(everything)[order], posts)
        for attribute in set(theirs.attribute_names) & set(ours.parameters):
            values = theirs.get_attribute(attribute, everything)[order]
            np.testing.assert_array_equal(values, np.asarray(ours[attribute]))
        if "w" in ours:
            values = theirs.get_attribute("syn_weight", everything)[order]
            np.testing.assert_array_equal(values, np.asarray(ours["w"]))


@pytest.mark.published
def test_what_a_published_file_leaves_open_is_said():
    found = examine(published("libsonata-0.2.2/tests/data/edges1.h5"))
    lost = [note for note in found.reading.notes if isinstance(note, Loss)]
    assert [note.path for note in lost] == ["projections/edges-AC"]
