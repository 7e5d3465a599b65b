"""info, ls, tree and show on a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import NetworkState, PopulationState
from ann_ckpt.model import Exactness, Resume
from tests.acceptance.conftest import Run


def test_info_names_every_object_and_where_the_file_comes_from(run: Run, demo_file: Path) -> None:
    answer = run("info", demo_file)
    assert answer.status == 0
    for expected in (
        "10 steps of 1 ms",
        "40 x 40",
        "image -> layer",
        "192,198",
        "per synapse",
        "period = 200",
    ):
        assert expected in answer.out
    assert f"ann_ckpt {ann_ckpt.__version__}" in answer.out


def test_info_shows_populations_with_an_empty_name(run: Run, tmp_path: Path) -> None:
    synapses = ann_ckpt.Connectivity.from_rows([0], [[0]])
    ann_ckpt.write(
        ann_ckpt.NetworkState(
            populations=[ann_ckpt.PopulationState("", (1,))],
            projections=[ann_ckpt.ProjectionState("q", "", "", "exc", synapses)],
        ),
        tmp_path / "net.h5",
    )
    out = run("info", tmp_path / "net.h5").out
    assert "'' -> ''" in out
    assert "not known" not in next(line for line in out.splitlines() if "exc" in line)


def test_info_as_json_agrees_with_the_library(run: Run, demo_file: Path) -> None:
    found = run("info", demo_file, "--json").json
    with ann_ckpt.open(demo_file) as checkpoint:
        assert found["time_step"] == checkpoint.time_step
        assert [p["name"] for p in found["populations"]] == list(checkpoint.populations)
        assert {p["name"]: p["synapses"] for p in found["projections"]} == {
            name: p.n_synapses for name, p in checkpoint.projections.items()
        }
        assert found["file_bytes"] == demo_file.stat().st_size
        assert found["value_bytes"] > found["file_bytes"]


def test_ls_lists_what_the_library_holds(run: Run, demo_file: Path) -> None:
    listed = {entry["path"]: entry for entry in run("ls", demo_file, "--json").json}
    state = ann_ckpt.read(demo_file)
    for group in ("populations", "projections"):
        for name, member in getattr(state, group).items():
            for attribute, held in member.attributes.items():
                entry = listed[f"{group}/{name}/{attribute}"]
                assert entry["shape"] == list(held.values.shape)
                assert entry["dtype"] == str(held.values.dtype)
                assert entry["locality"] == held.locality
    text = run("ls", demo_file).out
    assert all(path in text for path in listed)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("projections/*/w", {"projections/forward/w", "projections/lateral/w"}),
        ("constants", {"constants/period"}),
        ("populations/layer/tau", {"populations/layer/tau"}),
        ("nothing", set()),
    ],
)
def test_ls_takes_a_path_or_a_glob(run: Run, demo_file: Path, pattern: str, expected: set[str]) -> None:
    assert {entry["path"] for entry in run("ls", demo_file, pattern, "--json").json} == expected


def test_tree_holds_the_same_paths_as_ls(run: Run, demo_file: Path) -> None:
    def leaves(branch: dict[str, dict[str, object]]) -> set[str]:
        if "dtype" in branch:
            return {str(branch["path"])}
        return {path for below in branch.values() for path in leaves(below)}

    listed = {entry["path"] for entry in run("ls", demo_file, "--json").json}
    assert leaves(run("tree", demo_file, "--json").json) == listed
    assert "tau = 10" in run("tree", demo_file).out


def test_show_prints_the_values_of_the_rows_asked_for(run: Run, demo_file: Path) -> None:
    found = run("show", demo_file, "projections/forward/w", "--rows", "2:5", "--json").json
    state = ann_ckpt.read(demo_file).projections["forward"]
    pointers = state.connectivity.row_ptr
    assert found["post_ranks"] == state.connectivity.post_ranks[2:5].tolist()
    for row, values in enumerate(found["values"], start=2):
        assert values == np.asarray(state["w"])[pointers[row] : pointers[row + 1]].tolist()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [("3:7", range(3, 7)), (":2", range(2)), ("18:", range(18, 20)), ("-1", range(19, 20))],
)
def test_show_takes_rows_as_a_slice(run: Run, demo_file: Path, rows: str, expected: range) -> None:
    found = run("show", demo_file, "populations/layer/threshold", f"--rows={rows}", "--json").json
    values = np.asarray(ann_ckpt.read(demo_file).populations["layer"]["threshold"])
    assert found["values"] == values[expected.start : expected.stop].tolist()


def test_show_a_dendrite_with_all_that_it_carries(run: Run, demo_file: Path) -> None:
    (found,) = run("show", demo_file, "projections/lateral", "--rows", "7", "--json").json["dendrites"]
    with ann_ckpt.open(demo_file) as checkpoint:
        dendrite = checkpoint.projections["lateral"].dendrite(7)
        assert found["pre_ranks"] == dendrite.pre_ranks.tolist()
        assert found["delays"] == np.asarray(dendrite.delays).tolist()
        assert found["values"]["w"] == dendrite["w"].tolist()
        assert found["values"]["rho"] == 0.1
    text = run("show", demo_file, "projections/lateral", "--rows", "7").out
    assert f"neuron 7 (row 7)  {len(dendrite)} synapses" in text


def test_show_explains_a_type(run: Run, demo_file: Path) -> None:
    assert "tau * dr/dt + r" in run("show", demo_file, "populations/layer").out
    assert run("show", demo_file, "projections/forward", "--json").json["type"]["name"] == "Oja"


@pytest.mark.parametrize(
    "path", ["populations/layer/variables/r", "/populations/layer/r/", "populations/layer/r"]
)
def test_show_takes_the_path_in_the_file_too(run: Run, demo_file: Path, path: str) -> None:
    assert run("show", demo_file, path, "--json").json["path"] == "populations/layer/r"


def test_show_single_values_and_metadata(run: Run, demo_file: Path) -> None:
    assert run("show", demo_file, "constants/period", "--json").json["value"] == 200.0
    assert run("show", demo_file, "projections/forward/delays", "--json").json["value"] == 1
    assert run("show", demo_file, "metadata", "--json").json == {}
    assert run("show", demo_file, "provenance", "--json").json["numpy"] == np.__version__


def test_json_writes_what_json_lacks_as_strings(run: Run, tmp_path: Path) -> None:
    values = np.array([1.5, np.nan, np.inf, -np.inf])
    state = NetworkState(populations=[PopulationState("p", (4,), variables={"v": values})])
    ann_ckpt.write(state, tmp_path / "odd.h5")
    found = run("show", tmp_path / "odd.h5", "populations/p/v", "--json").json
    assert found["values"] == [1.5, "NaN", "Infinity", "-Infinity"]


def test_info_says_how_exact_resuming_is(run: Run, tmp_path: Path) -> None:
    exact, rough = Resume(Exactness.EXACT), Resume(Exactness.APPROXIMATE, ("spikes on their way are lost",))
    populations = [PopulationState("a", (2,), resume=exact), PopulationState("b", (2,), resume=rough)]
    ann_ckpt.write(NetworkState(populations=populations, resume=exact), tmp_path / "net.h5")
    text = run("info", tmp_path / "net.h5").out
    assert "exact (2 objects)" in text
    assert "approximate: spikes on their way are lost (populations/b)" in text
    assert set(run("info", tmp_path / "net.h5", "--json").json["resume"]) == {
        "network",
        "populations/a",
        "populations/b",
    }


def test_what_a_simulator_carries_besides_has_a_level_of_its_own(run: Run, tmp_path: Path) -> None:
    population = PopulationState("p", (2,), variables={"r": np.zeros(2)}, dynamics={"r": np.ones(3)})
    state = NetworkState(populations=[population], dynamics={"generator": np.arange(4)})
    ann_ckpt.write(state, tmp_path / "net.h5")
    shown = {
        path: run("show", tmp_path / "net.h5", path, "--json").json["values"]
        for path in ("populations/p/r", "populations/p/dynamics/r", "dynamics/generator")
    }
    assert list(shown.values()) == [[0.0, 0.0], [1.0, 1.0, 1.0], [0, 1, 2, 3]]


HOSTILE = [
    "\x1b[31mred",
    "[bold]x[/]",
    "[/nonsense]",
    "a/b",
    "",
    "..",
    "\N{RIGHT-TO-LEFT OVERRIDE}x",
    "n" * 1000,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_a_file_reach_the_terminal_as_text(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / "hostile.h5"
    values = np.arange(3.0)
    population = PopulationState(name, (3,), variables={name: values})
    metadata = {name: name}
    ann_ckpt.write(
        NetworkState(populations=[population], constants={name: values[0]}, metadata=metadata), path
    )
    for command in ("info", "ls", "tree"):
        answer = run(command, path)
        assert answer.status == 0, answer.err
        assert all(character.isprintable() or character == "\n" for character in answer.out)
    (shown,) = {e["path"] for e in run("ls", path, "constants", "--json").json}
    place = next(e["path"] for e in run("ls", path, "populations", "--json").json)
    assert run("show", path, place, "--json").json["values"] == values.tolist()
    assert run("show", path, shown, "--json").json["value"] == 0.0
    if "[" in name and name.isprintable():
        assert name in run("info", path).out
