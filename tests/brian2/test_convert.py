"""What Brian2 stored goes on in a live network: files of every version, and of the one that is here."""

import gzip
import importlib.util
from pathlib import Path

import brian2
import numpy as np
import pytest
from brian2 import ms

import ann_ckpt
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.errors import MismatchError, OptionError
from ann_ckpt.model import Exactness
from tests.brian2.networks import NAMES, NAMES_OF_SYNAPSES, NETWORKS, named

FOLDER = Path(__file__).parents[1] / "legacy" / "brian2"
FILES = sorted(FOLDER.glob("*.pkl.gz"))
WITH_DELAYS = tuple(map(int, brian2.__version__.split(".")[:2])) >= (2, 10)
NOT_STORED = {"active"}


def maker():
    spec = importlib.util.spec_from_file_location("make_brian2_files", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = maker()


def unpacked(file, tmp_path):
    path = tmp_path / file.name.removesuffix(".gz")
    path.write_bytes(gzip.decompress(file.read_bytes()))
    return path


def state_of(net):
    return simulator_for(net).read().state.in_memory()


def equal(here, there, *, within):
    here, there = (np.asarray(values).reshape(-1) for values in (here, there))
    if there.dtype.kind != "f":
        return np.array_equal(here, there)
    return here.shape == there.shape and np.allclose(here, there, rtol=within, atol=within, equal_nan=True)


def differing(live, stored, *, within=0.0):
    """Return what of a stored state is another thing in a live network; what no file has is not asked for."""
    found = [n for n in stored.dynamics if not equal(live.dynamics[n], stored.dynamics[n], within=within)]
    found += ["time_step"] * (live.time_step != stored.time_step)
    pairs = [(live.populations[n], p) for n, p in stored.populations.items()]
    pairs += [(live.projections[n], p) for n, p in stored.projections.items()]
    for here, there in pairs:
        assert set(here) == set(there)
        assert set(here.dynamics) - set(there.dynamics) <= NOT_STORED
        for name in there:
            if not equal(here[name], there[name], within=within):
                found.append(f"{there.name}/{name}")
        for name, value in there.dynamics.items():
            if not equal(here.dynamics[name], value, within=within):
                found.append(f"{there.name}/{name}")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".pkl.gz"))
def test_a_file_of_any_version_goes_on_as_it_did_there(file, tmp_path):
    """One snapshot is loaded, the network runs as far as the next, and that one is what it is in then."""
    ann_ckpt.convert(unpacked(file, tmp_path), tmp_path / "run.ckpt", isolate=False)
    net = make.network()
    brian2.seed(99)
    net.run(1 * ms)
    report = ann_ckpt.load(tmp_path / "run.ckpt@early", network=net)
    assert not report.mismatched
    with ann_ckpt.CheckpointStore(tmp_path / "run.ckpt") as store:
        early, late = store["early"].state(), store["default"].state()
    assert differing(state_of(net), early) == []
    net.run(5.3 * ms)
    exact = early.resume.exactness is Exactness.EXACT
    assert exact is ("cython" not in file.name)
    # Another numpy, or another processor, has other last bits of exp.
    assert (differing(state_of(net), late, within=1e-9) == []) is exact


def test_a_file_goes_into_a_network_with_other_synapses_where_it_has_delays(tmp_path):
    net = make.network()
    net.run(7 * ms)
    path = tmp_path / "stored.pkl"
    net.store(filename=str(path))
    net.run(5 * ms)
    later = state_of(net)

    other = make.network()
    brian2.seed(3)
    other["ff"].pre.delay = "rand()*3*ms"
    other["ff"].w = 0
    if WITH_DELAYS:
        other["ff"].connect(j="i % 5", skip_if_invalid=True)
    before = state_of(other)
    ann_ckpt.load(path, network=other)
    if not WITH_DELAYS:  # they are the network's own
        assert np.array_equal(
            before.projections["ff"].pathway_delays["pre"],
            state_of(other).projections["ff"].pathway_delays["pre"],
        )
        return
    other.run(5 * ms)
    assert not [d for d in ann_ckpt.differences(state_of(other), later) if "metadata" not in d]


def test_variables_may_have_names_that_brian_uses_elsewhere(tmp_path):
    one, other = named(1), named(2)
    path = tmp_path / "stored.pkl"
    one.store(filename=str(path))
    ann_ckpt.load(path, network=other)
    for name, variables in (("cells", NAMES), ("synapses", NAMES_OF_SYNAPSES)):
        for variable in variables:
            here, there = (network[name].variables[variable].get_value() for network in (other, one))
            assert np.array_equal(here, there), variable


def test_parts_with_arrays_go_where_they_belong(tmp_path):
    """The integrator of a spatial neuron is a part; a monitor that only counts is none."""
    one, other = NETWORKS["cable"](1), NETWORKS["cable"](1)
    one.add(brian2.SpikeMonitor(one["poisson"], record=False, name="poisson_counted"))
    one.run(2 * ms)
    one.store(filename=str(tmp_path / "stored.pkl"))
    report = ann_ckpt.load(tmp_path / "stored.pkl", network=other)
    assert "monitors/poisson_counted" in {note.path for note in report.notes}
    assert "populations/cell/dynamics/SpatialStateUpdater._B" in report.loaded
    one.remove(one["poisson_counted"])
    different = set(ann_ckpt.differences(state_of(other), state_of(one)))
    assert not {d for d in different if "metadata" not in d}


def test_what_does_not_fit_is_refused_and_nothing_changes(tmp_path):
    path = unpacked(FILES[0], tmp_path)
    ann_ckpt.convert(path, tmp_path / "net.h5", snapshot="early", isolate=False)
    net = brian2.Network(brian2.NeuronGroup(5, "v : volt\ng : volt", name="cells"))
    before = state_of(net)
    with pytest.raises(MismatchError) as caught:
        ann_ckpt.load(tmp_path / "net.h5", network=net)
    assert "El" in str(caught.value)
    with pytest.raises(OptionError, match="several snapshots"):
        ann_ckpt.load(path, network=net)
    assert not list(ann_ckpt.differences(state_of(net), before))
