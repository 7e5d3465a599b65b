"""What does not fit is refused with all reasons and nothing changed; what Brian's own files do instead.

Of a test whose name begins with ``brian``, the comment says what ``store`` and ``restore`` do.
"""

from __future__ import annotations

import copy
import re
from dataclasses import replace

import brian2
import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms, mV
from brian2.synapses.spikequeue import SpikeQueue

import ann_ckpt
from ann_ckpt import CheckpointStore, differences
from ann_ckpt.adapters.brian2.projection import _set_queue, _slots
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.errors import MismatchError, OptionError, SimulatorError
from ann_ckpt.testing import rewired
from ann_ckpt.transfer import load_into
from tests.brian2.networks import (
    NAMES,
    NAMES_OF_SYNAPSES,
    NETWORKS,
    named,
    neurons,
    noisy,
    plastic,
)


def small(n=3, unit="volt", *, name="cells", more="", dt=None):
    group = NeuronGroup(n, f"v : {unit}\nu : 1 (constant)\n{more}", name=name, dt=dt)
    group.v_ = np.arange(n)
    return Network(group)


@pytest.fixture
def saved(tmp_path):
    def save(network):
        ann_ckpt.save(tmp_path / "net.h5", network=network)
        return tmp_path / "net.h5"

    return save


def refused(path, network, **options):
    """Load what does not fit; return the problems, after a look at whether anything changed."""
    before = copy.deepcopy(simulator_for(network).read().state.in_memory())
    with pytest.raises(MismatchError) as caught:
        ann_ckpt.load(path, network=network, **options)
    assert not list(differences(before, simulator_for(network).read().state))
    return [str(problem) for problem in caught.value.report.problems]


@pytest.mark.parametrize("n", [1, 5])
def test_brian_broadcasts_one_neuron_and_stops_half_way_with_five(saved, n):
    (problem,) = refused(saved(small(n)), small(10))
    assert problem == f"populations/cells: geometry ({n},) in the file, (10,) in the network"


def test_brian_takes_volts_for_amperes(saved):
    (problem,) = refused(saved(small(unit="volt")), small(unit="amp"))
    assert problem == "populations/cells/v: unit 'V' in the file, 'A' in the network"


def test_brian_takes_volts_for_numbers(saved):
    assert refused(saved(small(unit="volt")), small(unit="1"))


def test_brian_keeps_what_a_file_lacks_and_knows_not_what_it_has_too_much(saved):
    with_more, without = small(more="extra : 1"), small()
    assert refused(saved(with_more), without) == [
        "populations/cells/extra: the network has no such attribute"
    ]
    assert refused(saved(without), with_more) == ["populations/cells/extra: the file has no such attribute"]


def test_brian_lets_the_step_of_a_file_replace_that_of_the_network(saved):
    path = saved(small())
    brian2.defaultclock.dt = 0.2 * ms
    assert "dt: 0.1 ms in the file, 0.2 ms in the network" in refused(path, small())
    assert brian2.defaultclock.dt == 0.2 * ms


def test_each_clock_is_compared(saved):
    def network(dt):
        group = neurons()
        group.run_regularly("v += 1*mV", dt=dt, name="kick")
        return Network(group)

    (problem,) = refused(saved(network(1 * ms)), network(0.5 * ms))
    assert problem.endswith("kick has steps of 1 ms in the file, 0.5 ms in the network")


def test_brian_rounds_values_in_silence(saved):
    path = saved(small())
    brian2.prefs.core.default_float_dtype = np.float32
    try:
        report = ann_ckpt.load(path, network=small())
    finally:
        brian2.prefs.core.default_float_dtype = np.float64
    assert any("float64 in the file, float32 in the network, rounded" in str(note) for note in report.cast)


def test_brian_does_not_store_what_is_inactive(saved):
    network = noisy(1)
    network["kick"].active = False
    path, other = saved(network), noisy(2)
    ann_ckpt.load(path, network=other)
    assert not other["kick"].active
    assert other["toggle"].active


def test_brian_loses_all_snapshots_when_it_is_killed_and_writes_them_all_again_each_time(tmp_path):
    network = plastic(1)
    with CheckpointStore(tmp_path / "run.ckpt", mode="w") as store:
        for _ in range(3):
            network.run(1 * ms)
            store.save(network)
        before = {p: p.stat().st_mtime_ns for p in (tmp_path / "run.ckpt").rglob("*.h5")}
        assert [checkpoint.time_step for checkpoint in store] == [10, 20, 30]
        store.save(network)
    assert all(p.stat().st_mtime_ns == when for p, when in before.items() if p.exists())


def test_brian_stores_pickles(saved):
    assert saved(plastic(1)).read_bytes()[:4] == b"\x89HDF"


def test_brian_restores_no_random_numbers_unless_asked_to(saved):
    network = noisy(1)
    network.run(2 * ms)
    path = saved(network)
    network.run(2 * ms)
    other = noisy(2)
    ann_ckpt.load(path, network=other)
    other.run(2 * ms)
    assert np.array_equal(network["neurons"].v_[:], other["neurons"].v_[:])
    assert str(ann_ckpt.read(path).resume) == "exact"


def test_brian_restores_arrays_of_spikes_and_not_what_is_made_of_them(saved):
    def network(indices, times):
        return Network(SpikeGeneratorGroup(4, indices, times * ms, name="given"))

    one, other = network([0, 1, 2], [1, 2, 3]), network([3], [2])
    one.run(1.5 * ms)
    ann_ckpt.load(saved(one), network=other)
    given = other["given"]
    assert (
        given._spike_time.tolist() == given.variables["spike_time"].get_value().tolist() == [1e-3, 2e-3, 3e-3]
    )
    assert given._neuron_index.tolist() == given.variables["neuron_index"].get_value().tolist() == [0, 1, 2]
    spikes = brian2.SpikeMonitor(given)
    other.add(spikes)
    other.run(2 * ms)
    assert spikes.i[:].tolist() == [1, 2]


def test_brian_writes_buffers_of_twenty_thousand_numbers_each(saved):
    assert saved(small()).stat().st_size < 100_000


def test_units_equations_and_versions_are_in_the_file(saved):
    path = saved(plastic(1))
    state = ann_ckpt.read(path)
    kind = state.populations["neurons"].neuron_type
    assert kind.attributes["v"].unit == "V"
    assert "dv/dt" in kind.texts["equations"]
    assert kind.texts["threshold"] == "v > 20*mV"
    synapses = state.projections["synapses"].synapse_type
    assert synapses.texts["pre, on pre"].startswith("v_post += w*rand()")
    with ann_ckpt.open(path) as checkpoint:
        assert checkpoint.provenance["simulator"] == f"Brian2 {brian2.__version__}"


def test_all_problems_are_told_at_once(saved):
    path = saved(small(5, more="extra : 1\nodd : volt"))
    brian2.defaultclock.dt = 0.2 * ms
    network = small(5, unit="amp", more="other : 1\nodd : amp")
    problems = refused(path, network)
    assert {problem.split(":")[0] for problem in problems} == {
        "dt",
        "populations/cells/extra",
        "populations/cells/odd",
        "populations/cells/other",
        "populations/cells/v",
    }


def test_automatic_names_that_differ_are_suggested(saved):
    def network(name):
        group = NeuronGroup(3, "v : volt", threshold="v > 1*volt", name=name)
        synapses = Synapses(group, group, "w : 1", name=name.replace("neurongroup", "synapses"))
        synapses.connect()
        return Network(group, synapses)

    path, other = saved(network("neurongroup_3")), network("neurongroup_7")
    with pytest.raises(MismatchError, match="neurongroup_7") as caught:
        ann_ckpt.load(path, network=other)
    names = {"neurongroup_3": "neurongroup_7", "synapses_3": "synapses_7"}
    assert str(names) in caught.value.details["hint"]
    assert not ann_ckpt.load(path, network=other, names=names).problems


def test_constants_from_outside_are_compared(saved):
    def network(tau, seed):
        stimulus = brian2.TimedArray(np.random.default_rng(seed).random(5) * mV, dt=1 * ms)
        group = NeuronGroup(
            2,
            "dv/dt = (stimulus(t) - v)/tau : volt",
            name="cells",
            method="euler",
            namespace={"tau": tau, "stimulus": stimulus},
        )
        return Network(group)

    report = ann_ckpt.load(saved(network(10 * ms, 1)), network=network(20 * ms, 2))
    texts = [str(note) for note in report.notes]
    assert any("'constant tau'" in text for text in texts)
    assert any("'constant stimulus'" in text for text in texts)
    report = ann_ckpt.load(saved(network(10 * ms, 1)), network=network(10 * ms, 1))
    assert not any("constant" in str(note) for note in report.notes)


def test_delays_that_a_network_cannot_have_are_refused(saved):
    def network(*, one_for_all):
        brian2.seed(3)
        group = neurons()
        delay = {"delay": 1 * ms} if one_for_all else {}
        synapses = Synapses(group, group, on_pre="v_post += 1*mV", name="synapses", **delay)
        synapses.connect(j="i")
        if not one_for_all:
            synapses.delay = "rand()*3*ms"
        return Network(group, synapses)

    problems = refused(saved(network(one_for_all=False)), network(one_for_all=True))
    assert any("one delay for all synapses here" in problem for problem in problems)
    other = network(one_for_all=False)
    ann_ckpt.load(saved(network(one_for_all=True)), network=other)
    assert np.all(other["synapses"].delay == 1 * ms)


def test_delays_that_a_file_does_not_know_stay(saved):
    def network():
        group = neurons()
        synapses = Synapses(group, group, on_pre="v_post += 1*mV", name="synapses", delay=1 * ms)
        synapses.connect(condition="i != j")
        return Network(group, synapses)

    state = ann_ckpt.read(saved(network()))
    unknown = replace(rewired(state.projections["synapses"]), delays=None, pathway_delays={})
    other = network()
    load_into(simulator_for(other), Reading(replace(state, projections={"synapses": unknown})))
    assert len(other["synapses"]) == unknown.connectivity.n_synapses < 15 * 14
    assert np.all(other["synapses"].delay == 1 * ms)


def test_synapses_that_were_never_made_are_those_of_the_file(saved):
    def network(*, connect):
        group = neurons()
        synapses = Synapses(group, group, "w : volt", on_pre="v_post += w", name="synapses")
        if connect:
            synapses.connect(p=0.5)
            synapses.w = "rand()*mV"
        return Network(group, synapses)

    one, other = network(connect=True), network(connect=False)
    ann_ckpt.load(saved(one), network=other)
    assert np.array_equal(other["synapses"].w_[:], one["synapses"].w_[:])
    assert np.array_equal(other["synapses"].N_incoming[:], one["synapses"].N_incoming[:])
    other.run(1 * ms)
    other["synapses"].w = "2*w"  # Brian lets nobody write to synapses that were never made


def test_ranks_outside_of_a_part_are_refused():
    simulator = simulator_for(NETWORKS["driven"](1))
    first = simulator.read().state.projections["first"]
    there = first.connectivity
    other = replace(first, post_view=None, connectivity=replace(there, post_ranks=there.post_ranks - 5))
    assert "outside of the subgroup" in simulator.refusal(other)


def test_queues_of_nobody_and_more_synapses_than_brian_numbers_are_refused(monkeypatch):
    simulator = simulator_for(plastic(1))
    synapses = simulator.read().state.projections["synapses"]
    queue = {"other.queue": np.zeros(0, np.int32), "other.queue.sizes": np.zeros(3, np.int32)}
    other = replace(synapses, dynamics={**synapses.dynamics, **queue})
    assert simulator.refuse_dynamics(other) == "the network has no other.queue"
    assert simulator.refusal(synapses) is None
    monkeypatch.setattr("ann_ckpt.adapters.brian2.projection._MOST", 3)
    assert "Brian2 numbers them up to 3" in simulator.refusal(synapses)


def test_synapses_onto_synapses_are_counted_again(saved):
    one, other = NETWORKS["coupled"](1), NETWORKS["coupled"](2)
    ann_ckpt.load(saved(one), network=other)
    for name in ("N_incoming", "N_outgoing"):
        ours, theirs = (n["onto"].variables[name].get_value() for n in (one, other))
        assert np.array_equal(ours, theirs)


def test_delays_that_are_no_whole_steps_come_back_in_every_bit(saved):
    network = plastic(1)
    other = plastic(2)
    ann_ckpt.load(saved(network), network=other)
    for pathway in ("pre", "later", "post"):
        ours, theirs = (
            getattr(n["synapses"], pathway).variables["delay"].get_value() for n in (network, other)
        )
        assert np.array_equal(ours, theirs)


def test_one_delay_among_many_comes_back(saved):
    def network(seventh):
        group = neurons()
        synapses = Synapses(group, group, on_pre="v_post += 1*mV", name="synapses")
        synapses.connect(j="i")
        synapses.delay = 1 * ms
        synapses.delay[7] = seventh * ms
        return Network(group, synapses)

    one, other = network(2), network(1)
    ann_ckpt.load(saved(one), network=other)
    assert np.array_equal(other["synapses"].delay_[:], one["synapses"].delay_[:])


def test_a_time_between_two_steps_comes_back(saved):
    one, other = NETWORKS["clocks"](1), NETWORKS["clocks"](2)
    one.run(0.25 * ms)
    other.run(1 * ms)
    ann_ckpt.load(saved(one), network=other)
    assert one.t_ % one["reference"].clock.dt_ > 0
    assert other.t_ == one.t_
    for name in ("reference", "fast", "slow", "slow_kick"):
        here, there = (network[name].clock for network in (other, one))
        assert (here.t_, here.timestep[:].tolist()) == (there.t_, there.timestep[:].tolist())


def test_variables_may_have_names_that_brian_uses_elsewhere(saved):
    one, other = named(1), named(2)
    path = saved(one)
    state = ann_ckpt.read(path)
    assert state.populations["cells"].variables.keys() == {*NAMES}
    assert {*NAMES_OF_SYNAPSES} <= state.projections["synapses"].variables.keys()
    assert state.projections["synapses"].post_view is None
    report = ann_ckpt.load(path, network=other)
    assert not [note for note in report.notes if note.path.startswith("monitors")]
    assert not list(differences(state, simulator_for(other).read().state))


@pytest.mark.parametrize("own", [False, True])
def test_a_time_that_is_no_multiple_of_the_dt_before_is_set(saved, own):
    def network():
        brian2.defaultclock.dt = 0.1 * ms
        group = neurons(dt=0.1 * ms if own else None)
        group.clock.dt = 0.05 * ms
        return Network(group)

    one = network()
    one.run(10.05 * ms)
    path, other = saved(one), network()
    ann_ckpt.load(path, network=other)
    assert other["neurons"].clock.timestep == one["neurons"].clock.timestep == 201
    assert other.t_ == one.t_


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("projections/synapses/dynamics/pre.queue", 10**6, "pre.queue names synapses"),
        ("projections/synapses/dynamics/pre.queue.sizes", -1, "sizes that say otherwise"),
        ("populations/neurons/dynamics/_spikespace", 99, "_spikespace names neurons"),
        ("dynamics/random.twister", 2**32 - 1, "not the state of a Mersenne twister"),
        ("dynamics/t.rest", -1.0, "t.rest is more than a step"),
    ],
)
def test_indices_that_compiled_code_would_follow_anywhere_are_refused(saved, where, value, said):
    network = plastic(1)
    network.run(20 * ms)
    file = saved(network)
    state = owner = ann_ckpt.read(file)
    *path, _, name = where.split("/")
    for part in path:
        owner = owner[part] if isinstance(owner, dict) else getattr(owner, part)
    owner.dynamics[name].reshape(-1)[-1] = value
    ann_ckpt.write(state, file)
    assert any(said in problem for problem in refused(file, plastic(2)))


@pytest.mark.parametrize("neuron", [-1, 15])
def test_spikes_of_neurons_that_do_not_exist_are_refused(saved, neuron):
    file = saved(plastic(1))
    state = ann_ckpt.read(file)
    spikes = state.populations["neurons"].dynamics["_spikespace"]
    assert spikes.size == 15 + 1
    spikes[0], spikes[-1] = neuron, 1
    ann_ckpt.write(state, file)
    assert any("_spikespace names neurons" in problem for problem in refused(file, plastic(2)))


def test_a_network_in_standalone_mode_is_refused(monkeypatch):
    network = small()
    device = brian2.get_device()
    from brian2.devices.cpp_standalone import cpp_standalone_device

    monkeypatch.setattr(brian2, "get_device", lambda: cpp_standalone_device)
    with pytest.raises(SimulatorError, match="standalone"):
        simulator_for(network)
    assert device is not cpp_standalone_device


@pytest.mark.parametrize("made", [lambda group: group, lambda group: [group], lambda group: {group}])
def test_objects_without_a_network_are_refused(tmp_path, made):
    with pytest.raises(SimulatorError, match="is not a network of Brian2"):
        ann_ckpt.save(tmp_path / "net.h5", network=made(neurons()))


def test_a_period_with_a_unit_is_refused(tmp_path):
    """It would be a number of seconds."""
    with (
        CheckpointStore(tmp_path / "run.ckpt", "w") as store,
        pytest.raises(OptionError, match="plain number of ms"),
    ):
        store.every(1 * ms, network=small())


@pytest.mark.parametrize("flags", [np.ones(5, np.bool_), np.ones((2, 1), np.bool_), np.ones(2, np.int8)])
def test_flags_of_other_parts_are_refused(saved, flags):
    cells = ann_ckpt.read(saved(small())).populations["cells"]
    other = replace(cells, dynamics={**cells.dynamics, "active": flags})
    reason = simulator_for(small()).refuse_dynamics(other)
    assert reason == f"active is {flags.dtype} of the shape {flags.shape} in the file, for 2 parts here"


def test_compartments_of_another_morphology_are_refused(saved):
    def network(points):
        morphology = brian2.Cylinder(length=100 * brian2.um, diameter=2 * brian2.um, n=points[0])
        morphology.left = brian2.Cylinder(length=60 * brian2.um, diameter=1 * brian2.um, n=points[1])
        cell = brian2.SpatialNeuron(
            morphology, "Im = 0*amp/meter**2 : amp/meter**2", method="exponential_euler", name="cell"
        )
        return Network(cell)

    one = network((6, 4))
    assert not ann_ckpt.load(saved(one), network=network((6, 4))).problems
    problems = refused(saved(one), network((5, 5)))
    assert any("which says how the model is built" in problem for problem in problems)


def test_delays_that_contradict_each_other_are_refused(saved):
    network = plastic(1)
    state = ann_ckpt.read(saved(network))
    projection = state.projections["synapses"]
    other = replace(projection, delays=np.asarray(projection.delays) + 1)
    reason = simulator_for(network).refusal(other)
    assert reason == "the delays in steps and those of the pathway pre in s say different things"
    far = replace(projection, delays=None, pathway_delays={"pre": np.array(1e9)})
    assert "delays of the pathway pre from 1000000000.0 to 1000000000.0 s" in simulator_for(network).refusal(
        far
    )


if hasattr(brian2, "EventClock"):

    def test_other_times_of_what_runs_at_certain_times_are_refused(saved):
        def network(times):
            group = neurons()
            group.run_at("v = 0*mV", times=times * ms, name="kick")
            return Network(group)

        assert not ann_ckpt.load(saved(network([1, 2])), network=network([1, 2])).problems
        (problem,) = refused(saved(network([1, 2])), network([1, 3]))
        assert problem.endswith("kick runs at other times in the file than here")


def test_synapses_at_synapses_that_do_not_exist_are_refused(tmp_path, saved):
    state = ann_ckpt.read(saved(NETWORKS["coupled"](1)))
    fewer = replace(state, projections={**state.projections, "slow": rewired(state.projections["slow"])})
    ann_ckpt.write(fewer, tmp_path / "fewer.h5")
    whole = refused(tmp_path / "fewer.h5", NETWORKS["coupled"](2))
    assert [problem.split(":")[0] for problem in whole] == ["projections/onto", "projections/slow"]
    (only,) = refused(tmp_path / "fewer.h5", NETWORKS["coupled"](2), projections=["slow"])
    said = r"projections/slow: cannot be rebuilt: onto would end at synapse \d+ of slow, which would have \d+"
    assert re.fullmatch(said, only)


def test_synapses_onto_synapses_that_are_refused_stay_too(tmp_path):
    def network(size, **delay):
        group = neurons()
        under = Synapses(group, group, "w : 1", name="under", on_pre="w += 1", **delay)
        under.connect(i=np.arange(size), j=0)
        under.delay = 1 * ms if delay else "(1 + i)*ms"
        onto = Synapses(group, under, on_pre="w_post += 1", name="onto")
        onto.connect(i=0, j=np.arange(size))
        return Network(group, under, onto)

    ann_ckpt.save(tmp_path / "net.h5", network=network(9))
    other = network(5, delay=1 * ms)
    report = ann_ckpt.load(tmp_path / "net.h5", network=other, strict=False)
    assert {note.path for note in report.mismatched} == {"projections/under", "projections/onto"}
    assert not report.rebuilt
    assert (len(other["under"]), len(other["onto"])) == (5, 5)
    assert "populations/neurons/v" in report.loaded


def test_the_queue_in_python_is_the_queue_in_cpp():
    slots = [[], [3, 1], [2], []]
    queue = SpikeQueue(0, 4)
    _set_queue(queue, slots)
    assert _slots(queue) == slots
    queue.advance()
    assert _slots(queue) == [[3, 1], [2], [], []]
    assert queue.peek().tolist() == [3, 1]


def test_without_dynamics_what_is_on_its_way_is_dropped(saved):
    network = NETWORKS["driven"](1)
    network.run(10 * ms)
    state = ann_ckpt.read(saved(network))
    parts = {
        group: {name: replace(part, dynamics={}) for name, part in getattr(state, group).items()}
        for group in ("populations", "projections")
    }
    network["poisson"].variables["_spikespace"].get_value()[-1] = 1
    load_into(simulator_for(network), Reading(replace(state, **parts)))
    now = simulator_for(network).read().state
    assert all(part.dynamics["_spikespace"][-1] == 0 for part in now.populations.values())
    assert not any(part.dynamics["pre.queue"].size for part in now.projections.values())
    assert network["given"]._spikes_changed, "where it is in its list of spikes is found anew"
