"""Small networks of Brian2 that together have everything which carries state from step to step.

Each function takes a seed; networks of two seeds have other synapses, weights, delays and noise.
"""

from __future__ import annotations

import brian2
import numpy as np
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    SpikeGeneratorGroup,
    Synapses,
    ms,
    msiemens,
    mV,
    nS,
    ohm,
    uF,
    um,
)

LIF = "dv/dt = (40*mV - v)/(10*ms) : volt (unless refractory)"
FIRES = {"threshold": "v > 20*mV", "reset": "v = 0*mV", "method": "exact"}


def neurons(name="neurons", n=15, equations=LIF, **options):
    group = NeuronGroup(n, equations, name=name, **{**FIRES, "refractory": 2 * ms, **options})
    group.v = "rand()*20*mV"
    return group


def noisy(seed):
    """Noise, refractoriness, all types of values, one value for all."""
    brian2.seed(seed)
    group = neurons(
        equations="""dv/dt = (19*mV - v)/tau + 4*mV*xi/tau**0.5 : volt (unless refractory)
        tau : second (constant)
        gain : 1 (shared)
        count : integer
        odd : boolean""",
        reset="v = 0*mV; count += 1; odd = not odd",
        method="euler",
    )
    group.tau = "(8 + 4*rand())*ms"
    group.run_regularly("v += gain*rand()*mV", dt=1 * ms, name="kick")
    group.run_regularly("gain = 1 - gain", dt=1 * ms, name="toggle")
    return Network(group)


def plastic(seed):
    """Plasticity with delays each way, random transmission, several synapses between one pair."""
    brian2.seed(seed)
    group = neurons()
    synapses = Synapses(
        group,
        group,
        """w : volt
        dpre/dt = -pre/(5*ms) : 1 (clock-driven)
        dpost/dt = -post/(5*ms) : 1 (event-driven)""",
        on_pre={"pre": "v_post += w*rand(); pre += 1; w += 0.01*mV*post", "later": "v_post -= 0.2*w"},
        on_post="post += 1; w -= 0.005*mV*pre",
        multisynaptic_index="nth",
        method="exact",
        name="synapses",
    )
    synapses.connect(p=0.4, n=2)
    synapses.w = "rand()*2*mV"
    synapses.pre.delay = "rand()*3*ms"
    synapses.later.delay = "5*ms + rand()*ms"
    synapses.post.delay = "rand()*2*ms"
    return Network(group, synapses)


def driven(seed):
    """Poisson groups and inputs, a list of spikes, a part of a group, one delay for all."""
    brian2.seed(seed)
    rng = np.random.default_rng(seed)
    group = neurons()
    poisson = PoissonGroup(8, rates="(200 + 50*i)*Hz", name="poisson")
    rates = PoissonGroup(6, rates=rng.uniform(100, 400, 6) * Hz, name="rates")
    times = np.sort(rng.choice(40, 12, replace=False)) * 0.4 * ms
    given = SpikeGeneratorGroup(4, rng.integers(0, 4, 12), times, period=18 * ms, name="given")
    background = PoissonInput(group[5:], "v", 20, 100 * Hz, 1 * mV)
    first = Synapses(poisson, group[5:12], on_pre="v += 1*mV", delay=1.5 * ms, name="first")
    first.connect(p=0.5)
    second_ = Synapses(rates, group, "w : volt", on_pre="v += w", name="second")
    second_.connect(p=0.6)
    second_.w = "rand()*mV"
    third = Synapses(given, group[2:6], on_pre="v += 3*mV", name="third")
    third.connect(j="i")
    return Network(group, poisson, rates, given, background, first, second_, third)


def coupled(seed):
    """Summed variables, gap junctions, synapses onto synapses."""
    brian2.seed(seed)
    group = neurons(
        equations="dv/dt = (22*mV - v + gap + drive)/(10*ms) : volt\ngap : volt\ndrive : volt",
        refractory=False,
    )
    gaps = Synapses(group, group, "g : 1\ngap_post = g*(v_pre - v_post) : volt (summed)", name="gaps")
    gaps.connect(condition="i != j", p=0.3)
    gaps.g = "rand()*0.1"
    slow = Synapses(
        group,
        group,
        """ds/dt = -s/(5*ms) : 1 (clock-driven)
        scale : 1
        drive_post = s*scale*mV : volt (summed)""",
        on_pre="s += 1",
        method="exact",
        name="slow",
    )
    slow.connect(p=0.3)
    slow.scale = "rand()"
    slow.delay = "rand()*2*ms"
    modulators = PoissonGroup(5, rates=300 * Hz, name="modulators")
    onto = Synapses(modulators, slow, on_pre="scale_post = clip(scale_post + 0.05, 0, 2)", name="onto")
    onto.connect(p=0.2)
    return Network(group, gaps, slow, modulators, onto)


def clocks(seed):
    """Groups and synapses on clocks of their own."""
    brian2.seed(seed)
    fast = neurons("fast", dt=0.05 * ms)
    slow = neurons("slow", dt=0.25 * ms)
    reference = neurons("reference")
    there = Synapses(fast, slow, "w : volt", on_pre="v += w", name="there")
    there.connect(p=0.5)
    there.w = "rand()*mV"
    there.delay = "rand()*3*ms"
    back = Synapses(reference, fast, on_pre="v += 0.5*mV", delay=0.7 * ms, name="back")
    back.connect(p=0.5)
    slow.run_regularly("v += rand()*mV", dt=1.5 * ms, name="slow_kick")
    return Network(fast, slow, reference, there, back)


def events(seed):
    """Events of the user's own, a variable of another group, constants and an array in time from outside."""
    brian2.seed(seed)
    stimulus = brian2.TimedArray(np.random.default_rng(5).random(40) * mV, dt=1 * ms, name="stimulus")
    source = NeuronGroup(15, "x : 1", name="source")
    source.x = "rand()"
    source.run_regularly("x = rand()", dt=2 * ms, name="source_draw")
    group = neurons(
        equations="dv/dt = (leak - v + stimulus(t) + x*mV)/(10*ms) : volt\nx : 1 (linked)\nadapt : volt",
        refractory=False,
        method="euler",
        events={"high": "v > 15*mV and rand() < 0.1"},
        namespace={"leak": 22 * mV, "stimulus": stimulus},
    )
    group.x = brian2.linked_var(source, "x")
    group.run_on_event("high", "adapt += 0.1*mV; v -= adapt")
    synapses = Synapses(group, group, on_pre="v_post += 0.2*mV", on_event={"pre": "high"}, name="synapses")
    synapses.connect(p=0.3)
    synapses.delay = "rand()*4*ms"
    return Network(source, group, synapses)


def cable(seed):
    """A neuron with compartments, and one synapse onto it."""
    brian2.seed(seed)
    morphology = brian2.Cylinder(length=100 * um, diameter=2 * um, n=6)
    morphology.left = brian2.Cylinder(length=60 * um, diameter=1 * um, n=4)
    morphology.right = brian2.Cylinder(length=80 * um, diameter=1 * um, n=5)
    cell = brian2.SpatialNeuron(
        morphology,
        """Im = gl*(-65*mV - v) : amp/meter**2
        gl : siemens/meter**2
        dg/dt = -g/(3*ms) : siemens
        Is = g*(0*mV - v) : amp (point current)""",
        Cm=1 * uF / brian2.cm**2,
        Ri=150 * ohm * brian2.cm,
        threshold="v > -55*mV",
        refractory="v > -55*mV",
        method="exponential_euler",
        name="cell",
    )
    cell.v = "-65*mV + rand()*10*mV"
    cell.gl = 0.1 * msiemens / brian2.cm**2
    poisson = PoissonGroup(5, rates=200 * Hz, name="poisson")
    synapses = Synapses(poisson, cell, "w : siemens", on_pre="g += w", name="synapses")
    synapses.connect(p=0.5)
    synapses.w = "rand()*nS"
    return Network(cell, poisson, synapses)


def single_floats(seed):
    """Values of 32 bits."""
    brian2.seed(seed)
    before = brian2.prefs.core.default_float_dtype
    brian2.prefs.core.default_float_dtype = np.float32
    try:
        group = neurons()
        synapses = Synapses(group, group, "w : volt", on_pre="v_post += w", name="synapses")
        synapses.connect(p=0.4)
        synapses.w = "rand()*mV"
        synapses.delay = "rand()*3*ms"
    finally:
        brian2.prefs.core.default_float_dtype = before
    return Network(group, synapses)


def paused(seed):
    """Parts that do not run."""
    brian2.seed(seed)
    group = neurons()
    asleep = neurons("asleep")
    asleep.active = False
    synapses = Synapses(group, group, on_pre="v_post += 1*mV", on_post="v_pre += 1*mV", name="synapses")
    synapses.connect(p=0.4)
    synapses.post.active = False
    background = PoissonInput(group, "v", 20, 100 * Hz, 1 * mV)
    if seed == 1:  # the flags of the file are those that count
        background.active = False
    else:
        asleep.active = True
    return Network(group, asleep, synapses, background)


def cuba(seed):
    """CUBA (Vogels and Abbott 2005), small."""
    brian2.seed(seed)
    cells = NeuronGroup(
        80,
        """dv/dt = (ge + gi - (v + 49*mV))/(20*ms) : volt (unless refractory)
        dge/dt = -ge/(5*ms) : volt
        dgi/dt = -gi/(10*ms) : volt""",
        threshold="v > -50*mV",
        reset="v = -60*mV",
        refractory=5 * ms,
        method="exact",
        name="cells",
    )
    cells.v = "-60*mV + rand()*10*mV"
    excitatory = Synapses(cells[:64], cells, on_pre="ge += 1.62*mV", name="excitatory")
    excitatory.connect(p=0.1)
    inhibitory = Synapses(cells[64:], cells, on_pre="gi -= 9*mV", name="inhibitory")
    inhibitory.connect(p=0.1)
    return Network(cells, excitatory, inhibitory)


def cobahh(seed):
    """COBA with Hodgkin-Huxley neurons (Brette et al. 2007), small."""
    brian2.seed(seed)
    cells = NeuronGroup(
        40,
        """dv/dt = (gl*(El - v) + ge*(Ee - v) + gi*(Ei - v) - gna*(m*m*m)*h*(v - ENa)
            - gk*(n*n*n*n)*(v - EK))/Cm : volt
        dm/dt = alpha_m*(1 - m) - beta_m*m : 1
        dn/dt = alpha_n*(1 - n) - beta_n*n : 1
        dh/dt = alpha_h*(1 - h) - beta_h*h : 1
        dge/dt = -ge/(5*ms) : siemens
        dgi/dt = -gi/(10*ms) : siemens
        alpha_m = 0.32*(mV**-1)*4*mV/exprel((13*mV - v + VT)/(4*mV))/ms : Hz
        beta_m = 0.28*(mV**-1)*5*mV/exprel((v - VT - 40*mV)/(5*mV))/ms : Hz
        alpha_h = 0.128*exp((17*mV - v + VT)/(18*mV))/ms : Hz
        beta_h = 4./(1 + exp((40*mV - v + VT)/(5*mV)))/ms : Hz
        alpha_n = 0.032*(mV**-1)*5*mV/exprel((15*mV - v + VT)/(5*mV))/ms : Hz
        beta_n = .5*exp((10*mV - v + VT)/(40*mV))/ms : Hz""",
        threshold="v > -20*mV",
        refractory=3 * ms,
        method="exponential_euler",
        namespace={
            "Cm": 200 * brian2.pF,
            "gl": 10 * nS,
            "El": -60 * mV,
            "EK": -90 * mV,
            "ENa": 50 * mV,
            "gna": 20000 * nS,
            "gk": 6000 * nS,
            "VT": -63 * mV,
            "Ee": 0 * mV,
            "Ei": -80 * mV,
        },
        name="cells",
    )
    cells.v = "-60*mV + 5*mV*(randn() - 1)"
    cells.ge = "(randn()*1.5 + 4)*10*nS"
    cells.gi = "(randn()*12 + 20)*10*nS"
    excitatory = Synapses(cells[:32], cells, on_pre="ge += 6*nS", name="excitatory")
    excitatory.connect(p=0.2)
    inhibitory = Synapses(cells[32:], cells, on_pre="gi += 67*nS", name="inhibitory")
    inhibitory.connect(p=0.2)
    return Network(cells, excitatory, inhibitory)


def vogels(seed):
    """Inhibitory plasticity (Vogels et al. 2011), small."""
    brian2.seed(seed)
    cells = NeuronGroup(
        50,
        """dv/dt = (-(v + 60*mV)*10*nS - (ge*v + gi*(v + 80*mV)) + 250*pA)/(200*pF) : volt (unless refractory)
        dge/dt = -ge/(5*ms) : siemens
        dgi/dt = -gi/(10*ms) : siemens""",
        threshold="v > -50*mV",
        reset="v = -60*mV",
        refractory=5 * ms,
        method="euler",
        name="cells",
    )
    cells.v = "-60*mV + rand()*10*mV"
    excitatory = Synapses(cells[:40], cells, on_pre="ge += 0.6*nS", name="excitatory")
    excitatory.connect(p=0.2)
    learning = Synapses(
        cells[40:],
        cells[:40],
        """w : 1
        dapre/dt = -apre/(20*ms) : 1 (event-driven)
        dapost/dt = -apost/(20*ms) : 1 (event-driven)""",
        on_pre="apre += 1; w = clip(w + (apost - 0.12)*0.05, 0, 100); gi += w*nS",
        on_post="apost += 1; w = clip(w + apre*0.05, 0, 100)",
        name="learning",
    )
    learning.connect(p=0.3)
    learning.w = "rand()"
    return Network(cells, excitatory, learning)


def digits(seed):
    """Unsupervised learning as of digits (Diehl and Cook 2015), small."""
    brian2.seed(seed)
    image = PoissonGroup(30, rates=np.random.default_rng(seed).uniform(0, 150, 30) * Hz, name="image")
    options = {"refractory": 5 * ms, "method": "euler"}
    excitatory = NeuronGroup(
        10,
        """dv/dt = ((-65*mV - v) + (ge*(0*mV - v) + gi*(-100*mV - v))*10)/(100*ms) : volt (unless refractory)
        dge/dt = -ge/ms : 1
        dgi/dt = -gi/(2*ms) : 1
        dtheta/dt = -theta/(1e7*ms) : volt""",
        threshold="v > theta - 72*mV",
        reset="v = -65*mV; theta += 0.05*mV",
        name="excitatory",
        **options,
    )
    excitatory.v = -70 * mV
    excitatory.theta = "2*mV + rand()*2*mV"
    inhibitory = NeuronGroup(
        10,
        """dv/dt = ((-60*mV - v) + (ge*(0*mV - v))*10)/(10*ms) : volt (unless refractory)
        dge/dt = -ge/ms : 1""",
        threshold="v > -40*mV",
        reset="v = -45*mV",
        name="inhibitory",
        **options,
    )
    inhibitory.v = -60 * mV
    learning = Synapses(
        image,
        excitatory,
        """w : 1
        dpre/dt = -pre/(20*ms) : 1 (event-driven)
        dpost1/dt = -post1/(20*ms) : 1 (event-driven)
        dpost2/dt = -post2/(40*ms) : 1 (event-driven)
        before : 1""",
        on_pre="ge_post += w; pre = 1; w = clip(w - 0.001*post1, 0, 1)",
        on_post="before = post2; w = clip(w + 0.05*pre*before, 0, 1); post1 = 1; post2 = 1",
        name="learning",
    )
    learning.connect()
    learning.w = "0.3*rand()"
    learning.delay = "rand()*10*ms"
    up = Synapses(excitatory, inhibitory, on_pre="ge_post += 10.4", name="up")
    up.connect(j="i")
    down = Synapses(inhibitory, excitatory, on_pre="gi_post += 17", name="down")
    down.connect(condition="i != j")
    return Network(image, excitatory, inhibitory, learning, up, down)


def brunel(seed):
    """Sparse network with Poisson input and one delay (Brunel 2000), small."""
    brian2.seed(seed)
    cells = NeuronGroup(
        100,
        "dv/dt = -v/(20*ms) : volt (unless refractory)",
        threshold="v > 20*mV",
        reset="v = 10*mV",
        refractory=2 * ms,
        method="exact",
        name="cells",
    )
    cells.v = "rand()*20*mV"
    background = PoissonInput(cells, "v", 80, 150 * Hz, 0.4 * mV)
    excitatory = Synapses(cells[:80], cells, on_pre="v += 0.4*mV", delay=1.5 * ms, name="excitatory")
    excitatory.connect(p=0.1)
    inhibitory = Synapses(cells[80:], cells, on_pre="v += -2*mV", delay=1.5 * ms, name="inhibitory")
    inhibitory.connect(p=0.1)
    return Network(cells, background, excitatory, inhibitory)


def gsl(seed):
    """An integrator of the GNU Scientific Library, which remembers the length of its last step."""
    brian2.seed(seed)
    group = neurons(
        equations="dv/dt = (25*mV - v + 5*mV*sin(u))/(10*ms) : volt\ndu/dt = (1 - 0.1*u)/(5*ms) : 1",
        refractory=False,
        method="gsl_rkf45",
        method_options={"use_last_timestep": True, "save_failed_steps": True, "save_step_count": True},
    )
    group.u = "rand()*3"
    return Network(group)


NAMES = ("j", "N_incoming", "N_outgoing", "free_space", "spike_time", "source", "group", "delay", "period")
"""Of variables of a group; Brian, or we, have other things of these names elsewhere."""
NAMES_OF_SYNAPSES = ("neuron_index", "spike_number", "record_variables", "queue", "start", "space")
"""The same, of synapses."""


def named(seed):
    """Variables of names that mean something else elsewhere."""
    rng = np.random.default_rng(seed)
    of_cells, equations = ("\n".join(f"{n} : 1" for n in names) for names in (NAMES, NAMES_OF_SYNAPSES))
    cells = NeuronGroup(3, of_cells, threshold="j > 2", dt=0.2 * ms, name="cells")
    synapses = Synapses(cells, cells, equations, on_pre="queue += 1", name="synapses")
    synapses.connect()
    cells.set_states({name: 1 + rng.random(3) for name in NAMES}, units=False)
    synapses.set_states({name: 1 + rng.random(9) for name in NAMES_OF_SYNAPSES}, units=False)
    return Network(cells, brian2.Subgroup(cells, 1, 3, name="part"), synapses)


NETWORKS = {
    made.__name__: made
    for made in (
        noisy,
        plastic,
        driven,
        coupled,
        clocks,
        events,
        cable,
        single_floats,
        paused,
        cuba,
        cobahh,
        vogels,
        digits,
        brunel,
        gsl,
    )
}

COMPILED_ONLY = ("gsl",)
"""What Brian2 cannot run without a compiler."""

if hasattr(brian2, "EventClock"):

    def at_times(seed):
        """What runs at certain times only."""
        brian2.seed(seed)
        group = neurons()
        group.run_at("v += rand()*5*mV", times=[3, 11.3, 22, 31.7] * ms, name="kick")
        return Network(group)

    NETWORKS["at_times"] = at_times
