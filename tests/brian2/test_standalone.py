"""C++ standalone: the state in which one program ended is the one that another begins with."""

from dataclasses import replace

import brian2
import numpy as np
import pytest
from brian2 import Hz, ms

import ann_ckpt
import ann_ckpt.brian2
from ann_ckpt.errors import MismatchError, SimulatorError
from ann_ckpt.model import Exactness

LEAVES_ALL = tuple(map(int, brian2.__version__.split(".")[:2])) >= (2, 11)
CELLS = """
dv/dt = (g - v)/(10*ms) : volt (unless refractory)
dg/dt = -g/(5*ms) : volt
El : volt (constant)
tau : second (shared, constant)
"""
PLASTIC = """
w : 1
dapre/dt = -apre/(20*ms) : 1 (event-driven)
dapost/dt = -apost/(20*ms) : 1 (event-driven)
"""


@pytest.fixture(autouse=True)
def runtime_afterwards():
    yield
    brian2.device.reinit()
    brian2.set_device("runtime")
    brian2.prefs["devices.cpp_standalone.openmp_threads"] = 0


def standalone(folder):
    brian2.set_device("cpp_standalone", directory=str(folder), build_on_run=False)
    brian2.device.reinit()
    brian2.device.activate(directory=str(folder), build_on_run=False)
    brian2.prefs["codegen.cpp.extra_compile_args_gcc"] = ["-O0", "-std=c++11"]


def network(seed=7, *, cells=5):
    brian2.seed(seed)
    group = brian2.NeuronGroup(
        cells, CELLS, threshold="v>5*mV", reset="v=0*mV", refractory=2 * ms, method="exact", name="cells"
    )
    group.v, group.El, group.tau = "rand()*5*mV", "-70*mV + i*mV", seed * ms
    noise = brian2.PoissonGroup(8, 400 * Hz, name="noise")
    given = brian2.SpikeGeneratorGroup(3, [0, 1, 2, 1, 2], [1, 2, 3, 6, 8] * ms, name="given")
    ff = brian2.Synapses(
        noise,
        group,
        PLASTIC,
        on_pre="g_post += w*9*mV; apre += 0.01; w = clip(w + apost, 0, 2)",
        on_post="apost -= 0.01; w = clip(w + apre, 0, 2)",
        name="ff",
    )
    ff.connect(p=0.6)
    ff.w, ff.pre.delay = "rand()", "rand()*4*ms"
    drive = brian2.Synapses(given, group[1:4], on_pre="v_post += 1*mV", delay=2 * ms, name="drive")
    drive.connect(j="i")
    return brian2.Network(group, noise, given, ff, drive)


def test_a_program_goes_on_where_another_ended(tmp_path):
    standalone(tmp_path / "first")
    net = network()
    net.run(5 * ms)
    with pytest.raises(SimulatorError, match="has not been run"):
        ann_ckpt.brian2.capture(brian2.device)
    with pytest.raises(SimulatorError, match="part of this program already"):
        ann_ckpt.brian2.insert(brian2.device, tmp_path / "net.h5")
    brian2.device.build(directory=str(tmp_path / "first"), with_output=False)
    first = ann_ckpt.brian2.capture(brian2.device)
    exact = first.resume.exactness is Exactness.EXACT
    assert exact is LEAVES_ALL
    if LEAVES_ALL:
        assert first.projections["ff"].dynamics["pre.queue"].size > 0
    else:
        assert "since 2.11" in str(first.resume)
    assert first.populations["cells"].neuron_type.attributes["v"].unit == "V"
    ann_ckpt.write(first, tmp_path / "net.h5")

    standalone(tmp_path / "second")
    net = network(seed=8)
    ann_ckpt.brian2.insert(brian2.device, tmp_path / "net.h5", network=net)
    net.run(5.3 * ms)
    brian2.device.build(directory=str(tmp_path / "second"), with_output=False)
    second = ann_ckpt.brian2.capture(brian2.device)
    assert second.time_step == 103
    assert second.populations["cells"]["tau"] == first.populations["cells"]["tau"]
    assert np.array_equal(second.projections["ff"].order, first.projections["ff"].order)
    if not LEAVES_ALL:
        return

    standalone(tmp_path / "whole")
    net = network()
    net.run(5 * ms)
    net.run(5.3 * ms)
    brian2.device.build(directory=str(tmp_path / "whole"), with_output=False)
    whole = ann_ckpt.brian2.capture(brian2.device)
    assert list(ann_ckpt.differences(second, whole)) == []
    assert "populations/cells/variables/v" in list(ann_ckpt.differences(first, whole))


def test_what_cannot_be_right_is_refused(tmp_path):
    with pytest.raises(SimulatorError, match="not a C\\+\\+ standalone device"):
        ann_ckpt.brian2.capture(brian2.get_device())
    net = network()
    ann_ckpt.save(tmp_path / "net.h5", network=net)
    del net
    state = ann_ckpt.read(tmp_path / "net.h5")
    ff = replace(state.projections["ff"], delays=None, pathway_delays={})
    projections = {**state.projections, "ff": ff}
    ann_ckpt.write(replace(state, projections=projections), tmp_path / "no-delays.h5")

    standalone(tmp_path / "other")
    net = network()
    with pytest.raises(MismatchError, match="delays of the pathway pre are not known, and here each synapse"):
        ann_ckpt.brian2.insert(brian2.device, tmp_path / "no-delays.h5", network=net)
    net = network(cells=6)
    lines = len(brian2.device.main_queue)
    with pytest.raises(MismatchError, match=r"geometry \(5,\) in the file, \(6,\) in the network"):
        ann_ckpt.brian2.insert(brian2.device, tmp_path / "net.h5", network=net)
    assert len(brian2.device.main_queue) == lines
    assert net.t_ == 0
    brian2.prefs["devices.cpp_standalone.openmp_threads"] = 2
    with pytest.raises(SimulatorError, match="several threads"):
        ann_ckpt.brian2.insert(brian2.device, tmp_path / "net.h5")
    with pytest.raises(SimulatorError, match="several threads"):
        ann_ckpt.brian2.capture(brian2.device)


def test_the_normal_number_that_a_program_keeps_is_named(tmp_path):
    standalone(tmp_path)
    group = brian2.NeuronGroup(3, "dv/dt = -v/(10*ms) + xi/ms**0.5 : 1", method="euler", name="cells")
    net = brian2.Network(group)
    net.run(0.3 * ms)
    brian2.device.build(directory=str(tmp_path), with_output=False)
    state = ann_ckpt.brian2.capture(brian2.device)
    assert state.resume.exactness is Exactness.APPROXIMATE
    assert ("one stored normal number" if LEAVES_ALL else "random numbers and spikes under way") in str(
        state.resume
    )
    ann_ckpt.write(state, tmp_path / "net.h5")
    assert ann_ckpt.read(tmp_path / "net.h5").resume == state.resume
