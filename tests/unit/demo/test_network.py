from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ann_ckpt import Connectivity, ProjectionState, Selection, differences
from ann_ckpt.adapters.protocol import Simulator
from ann_ckpt.demo import DemoNetwork
from ann_ckpt.demo.network import MAX_DELAY

SIDE = 6


def transplant(source: DemoNetwork, target: DemoNetwork) -> None:
    """Carry the whole state over, call by call, as a load does."""
    state = source.read().state
    assert state.time_step is not None
    target.set_time_step(state.time_step)
    for name, value in state.constants.items():
        target.set_constant(name, np.array(value))
    for population in state.populations.values():
        for attribute, held in population.attributes.items():
            target.set_population_attribute(population.name, attribute, np.array(held.values))
    for projection in state.projections.values():
        target.connect(projection)
        for attribute, held in projection.attributes.items():
            target.set_projection_attribute(projection.name, attribute, np.array(held.values))
    for owner in (state, *state.populations.values()):
        assert target.refuse_dynamics(owner) is None
        target.set_dynamics(owner, owner.dynamics)


def unequal(a: DemoNetwork, b: DemoNetwork) -> list[str]:
    return [path for path in differences(a.read().state, b.read().state) if path != "seed"]


@settings(max_examples=15)
@given(st.integers(0, 99), st.integers(100, 199), st.integers(0, 12), st.integers(1, 12))
def test_a_network_that_takes_over_a_state_continues_exactly(
    seed: int, other: int, before: int, after: int
) -> None:
    running, fresh = DemoNetwork(seed=seed, side=SIDE), DemoNetwork(seed=other, side=SIDE)
    running.simulate(before)
    transplant(running, fresh)
    assert unequal(running, fresh) == []
    running.simulate(after)
    assert unequal(running, fresh) != []
    fresh.simulate(after)
    assert unequal(running, fresh) == []


def test_a_seed_decides_the_network() -> None:
    assert unequal(DemoNetwork(seed=3, side=SIDE), DemoNetwork(seed=3, side=SIDE)) == []
    assert "projections/lateral/pre_ranks" in unequal(
        DemoNetwork(seed=3, side=SIDE), DemoNetwork(seed=4, side=SIDE)
    )


def test_a_population_remembers_its_last_rates() -> None:
    network = DemoNetwork(seed=1, side=SIDE)
    seen = []
    for _ in range(2 * MAX_DELAY):
        network.simulate(1)
        seen.append(np.array(network.read().state.populations["layer"]["r"]).ravel())
    past = network.read().state.populations["layer"].dynamics["past"]
    np.testing.assert_array_equal(past, seen[-2 : -1 - MAX_DELAY : -1])


def test_what_is_carried_matters() -> None:
    running, fresh = DemoNetwork(seed=1, side=SIDE), DemoNetwork(seed=2, side=SIDE)
    running.simulate(10)
    transplant(running, fresh)
    fresh.set_time_step(10)
    running.simulate(1)
    fresh.simulate(1)
    assert "populations/layer/variables/r" in unequal(running, fresh)


@pytest.mark.parametrize("spoiled", [np.zeros(625, np.int64), np.zeros(624, np.uint32), None])
def test_a_generator_that_is_none_is_refused(spoiled: np.ndarray | None) -> None:
    network = DemoNetwork(seed=1, side=SIDE)
    state = network.read().state
    beyond = np.array(state.dynamics["noise"])
    beyond[-1] = 625
    other = replace(state, dynamics={"noise": beyond if spoiled is None else spoiled})
    assert network.refuse_dynamics(state) is None
    assert network.refuse_dynamics(other) is not None


def test_a_barrier_makes_two_networks_draw_the_same_noise_and_ends_with_time() -> None:
    running, fresh = DemoNetwork(seed=1, side=SIDE), DemoNetwork(seed=2, side=SIDE)
    running.simulate(10)
    running.barrier()
    seed = running.read().state.reseeded
    assert seed is not None
    fresh.reseed(seed)
    noise = [network.read().state.dynamics["noise"] for network in (running, fresh)]
    np.testing.assert_array_equal(*noise)
    running.simulate(1)
    assert running.read().state.reseeded is None


def test_learning_changes_weights_and_keeps_them_bounded() -> None:
    network = DemoNetwork(seed=1, side=SIDE)
    before = np.array(network.read().state.projections["forward"]["w"])
    network.simulate(1000)
    forward, lateral = network.read().state.projections.values()
    assert not np.array_equal(forward["w"], before)
    norms = np.add.reduceat(np.asarray(forward["w"]) ** 2, forward.connectivity.row_ptr[:-1])
    assert norms.max() < 10.0
    assert np.asarray(lateral["w"]).min() >= 0.0


def test_it_is_a_simulator_that_reads_what_is_selected() -> None:
    network = DemoNetwork(side=SIDE)
    assert isinstance(network, Simulator)
    state = network.read(Selection(populations="im*", projections=False)).state
    assert list(state.populations) == ["image"]
    assert not state.projections


@pytest.mark.parametrize(
    ("delays", "refused"),
    [
        (1, False),
        (MAX_DELAY, False),
        (None, True),
        (0, True),
        (MAX_DELAY + 1, True),
        (np.array([1, 9]), True),
    ],
)
def test_delays_that_it_cannot_remember_are_refused(delays: int | None, refused: bool) -> None:
    connectivity = Connectivity.from_rows([0], [[1, 2]])
    projection = ProjectionState("lateral", "layer", "layer", "inh", connectivity, delays=delays)
    refusal = DemoNetwork(side=SIDE).refusal(projection)
    assert (refusal is not None) == refused


def test_delays_are_set_without_touching_the_synapses() -> None:
    network = DemoNetwork(seed=1, side=SIDE)
    before = network.read().state.projections["lateral"]
    network.set_delays("lateral", np.full(before.connectivity.n_synapses, 2, np.int64))
    after = network.read().state.projections["lateral"]
    assert set(np.asarray(after.delays).tolist()) == {2}
    assert after.connectivity is before.connectivity


@settings(max_examples=10)
@given(st.lists(st.integers(0, 7), max_size=4), st.integers(1, 5))
def test_it_calls_before_each_step_at_a_multiple_however_the_run_is_cut(
    parts: list[int], period: int
) -> None:
    network = DemoNetwork(side=2)
    called: list[float] = []
    leave = network.call_every(period, lambda: called.append(network.time))
    for part in parts:
        network.simulate(part)
    assert called == [step for step in range(sum(parts)) if step % period == 0]
    leave()
    leave()
    network.simulate(2 * period)
    assert len(called) == len(range(0, sum(parts), period))


def test_a_call_may_end_the_calls_and_reseed_the_noise() -> None:
    network, plain = DemoNetwork(side=SIDE), DemoNetwork(side=SIDE)

    def once() -> None:
        if network.time_step == 2:
            network.barrier()
            leave()

    leave = network.call_every(1.0, once)
    network.simulate(4)
    plain.simulate(2)
    plain.barrier()
    plain.simulate(2)
    assert not unequal(network, plain)
    assert network.read().state.reseeded is None
