"""What a running network keeps, so that its last milliseconds can be gone through once more.

NEST shows neither spikes on their way nor refractory countdowns nor random generators. Another kernel comes
by them if the same neurons spike at the same steps, and the same numbers are drawn. So the last milliseconds
before the end of each run, and before each call that is due in it, are simulated in single steps, reseeded at
their beginning, and spikes in them are recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.nest.kernel import kernel, node_ids, slice_steps
from ann_ckpt.adapters.nest.models import DEVICES, adaptive, base_model, forcing
from ann_ckpt.errors import OptionError
from ann_ckpt.model import Array

__all__ = ["SYNAPSE", "Keeping", "LastSteps", "needed_steps", "state_of"]

SYNAPSE = "kept_ann_ckpt"
"""Model of the synapses that lead to our own recorder."""
_BLOCK = 1000
"""Steps between two times that the recorder is emptied."""
_NAMES = ("window", "reseeds", "spikes")
_TRACE = "trace."
"""Beginning of the names of traces; the number of the population follows."""
_TRACED = 400
"""Most steps in which the whole state of neurons with an adaptive solver is kept."""

_HISTORY = {"Ca", "archiver_length", "post_trace", "t_spike"}
"""What all neurons show of their past spikes."""


class Named(Protocol):
    """What is asked of a network."""

    populations: dict[str, Any]
    devices: dict[str, Any]
    offset: int

    @property
    def kernel_step(self) -> int:
        """Steps since the kernel was reset."""


def needed_steps(network: Named) -> int:
    """Return after how many steps of silence nothing is on its way any more, and nobody is refractory."""
    nest = kernel()
    refractory = [
        float(np.max(nodes.get("t_ref")))
        for nodes in network.populations.values()
        if "t_ref" in nest.GetDefaults(nodes[0].get("model"))
    ]
    longest = float(nest.max_delay) + max(refractory, default=0.0)
    return round(longest / float(nest.resolution)) + 1


@dataclass(frozen=True, slots=True)
class LastSteps:
    """The last steps of a run, from a step at which it was reseeded."""

    steps: int
    """How many are kept at least."""
    origin: int
    """Where this window begins, in steps of the network."""
    phase: int
    """Steps from the end of a slice of NEST to the end of the window."""
    seed: int
    """What seeds are made from."""
    reseeds: NDArray[np.int64]
    """``(k, 2)``: step, seed."""
    spikes: NDArray[np.int64]
    """``(n, 3)``: step in which the neuron spiked, number of its population among the sorted names, rank."""
    traces: Mapping[int, NDArray[np.float64]]
    """By number of the population ``(steps, values, neurons)``: what neurons with an adaptive solver had
    before each of the last steps."""

    @property
    def traced(self) -> int:
        """How many steps there are traces of."""
        return max((len(trace) for trace in self.traces.values()), default=0)

    @property
    def dynamics(self) -> dict[str, Array]:
        """What stands in a state."""
        head = np.array([self.steps, self.origin, self.phase, self.seed], np.int64)
        found: dict[str, Array] = dict(zip(_NAMES, (head, self.reseeds, self.spikes), strict=True))
        return found | {f"{_TRACE}{number}": values for number, values in self.traces.items()}

    @classmethod
    def of(cls, dynamics: Mapping[str, Array]) -> LastSteps | None:
        """Return what a state has, checked by :meth:`refuse`; None if it has nothing."""
        if not all(name in dynamics for name in _NAMES):
            return None
        head, reseeds, spikes = (np.asarray(dynamics[name]) for name in _NAMES)
        traces = {int(n.removeprefix(_TRACE)): np.asarray(a) for n, a in dynamics.items() if n not in _NAMES}
        steps, origin, phase, seed = head.tolist()
        return cls(steps, origin, phase, seed, reseeds, spikes, traces)

    @staticmethod
    def refuse(dynamics: Mapping[str, Array], populations: Mapping[str, Any], now: int) -> str | None:
        """Say why the dynamics of a network are no window of one with these populations, at this step."""
        if not dynamics:
            return None
        nodes = [populations[name] for name in sorted(populations)]
        for faults in (_of_shape(dynamics, nodes), _of_values(dynamics, [len(one) for one in nodes], now)):
            if (fault := next(faults, None)) is not None:
                return fault
        return None


def _of_shape(dynamics: Mapping[str, Array], nodes: list[Any]) -> Iterator[str]:
    """Yield what is wrong with names, types and shapes; what comes later may rely on what came before."""
    traced = {f"{_TRACE}{n}": (len(adaptive(one)), len(one)) for n, one in enumerate(nodes)}
    traced = {name: shape for name, shape in traced.items() if shape[0]}
    expected = {*_NAMES, *traced}
    if dynamics.keys() != expected:
        yield f"expected {', '.join(sorted(expected))}, found {', '.join(sorted(dynamics))}"
    for name, shape in traced.items():
        if dynamics[name].shape[1:] != shape or dynamics[name].dtype != np.float64:
            yield f"{name} has the shape {dynamics[name].shape} instead of {('steps', *shape)}"
    if len({dynamics[name].shape[0] for name in traced}) > 1:
        yield "traces are of different lengths"
    head, reseeds, spikes = (dynamics[name] for name in _NAMES)
    if any(a.dtype != np.int64 for a in (head, reseeds, spikes)):
        yield "the kept window has other types than whole numbers of 64 bits"
    if head.shape != (4,) or reseeds.shape[1:] != (2,) or spikes.shape[1:] != (3,) or not reseeds.shape[0]:
        yield f"the kept window has shapes {head.shape}, {reseeds.shape} and {spikes.shape}"


def _of_values(dynamics: Mapping[str, Array], sizes: list[int], now: int) -> Iterator[str]:
    """Yield what is wrong with numbers of the right shapes."""
    head, reseeds, spikes = (np.asarray(dynamics[name]) for name in _NAMES)
    steps, origin, phase, _ = head.tolist()
    if not (0 < steps < 1 << 40 and 0 <= origin < now and 0 <= phase < 1 << 40):
        yield f"the kept window of {steps} steps begins at {origin}, and the network stands at {now}"
    if np.any((spikes[:, 0] < origin) | (spikes[:, 0] >= now)):
        yield "a kept spike is outside of the window"
    number, rank = spikes[:, 1], spikes[:, 2]
    if np.any((number < 0) | (number >= len(sizes)) | (rank < 0)):
        yield "a kept spike is of no population"
    if np.any(rank >= np.asarray([*sizes, 0])[number]):
        yield "a kept spike is of no neuron"
    if len(np.unique(spikes, axis=0)) < len(spikes):
        yield "a neuron has spiked twice in a step"
    if np.any((reseeds[:, 1] < 1) | (reseeds[:, 1] >= 1 << 32)):
        yield "a kept seed is none that NEST takes"


class Keeping:
    """The recorder of a network, and the window that it fills.

    Parameters
    ----------
    network : NestNetwork
    steps : int
        How many are kept.
    seed : int, optional
        What seeds are made from; the kernel's own by default.

    Raises
    ------
    OptionError
        If less than one step would be kept.
    """

    def __init__(self, network: Named, steps: int, seed: int | None = None) -> None:
        if steps < 1:
            raise OptionError("keep: expected a time of at least one step")
        self.steps = steps
        self.seed = int(kernel().rng_seed) if seed is None else seed
        self.recorder: Any = None
        self._network = network
        self._since: int | None = None
        self._until = -1
        self._acting: list[Any] = []
        """What generators, and neurons beside their state, were when the last run began."""
        self._reseeds: list[tuple[int, int]] = []
        self._spikes: NDArray[np.int64] = np.empty((0, 3), np.int64)
        self._trace: list[dict[int, NDArray[np.float64]]] = []
        self._traced = 0

    def connect(self) -> None:
        """Record all neurons that can be made to spike, once they are connected among themselves."""
        nest, network = kernel(), self._network
        solvers = any(adaptive(nodes) for nodes in network.populations.values())
        self._traced = min(max(0, self.steps - needed_steps(network)), _TRACED) if solvers else 0
        if self.recorder is not None:
            return
        populations = [nodes for nodes in network.populations.values() if forcing(nodes) is not None]
        if SYNAPSE not in nest.synapse_models:
            nest.CopyModel("static_synapse", SYNAPSE)
        self.recorder = nest.Create("spike_recorder")
        for nodes in populations:
            # Another delay than there is would change how long slices are.
            nest.Connect(nodes, self.recorder, syn_spec={"synapse_model": SYNAPSE, "delay": nest.min_delay})

    # --- running ------------------------------------------------------------------------

    def forget(self) -> None:
        """Forget the last steps: the network does not stand where they led."""
        self._since = None

    def _goes_on(self, acting: object) -> bool:
        """Whether nobody simulated, or changed what acts in the window, since the last run."""
        return self._until == self._network.kernel_step and self._acting == acting

    def run(self, end: int) -> None:
        """Simulate to a step of the kernel, the last steps of the window one by one."""
        nest, network = kernel(), self._network
        step, now = float(nest.resolution), network.kernel_step
        # Generators are silent in the first step of a kernel, and no other one can have that again.
        begin = max(end - self.steps, now, 1)
        acting = _acting(network)
        if not self._goes_on(acting) or begin > now:
            self.forget()
        self._acting = acting
        slice_ = slice_steps()
        while now < min(begin, end):
            border = (now + max(_BLOCK, slice_)) // slice_ * slice_
            nest.Simulate((min(border, begin, end) - now) * step)
            now = network.kernel_step
            # Emptied as it goes, so that it does not grow with the run.
            self.recorder.n_events = 0
        if now < end:
            if self._since is None:
                self._since, self._reseeds, self._spikes, self._trace = now, [], self._spikes[:0], []
                self.recorder.n_events = 0
            self._reseed(now + network.offset)
            nest.Prepare()
            try:
                for at in range(now, end):
                    if at >= end - self._traced:
                        self._trace.append(self.state())
                    nest.Run(step)
            finally:
                nest.Cleanup()
            self._collect(end)
        self._until = end

    def _reseed(self, step: int) -> None:
        seed = int(np.random.SeedSequence([self.seed, step]).generate_state(1)[0] >> 1) or 1
        kernel().rng_seed = seed
        self._reseeds.append((step, seed))

    def recorded(self) -> NDArray[np.int64]:
        """Return what the recorder has, and empty it: step of the network, population, rank."""
        events = self.recorder.get("events")
        self.recorder.n_events = 0
        senders = np.asarray(events["senders"], np.int64)
        # A spike in the step from t on has the time t + 1.
        steps = np.rint(np.asarray(events["times"]) / float(kernel().resolution)).astype(np.int64) - 1
        owner, rank = self._numbers()
        found = np.stack([steps + self._network.offset, owner[senders], rank[senders]], axis=1)
        ordered: NDArray[np.int64] = found[np.lexsort(found.T[::-1])]
        return ordered

    def state(self) -> dict[int, NDArray[np.float64]]:
        """Return what neurons with an adaptive solver have, by number of the population."""
        populations = self._network.populations
        return {
            number: state_of(populations[name])
            for number, name in enumerate(sorted(populations))
            if adaptive(populations[name])
        }

    def _numbers(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return by node the number of its population among the sorted names, and its rank; -1 for others."""
        owner = np.full(int(kernel().network_size) + 1, -1, np.int64)
        rank = owner.copy()
        populations = self._network.populations
        for number, name in enumerate(sorted(populations)):
            ids = node_ids(populations[name])
            owner[ids], rank[ids] = number, np.arange(ids.size)
        return owner, rank

    def _collect(self, end: int) -> None:
        """Keep what was recorded, and no more than begins with a reseeding before the window."""
        self._spikes = np.concatenate([self._spikes, self.recorded()])
        self._trace = self._trace[max(0, len(self._trace) - self._traced) :]
        first = end + self._network.offset - self.steps
        old = [i for i, (step, _) in enumerate(self._reseeds) if step <= first]
        self._reseeds = self._reseeds[old[-1] if old else 0 :]
        self._spikes = self._spikes[self._spikes[:, 0] >= self._reseeds[0][0]]

    # --- what was kept ------------------------------------------------------------------

    def window(self) -> LastSteps | None:
        """Return the window that ends now; None if the network went here by other ways."""
        network = self._network
        now = network.kernel_step
        if self._since is None or not self._goes_on(_acting(network)) or len(self._trace) < self._traced:
            return None
        return LastSteps(
            self.steps,
            self._reseeds[0][0],
            now % slice_steps(),
            self.seed,
            np.array(self._reseeds, np.int64),
            self._spikes.copy(),
            {n: np.stack([*(one[n] for one in self._trace), last])[:-1] for n, last in self.state().items()},
        )

    def go_on_from(self, window: LastSteps) -> None:
        """Take over what another network kept, which this one has been through."""
        self._until = self._network.kernel_step
        self._since = window.origin - self._network.offset
        self._reseeds = [(step, seed) for step, seed in window.reseeds.tolist()]
        self._spikes = window.spikes
        self._trace = [{n: values[i] for n, values in window.traces.items()} for i in range(window.traced)]
        self._acting = _acting(self._network)


def _acting(network: Named) -> list[Any]:
    """Return by what the last steps go as they do, beside spikes, synapses and the state of neurons."""
    found: list[Any] = []
    for nodes in network.devices.values():
        status = nodes[0].get()
        # Others may show what they keep, which is nothing that anybody set.
        if status["element_type"] == "stimulator" and base_model(status["model"]) in DEVICES:
            found.append(_plain(nodes.get()))
    for nodes in network.populations.values():
        status = nodes[0].get()
        if state := adaptive(nodes):
            changing = {*status["recordables"], *state, *_HISTORY}
            found.append({n: v for n, v in _plain(nodes.get()).items() if n not in changing})
        elif "t_ref" in status:
            found.append(nodes.get("t_ref"))
    return found


def _plain(value: Any) -> Any:
    """Return what can be compared: lists in place of arrays."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def state_of(nodes: Any) -> NDArray[np.float64]:
    """Return the state of neurons with an adaptive solver, ``(values, neurons)``."""
    names = adaptive(nodes)
    found = nodes.get(list(names))
    return np.array([np.atleast_1d(found[name]) for name in names], np.float64)
