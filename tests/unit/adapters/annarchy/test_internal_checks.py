"""What a file may say about members that C++ uses without looking."""

from __future__ import annotations

import numpy as np
import pytest

from ann_ckpt.adapters.annarchy.internal_checks import invalid_population, invalid_projection

SIZE = 4


def population() -> dict[str, np.ndarray]:
    return {
        "_active": np.array(True),
        "last_spike": np.full(SIZE, -10000),
        "refractory": np.zeros(0, np.int32),
        "spiked": np.array([0, 3], np.int32),
        "_delayed_r": np.zeros((2, SIZE)),
        "_delayed_kind": np.zeros(2 * SIZE, np.int32),
        "_delayed_kind.sizes": np.array([SIZE, SIZE]),
        "_delayed_spike": np.array([1, 3, 0], np.int32),
        "_delayed_spike.sizes": np.array([2, 0, 1]),
        "_spike_history": np.zeros(0, np.int64),
        "_spike_history.sizes": np.zeros(0, np.int64),
        "_mean_fr_window": np.array(0),
        "_schedule": np.array([0, 10], np.int32),
        "_block": np.array(1, np.int32),
        "_buffer": np.zeros((2, SIZE)),
        "_t": np.array(7),
    }


def projection() -> dict[str, np.ndarray]:
    return {
        "_update_period": np.array(1, np.int32),
        "dist_rand_0": np.frombuffer(b"0 1 0", np.uint8),
        "max_delay": np.array(2, np.int32),
        "idx_delay": np.array(1, np.int32),
        "_delayed_spikes": np.array([0, 1, 2], np.int32),
        "_delayed_spikes.sizes": np.array([[1, 0], [0, 2]]),
    }


ROWS = np.array([1, 3])


def test_what_a_run_leaves_is_sound() -> None:
    assert invalid_population(population(), population(), SIZE) is None
    assert invalid_projection(projection(), projection(), ROWS) is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("last_spike", np.zeros(SIZE - 1, np.int64)),
        ("refractory", np.zeros(SIZE, np.int32)),
        ("spiked", np.array([SIZE])),
        ("spiked", np.array([-1])),
        ("_delayed_spike", np.array([SIZE, 0, 0])),
        ("_delayed_r", np.zeros((2, SIZE + 1))),
        ("_delayed_kind.sizes", np.array([SIZE - 1, SIZE + 1])),
        ("_spike_history.sizes", np.zeros(SIZE - 1, np.int64)),
        ("_mean_fr_window", np.array(5)),
        ("_block", np.array(2)),
        ("_block", np.array(-1)),
        ("_buffer", np.zeros((1, SIZE))),
        ("_buffer", np.zeros((2, SIZE - 1))),
    ],
)
def test_populations_are_guarded(name: str, values: np.ndarray) -> None:
    reason = invalid_population(population() | {name: values}, population(), SIZE)
    assert reason is not None
    assert name.removesuffix(".sizes").removesuffix("_window") in reason or "_spike_history" in reason


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("_update_period", np.array(0)),
        ("max_delay", np.array(3)),
        ("max_delay", np.array(0)),
        ("idx_delay", np.array(2)),
        ("idx_delay", np.array(-1)),
        ("_delayed_spikes", np.array([1, 1, 2])),
        ("_delayed_spikes", np.array([0, 1, 3])),
        ("_delayed_spikes", np.array([0, -1, 2])),
        ("_delayed_spikes.sizes", np.array([[1, 0, 0], [0, 1, 1]])),
        ("rand_0", np.zeros(5)),
    ],
)
def test_projections_are_guarded(name: str, values: np.ndarray) -> None:
    assert invalid_projection(projection() | {name: values}, projection(), ROWS) is not None


def decoding() -> dict[str, np.ndarray]:
    """A window of three steps over five neurons, and the baseline of two rows over four steps."""
    return projection() | {
        "window": np.array(3, np.int32),
        "rates_history": np.zeros((3, 5)),
        "baseline": np.zeros((2, 4)),
        "baseline_mean": np.zeros(2),
    }


def test_windows_and_baselines_are_sound() -> None:
    assert invalid_projection(decoding(), decoding(), ROWS) is None
    longer = decoding() | {"baseline": np.zeros((2, 9))}
    assert invalid_projection(longer, decoding(), ROWS) is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("window", np.array(4)),
        ("rates_history", np.zeros((2, 5))),
        ("rates_history", np.zeros((3, 4))),
        ("baseline", np.zeros((3, 4))),
        ("baseline_mean", np.zeros(3)),
    ],
)
def test_windows_and_baselines_are_guarded(name: str, values: np.ndarray) -> None:
    assert invalid_projection(decoding() | {name: values}, decoding(), ROWS) is not None
