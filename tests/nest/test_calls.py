"""What is refused, checkpoints of a run, and weights with four threads."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nest
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ann_ckpt
import ann_ckpt.nest
from ann_ckpt.adapters.nest import building
from ann_ckpt.adapters.nest.building import stable_order
from ann_ckpt.adapters.nest.simulator import METADATA
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.errors import CorruptFileError, MismatchError, OptionError, SimulatorError
from tests.nest.networks import cond_exp, moved, relative, reset, several

pytestmark = pytest.mark.usefixtures("kernel")


def small(threads=1, seed=5):
    reset(threads, seed)
    cells = nest.Create("iaf_psc_delta", 30, {"I_e": 400.0})
    noise = nest.Create("poisson_generator", 2, {"rate": 2000.0})
    spec = {"weight": nest.random.uniform(0.1, 0.2), "delay": nest.random.uniform(1.0, 4.0)}
    rule = {"rule": "fixed_indegree", "indegree": 5, "allow_multapses": False}
    nest.Connect(cells, cells, rule, spec)
    nest.Connect(noise, cells, syn_spec={"weight": 0.5, "delay": 1.0})
    return ann_ckpt.nest.network({"cells": cells}, devices={"noise": noise})


def by_key():
    """Weights and delays by source, target and port on its thread, as NEST has them."""
    connections = nest.GetConnections(synapse_model="static_synapse")
    found = connections.get(["source", "target", "port", "weight", "delay"])
    return {(s, t, p): (w, d) for s, t, p, w, d in zip(*found.values(), strict=True)}


@pytest.mark.torture
def test_with_four_threads_no_weight_is_at_another_synapse(tmp_path, rounds):
    """NEST lists connections in another order each time; what is loaded ends where it was, fifty times."""
    network = small(threads=4)
    network.simulate(5.0)
    before = by_key()
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    for _ in range(50):
        connections = nest.GetConnections(synapse_model="static_synapse")
        connections.weight = 0.0
        ann_ckpt.load(tmp_path / "net.h5", network=network)
        assert by_key() == before
    for _ in range(50 if rounds > 1 else 3):
        reset()
        ann_ckpt.nest.build(tmp_path / "net.h5")
        nest.Simulate(0.1)
        # Ports count synapses of one source on a thread, which are connected in another order now.
        assert {key[:2]: values for key, values in by_key().items()} == {k[:2]: v for k, v in before.items()}


@pytest.mark.torture
def test_a_save_takes_less_than_three_times_the_memory(tmp_path, rounds):
    """At its peak less than three times what the process had with the network built."""
    count = 1_000_000 if rounds > 1 else 100_000
    said = subprocess.run(
        [sys.executable, "-m", "tests.nest.memory", str(count), tmp_path / "net.h5"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    built, peak = map(int, said.split()[-2:])
    assert peak < 3 * built
    with ann_ckpt.open(tmp_path / "net.h5") as checkpoint:
        assert checkpoint.projections["cells_to_cells.static_synapse"].n_synapses == count


def test_checkpoints_do_not_change_a_run(tmp_path):
    """Interrupted at the end of slices, a run with two generators draws the same random numbers."""
    network = small()
    nest.Simulate(40.0)
    through = network.populations["cells"].V_m
    network = small()
    assert nest.min_delay == 1.0
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "w") as store, store.every(7.7, network=network):
        network.simulate(40.0)
    assert network.populations["cells"].V_m == through
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "r") as store:
        steps = [checkpoint.time_step for checkpoint in store]
    assert steps == [80, 160, 240, 310, 390]  # where the slices end that 7.7, 15.4, ... ms are in


def test_a_run_is_resumed_from_a_store(tmp_path):
    """The network's time goes on where the file stood, though the kernel's does not."""
    network = small()
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "w") as store, store.every(10, network=network):
        network.simulate(20.0)
    network = small(seed=6)
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "a") as store:
        with pytest.raises(MismatchError):  # another seed, other synapses
            store.resume(network=network)
        assert network.time == 0.0
    reset()
    network = ann_ckpt.nest.build(tmp_path / "run.ckpt")
    assert (network.time, nest.biological_time) == (20.0, 0.0)
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "a") as store, store.every(10, network=network):
        network.simulate(20.0)
    assert (network.time, nest.biological_time) == (40.0, 20.0)


def test_other_synapses_are_refused_with_the_reason(tmp_path):
    network = small()
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    network = small(seed=6)
    before = by_key()
    with pytest.raises(MismatchError, match="one by one"):
        ann_ckpt.load(tmp_path / "net.h5", network=network)
    assert by_key() == before


@pytest.mark.parametrize("simulated", [True, False])
def test_delays_that_a_kernel_does_not_take_are_refused(tmp_path, simulated):
    """Once simulated it has settled on the shortest and the longest one; before, the script can choose."""
    network = small()
    if simulated:
        network.simulate(1.0)
    state = simulator_for(network).read().state.in_memory()
    name = "cells_to_cells.static_synapse"
    far = replace(state.projections[name], delays=np.asarray(state.projections[name].delays) + 40)
    ann_ckpt.write(replace(state, projections={**state.projections, name: far}), tmp_path / "net.h5")
    before = by_key()
    why = (
        "a kernel takes no others than its 10 to 40 once" if simulated else "the kernel are 10 to 40; connect"
    )
    with pytest.raises(MismatchError, match=why):
        ann_ckpt.load(tmp_path / "net.h5", network=network)
    assert by_key() == before


def test_values_that_nest_refuses_change_nothing(tmp_path):
    """A reset above the threshold is found before the first neuron is set."""
    network = moved()
    state = simulator_for(network).read().state.in_memory()
    cells = state.populations["cells"]
    wrong = np.asarray(cells["V_reset"]).copy()
    wrong[7] = 30.0
    cells = replace(cells, parameters={**cells.parameters, "V_reset": wrong})
    ann_ckpt.write(replace(state, populations={"cells": cells}), tmp_path / "net.h5")
    before = network.populations["cells"].get(["V_th", "V_reset", "V_m"])
    with pytest.raises(MismatchError, match="neuron 7"):
        ann_ckpt.load(tmp_path / "net.h5", network=network)
    assert network.populations["cells"].get(["V_th", "V_reset", "V_m"]) == before


@pytest.mark.parametrize("used", [True, False])
def test_a_recorder_of_the_user_keeps_what_its_model_was_told(tmp_path, used):
    """Copies of a recorder's model are one with it: nothing may be tried on them."""
    network = cond_exp()
    nest.SetDefaults("spike_recorder", {"time_in_steps": used})
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    ann_ckpt.load(tmp_path / "net.h5", network=network)
    state = simulator_for(network).read().state.in_memory()
    meter = state.populations["meter"]
    later = replace(meter, parameters={**meter.parameters, "stop": np.array([50.0])})
    ann_ckpt.write(replace(state, populations={**state.populations, "meter": later}), tmp_path / "later.h5")
    ann_ckpt.load(tmp_path / "later.h5", network=network)
    assert network.devices["meter"].stop == 50.0
    assert nest.GetDefaults("spike_recorder")["time_in_steps"] is used
    made = nest.Create("spike_recorder")
    assert made.time_in_steps is used


def test_a_recorder_can_be_made_after_a_run_that_was_saved(tmp_path):
    network = cond_exp()
    network.simulate(1.0)
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    network.simulate(1.0)
    for model in ("spike_recorder", "multimeter"):
        assert nest.Create(model).n_events == 0


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("stop", 0.05, "stop is no multiple of the step"),
        ("stop", 1.0, "stop >= start required"),
        ("interval", 0.0, "interval is below the step"),
        ("interval", 0.15, "interval is no multiple of the step"),
        ("interval", 2.0, "sets no other interval once something is recorded"),
        ("offset", 1.0, "sets no other offset once something is recorded"),
        ("offset", -1.0, "offset has a time before 0"),
    ],
)
def test_what_nest_refuses_of_a_recorder_changes_nothing(tmp_path, name, value, words):
    network = cond_exp()
    state = simulator_for(network).read().state.in_memory()
    meter = state.populations["meter"]
    wrong = replace(meter, parameters={**meter.parameters, "start": np.array([2.0]), name: np.array([value])})
    ann_ckpt.write(replace(state, populations={**state.populations, "meter": wrong}), tmp_path / "net.h5")
    before = network.devices["meter"].get()
    with pytest.raises(MismatchError, match=words):
        ann_ckpt.load(tmp_path / "net.h5", network=network)
    after = network.devices["meter"].get()
    assert {n: after[n] for n in after if n != "events"} == {n: before[n] for n in before if n != "events"}


def test_a_recorder_that_records_nothing_yet_takes_another_interval(tmp_path):
    network = cond_exp()
    free = nest.Create("multimeter")
    network = ann_ckpt.nest.network(dict(network.populations), devices={"free": free})
    state = simulator_for(network).read().state.in_memory()
    stored = state.populations["free"]
    other = {"interval": np.array([2.0]), "offset": np.array([0.5]), "start": np.array([3.0])}
    other = replace(stored, parameters={**stored.parameters, **other})
    ann_ckpt.write(replace(state, populations={**state.populations, "free": other}), tmp_path / "net.h5")
    ann_ckpt.load(tmp_path / "net.h5", network=network)
    assert (free.interval, free.offset, free.start) == (2.0, 0.5, 3.0)


def test_reading_changes_nothing(tmp_path):
    """Not the last bit of a potential that is kept relative to another one."""
    network = relative()
    twin = relative()
    network = relative()
    nest.Simulate(10.0)
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    nest.Simulate(10.0)
    read = network.populations["cells"].V_m
    twin = relative()
    nest.Simulate(10.0)
    nest.Simulate(10.0)
    assert twin.populations["cells"].V_m == read


def test_devices_are_on_when_they_would_be(tmp_path):
    """After a build at 20 ms, what is on from 30 to 50 ms is on from 10 to 30 ms of the kernel."""
    reset()
    cells = nest.Create("iaf_psc_delta", 2)
    noise = nest.Create(
        "poisson_generator", params={"rate": 2000.0, "start": 10.0, "stop": 30.0, "origin": 20.0}
    )
    given = nest.Create(
        "spike_generator", params={"spike_times": [5.0, 25.0, 40.5], "spike_weights": [1.0, 2.0, 3.0]}
    )
    steps = nest.Create("step_current_generator")
    steps.set(amplitude_times=[1.0, 10.0, 50.0], amplitude_values=[5.0, 6.0, 7.0])
    for device in (noise, given, steps):
        nest.Connect(device, cells)
    network = ann_ckpt.nest.network(
        {"cells": cells}, devices={"noise": noise, "given": given, "steps": steps}
    )
    network.simulate(20.0)
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    reset()
    network = ann_ckpt.nest.build(tmp_path / "net.h5")
    devices = network.devices
    assert devices["noise"].get(["origin", "start", "stop"]) == {"origin": 0.0, "start": 10.0, "stop": 30.0}
    np.testing.assert_allclose(devices["given"].spike_times, [5.0, 20.5])
    assert devices["given"].spike_weights.tolist() == [2.0, 3.0]
    np.testing.assert_allclose(devices["steps"].amplitude_times, [0.1, 30.0])
    assert devices["steps"].amplitude_values.tolist() == [6.0, 7.0]
    state = simulator_for(network).read().state
    assert np.asarray(state.populations["noise"]["origin"]).tolist() == [20.0]
    assert np.asarray(state.populations["given"].dynamics["spike_times"]).tolist() == [5.0, 25.0, 40.5]
    network.devices["noise"].start = 5.0  # whoever sets it now means the kernel's clock
    assert np.asarray(simulator_for(network).read().state.populations["noise"]["start"]).tolist() == [5.0]


@pytest.mark.parametrize(
    ("populations", "words"),
    [
        (lambda a, b: {"a": a, "b": a[1:]}, "is in 'a' and in 'b'"),
        (lambda a, b: {"a": [1, 2]}, "list, no NodeCollection"),
        (lambda a, b: {"a": a + b}, "several models"),
        (lambda a, b: {1: a}, "the name 1 is of the type int"),
        (lambda a, b: [a, b], "a mapping of names to NodeCollections, not a list"),
    ],
)
def test_names_that_make_no_sense_are_refused(populations, words):
    a, b = nest.Create("iaf_psc_delta", 3), nest.Create("iaf_psc_exp", 3)
    with pytest.raises(OptionError, match=words):
        ann_ckpt.nest.network(populations(a, b))


def test_neurons_and_devices_are_named_apart():
    """Else times of devices would not move with the network's clock, and neurons would not be replayed."""
    cells, noise = nest.Create("iaf_psc_delta", 3), nest.Create("poisson_generator")
    with pytest.raises(OptionError, match="'noise' stands in populations=, and poisson_generator belongs"):
        ann_ckpt.nest.network({"cells": cells, "noise": noise})
    with pytest.raises(OptionError, match="'cells' stands in devices=, and iaf_psc_delta belongs"):
        ann_ckpt.nest.network({}, devices={"cells": cells})
    with pytest.raises(OptionError, match="'spikes' stands in populations="):
        ann_ckpt.nest.network({"spikes": nest.Create("spike_recorder")})


@pytest.mark.parametrize("duration", ["a", None, np.nan, np.inf, -1.0, 0.05, 0.25, 1e30, 100 * 2.0**60])
def test_a_duration_that_nest_cannot_simulate_leaves_the_kernel_as_it_was(duration):
    """NEST itself would leave it prepared, and never simulate again."""
    network = small()
    with pytest.raises(OptionError, match="duration= takes"):
        network.simulate(duration)
    network.simulate(np.float64(0.1))
    network.simulate(0.1 + 0.2)
    assert network.kernel_step == 4


@pytest.mark.parametrize("duration", ["a", None, np.nan, np.inf, -1.0, 0.0])
def test_no_more_can_be_kept_than_there_is_a_number_for(duration):
    network = small()
    with pytest.raises(OptionError, match=r"duration= takes|at least one step"):
        network.keep(duration)
    assert network.keeping is None


def test_a_network_of_a_kernel_that_was_reset_is_refused():
    """The time is that of other nodes by now, and so is what would be simulated."""
    network = small()
    simulator = simulator_for(network)
    small(seed=6)
    for call in (
        lambda: network.simulate(1.0),
        lambda: network.time,
        lambda: network.step,
        simulator.read,
        simulator.clock,
    ):
        with pytest.raises(SimulatorError, match="the kernel was reset"):
            call()
    assert nest.biological_time == 0.0


def test_a_network_is_built_in_an_empty_kernel_only(tmp_path):
    network = small()
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    with pytest.raises(SimulatorError, match="ResetKernel"):
        ann_ckpt.nest.build(tmp_path / "net.h5")
    assert nest.network_size == 32
    reset()
    with pytest.raises(SimulatorError, match="was reset"):
        ann_ckpt.save(tmp_path / "net.h5", network=network)


@pytest.mark.parametrize("spoil", ["values", "settings"])
def test_a_file_that_cannot_be_built_leaves_the_kernel_empty(tmp_path, spoil):
    ann_ckpt.save(tmp_path / "net.h5", network=small(), compression="none")
    if spoil == "values":
        weights = np.sort(nest.GetConnections().weight)[
            -1:
        ].tobytes()  # one of them, as it stands in the file
        data = (tmp_path / "net.h5").read_bytes()
        (tmp_path / "net.h5").write_bytes(data.replace(weights, bytes(8)))
    else:
        state = ann_ckpt.read(tmp_path / "net.h5")
        about = dict(state.metadata[METADATA])
        about["kernel"] = {**about["kernel"], "no_such_setting": 1.0}
        ann_ckpt.write(replace(state, metadata={**state.metadata, METADATA: about}), tmp_path / "net.h5")
    reset()
    with pytest.raises(CorruptFileError if spoil == "values" else SimulatorError):
        ann_ckpt.nest.build(tmp_path / "net.h5")
    assert nest.network_size == 0


@pytest.mark.parametrize("other", [False, True])
def test_what_all_synapses_have_the_same_of_leaves_the_model_as_it_was(tmp_path, other):
    """Inhibitory bounds, refused with the weight of the model; -0.0; one that differs."""
    cells = nest.Create("iaf_psc_exp", 6)
    spec = {"synapse_model": "stdp_synapse", "weight": -1.5, "Wmax": -2.0, "tau_plus": 12.0, "mu_plus": -0.0}
    nest.Connect(cells, cells, "all_to_all", spec)
    if other:
        nest.Connect(cells[0], cells[1], "all_to_all", {**spec, "tau_plus": 13.0, "mu_plus": 0.0})
    ann_ckpt.save(tmp_path / "net.h5", network=ann_ckpt.nest.network({"cells": cells}))
    names = ["source", "target", "weight", "delay", "Wmax", "tau_plus", "mu_plus", "lambda"]
    there = sorted(map(repr, zip(*nest.GetConnections().get(names).values(), strict=True)))
    reset()
    before = nest.GetDefaults("stdp_synapse")
    ann_ckpt.nest.build(tmp_path / "net.h5")
    found = nest.GetConnections().get(names)
    assert sorted(map(repr, zip(*found.values(), strict=True))) == there
    assert ("0.0" in map(repr, found["mu_plus"])) == other
    after = nest.GetDefaults("stdp_synapse")
    assert {**after, "num_connections": 0} == before


def one_receptor(threads=1):
    reset(threads)
    cells = nest.Create("aeif_cond_alpha_multisynapse", 4, {"tau_syn": [1.0, 2.0], "E_rev": [0.0, -85.0]})
    nest.Connect(cells, cells, "all_to_all", {"receptor_type": 2, "weight": 1.5})
    return ann_ckpt.nest.network({"cells": cells})


@pytest.mark.parametrize("make", [several, one_receptor])
def test_synapses_are_connected_in_blocks_of_any_size(make, tmp_path, monkeypatch):
    """Receptors, and three synapses between the same two neurons, each with its own weight and delay."""

    def synapses():
        names = ["source", "target", "receptor", "weight", "delay"]
        connections = nest.GetConnections(synapse_model="static_synapse")
        return sorted(zip(*connections.get(names).values(), strict=True))

    ann_ckpt.save(tmp_path / "net.h5", network=make(threads=2))
    there = synapses()
    monkeypatch.setattr(building, "_AT_ONCE", 7)
    reset()
    network = ann_ckpt.nest.build(tmp_path / "net.h5")
    assert synapses() == there
    ann_ckpt.save(tmp_path / "again.h5", network=network)
    assert ann_ckpt.diff(tmp_path / "net.h5", tmp_path / "again.h5").same


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.integers(0, 9), st.integers(0, 2**32 - 1)), max_size=40))
def test_synapses_are_connected_in_a_stable_order(numbers):
    """Those of one source stay in the order of the file."""
    numbers = np.array(numbers, np.int64)
    assert np.array_equal(stable_order(numbers), np.argsort(numbers, kind="stable"))


def test_nodes_without_a_name_are_told(tmp_path):
    network = small()
    others = nest.Create("iaf_psc_delta", 3)
    nest.Connect(others, network.populations["cells"])
    report = ann_ckpt.save(tmp_path / "net.h5", network=network)
    said = [note.text for note in report.skipped]
    assert "3 nodes of the kernel have no name here; they are not saved" in said
    assert "90 synapses of nodes without a name are not saved" in said
