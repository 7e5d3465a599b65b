"""What monitors recorded goes through a file, and resumed runs go on recording: none lost, none twice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ann_ckpt
from tests.live.conftest import Run


@dataclass(frozen=True)
class Recorded:
    """Files on the way, and what was answered."""

    saved: Path
    ended: Path
    """The uninterrupted run, some steps later."""
    resumed: Path
    """One that was loaded from ``saved``, as many steps later."""
    whole: dict[str, Any]
    loading: dict[str, Any]


@pytest.fixture(scope="module")
def journey(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("recorded")
    saved, ended, resumed = (folder / f"{n}.h5" for n in ("saved", "ended", "resumed"))
    whole = run("recording_jobs.whole", saved=str(saved), ended=str(ended))
    loading = run("recording_jobs.resumed", saved=str(saved), ended=str(resumed))
    return Recorded(saved, ended, resumed, whole, loading)


def test_a_resumed_run_has_recorded_what_the_uninterrupted_one_has(journey) -> None:
    assert journey.loading["report"]["mismatched"] == []
    assert journey.loading["now"] == []
    a, b = ann_ckpt.read(journey.ended), ann_ckpt.read(journey.resumed)
    assert [path for path in ann_ckpt.differences(a, b) if path != "seed"] == []
    assert journey.whole["got"] == journey.loading["got"]
    assert all(len(series) for recording in a.recordings.values() for series in recording.values())


def test_saving_empties_no_monitor_and_nothing_is_left_out(journey) -> None:
    assert journey.whole["emptied"] == []
    assert journey.whole["report"]["skipped"] == []


def test_so_in_single_precision_on_two_threads(run: Run, tmp_path: Path) -> None:
    saved, ended, resumed = (tmp_path / f"{n}.h5" for n in ("saved", "ended", "resumed"))
    whole = run("recording_jobs.single", saved=str(saved), ended=str(ended), resumes=False)
    again = run("recording_jobs.single", saved=str(saved), ended=str(resumed), resumes=True)
    a, b = ann_ckpt.read(ended), ann_ckpt.read(resumed)
    assert [path for path in ann_ckpt.differences(a, b) if path != "seed"] == []
    assert whole == again
    assert a.recordings["sink"]["r"].values.dtype == np.float32


def test_times_are_those_at_which_was_recorded(journey) -> None:
    recordings = ann_ckpt.read(journey.saved).recordings

    def times(name: str, variable: str) -> list[int]:
        return np.asarray(recordings[name][variable].times).tolist()

    assert times("Monitor_cells", "v") == [*range(40), *range(50, 60)]
    assert times("Monitor_cells-2", "u") == list(range(1, 60, 3))
    assert times("Monitor_rates", "r") == list(range(20, 60))
    assert times("tops", "top") == list(range(0, 50, 2))
    assert times("late", "r") == list(range(20, 60, 6))
    assert times("slow", "trace") == list(range(2, 60, 4))
    assert set(times("tired", "spike")) <= set(range(40, 60))
    assert times("tired", "g_exc") == list(range(40, 60))


def test_shapes_and_ranks(journey) -> None:
    with ann_ckpt.open(journey.saved) as ckpt:
        recordings = ckpt.recordings
        learn = ckpt.projections["learn"].n_synapses
        shapes = {
            ("Monitor_cells", "v"): (50, 4, 5),
            ("Monitor_cells-2", "u"): (20, 2),
            ("Monitor_rates", "sum(exc)"): (40, 6),
            ("Monitor_rates", "seen"): (40, 6),
            ("tops", "top"): (25,),
            ("Monitor_learn", "w"): (9, learn),
            ("slow", "trace"): (15, 6),
            ("slow", "clock"): (15,),
        }
        assert {key: recordings[key[0]][key[1]].values.shape for key in shapes} == shapes
        assert recordings["Monitor_rates"]["seen"].values.dtype == bool
        assert recordings["one"].of == recordings["Monitor_learn"].of == "projections/learn"
        assert np.array_equal(recordings["one"].ranks, [0])
        view = np.arange(20).reshape(4, 5)[1:3, 2]
        assert np.array_equal(recordings["Monitor_cells-2"].ranks, view)
        assert set(np.asarray(recordings["Monitor_cells-2"]["spike"].ranks)) <= set(view)
        spikes = recordings["Monitor_cells"]["spike"]
        pairs = list(zip(np.asarray(spikes.times), np.asarray(spikes.ranks), strict=True))
        assert pairs == sorted(pairs)


def test_what_does_not_fit_is_named_and_nothing_changes(run: Run, journey) -> None:
    said = run("recording_jobs.refused", saved=str(journey.saved))
    expected = {
        "variables": ["recordings/Monitor_cells: records spike, v in the file, spike in the network"],
        "period": ["recordings/Monitor_cells: period 1 in the file, 2 in the network"],
        "offset": [
            "recordings/Monitor_cells: period 1 in the file, 3 in the network",
            "recordings/Monitor_cells: period_offset 0 in the file, 2 in the network",
        ],
    }
    assert {name: said[name] for name in expected} == expected
    parts = {
        "name": "the network has no monitor",
        "ranks": "of other neurons",
        "seconds": "not a list of events and their steps",
        "no events": "not a list of events and their steps",
        "type": "is float32 in the file, f8 in the network",
        "shape": "samples of the shape (20,)",
        "no samples": "not a list of samples",
        "synapses": "samples of the shape",
        "sizes": "samples of the shape",
        "carried": "does not say what the monitor went on from",
        "intervals": "does not say when spike was recorded",
    }
    assert parts.keys() | expected.keys() == said.keys()
    for name, part in parts.items():
        assert part in " ".join(said[name]), (name, said[name])
        assert not [line for line in said[name] if line.startswith("changed")], (name, said[name])


def test_without_the_bindings_it_is_refused(run: Run, tmp_path: Path) -> None:
    said = run("recording_jobs.without_bindings", path=str(tmp_path / "net.h5"))
    assert len(said) == 2
    assert all("ann_ckpt.annarchy.compile" in text for text in said)


def test_a_clock_that_was_set_is_part_of_the_times(run: Run, tmp_path: Path, journey) -> None:
    answer = run("recording_jobs.jumped", saved=str(journey.saved), path=str(tmp_path / "net.h5"))
    assert answer["later"]["v"] == [*range(10), *range(60, 70)]
    assert answer["earlier"] == {"v": True}
    assert len(answer["skipped"]) == 1
    assert "the time was set back" in answer["skipped"][0]
    assert answer["records"] == 80


def test_synapses_that_changed_while_they_were_recorded_are_left_out_and_it_is_said(
    run: Run, tmp_path: Path
) -> None:
    answer = run("recording_jobs.grown", path=str(tmp_path / "net.h5"))
    assert answer["kept"] == []
    assert any("the number of synapses changed" in note for note in answer["skipped"])


@pytest.mark.torture
def test_after_any_number_of_kills_everything_was_recorded_once(
    run: Run, tmp_path: Path, rounds: int
) -> None:
    run("recording_jobs.straight", path="", ended=str(tmp_path / "straight.h5"))
    answer = run("recording_jobs.killed", folder=str(tmp_path), kills=10 * rounds, seed=rounds)
    expected = ann_ckpt.read(tmp_path / "straight.h5")
    assert answer["kills"] >= 10 * rounds
    assert answer["resumed_at"], "no run was resumed"
    for store in answer["stores"]:
        found = ann_ckpt.read(store)
        assert found.time_step == expected.time_step
        assert list(ann_ckpt.differences(expected, found)) == []
        assert ann_ckpt.verify(store).ok
