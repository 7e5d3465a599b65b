"""Networks go on bit for bit in a new process, in a network of another seed, also after a kill."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import brian2
import numpy as np
import pytest
from brian2 import Hz, ms

import ann_ckpt
from ann_ckpt import CheckpointStore, Exactness, differences
from ann_ckpt.adapters.protocol import Reading
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.transfer import load_into
from tests.brian2.networks import COMPILED_ONLY, NETWORKS, neurons, noisy, plastic

COMPILED = ("plastic",)
"""What `make test` compiles with cython; `make brian2-all` compiles the others too."""
WITHOUT_COMPILER = tuple(name for name in NETWORKS if name not in COMPILED_ONLY)
REPOSITORY = Path(__file__).parents[2]


class Runs:
    """Both processes, each once for many networks."""

    def __init__(self, factory):
        self._factory = factory
        self._made = {}

    def of(self, target, name):
        """Return the folder with the files of a network."""
        every = WITHOUT_COMPILER if target == "numpy" else COMPILED if name in COMPILED else (name,)
        if (target, every) not in self._made:
            folder = self._made[target, every] = self._factory.mktemp(target)
            for kind in ("through", "resumed"):
                command = [sys.executable, "-m", "tests.brian2.runs", kind, target, str(folder), *every]
                subprocess.run(command, check=True, cwd=REPOSITORY, capture_output=True, text=True)
        return self._made[target, every]


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory)


def cases():
    for name in NETWORKS:
        if name in WITHOUT_COMPILER:
            yield pytest.param("numpy", name, id=f"numpy-{name}")
        marks = () if name in COMPILED else pytest.mark.brian2_all
        yield pytest.param("cython", name, id=f"cython-{name}", marks=marks)


@pytest.mark.parametrize(("target", "name"), list(cases()))
def test_it_ends_in_the_same_bits(runs, target, name):
    folder = runs.of(target, name)
    ended = ann_ckpt.read(folder / f"{name}.end.h5")
    assert ended.resume.exactness is Exactness.EXACT
    began = ann_ckpt.read(folder / f"{name}.at.h5")
    assert [path for path in differences(began, ended) if "/variables/" in path], "nothing happened"
    for how in ("resumed", "killed"):
        assert not list(differences(ended, ann_ckpt.read(folder / f"{name}.{how}.h5"))), how


def live(network):
    return simulator_for(network).read().state


def run_on(state, made=plastic):
    """Load a state into a network of another seed, and return where it ends."""
    network = made(2)
    load_into(simulator_for(network), Reading(state))
    network.run(20 * ms)
    return live(network).in_memory()


@pytest.fixture(scope="module")
def plastic_run(tmp_path_factory):
    brian2.prefs.codegen.target = "numpy"
    network = plastic(1)
    network.run(20 * ms)
    path = tmp_path_factory.mktemp("plastic") / "net.h5"
    ann_ckpt.save(path, network=network)
    network.run(20 * ms)
    return ann_ckpt.read(path), ann_ckpt.read(save_beside(path, network))


def save_beside(path, network):
    ann_ckpt.save(path.with_name("end.h5"), network=network)
    return path.with_name("end.h5")


def without(state, *names):
    projection = state.projections["synapses"]
    kept = {n: a for n, a in projection.dynamics.items() if not n.startswith(names)}
    return replace(state, projections={"synapses": replace(projection, dynamics=kept)})


def test_nothing_left_out_is_the_same(plastic_run):
    began, ended = plastic_run
    carried = began.projections["synapses"].dynamics
    assert all(carried[f"{pathway}.queue"].size for pathway in ("pre", "later", "post"))
    assert not list(differences(ended, run_on(began)))


@pytest.mark.parametrize("left_out", ["queues", "generator", "order"])
def test_what_is_left_out_makes_a_difference(plastic_run, left_out):
    began, ended = plastic_run
    if left_out == "queues":
        began = without(began, "pre.queue", "later.queue")
    elif left_out == "generator":
        began = replace(began, dynamics={n: a for n, a in began.dynamics.items() if "random" not in n})
    else:
        n = began.projections["synapses"].connectivity.n_synapses
        other = replace(
            without(began, "pre.q", "later.q", "post.q").projections["synapses"], order=np.arange(n)
        )
        began = replace(began, projections={"synapses": other})
    assert any("/v" in path for path in differences(ended, run_on(began)))


def test_the_magic_network_is_what_is_visible(tmp_path):
    brian2.seed(1)
    group = neurons("visible")
    brian2.run(5 * ms)
    ann_ckpt.save(tmp_path / "net.h5")
    brian2.run(5 * ms)
    ended = np.array(group.v_[:])
    group.v = 0
    ann_ckpt.load(tmp_path / "net.h5")
    assert brian2.magic_network.t == 5 * ms
    brian2.run(5 * ms)
    assert np.array_equal(group.v_[:], ended)


def test_the_magic_network_is_loaded_before_it_was_ever_run(tmp_path):
    def build(seed):
        brian2.seed(seed)
        return neurons("visible")

    def first():
        group = build(1)
        brian2.run(5 * ms)
        ann_ckpt.save(tmp_path / "net.h5")
        brian2.run(5 * ms)
        return np.array(group.v_[:])

    def again():
        group = build(2)
        ann_ckpt.load(tmp_path / "net.h5")
        brian2.run(5 * ms)
        return np.array(group.v_[:])

    assert np.array_equal(first(), again())


def test_the_magic_network_is_saved_while_it_runs(tmp_path):
    group = neurons("visible")
    with CheckpointStore(tmp_path / "run.ckpt", mode="w") as store, store.every(2):
        brian2.run(7 * ms)
        assert [checkpoint.time_step for checkpoint in store] == [20, 40, 60]
    brian2.run(3 * ms)
    with CheckpointStore(tmp_path / "run.ckpt") as store:
        assert len(store) == 3, "it was asked to stop"
    assert len(group) == 15


def test_python_code_in_a_network_makes_it_approximate(tmp_path):
    group = neurons()

    @brian2.network_operation(dt=1 * ms, name="count")
    def count():
        """Do something that nobody can see."""

    network = brian2.Network(group, count)
    network.run(3 * ms)
    report = ann_ckpt.save(tmp_path / "net.h5", network=network)
    assert any("what Python code in count keeps" in str(note) for note in report.skipped)
    assert ann_ckpt.read(tmp_path / "net.h5").resume.exactness is Exactness.APPROXIMATE


@pytest.mark.parametrize("base", [brian2.BrianObject, brian2.NeuronGroup])
def test_python_code_of_a_users_own_class_makes_it_approximate(base, tmp_path):
    class Drive(base):
        """Keeps something that nobody can see."""

        add_to_magic_network = True

        def run(self):
            """Count."""

    drive = Drive(name="drive") if base is brian2.BrianObject else Drive(2, "v : 1", name="drive")
    network = brian2.Network(neurons(), drive)
    report = ann_ckpt.save(tmp_path / "net.h5", network=network)
    assert any("what Python code in drive keeps" in str(note) for note in report.skipped)
    state = ann_ckpt.read(tmp_path / "net.h5")
    assert state.resume.exactness is Exactness.APPROXIMATE
    assert ("drive" in state.populations) is (base is brian2.NeuronGroup)
    drive.active = False
    ann_ckpt.load(tmp_path / "net.h5", network=network)
    assert drive.active


def one():
    return 1.0


WHERE_FUNCTIONS_ARE_CALLED = {
    "equations": lambda: [brian2.NeuronGroup(2, "dv/dt = called()*Hz : 1", method="euler")],
    "threshold": lambda: [brian2.NeuronGroup(2, "v : 1", threshold="v > called ()", reset="v = 0")],
    "rates": lambda: [brian2.PoissonGroup(2, rates="called()*Hz")],
    "pathway": lambda: [(group := neurons()), brian2.Synapses(group, group, on_pre="v_post += called()*mV")],
    "weight": lambda: [(group := neurons()), brian2.PoissonInput(group, "v", 5, 9 * Hz, "called()*mV")],
}


@pytest.mark.parametrize("where", WHERE_FUNCTIONS_ARE_CALLED)
def test_functions_that_are_declared_to_keep_a_state_make_it_approximate(where):
    called = brian2.Function(one, arg_units=[], return_unit=1, stateless=False)
    network = brian2.Network(WHERE_FUNCTIONS_ARE_CALLED[where]())
    assert simulator_for(network).read().state.resume.reasons == ("what the function called keeps",)
    del called
    assert simulator_for(network).read().state.resume.reasons == ()


def test_functions_are_found_where_equations_find_them(monkeypatch):
    functions = {
        "called": brian2.Function(one, arg_units=[], return_unit=1, stateless=False),
        "known": brian2.Function(one, arg_units=[], return_unit=1),
        "unsaid": brian2.check_units(result=1)(one),
        "drawn": brian2.BinomialFunction(5, 0.5),
        "given": brian2.TimedArray([1.0, 2.0], dt=1 * ms),
    }
    code = "v = called() + known() + unsaid() + drawn() + given(t) + rand() + poisson(2)"
    group = brian2.NeuronGroup(2, "v : 1", namespace=functions)
    group.run_regularly(code)
    assert simulator_for(brian2.Network(group)).read().state.resume.reasons == (
        "what the function called keeps",
    )
    other = brian2.NeuronGroup(2, "v : 1")
    other.run_regularly("v = called()")
    monkeypatch.setattr(f"{__name__}.called", functions["called"], raising=False)
    simulator = simulator_for(brian2.Network(other))
    reasons: list[str] = []
    exec("reasons += simulator.read().state.resume.reasons", {"simulator": simulator, "reasons": reasons})
    assert reasons == ["what the function called keeps"], "of the module that made the objects"


def test_an_operation_that_is_no_longer_ours_is_in_the_checkpoint():
    """Whether it is the same one or another at its address makes no difference."""
    network = noisy(1)
    there = set(network.objects)
    simulator = simulator_for(network)
    leave = simulator.call_every(1, lambda: None)
    (operation,) = set(network.objects) - there
    assert live(network).resume.exactness is Exactness.EXACT
    leave()
    network["neurons"].contained_objects.append(operation)
    (reason,) = live(network).resume.reasons
    assert reason == f"what Python code in {operation.name} keeps"
    flags = [
        s.read().state.populations["neurons"].dynamics["active"] for s in (simulator, simulator_for(network))
    ]
    assert flags[0].size == flags[1].size


def test_a_barrier_makes_runs_of_two_seeds_the_same(tmp_path):
    network = noisy(1)
    network.run(5 * ms)
    ann_ckpt.save(tmp_path / "net.h5", network=network, barrier=True)
    network.run(5 * ms)
    assert live(network).reseeded is None
    other = noisy(2)
    ann_ckpt.load(tmp_path / "net.h5", network=other)
    other.run(5 * ms)
    assert not list(differences(live(network), live(other)))


def test_a_version_that_nobody_tested_has_attributes_only(monkeypatch, tmp_path):
    network = plastic(1)
    network.run(3 * ms)
    monkeypatch.setattr(brian2, "__version__", "3.0.1")
    report = ann_ckpt.save(tmp_path / "net.h5", network=network)
    assert any(
        "Brian2 3.0.1 is none of the tested versions 2.9 to 2.11" in str(note) for note in report.skipped
    )
    state = ann_ckpt.read(tmp_path / "net.h5")
    assert not state.dynamics
    assert not any(part.dynamics for part in (*state.populations.values(), *state.projections.values()))
    network.set_states({"neurons": {"v": np.zeros(15) * brian2.volt}})
    ann_ckpt.load(tmp_path / "net.h5", network=network)
    assert np.array_equal(network["neurons"].v_[:], state.populations["neurons"]["v"])
    with pytest.raises(ann_ckpt.errors.MismatchError, match="tested versions"):
        ann_ckpt.load(tmp_path / "net.h5", network=plastic(2))
