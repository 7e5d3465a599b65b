"""Daily calls on a real network: ANNarchy's own cases of saving and loading, parts, names, wrong arguments.

One network, in double precision as ANNarchy compiles it, and in single precision, in 5.0 with the
instrumentation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import Run, once

NETS = ["net.data", "net.npz", "net.txt.gz", "net.mat", "net.h5", "net.ckpt", "net", "net.pkl"]
PICKLED = {"net", "net.pkl"}
PROJECTIONS = ["hebb", "stp", "oja", "ff"]
PARTS = ["proj.data", "proj.npz", "proj.txt.gz", "proj.mat", "proj.h5", "proj.ckpt"]

Answers = dict[str, Any]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calls")


@pytest.fixture(scope="session")
def cases(run: Run, folder: Path) -> Answers:
    answers: Answers = once(lambda job: run(job, folder=str(folder)))("calls_jobs.cases")
    return answers


@pytest.fixture(scope="session")
def daily(run: Run, folder: Path, cases: Answers) -> Answers:
    """In single precision; it loads what was saved in double precision."""
    answers: Answers = run("calls_jobs.daily", folder=str(folder))
    return answers


# --- ANNarchy's own cases ---


@pytest.mark.parametrize("name", NETS)
def test_a_network_that_was_reset_is_loaded_back(cases: Answers, name: str) -> None:
    """Rates and spikes, whole, in each format; ANNarchy itself cannot load ``.mat``."""
    found = cases[name]
    assert {"populations/middle/parameters/baseline", "projections/stp/variables/x"} <= set(found["moved"])
    assert [path for path in found["left"] if not path.startswith(("constants", "dynamics"))] == []


@pytest.mark.parametrize("name", NETS)
def test_a_file_of_another_extension_is_pickled_and_the_report_says_so(cases: Answers, name: str) -> None:
    assert any("pickled, as ANNarchy does" in note for note in cases[name]["skipped"]) == (name in PICKLED)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_a_projection_is_saved_and_loaded_by_itself(cases: Answers, projection: str, name: str) -> None:
    found = cases[f"{projection}, {name}"]
    assert any(path.startswith(f"projections/{projection}/") for path in found["moved"])
    assert found["left"] == []


def test_parameters_come_back_that_were_set(cases: Answers) -> None:
    """Those that are in force, where ANNarchy writes those that the network began with."""
    found = cases["parameters"]
    values = found["current file"]["populations"]["middle"], found["current file"]["projections"]
    assert (values[0]["tau"], values[1]["hebb"]["eta"], values[1]["stdp"]["tau_plus"]) == (25.0, 0.02, 0.01)
    for name, parameter in found["global"]:
        assert found["current"][name][parameter] == found["set"][name][parameter]
        assert found["reset"][name][parameter] != found["set"][name][parameter]


def test_initial_parameters_are_a_switch_away(cases: Answers) -> None:
    found = cases["parameters"]
    values = found["initial file"]["populations"]["middle"], found["initial file"]["projections"]
    assert (values[0]["tau"], values[1]["hebb"]["eta"], values[1]["stdp"]["tau_plus"]) == (10.0, 0.01, 20.0)
    for name, parameter in found["global"]:
        assert found["initial"][name][parameter] == found["reset"][name][parameter]


# --- parts ---


@pytest.mark.parametrize("name", ["rows.h5", "rows.ckpt"])
def test_some_dendrites_are_saved_and_loaded(daily: Answers, name: str) -> None:
    found = daily["rows"][name]
    assert found["kept"] == [0, 7]
    assert found["partial"]
    assert any("dendrites that were not selected" in note for note in found["said"])
    assert found["wrong"] == []
    assert found["others"] == []


def test_dendrites_that_are_not_there_cannot_be_saved(daily: Answers) -> None:
    assert "projection 'ff' has no dendrite for neuron 12" in daily["rows"]["no dendrite"]
    assert "did you mean 'ff'" in daily["rows"]["no projection"]


def test_attributes_are_chosen_by_names_and_globs_for_all_or_for_each(daily: Answers) -> None:
    found = daily["attributes"]
    four = found["kept"].pop("four")
    assert {"v", "u", "a"} <= set(four)
    assert found["kept"] == {"one": ["v", "u"], "ff": ["w"]}
    one, ff = "populations/one/variables", "projections/ff/variables/w"
    assert {f"{one}/v", f"{one}/u", ff, "populations/four/variables/v"} == set(found["both"])
    assert set(found["load"]) == {f"{one}/v", "populations/four/variables/v"}
    assert set(found["each"]) == {f"{one}/u", "populations/four/variables/v", ff}


def test_a_file_of_one_population_needs_no_ceremony(daily: Answers) -> None:
    found = daily["objects"]
    sheet, other = (f"populations/{name}/parameters/r" for name in ("sheet", "other"))
    assert found["alone"] == [sheet]
    assert set(found["mapped"]) == {other}
    assert found["values"] == [[[2.0, 3.0], [4.0, 5.0]]] * 2
    assert found["from all"] == [other]
    assert "geometry (2, 2) in the file, (2, 1, 3, 2) in the network" in found["other size"]


def test_single_and_double_precision_go_into_each_other(
    run: Run, folder: Path, daily: Answers, cases: Answers
) -> None:
    assert daily["cast"] > 20
    assert daily["rounded"] == []
    back = run("calls_jobs.back_to_double", folder=str(folder))
    assert back["cast"] > 20
    assert back["unlike"] == []


def test_four_axes_are_saved_shown_compared_and_loaded(daily: Answers) -> None:
    found = daily["axes"]
    assert found["geometry"] == [2, 1, 3, 2]
    assert found["equal"]
    assert found["last"] == 11.0
    assert not any("not saved" in note for note in found["skipped"])
    assert found["diff"] == ["populations/deep/variables/mp"]
    assert "populations/deep/mp" in found["report"]
    assert found["moved"] == ["populations/deep/variables/mp"]


# --- the calls as ANNarchy documents them ---


@pytest.mark.parametrize("name", ["net.h5.", "run.ckpt/x"])
def test_what_is_nearly_ours_is_refused(daily: Answers, name: str) -> None:
    assert daily["calls"][name]


def test_values_that_are_not_global_are_passed_over_in_one_warning(daily: Answers) -> None:
    warning = daily["calls"]["warnings"]
    assert "---" not in warning
    assert "deep" in warning
    assert "baseline" in warning
    assert "limit" in warning
    assert daily["calls"]["tau"] == "33.0"


def test_the_only_network_is_taken(daily: Answers) -> None:
    assert (daily["calls"]["no network"], daily["calls"]["load"]) == ("1", "True")


@pytest.mark.parametrize("call", ["misplaced", "misplaced load", "misplaced parameters", "misplaced loading"])
def test_a_network_in_the_wrong_place_is_told_where_to_go(daily: Answers, call: str) -> None:
    assert "pass network=net" in daily["calls"][call]


def test_an_object_is_no_network(daily: Answers) -> None:
    assert "network=" in daily["calls"]["object"]
