"""Saved in one process, loaded in another, continued: not one bit differs, whatever the network carries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ann_ckpt
from ann_ckpt import Exactness
from tests.live.conftest import Run, once

NETWORKS = ("rate", "spike", "growing", "threads", "parallel", "parts", "inputs")
LOOSE = "loose"
"""With this begins the name of what threads add up in the order in which they come."""


@dataclass(frozen=True)
class Exact:
    """Files on the way, and what the calls reported."""

    saved: Path
    ended: Path
    """The uninterrupted network, some steps later."""
    loaded: Path
    """Another network right after loading ``saved``."""
    resumed: Path
    """That one, as many steps later."""
    loading: dict[str, Any]


@pytest.fixture(scope="session")
def journey(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exact]:
    def of(network: str) -> Exact:
        folder = tmp_path_factory.mktemp(f"exact-{network}")
        saved, ended, loaded, resumed = (folder / f"{n}.h5" for n in ("saved", "ended", "loaded", "resumed"))
        run("exact_jobs.record", network=network, saved=str(saved), ended=str(ended))
        loading = run(
            "exact_jobs.resume", network=network, saved=str(saved), loaded=str(loaded), ended=str(resumed)
        )
        return Exact(saved, ended, loaded, resumed, loading)

    return once(of)


def differences(a: Path, b: Path) -> list[str]:
    """Where two files differ, but for the seeds with which two networks were built."""
    return [path for path in ann_ckpt.differences(ann_ckpt.read(a), ann_ckpt.read(b)) if path != "seed"]


def is_loose(path: str) -> bool:
    return path.partition("/")[2].startswith(LOOSE)


@pytest.mark.parametrize("network", NETWORKS)
def test_all_that_is_carried_arrives(journey: Callable[[str], Exact], network: str) -> None:
    way = journey(network)
    assert differences(way.saved, way.loaded) == []
    assert differences(way.saved, way.ended) != []


@pytest.mark.parametrize("network", NETWORKS)
def test_it_continues_without_a_difference(journey: Callable[[str], Exact], network: str) -> None:
    way = journey(network)
    assert [path for path in differences(way.ended, way.resumed) if not is_loose(path)] == []


@pytest.mark.parametrize("network", NETWORKS)
def test_everything_moves_on(journey: Callable[[str], Exact], network: str) -> None:
    """Otherwise the tests above would show less than they say."""
    way = journey(network)
    moved = differences(way.saved, way.ended)
    state = ann_ckpt.read(way.saved)
    for name, projection in state.projections.items():
        if projection.variables and projection.dynamics["_update"]:
            assert any(path.startswith(f"projections/{name}/") for path in moved), name


@pytest.mark.parametrize("network", NETWORKS)
def test_the_file_and_the_load_say_that_it_is_exact(journey: Callable[[str], Exact], network: str) -> None:
    way = journey(network)
    state = ann_ckpt.read(way.saved)
    loose = {name: p for name, p in state.projections.items() if name.startswith(LOOSE)}
    owners = [state, *state.populations.values()]
    owners += [p for name, p in state.projections.items() if name not in loose]
    assert {owner.resume.exactness for owner in owners} == {Exactness.EXACT}
    assert {note["path"] for note in way.loading["notes"]} == {f"projections/{name}" for name in loose}


@pytest.mark.parametrize("network", ["parallel", "parts"])
def test_what_threads_add_up_as_they_come_is_called_approximate(
    journey: Callable[[str], Exact], network: str
) -> None:
    projections = ann_ckpt.read(journey(network).saved).projections
    loose = [p for name, p in projections.items() if name.startswith(LOOSE)]
    assert loose
    for projection in loose:
        assert projection.resume.exactness is Exactness.APPROXIMATE
        assert projection.resume.reasons == (
            "which thread comes first, by which two uninterrupted runs differ too",
        )


def test_each_thread_has_a_random_generator_and_its_part_of_each_matrix(
    journey: Callable[[str], Exact],
) -> None:
    state = ann_ckpt.read(journey("parts").saved)
    generators = np.asarray(state.dynamics["rng"])
    assert generators.shape == (2, 625)
    assert (generators[0] != generators[1]).any()
    ring = state.projections["lil varied"]
    steps = int(np.asarray(ring.dynamics["max_delay"]))
    assert ring.dynamics["_delayed_spikes.sizes"].shape == (steps, ring.connectivity.n_rows)
    assert ring.dynamics["_delayed_spikes"].size


def test_spikes_were_in_flight_when_it_was_saved(journey: Callable[[str], Exact]) -> None:
    """Otherwise the tests above would show less than they say."""
    state = ann_ckpt.read(journey("spike").saved)
    ring = state.projections["ring"].dynamics
    assert ring["_delayed_spikes"].size
    assert state.populations["excitatory"].dynamics["_delayed_spike"].size
    assert (state.populations["tired"].dynamics["refractory_remaining"] > 0).any()
    assert state.populations["tired"].dynamics["_spike_history"].size
    assert (ring["_last_event"] > 0).any()
    assert state.dynamics["rng"].shape == (1, 625)


def test_filters_windows_and_what_only_python_has_are_kept(journey: Callable[[str], Exact]) -> None:
    """Otherwise the tests above would show less than they say."""
    state = ann_ckpt.read(journey("inputs").saved)
    one, bank, pooling = (state.projections[name].dynamics for name in ("filter", "filters", "pooling"))
    assert one["w"].shape == (3, 3)
    assert one["w"].max() > 1.0, "it was changed before it was saved"
    assert bank["w"].shape == (2, 3, 3)
    assert "w" not in pooling
    assert not pooling["_transmission"]
    assert state.projections["filter"].delays == 2
    assert state.projections["window"].dynamics["rates_history"].any()
    assert state.populations["correlated"].dynamics["python.rates"].tolist() == [400.0]
    baselines = [p for p in state.projections.values() if "baseline" in p.dynamics]
    assert baselines
    assert all(p.dynamics["baseline_mean"].any() for p in baselines)
    assert "nan" not in str(bytes(state.projections["jitter"].dynamics["dist_rand_0"]))


def test_after_a_reset_of_the_network_spikes_come_at_the_times_that_were_set_before_the_save(
    journey: Callable[[str], Exact],
) -> None:
    way = journey("inputs")
    runs = [ann_ckpt.read(f"{path}.again.h5").populations["times"] for path in (way.ended, way.resumed)]
    for times in runs:
        assert times.dynamics["_t"] == 60
        assert times.dynamics["spike_times"].tolist() == [40, 65, 62, 80, 100]
        assert times.dynamics["last_spike"].tolist() == [40, -10000]
        assert times.dynamics["next_spike"].tolist() == [65, 62]


def test_what_only_python_has_is_refused_in_another_shape_before_anything_is_set(
    run: Run, journey: Callable[[str], Exact], tmp_path: Path
) -> None:
    saved, changed = str(journey("inputs").saved), str(tmp_path / "changed.h5")
    answers = run("exact_jobs.refused", network="inputs", saved=saved, changed=changed, owner="correlated")
    assert {attempt.partition(",")[0] for attempt in answers} == {"python.rates", "python.corr", "python.tau"}
    for attempt, answer in answers.items():
        assert answer["moved"] == [], attempt
        assert len(answer["said"]) == 1, attempt
        assert answer["said"][0].startswith("populations/correlated/dynamics: python."), attempt


def test_learning_flags_and_schedules_are_kept(journey: Callable[[str], Exact]) -> None:
    rate, growing = (ann_ckpt.read(journey(network).saved) for network in ("rate", "growing"))
    assert not rate.populations["idle"].dynamics["_active"]
    assert rate.projections["learning"].dynamics["_update_period"] == 4
    assert not rate.projections["oja"].dynamics["_update"]
    assert growing.projections["growing"].dynamics["_pruning_period"] == 3
    assert "projections/growing" in {note["path"] for note in journey("growing").loading["rebuilt"]}


@pytest.mark.parametrize("network", ["rate", "spike", "threads"])
def test_synapses_are_rebuilt_from_lists_as_from_arrays(
    run: Run, journey: Callable[[str], Exact], tmp_path: Path, network: str
) -> None:
    way = journey(network)
    loaded, resumed = tmp_path / "loaded.h5", tmp_path / "resumed.h5"
    paths = {"saved": str(way.saved), "loaded": str(loaded), "ended": str(resumed)}
    report = run("exact_jobs.resume", network=network, lists=True, **paths)
    assert report["rebuilt"] == way.loading["rebuilt"] != []
    assert differences(way.loaded, loaded) == []
    assert differences(way.resumed, resumed) == []


@dataclass(frozen=True)
class Barrier:
    """The noisy network, with the instrumentation and without."""

    saved: Path
    ended: Path
    resumed: Path
    instrumented: Path
    """Where the instrumented one ended."""
    warned: list[str]
    loading: dict[str, Any]


@pytest.fixture(scope="session")
def barrier(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Barrier:
    folder = tmp_path_factory.mktemp("barrier")
    saved, ended, resumed, other, instrumented = (folder / f"{n}.h5" for n in "abcde")
    warned = run("exact_jobs.barrier", instrumented=False, saved=str(saved), ended=str(ended))
    loading = run("exact_jobs.resume_plain", saved=str(saved), ended=str(resumed))
    run("exact_jobs.barrier", instrumented=True, saved=str(other), ended=str(instrumented))
    return Barrier(saved, ended, resumed, instrumented, warned, loading)


def test_a_template_that_changed_is_left_alone_and_named_once(barrier: Barrier) -> None:
    assert len(barrier.warned) == 1
    assert "NB_MODULE" in barrier.warned[0]
    state = ann_ckpt.read(barrier.saved)
    assert set(state.dynamics) == {"default_rng"}
    assert not any(p.dynamics for p in state.populations.values())


def test_bindings_that_do_not_build_are_left_out(run: Run, tmp_path: Path) -> None:
    answer = run("exact_jobs.unbuildable", saved=str(tmp_path / "net.h5"))
    assert len(answer["warned"]) == 1
    assert "does not build" in answer["warned"][0]
    assert not answer["moved"]
    assert ann_ckpt.read(tmp_path / "net.h5").time_step == 60


def test_after_a_barrier_a_noisy_network_continues_without_a_difference(barrier: Barrier) -> None:
    assert differences(barrier.ended, barrier.resumed) == []
    assert barrier.loading["notes"] == [], "the report says what the file says"
    state = ann_ckpt.read(barrier.saved)
    assert state.reseeded is not None
    assert state.resume.exactness is Exactness.RESEEDED
    assert state.populations["sink"].resume.exactness is Exactness.RESEEDED
    assert state.projections["learning"].resume.exactness is Exactness.EXACT


def test_results_are_the_same_with_the_instrumentation_and_without(barrier: Barrier) -> None:
    plain, instrumented = (ann_ckpt.read(path) for path in (barrier.ended, barrier.instrumented))
    for group in ("populations", "projections"):
        for name, owner in getattr(plain, group).items():
            for attribute in owner:
                theirs = getattr(instrumented, group)[name][attribute]
                np.testing.assert_array_equal(owner[attribute], theirs, err_msg=f"{name}/{attribute}")


def test_without_a_barrier_it_is_called_approximate(barrier: Barrier) -> None:
    state = ann_ckpt.read(barrier.ended)
    assert state.resume.exactness is Exactness.APPROXIMATE
    assert state.populations["sink"].resume.reasons == ("the state of the random generator",)
