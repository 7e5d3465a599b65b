"""SONATA without its own libraries: what goes out comes back, bad files are refused in words."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import assume, given

import ann_ckpt
from ann_ckpt import Attribute, Connectivity, Locality, NetworkState, PopulationState, ProjectionState
from ann_ckpt.adapters import sonata
from ann_ckpt.adapters.sonata.names import from_file, in_file
from ann_ckpt.errors import (
    CorruptFileError,
    NotWritableError,
    OptionError,
    StateError,
    UnrecognisedFileError,
    UnsafeFileError,
)
from tests.strategies import NAMES, networks


def network(**changes) -> NetworkState:
    rows = Connectivity.from_rows([2, 0, 1], [[0, 1], [2], [3, 0]])
    ff = ProjectionState(
        "ff",
        "in",
        "out",
        "exc",
        rows,
        delays=np.array([1, 2, 3, 4, 5]),
        parameters={"eta": 0.5, "on": np.array([True, False, True, True, False])},
        variables={"w": np.array([0.5, -0.25, np.inf, 1e-300, 0.0])},
        pre_size=4,
        post_size=6,
    )
    populations = [
        PopulationState(
            "in", (4,), parameters={"tau": 10.0}, variables={"r": np.arange(4, dtype=np.float32)}
        ),
        PopulationState("out", (2, 3), variables={"v": np.arange(6.0).reshape(2, 3)}),
    ]
    return replace(NetworkState(populations=populations, projections=[ff], dt=0.5, time_step=7), **changes)


@pytest.fixture
def circuit(tmp_path):
    ann_ckpt.export(network(), tmp_path / "circuit", format="sonata")
    return tmp_path / "circuit"


def back(folder: Path) -> NetworkState:
    return sonata.examine(folder / "circuit_config.json").reading.state


def same(a, b) -> bool:
    return np.array_equal(np.asarray(a), np.asarray(b), equal_nan=np.asarray(a).dtype.kind == "f")


def test_what_goes_out_comes_back(circuit):
    before, after = network(), back(circuit)
    assert (after.dt, after.time_step) == (0.5, 7)
    for name, population in before.populations.items():
        assert after.populations[name].geometry == population.geometry
        for attribute in population:
            assert same(population[attribute], after.populations[name][attribute])
    ff, made = before.projections["ff"], after.projections["ff"]
    assert made.connectivity.equals(ff.connectivity)
    assert (made.pre, made.post, made.target, made.pre_size, made.post_size) == ("in", "out", "exc", 4, 6)
    assert same(made.delays, ff.delays)
    assert all(same(made[attribute], ff[attribute]) for attribute in ff)
    assert made.attribute("eta").locality is Locality.GLOBAL
    assert set(made.variables) == {"w"}


def test_a_part_of_a_network_has_the_ids_of_the_whole(tmp_path):
    part = network().cut({"in": (1, 3), "out": (0, 1)})
    report = ann_ckpt.export(part, tmp_path / "circuit", format="sonata")
    assert {note.path for note in report.unmapped} >= {"populations/in/r", "populations/out/v"}
    after = back(tmp_path / "circuit")
    assert {n: p.geometry for n, p in after.populations.items()} == {"in": (4,), "out": (2, 3)}
    ff, made = part.projections["ff"], after.projections["ff"]
    assert ff.n_synapses
    assert sorted(made.post_ranks.tolist()) == sorted(ff.post_ranks.tolist())
    assert [made.dendrite(post)["w"].tolist() for post in made.post_ranks.tolist()] == [
        ff.dendrite(post)["w"].tolist() for post in made.post_ranks.tolist()
    ]


@given(networks())
def test_synapses_of_any_network_come_back(state):
    assume(all(name.isprintable() and len(name) < 100 for name in (*state.populations, *state.projections)))
    sides = [name for p in state.projections.values() for name in (p.pre, p.post)]
    assume(all(name.isprintable() and len(name) < 100 for name in sides))
    with tempfile.TemporaryDirectory() as folder:
        report = ann_ckpt.export(state, Path(folder) / "circuit", format="sonata")
        after = back(Path(folder) / "circuit")
    left = {note.path for note in report.unmapped}
    assert set(after.populations) >= set(state.populations)
    for name, population in state.populations.items():
        assert after.populations[name].size == population.size
        for attribute, given_ in population.attributes.items():
            if given_.locality is Locality.LOCAL and f"populations/{name}/{attribute}" not in left:
                assert same(
                    np.asarray(given_.values).reshape(-1),
                    np.asarray(after.populations[name][attribute]).reshape(-1),
                )
    for name, projection in state.projections.items():
        made, rows = after.projections[name], projection.connectivity
        filled = rows.row_sizes > 0
        assert same(made.connectivity.post_ranks, rows.post_ranks[filled])
        assert same(made.pre_ranks, projection.pre_ranks)
        for attribute in projection.variables:
            if attribute == "w" and f"projections/{name}/w" not in left:
                assert (
                    same(np.broadcast_to(projection["w"], rows.n_synapses), made["w"])
                    or rows.n_rows != filled.sum()
                )


def test_attributes_may_have_any_name(tmp_path):
    odd = ["node_type_id", "edge_type_id", "a\x85b", "line\nbreak", "\r", "'", '"', " ", "@library"]
    state = network()
    ff = replace(state.projections["ff"], parameters=dict.fromkeys(odd, 0.5))
    grid = PopulationState("in", (4,), parameters={name: 0.5 for name in odd if name != "node_type_id"})
    ann_ckpt.export(network(populations=[grid], projections=[ff]), tmp_path / "c", format="sonata")
    after = back(tmp_path / "c")
    for name in odd:
        if name not in ("node_type_id", "edge_type_id"):
            assert after.projections["ff"][name] == after.populations["in"][name] == 0.5


@given(NAMES)
def test_names_come_back(name):
    stored = in_file(name)
    assert "/" not in stored
    assert stored not in ("", ".", "..")
    assert from_file(stored) == name


def test_delays_without_a_step_are_kept_as_steps(tmp_path):
    report = ann_ckpt.export(network(dt=None), tmp_path / "circuit", format="sonata")
    assert "delay_steps" in str(report)
    assert back(tmp_path / "circuit").projections["ff"].delays.tolist() == [1, 2, 3, 4, 5]


def test_delays_become_steps_only_where_they_are_some(circuit):
    edges = circuit / "edges.h5"
    found = sonata.examine(edges)
    assert same(found.reading.state.projections["ff"]["delay"], [0.5, 1.0, 1.5, 2.0, 2.5])
    assert "--dt" in str(found.reading.notes)
    assert sonata.examine(edges, dt=0.25).reading.state.projections["ff"].delays.tolist() == [2, 4, 6, 8, 10]
    uneven = sonata.examine(edges, dt=0.3)
    assert "delay" in uneven.reading.state.projections["ff"]
    assert "not whole steps" in str(uneven.reading.notes)


def test_what_has_no_place_is_said(tmp_path):
    rows = Connectivity.from_rows([0, 1, 2], [[0], [], [1]])
    odd = ProjectionState(
        "odd",
        "somewhere",
        "in",
        "exc",
        rows,
        parameters={
            "limit": Attribute(np.arange(3.0), Locality.SEMIGLOBAL),
            "vectors": Attribute(np.ones((2, 3)), Locality.LOCAL),
            "on": np.array([True, False]),
        },
        dynamics={"queue": np.arange(3)},
    )
    state = network(constants={"period": np.asarray(1.0)}, seed=3)
    state = replace(state, projections=[*state.projections.values(), odd])
    said = str(ann_ckpt.export(state, tmp_path / "c", format="sonata").unmapped)
    for words in (
        "period",
        "dynamics are left out",
        "seed",
        "one value per dendrite",
        "vectors",
        "0 and 1",
        "without a synapse",
        "populations/somewhere",
    ):
        assert words in said
    assert back(tmp_path / "c").populations["somewhere"].size == 2


def test_edges_in_any_order_are_put_in_rows(circuit):
    with h5py.File(circuit / "edges.h5", "r+") as file:
        group = file["edges/ff"]
        order = np.array([3, 0, 2, 4, 1])
        for name in ("source_node_id", "target_node_id"):
            group[name][...] = group[name][()][order]
        for name in ("syn_weight", "delay"):
            group["0"][name][...] = group["0"][name][()][order]
    made = back(circuit).projections["ff"]
    before = network().projections["ff"].dendrite(1)
    assert dict(zip(made.dendrite(1).pre_ranks, made.dendrite(1)["w"], strict=True)) == dict(
        zip(before.pre_ranks, before["w"], strict=True)
    )


def test_ids_of_nodes_become_ranks(circuit):
    with h5py.File(circuit / "nodes.h5", "r+") as file:
        file["nodes/in/node_id"][...] = [40, 10, 30, 20]
    with h5py.File(circuit / "edges.h5", "r+") as file:
        ids = file["edges/ff/source_node_id"]
        ids[...] = np.array([40, 10, 30, 20])[ids[()]]
    assert same(back(circuit).projections["ff"].pre_ranks, network().projections["ff"].pre_ranks)
    with h5py.File(circuit / "edges.h5", "r+") as file:
        file["edges/ff/source_node_id"][0] = 11
    with pytest.raises(CorruptFileError, match="not in population"):
        back(circuit)


def test_attributes_in_several_groups(circuit):
    with h5py.File(circuit / "edges.h5", "r+") as file:
        group = file["edges/ff"]
        group["edge_group_id"][...] = [0, 1, 0, 1, 1]
        group["edge_group_index"][...] = [0, 2, 1, 0, 1]
        weights = group["0/syn_weight"][()]
        del group["0"]
        group["0/syn_weight"] = weights[[0, 2]]
        group["1/syn_weight"] = weights[[3, 4, 1]]
        group["1/only_here"] = np.arange(3.0)
    found = sonata.examine(circuit / "circuit_config.json").reading
    assert same(found.state.projections["ff"]["w"], network().projections["ff"]["w"])
    assert "some of the groups" in str(found.notes)


def test_types_give_each_its_own_values(circuit):
    with h5py.File(circuit / "nodes.h5", "r+") as file:
        file["nodes/in/node_type_id"][...] = [7, 8, 8, 7]
    (circuit / "node_types.csv").write_text(
        "node_type_id size model_template\n7 1.5 'nrn a'\n8 2 \"nrn: b\"\n101 NULL NULL\n"
    )
    state = sonata.examine(circuit / "circuit_config.json").reading.state
    assert same(state.populations["in"]["size"], [1.5, 2.0, 2.0, 1.5])
    assert state.populations["in"].neuron_type.texts["8 model_template"] == "nrn: b"


@pytest.mark.parametrize("rows", ["7 1.5 a\n8 NULL b\n", "7 NULL a\n8 1.5 b\n", "7 1.5 a\n8 fast b\n"])
def test_what_some_of_the_types_have_no_number_of_is_left_out_and_told(circuit, rows):
    with h5py.File(circuit / "nodes.h5", "r+") as file:
        file["nodes/in/node_type_id"][...] = [7, 8, 8, 7]
    (circuit / "node_types.csv").write_text(f"node_type_id size model_template\n{rows}101 NULL NULL\n")
    reading = sonata.examine(circuit / "circuit_config.json").reading
    assert "size" not in reading.state.populations["in"]
    assert [(n.path, n.text) for n in reading.notes if "some of the types" in str(n)] == [
        ("populations/in/size", "left out: some of the types have no number")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("23", 23),
        ("-0.5e-3", -0.0005),
        (".5", 0.5),
        ("5.", 5.0),
        ("-inf", -np.inf),
        ("18446744073709551615", 2**64 - 1),
        ("1e20", 1e20),
        ("99999999999999999999", 99999999999999999999.0),
        ("2_3", None),
        ("Infinity", None),
        ("-Inf", -np.inf),
        ("\u0662\u0663", None),
        ("9" * 400, None),
    ],
)
def test_numbers_of_types_are_what_json_and_numpy_write(circuit, text, expected):
    (circuit / "node_types.csv").write_text(f"node_type_id size\n100 {text}\n101 NULL\n", encoding="utf-8")
    population = sonata.examine(circuit / "circuit_config.json").reading.state.populations["in"]
    if expected is None:
        assert "size" not in population
        assert population.neuron_type.texts["size"] == text
    else:
        assert population["size"] == expected


def test_large_integers_of_several_types_stay_what_they_are(circuit):
    with h5py.File(circuit / "nodes.h5", "r+") as file:
        file["nodes/in/node_type_id"][...] = [7, 8, 8, 7]
    (circuit / "node_types.csv").write_text("node_type_id n\n7 18446744073709551615\n8 1\n101 NULL\n")
    found = back(circuit).populations["in"]["n"]
    assert found.tolist() == [2**64 - 1, 1, 1, 2**64 - 1]


def test_groups_whose_numbers_no_type_holds_are_left_out_and_told(circuit):
    with h5py.File(circuit / "nodes.h5", "r+") as file:
        group = file["nodes/in"]
        group["node_group_id"][...] = [0, 1, 0, 1]
        group["node_group_index"][...] = [0, 0, 1, 1]
        del group["0"]
        group["0/large"], group["1/large"] = np.array([2**53 + 1, 3]), np.array([0.5, 1.5])
        group["0/small"], group["1/small"] = np.array([2**53, 3]), np.array([0.5, 1.5])
    reading = sonata.examine(circuit / "circuit_config.json").reading
    population = reading.state.populations["in"]
    assert "large" not in population
    assert population["small"].tolist() == [2.0**53, 0.5, 3.0, 1.5]
    assert "populations/in/large: left out: no type holds" in "\n".join(map(str, reading.notes))


def test_what_is_empty_keeps_geometry_target_and_globals(tmp_path):
    state = NetworkState(
        populations=[PopulationState("none", (0, 3), parameters={"tau": 10.0})],
        projections=[
            ProjectionState(
                "ff", "none", "none", "exc", Connectivity.from_rows([], []), parameters={"eta": 0.5}
            )
        ],
    )
    ann_ckpt.export(state, tmp_path / "c", format="sonata")
    found = back(tmp_path / "c")
    assert found.populations["none"].geometry == (0, 3)
    assert found.populations["none"]["tau"] == 10.0
    assert found.projections["ff"].target == "exc"
    assert found.projections["ff"]["eta"] == 0.5


def test_geometries_of_many_axes_come_back(tmp_path):
    shape = (2, 3, 2, 2, *(1,) * 28)
    population = PopulationState("p", shape, variables={"v": np.arange(24.0).reshape(shape)})
    ann_ckpt.export(NetworkState(populations=[population]), tmp_path / "c", format="sonata")
    assert back(tmp_path / "c").populations["p"].geometry == shape


def test_what_comes_back_otherwise_is_told(tmp_path):
    state = network()
    state = replace(
        state,
        populations=[
            replace(state.populations["in"], parameters={"tau": np.float32(0.1)}),
            state.populations["out"],
        ],
        projections=[replace(state.projections["ff"], partial=True)],
    )
    said = "\n".join(map(str, ann_ckpt.export(state, tmp_path / "c", format="sonata").unmapped))
    assert "populations/in/tau: a table has no types" in said
    assert "projections/ff: that only some of its dendrites" in said


def test_delays_in_steps_are_called_that(tmp_path):
    ann_ckpt.export(network(dt=None), tmp_path / "c", format="sonata")
    with h5py.File(tmp_path / "c" / "edges.h5", "r+") as file:
        del file["edges/ff/0/delay_steps"]
        file["edges/ff/0/delay_steps"] = np.full(5, 0.5)
    notes = "\n".join(map(str, sonata.examine(tmp_path / "c" / "edges.h5").reading.notes))
    assert "delays are an attribute in steps: they are not whole numbers" in notes


@pytest.mark.parametrize("wanted", ["sonata", "graphml"])
def test_more_neurons_than_there_are_values_are_not_written(tmp_path, wanted):
    rows = Connectivity.from_rows([0], [[1]])
    ff = ProjectionState("ff", "p", "q", "exc", rows, pre_size=2**40, post_size=2)
    for state in (
        NetworkState(populations=[PopulationState("p", (2**40,))], projections=[replace(ff, pre_size=None)]),
        NetworkState(projections=[ff]),
    ):
        with pytest.raises(StateError, match="population 'p' has 1099511627776 neurons"):
            ann_ckpt.export(state, tmp_path / "made", format=wanted)
    assert not list(tmp_path.iterdir())


def test_a_table_of_types_that_is_no_table_is_refused(circuit):
    (circuit / "node_types.csv").write_text('node_type_id size\n7 "' + "x" * (1 << 18))
    with pytest.raises(CorruptFileError, match="a table of types is invalid") as refused:
        sonata.examine(circuit / "circuit_config.json")
    assert refused.value.where == str(circuit / "node_types.csv")


def test_load_and_read_take_it(circuit):
    assert "ff" in ann_ckpt.read(circuit / "circuit_config.json").projections
    assert "ff" in ann_ckpt.read(circuit / "edges.h5").projections


def external_link(file):
    del file["edges/ff/source_node_id"]
    file["edges/ff/source_node_id"] = h5py.ExternalLink("/etc/passwd", "/x")


def soft_link(file):
    file["edges/ff/0/more"] = h5py.SoftLink("/edges/ff/0/syn_weight")


def huge(file):
    del file["edges/ff/0/syn_weight"]
    file["edges/ff/0"].create_dataset("syn_weight", (10**12,), "f8", chunks=(1000,), compression="gzip")


def external_data(file):
    del file["edges/ff/0/syn_weight"]
    file["edges/ff/0"].create_dataset("syn_weight", (5,), "f8", external=[("/etc/passwd", 0, 40)])


@pytest.mark.parametrize("spoil", [external_link, soft_link, huge, external_data])
def test_a_file_that_leads_elsewhere_is_refused(circuit, spoil):
    with h5py.File(circuit / "edges.h5", "r+") as file:
        spoil(file)
    with pytest.raises(UnsafeFileError, match=r"edges\.h5|"):
        back(circuit)


def named(file, population, **kwargs):
    for side in ("source", "target"):
        attributes = file[f"edges/ff/{side}_node_id"].attrs
        del attributes["node_population"]
        attributes.create("node_population", population, **kwargs)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_population_is_named_by_a_text_of_any_kind(circuit, fixed, shape, libver):
    with h5py.File(circuit / "edges.h5", "r+") as file:
        text = b"a population" if fixed else "a population"
        named(file, np.full(shape, text, "S12" if fixed else h5py.string_dtype()))
        with h5py.File(circuit / "again.h5", "w", libver=libver) as again:
            file.copy("edges", again)
    (ff,) = sonata.examine(circuit / "again.h5").reading.state.projections.values()
    assert (ff.pre, ff.post) == ("a population", "a population")


@pytest.mark.parametrize("population", ["", None])
def test_a_population_may_have_no_name(circuit, population):
    with h5py.File(circuit / "edges.h5", "r+") as file:
        named(file, "" if population is None else population)
        if population is None:
            del file["edges/ff/source_node_id"].attrs["node_population"]
    assert sonata.examine(circuit / "edges.h5").reading.state.projections["ff"].pre == ""


@pytest.mark.parametrize("population", [5, np.array([b"in", b"in"]), np.array(["in", "in"], object), b"\xff"])
def test_what_is_no_name_of_a_population_is_refused(circuit, population):
    with h5py.File(circuit / "edges.h5", "r+") as file:
        named(file, population)
    with pytest.raises(CorruptFileError):
        sonata.examine(circuit / "edges.h5")


def test_a_reference_is_no_name_of_a_population(circuit):
    with h5py.File(circuit / "edges.h5", "r+") as file:
        named(file, file.ref, dtype=h5py.ref_dtype)
    with pytest.raises(UnsafeFileError):
        sonata.examine(circuit / "edges.h5")


@pytest.mark.parametrize("version", ["0.1", [0.5, 1.5], h5py.Empty("f4")])
def test_a_version_that_is_no_numbers_is_refused(circuit, version):
    with h5py.File(circuit / "edges.h5", "r+") as file:
        file.attrs["version"] = version
    with pytest.raises((CorruptFileError, UnsafeFileError), match="'version'"):
        sonata.examine(circuit / "edges.h5")


def test_a_name_that_is_a_path_is_not_followed(circuit):
    """HDF5 would go through ``b``, and out of the file."""
    with h5py.File(circuit / "edges.h5", "r+") as file:
        file["edges/ff/0/bXc"] = np.arange(5.0)
    data = (circuit / "edges.h5").read_bytes()
    (circuit / "edges.h5").write_bytes(data.replace(b"bXc", b"b/c"))
    with pytest.raises(CorruptFileError, match="a member is called 'b/c'"):
        sonata.examine(circuit / "edges.h5")


ENDLESS = """
import faulthandler, sys
import ann_ckpt
from ann_ckpt.errors import CheckpointError

faulthandler.dump_traceback_later(60, exit=True)
for path in sys.argv[1:]:
    for call in (ann_ckpt.open, ann_ckpt.read, ann_ckpt.verify):
        try:
            call(path)
        except CheckpointError:
            continue
        sys.exit(f"{call.__name__} takes {path}")
"""


def endless(path: Path) -> None:
    """Make the first object of the file's heap one that has no length: whoever walks it stays there."""
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL\1")
    data[heap + 16 : heap + 32] = bytes(16)
    path.write_bytes(data)


def test_what_hdf5_would_hang_or_crash_on_is_refused_first(tmp_path):
    """In a process of its own: nothing else ends one that HDF5 does not come back to."""
    source = h5py.VirtualSource("other.h5", "d", (4,))
    virtual = h5py.VirtualLayout((4,), "f8")
    virtual[...] = source
    paths = []
    for number, place in enumerate(("nodes", "edges", "nodes/a", "nodes/a/node_type_id", "edges/a/0/w")):
        paths.append(tmp_path / f"virtual{number}.h5")
        with h5py.File(paths[-1], "w") as file:
            file.create_virtual_dataset(place, virtual)
            if place.startswith("edges/a/"):
                file["edges/a/source_node_id"] = file["edges/a/target_node_id"] = np.arange(4)
        endless(paths[-1])
    for libver in ("earliest", "latest"):
        paths.append(tmp_path / f"version-{libver}.h5")
        with h5py.File(paths[-1], "w", libver=libver) as file:
            file.create_group("nodes")
            file.attrs["version"] = "0.1"
        endless(paths[-1])
    paths += [tmp_path / "name.h5", tmp_path / "sequence.h5"]
    for path in paths[-2:]:
        with h5py.File(path, "w") as file:
            for side in ("source", "target"):
                ids = file.create_dataset(f"edges/a/{side}_node_id", data=np.arange(3))
                ids.attrs["node_population"] = "a"
    endless(paths[-2])
    data = paths[-1].read_bytes()
    text = b"\x19\1\1\0\x10\0\0\0"  # how HDF5 describes a text of variable length
    assert data.count(text) == 2
    paths[-1].write_bytes(data.replace(text, b"\x19\x0b" + text[2:]))
    done = subprocess.run(
        [sys.executable, "-c", ENDLESS, *paths], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def fewer_targets(file):
    ids = file["edges/ff/target_node_id"][()]
    del file["edges/ff/target_node_id"]
    file["edges/ff/target_node_id"] = ids[:-1]


def negative(file):
    del file["edges/ff/target_node_id"]
    file["edges/ff/target_node_id"] = np.array([-1, 0, 0, 0, 0])


def beyond(file):
    file["edges/ff/target_node_id"][0] = 99


def of_text(file):
    del file["edges/ff/target_node_id"]
    file["edges/ff/target_node_id"] = np.array([1.5] * 5)


@pytest.mark.parametrize("spoil", [fewer_targets, negative, beyond, of_text])
def test_a_file_that_is_wrong_is_refused(circuit, spoil):
    with h5py.File(circuit / "edges.h5", "r+") as file:
        spoil(file)
    with pytest.raises(CorruptFileError):
        back(circuit)


def test_a_cut_file_is_refused(circuit):
    whole = (circuit / "edges.h5").read_bytes()
    (circuit / "edges.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptFileError):
        back(circuit)


@pytest.mark.parametrize("text", ["{}", "[]", '{"networks": 3}', '{"a": 1}', "{", "\xff"])
def test_other_texts_are_not_taken_for_a_circuit(tmp_path, text):
    (tmp_path / "x.json").write_text(text, encoding="latin1")
    assert sonata.detect(tmp_path / "x.json") is None
    with pytest.raises(UnrecognisedFileError):
        sonata.examine(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"networks": {"nodes": [{}]}}, "networks.nodes is not a list of files"),
        ({"networks": {"nodes": 3}}, "networks.nodes is not a list of files"),
        ({"networks": {"nodes": "nodes.h5"}}, "networks.nodes is not a list of files"),
        ({"networks": {"edges": [{"edges_file": 1}]}}, "networks.edges is not a list of files"),
        (
            {"networks": {"edges": [{"edges_file": "edges.h5", "edge_types_file": 1}]}},
            "networks.edges is not a list of files",
        ),
        ({"networks": {"nodes": [{"nodes_file": "$X/nodes.h5"}]}}, "is not in the manifest"),
        ({"networks": {"nodes": [{"nodes_file": "a"}]}, "manifest": ["a"]}, "the manifest is not"),
        ({"networks": {"nodes": [{"nodes_file": "a"}]}, "manifest": {"$A": 1}}, "the manifest is not"),
        (
            {"networks": {"nodes": [{"nodes_file": "$A" * 2000}]}, "manifest": {"$A": "$A" * 10**6}},
            "more than 65536 characters",
        ),
        (
            {"networks": {"nodes": [{"nodes_file": "a"}]}, "manifest": {f"${n}": "" for n in range(101)}},
            "101 entries",
        ),
        ({"networks": {"nodes": []}, "ann_ckpt": 1}, "'ann_ckpt' is not an object"),
        ({"networks": {"nodes": []}, "ann_ckpt": {"dt": "1 ms"}}, "the stored values are invalid"),
    ],
)
def test_a_wrong_configuration_is_refused(tmp_path, config, message):
    (tmp_path / "x.json").write_text(json.dumps(config))
    with pytest.raises(CorruptFileError, match=message) as refused:
        sonata.examine(tmp_path / "x.json")
    assert refused.value.where == str(tmp_path / "x.json")


def test_checkpoints_are_not_taken_for_it(tmp_path):
    ann_ckpt.write(network(), tmp_path / "net.h5")
    assert sonata.detect(tmp_path / "net.h5") is None


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "circuit").mkdir()
    (tmp_path / "circuit" / "mine").write_text("mine")
    with pytest.raises(NotWritableError, match="not empty"):
        ann_ckpt.export(network(), tmp_path / "circuit", format="sonata")
    assert [p.name for p in tmp_path.rglob("*")] == ["circuit", "mine"]


def test_nothing_is_left_where_it_fails(tmp_path):
    nameless = ProjectionState("a\nb", "in", "out", "exc", Connectivity.from_rows([0], [[0]]))
    with pytest.raises(OptionError, match="printable"):
        ann_ckpt.export(network(projections=[nameless]), tmp_path / "circuit", format="sonata")
    assert not list(tmp_path.iterdir())
