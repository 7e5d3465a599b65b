"""Writes the files of this folder: run it with Python that has the version of Brian2, once for each.

    python tests/legacy/brian2/make.py                  # stored-2.9.pkl.gz, by the version that is there
    python tests/legacy/brian2/make.py cython           # compiled code draws numbers in advance
    python tests/legacy/brian2/make.py queue            # the queue of spikes that is written in Python

With 2.5 to 2.9 under Python 3.11 (2.5 with numpy below 1.26, 2.6 below 2.0), 2.10 under 3.12 and 2.11
under 3.13. They are compressed here, and stored by Brian2 as they are inside.
"""

import gzip
import sys
import tempfile
from pathlib import Path

import brian2 as b
from brian2 import Hz, ms

HERE = Path(__file__).parent
EQUATIONS = """
dv/dt = (g - v)/(10*ms) + 2*mV*xi/sqrt(10*ms) : volt (unless refractory)
dg/dt = -g/(5*ms) : volt
El : volt (constant)
tau : second (shared, constant)
"""
PLASTIC = """
w : 1
dapre/dt = -apre/(20*ms) : 1 (event-driven)
dapost/dt = -apost/(20*ms) : 1 (event-driven)
"""


def network():
    b.seed(7)
    b.defaultclock.dt = 0.1 * ms
    cells = b.NeuronGroup(
        5, EQUATIONS, threshold="v>5*mV", reset="v=0*mV", refractory=2 * ms, method="euler", name="cells"
    )
    cells.v, cells.El, cells.tau = "rand()*5*mV", "-70*mV + i*mV", 3 * ms
    noise = b.PoissonGroup(8, 200 * Hz, name="noise")
    given = b.SpikeGeneratorGroup(3, [0, 1, 2, 1], [1, 2, 3, 40] * ms, name="given")
    one = b.NeuronGroup(1, "dv/dt = -v/(10*ms) : 1\nshared_rate : Hz (shared)", method="exact", name="one")
    one.v, one.shared_rate = 0.5, 7 * Hz
    ff = b.Synapses(
        noise,
        cells,
        PLASTIC,
        on_pre="g_post += w*9*mV; apre += 0.01; w = clip(w + apost, 0, 2)",
        on_post="apost -= 0.01; w = clip(w + apre, 0, 2)",
        name="ff",
    )
    ff.connect(p=0.6)
    ff.w, ff.pre.delay = "rand()", "rand()*4*ms"
    drive = b.Synapses(given, cells[1:4], on_pre="v_post += 1*mV", delay=2 * ms, name="drive")
    drive.connect(j="i")
    spikes = b.SpikeMonitor(cells, name="spikes")
    trace = b.StateMonitor(cells, "v", record=[0], dt=1 * ms, name="trace")
    return b.Network(cells, noise, given, one, ff, drive, spikes, trace)


def main(kind=""):
    b.prefs.codegen.target = "cython" if kind == "cython" else "numpy"
    if kind == "queue":
        from brian2.devices.device import RuntimeDevice
        from brian2.synapses.spikequeue import SpikeQueue

        RuntimeDevice.spike_queue = lambda self, start, stop: SpikeQueue(start, stop)
    net = network()
    version = ".".join(b.__version__.split(".")[:2])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stored.pkl")
        net.store("new", filename=str(path))
        net.run(5 * ms)
        net.store("early", filename=str(path))
        net.run(5.3 * ms)
        net.store(filename=str(path))
        suffix = f"-{kind}" if kind else ""
        target = HERE / f"stored-{version}{suffix}.pkl.gz"
        target.write_bytes(gzip.compress(path.read_bytes(), mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
