"""The last milliseconds of a run, replayed in another kernel: what follows is the same, or said not to be."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nest
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ann_ckpt
import ann_ckpt.nest
from ann_ckpt.adapters.nest.keeping import SYNAPSE
from ann_ckpt.adapters.nest.models import EXACT, FADING, RELATIVE
from ann_ckpt.adapters.nest.solver import errors, forgotten
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.errors import OptionError, SimulatorError
from ann_ckpt.model import Exactness
from tests.nest.networks import NETWORKS, brunel, microcircuit, reset
from tests.nest.replaying import CASES, make, watched

ROOT = Path(__file__).parents[2]
LAST_BITS = {"delta_none", "alpha_short", "currents", "microcircuit"}
"""Cases whose potentials are the same but for their last digits."""
OTHER = {"none"}
NOT_SHOWN = {"strong", "short"}
"""What is promised nothing, and may be the same."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What all cases did after the save, and what new processes did that began with the files."""
    where = tmp_path_factory.mktemp("replay")
    for kind in ("saved", "resumed"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "tests.nest.replaying", kind, where, *CASES],
            cwd=ROOT,
            env={**os.environ, "OMP_WAIT_POLICY": "passive"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    return where


def after(folder, name, kind):
    with np.load(folder / f"{name}.{kind}.npz") as file:
        return file["spikes"], file["potentials"]


def said(path):
    """Exactness of the network and of each object."""
    with ann_ckpt.open(path) as checkpoint:
        state = checkpoint.state()
    objects = [*state.populations.values(), *state.projections.values()]
    return [state.resume, *(one.resume for one in objects)]


@pytest.mark.parametrize("name", CASES)
def test_a_resumed_run_is_the_uninterrupted_one_where_the_file_says_so(folder, name):
    (spikes, potentials), (others, other_potentials) = (after(folder, name, k) for k in ("saved", "resumed"))
    promised = all(resume.exactness is not Exactness.APPROXIMATE for resume in said(folder / f"{name}.h5"))
    assert spikes.shape[1] > 20
    if promised:
        assert np.array_equal(spikes, others)
        assert potentials.tobytes() == other_potentials.tobytes()
    assert promised == (name not in LAST_BITS | OTHER | NOT_SHOWN), said(folder / f"{name}.h5")


@pytest.mark.parametrize("name", sorted(LAST_BITS))
def test_what_is_called_approximate_is_another_run(folder, name):
    """It would not do to call it exact."""
    (spikes, potentials), (others, other_potentials) = (after(folder, name, k) for k in ("saved", "resumed"))
    assert np.array_equal(spikes[:, :20], others[:, :20])
    assert potentials.tobytes() != other_potentials.tobytes()


@pytest.mark.parametrize("name", sorted(OTHER))
def test_without_what_was_on_its_way_it_is_quite_another_run(folder, name):
    there, here = after(folder, name, "saved")[1], after(folder, name, "resumed")[1]
    assert np.abs(there - here).max() > 0.1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("alpha_short", "how long the last step was of the solvers"),
        ("currents", "input older than 12 ms is forgotten (e^-6)"),
        ("delta", "V_m, which NEST keeps relative to E_L"),
        ("delta_none", "the last bits of V_m, which NEST keeps relative to E_L"),
        ("short", "what began 6.1 ms ago may last, and 3 are kept"),
        ("none", "spikes on their way"),
        ("microcircuit", "input older than 50 ms is forgotten (e^-25)"),
        ("strong", "how long the last step was of the solvers"),
    ],
)
def test_the_reason_is_said(folder, name, reason):
    assert any(why.startswith(reason) for one in said(folder / f"{name}.h5") for why in one.reasons)


def test_every_model_that_may_be_exact_was_shown_to_be():
    shown = {case.model for name, case in CASES.items() if name not in LAST_BITS | OTHER | NOT_SHOWN}
    shown -= NETWORKS.keys()
    assert shown == EXACT | RELATIVE
    assert not (EXACT | RELATIVE) & FADING


# --- in one process -----------------------------------------------------------------------


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("model", ["iaf_cond_exp", "izhikevich"])
def test_it_is_loaded_into_what_the_script_makes(model, tmp_path):
    """In a new kernel and in one that was simulated; saved anew at once it is the same file."""
    network = make(model, threads=2)
    network.keep(11.0)
    network.simulate(25.4)
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    there = watched(network, 20.0)
    for before in (0.0, 7.3):
        network = make(model, threads=2)
        network.simulate(before)
        report = ann_ckpt.load(tmp_path / "net.h5", network=network)
        assert [note.path for note in report.notes] == ["populations/spikes"], report
        ann_ckpt.save(tmp_path / "again.h5", network=network)
        assert ann_ckpt.diff(tmp_path / "net.h5", tmp_path / "again.h5").same
        here = watched(network, 20.0)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(there, here, strict=True))


@pytest.mark.usefixtures("kernel")
def test_keeping_and_saving(tmp_path):
    """Saving changes nothing; of the runs themselves only the window is kept."""
    spikes = []
    for save in (False, True):
        network = make("iaf_cond_exp")
        network.keep(9.0)
        network.simulate(33.0)
        if save:
            ann_ckpt.save(tmp_path / "net.h5", network=network)
        kept = network.keeping.window().spikes
        assert kept.size
        assert kept[:, 0].min() >= 240
        network.simulate(20.0)
        kept = network.keeping.window().spikes
        assert kept[:, 0].min() >= 440
        assert network.keeping.recorder.n_events == 0
        spikes.append(network.populations["E"].V_m)
    assert spikes[0] == spikes[1]


@pytest.mark.usefixtures("kernel")
def test_short_runs_one_after_the_other(tmp_path):
    """The window reaches over several calls, and no further back than it must."""
    network = make("iaf_psc_delta")
    network.keep(8.0)
    for _ in range(12):
        network.simulate(2.0)
    window = network.keeping.window()
    assert window.origin == 160
    assert window.reseeds[:, 0].tolist() == [160, 180, 200, 220]
    ann_ckpt.save(tmp_path / "net.h5", network=network, barrier=True)
    network.simulate(4.0)
    network.simulate(6.0)
    there = network.populations["E"].V_m
    reset()
    network = ann_ckpt.nest.build(tmp_path / "net.h5")
    network.simulate(4.0)
    network.simulate(6.0)
    assert network.populations["E"].V_m == there


@pytest.mark.usefixtures("kernel")
def test_a_store_is_resumed_exactly(tmp_path):
    """Where the resumed run is saved at the same times."""
    network = make("izhikevich")
    network.keep(8.0)
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt", "w") as store, store.every(15, network=network):
        network.simulate(50.0)
    there = network.populations["E"].V_m
    reset()
    network = ann_ckpt.nest.build(f"{tmp_path}/run.ckpt@300")
    assert network.time == 30.0
    with ann_ckpt.CheckpointStore(tmp_path / "again.ckpt", "w") as store, store.every(15, network=network):
        network.simulate(20.0)
    assert network.populations["E"].V_m == there
    a, b = f"{tmp_path}/run.ckpt@450", f"{tmp_path}/again.ckpt@450"
    assert ann_ckpt.diff(a, b).same


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("kept", [8.0, 12.0])
def test_a_script_that_keeps_what_a_built_network_keeps_already_changes_nothing(tmp_path, kept):
    """Nor does it begin with another seed where it keeps more."""
    network = make("izhikevich")
    network.keep(8.0)
    network.simulate(20.0)
    seed = network.keeping.seed
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    reset()
    network = ann_ckpt.nest.build(tmp_path / "net.h5")
    network.simulate(20.0)
    there = network.populations["E"].V_m
    reset()
    network = ann_ckpt.nest.build(tmp_path / "net.h5")
    recorder = network.keeping.recorder
    network.keep(kept)
    network.simulate(20.0)
    assert network.keeping.seed == seed
    assert recorder is not None
    assert network.keeping.recorder == recorder
    assert kept != 8.0 or network.populations["E"].V_m == there


@pytest.mark.usefixtures("kernel")
def test_frozen_neurons_are_not_saved_and_the_file_says_so(tmp_path):
    network = make("izhikevich")
    network.keep(8.0)
    network.populations["E"][:2].frozen = True
    network.simulate(20.0)
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    resume = ann_ckpt.read(tmp_path / "net.h5").populations["E"].resume
    assert resume.exactness is Exactness.APPROXIMATE
    assert resume.reasons == ("which of its nodes are frozen",)


@pytest.mark.usefixtures("kernel")
def test_what_goes_by_other_ways_is_not_called_exact(tmp_path):
    """A run that nobody watched, a part of the network, neurons without a name, another order of targets."""

    def exactness():
        return simulator_for(network).read().state.resume

    network = make("izhikevich")
    network.keep(8.0)
    network.simulate(20.0)
    assert exactness().exactness is Exactness.RESEEDED
    ann_ckpt.save(tmp_path / "part.h5", network=network, populations=["E"])
    assert said(tmp_path / "part.h5")[0].exactness is Exactness.APPROXIMATE
    nest.Create("spike_recorder")
    assert exactness().exactness is Exactness.RESEEDED
    nest.Simulate(1.0)
    assert "nothing is kept of the last steps" in exactness().reasons
    network.simulate(10.0)
    assert exactness().exactness is Exactness.RESEEDED
    nest.Create("iaf_cond_exp")
    assert exactness().reasons == ("nodes without a name",)

    reset()
    cells, noise = nest.Create("izhikevich", 6), nest.Create("poisson_generator", params={"rate": 500.0})
    nest.Connect(noise, cells[3:], syn_spec={"weight": 1.0})
    nest.Connect(noise, cells[:3], syn_spec={"weight": 1.0})
    network = ann_ckpt.nest.network({"cells": cells}, devices={"noise": noise})
    network.keep(8.0)
    network.simulate(10.0)
    resume = simulator_for(network).read().state.projections["noise_to_cells.static_synapse"].resume
    assert resume.reasons == ("the order in which its targets were connected",)


def is_kept(network):
    """Whether what was kept of the last steps is worth something."""
    return simulator_for(network).read().state.resume.exactness is not Exactness.APPROXIMATE


CHANGES = {
    "rate": ("iaf_cond_exp", lambda net: net.devices["noise"].set(rate=4000.0), False),
    "times": ("izhikevich", lambda net: net.devices["given"].set(spike_times=[19.5]), False),
    "refractory": ("iaf_psc_delta", lambda net: net.populations["E"][3:4].set(t_ref=3.0), False),
    "solver": ("iaf_cond_exp", lambda net: net.populations["I"].set(g_L=20.0), False),
    "recorder": ("izhikevich", lambda net: net.devices["spikes"].set(n_events=0), True),
    "state": ("iaf_cond_exp", lambda net: net.populations["E"].set(V_m=-62.0, g_ex=1.0), True),
}


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("change", CHANGES)
def test_the_last_steps_begin_anew_where_what_acts_in_them_is_changed(change):
    """Not where only recorders are, or the state, which is saved."""
    model, make_it, harmless = CHANGES[change]
    network = make(model)
    network.keep(8.0)
    network.simulate(25.0)
    assert is_kept(network)
    make_it(network)
    assert is_kept(network) is harmless
    network.simulate(2.0)
    assert is_kept(network) is harmless
    network.simulate(6.0)
    assert is_kept(network)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("part", [{}, {"populations": False}, {"projections": False}])
def test_the_last_steps_are_not_those_of_a_file_that_was_loaded_since(part, tmp_path):
    network = make("izhikevich")
    network.simulate(20.0)
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    network = make("izhikevich")
    network.keep(8.0)
    network.simulate(12.0)
    assert is_kept(network)
    ann_ckpt.load(tmp_path / "net.h5", network=network, **part)
    assert not is_kept(network)
    network.simulate(2.0)
    assert not is_kept(network)
    network.simulate(6.0)
    assert is_kept(network)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("model", ["aeif_cond_exp", "mat2_psc_exp", "iaf_chxk_2008"])
def test_a_model_that_nobody_proved_is_never_exact(model, tmp_path):
    reset()
    cells = nest.Create(model, 5)
    nest.Connect(cells, cells, syn_spec={"synapse_model": "stdp_synapse"})
    network = ann_ckpt.nest.network({"cells": cells})
    network.keep(9.0)
    network.simulate(20.0)
    ann_ckpt.save(tmp_path / "net.h5", network=network, barrier=True)
    _, *objects = said(tmp_path / "net.h5")
    assert [resume.exactness for resume in objects] == [Exactness.APPROXIMATE] * 2
    reset()
    network = ann_ckpt.nest.build(tmp_path / "net.h5")
    network.simulate(1.0)
    assert network.time == 21.0


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize(("make_plastic", "pairs"), [(brunel, 1), (microcircuit, 16)])
def test_synapses_that_learn_begin_with_what_they_had(make_plastic, pairs, tmp_path):
    """What they learnt in the replay is taken back; what they learn next differs, and the file says so."""

    def learnt(network):
        projections = simulator_for(network).read().state.projections
        plastic = [one for name, one in projections.items() if name.endswith("stdp_synapse")]
        assert len(plastic) == pairs
        return np.concatenate([np.stack([one["w"], one["Kplus"]]) for one in plastic], axis=1)

    network = make_plastic(threads=2, plastic=True)
    network.keep(20.0)
    network.simulate(40.3)
    ann_ckpt.save(tmp_path / "net.h5", network=network, barrier=True)
    there, potentials = learnt(network), [nodes.V_m for nodes in network.populations.values()]
    assert np.unique(there[0]).size > 100
    network.simulate(20.0)
    later = learnt(network)
    reset()
    network = ann_ckpt.nest.build(tmp_path / "net.h5")
    assert learnt(network).tobytes() == there.tobytes()
    assert [nodes.V_m for nodes in network.populations.values()] == potentials
    network.simulate(20.0)
    assert learnt(network).tobytes() != later.tobytes()
    network = make_plastic(threads=2, plastic=True)
    report = ann_ckpt.load(tmp_path / "net.h5", network=network)
    assert abs(network.time - 40.3) < 1e-9
    assert learnt(network).tobytes() == there.tobytes(), report
    with ann_ckpt.open(tmp_path / "net.h5") as checkpoint:
        state = checkpoint.state()
    reason = "spikes before the last 20 ms, which stdp_synapse pairs with later ones"
    for name, one in state.projections.items():
        learns = name.endswith("stdp_synapse")
        assert one.resume.reasons == ((reason,) if learns else ()), name
        assert (one.resume.exactness is Exactness.APPROXIMATE) == learns, name
    later, learns = "later input through synapses that have changed since", make_plastic is microcircuit
    for name, one in state.populations.items():
        # What is left of input can be set of some neurons, and of others it cannot.
        assert (later in one.resume.reasons) == (learns and name.endswith("E")), name
        assert (one.resume.exactness is Exactness.APPROXIMATE) == (learns and name != "noise"), name


@pytest.mark.usefixtures("kernel")
def test_another_kernel_takes_no_window(tmp_path):
    """What is in the file is loaded, and the report says what is not used."""

    def made(threads):
        reset(threads)
        cells = nest.Create("izhikevich", 6, {"I_e": 8.0})
        nest.Connect(cells, cells, "all_to_all", {"weight": 1.0, "delay": 1.5})
        return ann_ckpt.nest.network({"cells": cells})

    network = made(1)
    network.keep(8.0)
    network.simulate(20.0)
    ann_ckpt.save(tmp_path / "net.h5", network=network)
    report = ann_ckpt.load(tmp_path / "net.h5", network=made(1))
    assert not report.notes
    assert nest.biological_time > 10.0
    report = ann_ckpt.load(tmp_path / "net.h5", network=made(2))
    assert any("other threads" in note.text for note in report.notes), report
    assert any("cannot be restored" in note.text for note in report.notes), report
    assert nest.biological_time == 0.0


@pytest.mark.usefixtures("kernel")
def test_a_window_that_does_not_lead_where_the_file_stands_is_refused(tmp_path):
    """Spikes of no neuron, and spikes that did not happen; without the replay the network is made."""
    network = make("iaf_cond_exp", noise=False)
    network.keep(8.0)
    network.simulate(20.0)
    state = simulator_for(network).read().state.in_memory()
    for wrong, words in (
        (np.array([[199, 0, 40]]), "of no neuron"),
        (np.array([[200, 0, 4]]), "outside of the window"),
        (np.array([[150, 7, 4]]), "of no population"),
        (np.array([[150, 0, 3], [150, 0, 3]]), "twice in a step"),
        (np.array([[150, 0, 3], [151, 0, 3]]), "did not spike as it did"),
    ):
        ann_ckpt.write(replace(state, dynamics={**state.dynamics, "spikes": wrong}), tmp_path / "net.h5")
        reset()
        with pytest.raises(SimulatorError, match=words):
            ann_ckpt.nest.build(tmp_path / "net.h5")
        assert nest.network_size == 0
    network = ann_ckpt.nest.build(tmp_path / "net.h5", replay=False)
    assert network.time == 20.0
    assert SYNAPSE not in nest.synapse_models
    with pytest.raises(OptionError, match="one step"):
        network.keep(0.01)


CELLS = {
    name: np.full(2, value)
    for name, value in {
        "I_e": 0.0, "g_L": 16.6667, "E_L": -70.0, "C_m": 250.0, "tau_syn_ex": 0.2, "E_ex": 0.0,
        "tau_syn_in": 2.0, "E_in": -85.0,
    }.items()
}  # fmt: skip
"""Parameters of two neurons."""


@given(st.floats(0.0, 60.0), st.floats(0.0, 60.0), st.floats(-80.0, -50.0), st.integers(4, 8))
@settings(max_examples=20, deadline=None)
def test_a_solver_forgets_in_silence_only(excitation, inhibition, potential, steps):
    """Errors grow with conductances, and a few small ones in a row are needed."""
    names = ("V_m", "g_ex", "g_in")
    trace = np.zeros((steps, 3, 2))
    trace[:, :, 0] = potential, excitation, inhibition
    trace[:, :, 1] = potential, 2 * excitation, inhibition
    found = errors(names, trace, CELLS)
    assert np.all(found[:, 1] >= found[:, 0])
    calm = found[0] < 0.25e-3
    assert forgotten(names, trace, CELLS).tolist() == (calm & (steps >= 6)).tolist()


@given(st.floats(0.0, 60.0), st.floats(0.0, 60.0), st.floats(1.0, 300.0))
@settings(max_examples=20, deadline=None)
def test_a_rise_makes_errors_larger(excitation, inhibition, rise):
    """Without one, an alpha function is the exponential that it ends as."""
    names = ("V_m", "g_ex", "g_in")
    trace = np.zeros((1, 5, 2))
    trace[0, :3] = np.array([-70.0, excitation, inhibition])[:, np.newaxis]
    trace[0, 3, 1] = rise
    decaying = errors(names, trace[:, :3], CELLS)
    rising = errors((*names, "dg_ex", "dg_in"), trace, CELLS)
    assert rising[0, 0] == decaying[0, 0]
    trace[0, 1:3] = 0.0
    silent, alone = errors((*names, "dg_ex", "dg_in"), trace, CELLS)[0]
    assert silent < 1e-12 < alone
    # A rise that lasts is felt by the potential only, through the conductance.
    slow = {**CELLS, "tau_syn_ex": np.full(2, 1e6)}
    silent, alone = errors((*names, "dg_ex", "dg_in"), trace, slow)[0]
    assert alone > 10 * silent + 1e-13
