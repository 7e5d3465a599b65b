"""What would crash the simulator, or change in its hands, is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.conftest import Run

EVERYTHING = {
    "same", "fewer", "an empty dendrite", "posts reversed", "pres reversed", "twice", "nothing",
    "one dendrite",
}  # fmt: skip
FIVE_REFUSES = {
    ("rate", "ragged"): set(),
    ("rate", "single"): set(),
    ("delays", "spikes"): set(),
    ("rate", "rows"): {"posts reversed"},
    ("rate", "matrix"): {"pres reversed", "twice"},
    ("spike", "transposed"): {"an empty dendrite", "posts reversed", "pres reversed", "nothing"},
    ("spike", "block"): {"pres reversed", "twice"},
}
FOUR_REFUSES = FIVE_REFUSES | {
    # A dense matrix of 4.8 has a row for every neuron.
    ("rate", "matrix"): {"pres reversed", "twice", "posts reversed", "nothing", "one dendrite"},
    ("spike", "block"): {"pres reversed", "twice", "posts reversed", "nothing", "one dendrite"},
}


@pytest.mark.parametrize(("network", "projection"), FIVE_REFUSES)
def test_each_format_is_offered_everything(run: Run, generation: int, network: str, projection: str) -> None:
    """What is not refused is put in place, read back, and simulated with."""
    answers = run("refusals", network=network, projection=projection)
    assert set(answers) == EVERYTHING
    refused = {offer for offer, reason in answers.items() if reason}
    assert refused == (FIVE_REFUSES if generation == 5 else FOUR_REFUSES)[network, projection]
    assert all("storage format" in reason for reason in answers.values() if reason)


@pytest.mark.parametrize(
    ("projection", "longest"), [("uniform", 40), ("together", 40), ("each", 40), ("spikes", 40)]
)
def test_queues_grow_with_the_delays(run: Run, projection: str, longest: int) -> None:
    """The networks were compiled for 10 steps at most."""
    assert max(run("lengthened", network="delays", projection=projection)) == longest


def test_delays_that_the_compiled_code_has_no_place_for(run: Run) -> None:
    answers = run("delay_refusals", network="delays")
    assert "the network was compiled without" in answers["at once: 3 steps"]
    assert "compiled with one for all" in answers["uniform: each"]
    assert "the shortest possible is 1" in answers["each: none"]
    assert "not known" in answers["each: unknown"]
    assert answers["each: one for all"] is None
    assert answers["uniform: unknown"] is None
    assert answers["uniform: each the same"] is None


def test_another_network_is_refused_with_every_problem(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "spike.h5")
    run("record", network="spike", saved=path, ended=str(tmp_path / "later.h5"), quiet=[])
    problems = run("refused", network="delays", saved=path)
    assert "dt: 1.0 ms in the file, 0.5 ms in the network" in problems
    assert "populations/excitatory: the network has no population 'excitatory'" in problems
    assert "projections/each: the file has no projection 'each'" in problems
    assert len(problems) == 1 + (2 + 4) + (4 + 5)


def test_a_monitor_keeps_its_dendrites(run: Run) -> None:
    answers = run("monitored", network="rate", projection="ragged")
    assert "a monitor records its dendrites" in answers["other dendrites"]
    assert answers["the same dendrites"] is None


def test_a_network_has_to_be_compiled(run: Run) -> None:
    assert run("not_compiled") == "the network is not compiled"


def test_two_of_one_name_are_told_apart_if_annarchy_gave_it(run: Run, tmp_path: Path) -> None:
    answer = run("twins", saved=str(tmp_path / "twins.h5"))
    assert answer["said"] == "two populations are called 'twin'"
    assert sorted(answer["names"]) == answer["ends"] == ["one", "pop0", "pop0-2", "two"]
    assert answer["other"] == []
    assert any("populations/pop0-2: ANNarchy named it 'pop0'" in note for note in answer["skipped"])
    assert sorted(answer["named"]) == ["one", "pop0", "sink", "two"]


def test_a_number_that_no_network_has(run: Run) -> None:
    assert run("no_such_network") == "net_id=77: ANNarchy has no network of that number"
