"""Going through the last milliseconds of another kernel once more.

Neurons are held below a threshold that nobody reaches, and those that spiked are made to spike, step by step.
So spikes are on their way through the real synapses, refractory neurons count down, and generators draw
the same numbers. Then every neuron gets the values that it had in the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.nest.keeping import Keeping, LastSteps, needed_steps, state_of
from ann_ckpt.adapters.nest.kernel import kernel, slice_steps
from ann_ckpt.adapters.nest.models import SYNAPSES, Forcing, adaptive, forcing
from ann_ckpt.adapters.nest.network import NestNetwork
from ann_ckpt.adapters.nest.nodes import NestNodes, move
from ann_ckpt.adapters.nest.synapses import WEIGHT, live_synapses
from ann_ckpt.errors import SimulatorError
from ann_ckpt.model import NetworkState, ProjectionState

__all__ = ["replay"]


def replay(network: NestNetwork, stored: NetworkState, window: LastSteps) -> None:
    """Go through a window, and set the values of the state that it leads to.

    Parameters
    ----------
    network : NestNetwork
        With the synapses and parameters of ``stored``, in a kernel that may have been simulated. Its clock
        goes on by as long as the replay takes.
    stored : NetworkState
        Its values are set in the end. What it lacks keeps the value it has.
    window : LastSteps
        Checked.

    Raises
    ------
    SimulatorError
        If other neurons spike than those that did.
    """
    nest = kernel()
    last = stored.time_step or 0
    quiet = needed_steps(network)
    # Slices have to end where they would.
    quiet += (window.phase - (network.kernel_step + quiet + last - window.origin)) % slice_steps()
    move(network, window.origin - quiet)
    _set_devices(network, stored)
    keeping = Keeping(network, window.steps, window.seed)
    if network.keeping is not None:
        keeping.recorder = network.keeping.recorder
    keeping.connect()
    values = _values(network, stored)
    forced = {number: _Forced(network, name) for number, name in enumerate(sorted(network.populations))}
    try:
        for one in forced.values():
            one.hold()
        nest.Simulate(quiet * float(nest.resolution))
        keeping.recorder.n_events = 0
        _put_in_order(network, stored)
        nest.Prepare()
        try:
            _go_through(window, last, forced)
        finally:
            nest.Cleanup()
    finally:
        for name, given in values.items():
            NestNodes(network, name).set(given)
        _set_plastic(network, stored)
    if not np.array_equal(keeping.recorded(), window.spikes):
        raise SimulatorError(
            "replayed, the network did not spike as it did when the file was written",
            details={"hint": "ann_ckpt.nest.build(..., replay=False) makes it without, approximately"},
        )
    if stored.reseeded is not None:
        nest.rng_seed = stored.reseeded
        network.reseeded = (stored.reseeded, network.step)
    keeping.go_on_from(window)
    network.keeping = keeping


def _go_through(window: LastSteps, last: int, forced: Mapping[int, _Forced]) -> None:
    """Take the steps of a window, one by one, to the step ``last``."""
    nest = kernel()
    reseeds = dict(window.reseeds.tolist())
    spikes = window.spikes[np.argsort(window.spikes[:, 0], kind="stable")]
    starts = np.searchsorted(spikes[:, 0], np.arange(window.origin, last + 1))
    for now, first, end in zip(range(window.origin, last), starts, starts[1:], strict=False):
        if now in reseeds:
            nest.rng_seed = reseeds[now]
        due = spikes[first:end]
        chosen = {n: due[due[:, 1] == n, 2] for n in np.unique(due[:, 1]).tolist()}
        if now >= last - window.traced:
            for number, trace in window.traces.items():
                # Whoever stands where it stood spikes by itself.
                chosen.pop(number, None)
                forced[number].follow(trace[now - last])
        for number, ranks in chosen.items():
            forced[number].spike(ranks)
        nest.Run(float(nest.resolution))
        for number, ranks in chosen.items():
            forced[number].hold(ranks)


def _set_devices(network: NestNetwork, stored: NetworkState) -> None:
    """Give devices what they have in the state, by which they act in the window."""
    for name in network.devices:
        if (device := stored.populations.get(name)) is not None:
            live = NestNodes(network, name)
            live.set({attribute: device[attribute] for attribute in device if attribute in live.values})
            live.set_dynamics(device.dynamics)


def _values(network: NestNetwork, stored: NetworkState) -> dict[str, dict[str, NDArray[Any]]]:
    """Return what neurons have when all is over."""
    found = {}
    for name in network.populations:
        given = NestNodes(network, name).values
        if (one := stored.populations.get(name)) is not None:
            given |= {attribute: np.asarray(one[attribute]) for attribute in one if attribute in given}
        found[name] = given
    return found


def _put_in_order(network: NestNetwork, stored: NetworkState) -> None:
    """Let several synapses between the same two neurons stand in the order of the state.

    NEST sorts synapses when it first simulates and may exchange those; what they add up to depends on it.
    """
    several = {name: one for name, one in stored.projections.items() if _has_several(one)}
    if not several:
        return
    live, _ = live_synapses(network)
    for name, one in several.items():
        given = {WEIGHT: np.broadcast_to(np.asarray(one[WEIGHT]), (one.n_synapses,))} if WEIGHT in one else {}
        if one.delays is not None and not np.array_equal(one.delays, np.asarray(live[name].delays)):
            given["delay"] = np.asarray(one.delays) * float(kernel().resolution)
        live[name].set(network, given)


def _set_plastic(network: NestNetwork, stored: NetworkState) -> None:
    """Give synapses what they had in the end, where spikes of the replay have changed it."""
    changed = {n: one for n, one in stored.projections.items() if _model(one) not in SYNAPSES}
    if not changed:
        return
    live, _ = live_synapses(network)
    for name, one in changed.items():
        if name in live:
            live[name].set(network, {attribute: one[attribute] for attribute in one.variables})


def _model(projection: ProjectionState) -> str:
    return "" if projection.synapse_type is None else projection.synapse_type.name


def _has_several(projection: ProjectionState) -> bool:
    rows = projection.connectivity
    post = np.repeat(rows.post_ranks, rows.row_sizes)
    return bool(np.any((np.diff(rows.pre_ranks) == 0) & (np.diff(post) == 0)))


class _Forced:
    """The neurons of one population, which spike when they are told to."""

    def __init__(self, network: NestNetwork, name: str) -> None:
        self.nodes = network.populations[name]
        self.how: Forcing | None = forcing(self.nodes)
        needs = {*self.how.needs, *self.how.hold} if self.how is not None else ()
        self._own = {n: np.broadcast_to(np.asarray(self.nodes.get(n)), (len(self.nodes),)) for n in needs}
        self._state = adaptive(self.nodes)
        self._free = False

    def hold(self, ranks: NDArray[np.int64] | None = None) -> None:
        """Let neurons be silent, all by default."""
        if self.how is None:
            return
        if ranks is None:
            self.nodes.set(dict(self.how.hold))
            return
        self.nodes[ranks.tolist()].set([dict(self.how.hold)] * len(ranks))

    def spike(self, ranks: NDArray[np.int64]) -> None:
        """Let neurons spike in the next step."""
        if self.how is None:
            return
        given = [self.how.spike({n: float(v[rank]) for n, v in self._own.items()}) for rank in ranks.tolist()]
        self.nodes[ranks.tolist()].set(given)

    def follow(self, state: NDArray[np.float64]) -> None:
        """Let neurons do what they did from a state on, where they are no more held.

        Parameters
        ----------
        state : array, shape (values, neurons)
            Set where it is another one than the neurons have.
        """
        values = dict(zip(self._state, state, strict=True))
        ranks = np.flatnonzero(np.any(state != state_of(self.nodes), axis=0))
        if not self._free:
            held = self.how.hold if self.how is not None else ()
            values |= {name: self._own[name] for name in held}
            ranks, self._free = np.arange(state.shape[1]), True
        if ranks.size:
            given = [{n: float(v[rank]) for n, v in values.items()} for rank in ranks.tolist()]
            self.nodes[ranks.tolist()].set(given)
