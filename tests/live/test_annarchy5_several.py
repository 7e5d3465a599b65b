"""Copied networks and those of parallel runs, names that ANNarchy gives twice, converted networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ann_ckpt
from tests.live.conftest import Run

Answers = dict[str, Any]


@pytest.fixture(scope="module")
def parallel(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    answers: Answers = run("several_jobs.parallel", folder=str(tmp_path_factory.mktemp("parallel")))
    return answers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hybrid")


@pytest.fixture(scope="module")
def hybrid(run: Run, folder: Path) -> Answers:
    answers: Answers = run("several_jobs.by_itself", folder=str(folder))
    return answers


def test_each_worker_of_a_parallel_run_saves_its_own_network(parallel: Answers) -> None:
    assert parallel["processes"] > 0
    assert parallel["levels"] == [[0.25], [0.5], [0.75]]
    assert parallel["seeds"] == [1, 2, 3]
    assert not parallel["alike"]
    assert parallel["still"] == 0


def test_workers_of_another_parallel_run_go_on_exactly(parallel: Answers) -> None:
    """With other seeds, so that the synapses are those of the files."""
    assert parallel["exact"] == ["exact"] * 3
    assert all("in place of" in rebuilt[0] for rebuilt in parallel["rebuilt"])
    assert parallel["resumed"] == [[]] * 3


def test_a_worker_has_to_say_which_network(parallel: Answers) -> None:
    """The process that started it has compiled one too."""
    assert ["pass network=net" in said for said in parallel["nameless"]] == [True]


def test_a_copy_is_simulated_and_the_original_is_refused(parallel: Answers) -> None:
    for call in ("original", "loading"):
        assert "Network.copy() made another one" in parallel[call]
    assert "pass network=net" in parallel["none named"]
    assert parallel["nothing moved"] == parallel["loaded"] == parallel["copy resumed"] == []


def test_two_of_one_automatic_name_are_told_when_compiled_and_apart_when_saved(hybrid: Answers) -> None:
    (told,) = hybrid["told"]
    assert "two projections are called 'proj0'; this one is saved as 'proj0-2'" in told
    assert "projection.name = ..." in told
    assert hybrid["names"] == {"proj0": "pop0 pop1", "proj0-2": "pop1 pop2", "proj2": "pop2 pop3"}
    assert any("ANNarchy named it 'proj0', as another one; set its name" in s for s in hybrid["skipped"])


def test_they_are_loaded_back_and_the_run_goes_on_exactly(hybrid: Answers) -> None:
    assert hybrid["exact"] == "exact"
    assert hybrid["loaded"] == hybrid["resumed"] == []


def test_names_and_globs_lead_to_objects_that_were_named_since(hybrid: Answers) -> None:
    assert "the file has no projection 'decoder'" in hybrid["unnamed"]
    assert hybrid["mapped"] == []


def test_when_only_automatic_numbers_have_shifted_the_mapping_is_suggested_and_fits(hybrid: Answers) -> None:
    found = hybrid["shifted"]
    assert "only automatic numbers differ; try names=" in found["hint"]
    assert found["moved"] == []
    assert found["suggested"] == {f"pop{number}": f"pop{number + 1}" for number in range(4)}
    assert found["unlike"] == []


def test_where_two_networks_are_compiled_each_call_has_to_say_which(hybrid: Answers) -> None:
    found = hybrid["nameless"]
    assert len(found["said"]) == 5
    for call, said in found["said"].items():
        assert "2 networks are compiled, and none is named" in said, call
        assert "pass network=net" in said, call
    assert found["written"] == found["moved"] == []
    assert found["named"] == ["pop0"]


def test_a_converted_network_goes_on_exactly(run: Run, tmp_path: Path) -> None:
    """From ANNarchy's converter, which is handed layers; loaded into one with other weights and filters."""
    start, end, loaded, resumed = (str(tmp_path / f"{name}.h5") for name in "abcd")
    found = run("several_jobs.save_converted", start=start, end=end)
    assert found["skipped"] == []
    assert set(found["exact"].values()) == {"exact"}
    assert found["spikes"] > 0
    run("several_jobs.load_converted", start=start, loaded=loaded, end=resumed)
    for one, other in ((start, loaded), (end, resumed)):
        unlike = ann_ckpt.differences(ann_ckpt.read(one), ann_ckpt.read(other))
        assert [path for path in unlike if path != "seed"] == []
