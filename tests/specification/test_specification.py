"""docs/format.md and docs/store.md say everything: a reader that knows only them reads what we write."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

import ann_ckpt
from ann_ckpt import CheckpointStore
from ann_ckpt.format import layout
from tests.golden.networks import NETWORKS
from tests.specification import reader
from tests.strategies import networks

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


def same(found, expected) -> bool:
    found, expected = np.asarray(found), np.asarray(expected)
    return (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


def compare(network: reader.Network, state: ann_ckpt.NetworkState) -> None:
    assert network.time_step == state.time_step
    assert list(network.populations) == list(state.populations)
    assert list(network.projections) == list(state.projections)
    for name, population in state.populations.items():
        held = {n: a.values for n, a in population.attributes.items()} | dict(population.dynamics)
        assert network.populations[name].keys() == held.keys()
        assert all(same(network.populations[name][n], v) for n, v in held.items())
    for name, projection in state.projections.items():
        found = network.projections[name]
        held = {n: a.values for n, a in projection.attributes.items()} | dict(projection.dynamics)
        held |= {n: getattr(projection.connectivity, n) for n in ("post_ranks", "row_ptr", "pre_ranks")}
        assert all(same(found[n], v) for n, v in held.items())
        assert (found["pre"], found["post"], found["target"]) == (
            projection.pre,
            projection.post,
            projection.target,
        )
        assert found["pathway_delays"].keys() == projection.pathway_delays.keys()
        assert all(same(found["pathway_delays"][n], v) for n, v in projection.pathway_delays.items())
        assert ("order" in found) == (projection.order is not None)
        assert projection.order is None or same(found["order"], projection.order)
        if projection.delays is None:
            assert "delays" not in found
        else:
            assert np.array_equal(found["delays"], projection.delays)
    assert list(network.recordings) == list(state.recordings)
    for name, recording in state.recordings.items():
        found = network.recordings[name]
        assert (found["of"], found["settings"]) == (recording.of, dict(recording.settings))
        assert found["carried"] == dict(recording.carried)
        assert (found["ranks"] is None) == (recording.ranks is None)
        assert recording.ranks is None or same(found["ranks"], recording.ranks)
        assert list(found["series"]) == list(recording.series)
        for variable, series in recording.series.items():
            assert found["series"][variable].keys() == dict(series.arrays).keys()
            assert all(same(found["series"][variable][n], v) for n, v in series.arrays)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.h5")), ids=lambda p: p.name)
def test_golden_files(path):
    compare(reader.read(path), NETWORKS[path.name.split("-")[0]]())


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.ckpt")), ids=lambda p: p.name)
def test_golden_stores(path):
    files = reader.checkpoints(path)
    with CheckpointStore(path) as store:
        assert [c.name for c in store.checkpoints] == [f.stem for f in files]
    for file in files:
        compare(reader.read(file), ann_ckpt.read(f"{path}@{file.stem}"))


@pytest.mark.parametrize("compression", ["auto", "none", "gzip"])
def test_large_arrays_of_any_shape(tmp_path, compression):
    rng = np.random.default_rng(0)
    shapes = [(40_000,), (300, 400), (40, 30, 50), (17_000_000,)]
    populations = [
        ann_ckpt.PopulationState(str(n), s, variables={"x": rng.integers(0, 9, s).astype(np.int8)})
        for n, s in enumerate(shapes)
    ]
    state = ann_ckpt.NetworkState(populations=populations)
    ann_ckpt.write(state, tmp_path / "net.h5", compression=compression)
    compare(reader.read(tmp_path / "net.h5"), state)


@settings(max_examples=20)
@given(state=networks())
def test_any_network(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("x") / "net.h5"
    ann_ckpt.write(state, path)
    compare(reader.read(path), state)


def names_in_tables(page: str) -> set[str]:
    """What stands in code type in the first column of a table, paths cut into their parts."""
    cells = re.findall(r"^\| (`[^|]+) \|", (ROOT / "docs" / page).read_text(), re.MULTILINE)
    found = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    return {part for name in found for part in name.strip("/").split("/") if "<" not in part}


def test_the_tables_name_everything_that_the_code_does():
    written = names_in_tables("format.md") | names_in_tables("store.md")
    constants = {
        part
        for name, value in vars(layout).items()
        if isinstance(value, str)
        and re.match(r"A_|[A-Z]", name)
        and not name.startswith(("_", "E_", "ROWS_"))
        for part in value.split("/")
    }
    of_stores = {layout.SHARED, layout.OBJECT_VALUES, layout.STORE_FILE}
    beyond = {layout.FORMAT, layout.OBJECT_FORMAT, layout.RESUME_NETWORK} | of_stores
    assert constants - beyond - set(layout.SUFFIXES) <= written
    assert of_stores <= set(re.findall(r"`([a-z.]+)`", (ROOT / "docs" / "store.md").read_text()))
    assert set(layout.ENCODINGS) <= set(re.findall(r"`([a-z]+)`", (ROOT / "docs" / "format.md").read_text()))


def test_the_version_of_the_page_is_that_of_the_code():
    title = (ROOT / "docs" / "format.md").read_text().splitlines()[0]
    assert title.endswith(".".join(map(str, layout.VERSION)))


def test_a_store_with_orders_pathways_and_values_that_are_arrays(tmp_path):
    state = NETWORKS["further"]()
    with CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        store.save(state)
    (file,) = reader.checkpoints(tmp_path / "run.ckpt")
    network = reader.read(file)
    compare(network, state)
    versions = {path: (encoding, version) for path, encoding, version, *_ in network.file.index}
    assert versions["projections/stdp/variables/trace"] == ("shared", 2)
    assert versions["projections/stdp/variables/w"] == ("shared", 1)
