"""info, ls, tree and show on a checkpoint."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import NetworkState, PopulationState
from ann_ckpt.cli.contents import find
from ann_ckpt.looking.choice import drawable, shown
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
        ("nothing*", set()),
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


def test_ls_takes_the_level_that_may_be_left_out_and_refuses_what_is_not_there(
    run: Run, demo_file: Path
) -> None:
    short = run("ls", demo_file, "projections/forward/w", "--json").json
    assert run("ls", demo_file, "projections/forward/variables/w", "--json").json == short
    assert run("ls", demo_file, "projections/*/parameters/w", "--json").json == []
    below = run("ls", demo_file, "projections/forward/variables", "--json").json
    assert {entry["kind"] for entry in below} == {"variable"}
    for path in ("nothing", "projections/forward/parameters/w", "projections/forwar"):
        answer = run("ls", demo_file, path)
        assert (answer.status, answer.out) == (3, "")
    for path in ("recordings", "projections/x*"):
        assert run("ls", demo_file, path, "--json").json == []


def test_a_level_without_arrays_is_nothing_wrong(run: Run, tmp_path: Path) -> None:
    layer = ann_ckpt.PopulationState("layer", (2,), variables={"r": [1.0, 2.0]})
    ann_ckpt.write(NetworkState(populations=[layer]), tmp_path / "net.h5")
    answer = run("ls", tmp_path / "net.h5", "populations/layer/parameters", "--json")
    assert (answer.status, answer.json) == (0, [])
    assert run("ls", tmp_path / "net.h5", "populations/other/parameters").status == 3


def test_recordings_are_listed_and_shown(run: Run, tmp_path: Path) -> None:
    series = {"spi/ke": ann_ckpt.Series(times=np.arange(3), ranks=np.array([4, 5, 6]))}
    recording = ann_ckpt.Recording("R", of="", series=series)
    ann_ckpt.write(NetworkState(recordings=[recording]), tmp_path / "net.h5")
    paths = ["recordings/R/spi%2Fke/times", "recordings/R/spi%2Fke/ranks"]
    assert [entry["path"] for entry in run("ls", tmp_path / "net.h5", "--json").json] == paths
    assert run("show", tmp_path / "net.h5", paths[1], "--json").json["values"] == [4, 5, 6]
    assert [*run("show", tmp_path / "net.h5", "recordings/R/spi%2Fke", "--json").json] == ["times", "ranks"]
    assert "spi%2Fke/ranks" in run("show", tmp_path / "net.h5", "recordings/R").out
    for path in ("recordings/R/nothing", "recordings/S", "recordings/R/spi%2Fke/values"):
        assert run("show", tmp_path / "net.h5", path).status == 3


def named_as_synapses(folder: Path) -> Path:
    synapses = ann_ckpt.Connectivity.from_rows([0, 1], [[0, 1], [0]])
    values = {"pre_ranks": ann_ckpt.Attribute([7.0, 8.0], "semiglobal"), "delays": np.array([0.5, 0.6, 0.7])}
    ff = ann_ckpt.ProjectionState(
        "ff",
        "in",
        "out",
        "exc",
        synapses,
        parameters={"a": 2.0},
        variables=values,
        delays=np.array([1, 2, 3]),
    )
    ann_ckpt.write(NetworkState(projections=[ff]), folder / "net.h5")
    return folder / "net.h5"


def test_an_attribute_that_is_called_as_synapses_are_is_shown_as_its_own(run: Run, tmp_path: Path) -> None:
    file = named_as_synapses(tmp_path)
    assert run("show", file, "projections/ff/variables/pre_ranks", "--json").json["values"] == [7.0, 8.0]
    assert run("show", file, "projections/ff/pre_ranks", "--json").json["values"] == [[0, 1], [0]]


def test_plot_and_show_take_a_path_for_the_same(run: Run, tmp_path: Path) -> None:
    file = named_as_synapses(tmp_path)
    with ann_ckpt.open(file) as checkpoint:
        assert "delay" in shown(checkpoint, "projections/ff/delays").label
        for path in drawable(checkpoint):
            assert np.array_equal(shown(checkpoint, path).values, find(checkpoint, path).values)
        assert "projections/ff/variables/delays" in drawable(checkpoint)
    for command in ("show", "plot"):
        assert run(command, file, "projections/ff/parameters/delays").status == 3
        assert run(command, file, "projections/ff/variables/a").status == 3


def test_info_shows_whatever_command_and_constants_there_are(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = {"many": np.arange(20_000), "few": [1.5, 2.5], "one": 3.0}
    for command, said in ((5, "5"), (None, "null"), ("python run.py", "python run.py"), (["a b"], "'a b'")):
        monkeypatch.setattr("ann_ckpt.api.provenance", lambda *_, command=command, **__: {"command": command})
        ann_ckpt.write(NetworkState(constants=constants), tmp_path / "net.h5")
        answer = run("info", tmp_path / "net.h5")
        assert answer.status == 0
        assert re.search(rf"command +{re.escape(said)}\n", answer.out)
        assert "many = 20000 values, few = [1.5, 2.5], one = 3" in " ".join(answer.out.split())
