"""What a run that is resumed from a state of NEST is worth, and why it is not worth more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ann_ckpt.adapters.nest.keeping import LastSteps, needed_steps
from ann_ckpt.adapters.nest.kernel import kernel, node_ids
from ann_ckpt.adapters.nest.models import (
    DEVICES,
    EXACT,
    FADING,
    PAIRING,
    RELATIVE,
    SYNAPSES,
    adaptive,
    forcing,
)
from ann_ckpt.adapters.nest.network import NestNetwork
from ann_ckpt.adapters.nest.nodes import NestNodes
from ann_ckpt.adapters.nest.solver import forgotten
from ann_ckpt.adapters.nest.synapses import NestSynapses
from ann_ckpt.model import Exactness, Resume

__all__ = ["Certificates", "out_of_order"]

_MANY = 12.0
"""Expected events in one step from which on a Poisson generator keeps a number for the next draw."""


class Certificates:
    """Exactness of a network and of its objects.

    Parameters
    ----------
    network : NestNetwork
    nodes : mapping of str to NestNodes
    synapses : mapping of str to NestSynapses
        All there are.
    window : LastSteps or None
        What is saved to be replayed.
    """

    def __init__(
        self,
        network: NestNetwork,
        nodes: Mapping[str, NestNodes],
        synapses: Mapping[str, NestSynapses],
        window: LastSteps | None,
    ) -> None:
        self._network = network
        self._nodes = nodes
        self._window = window
        self._kept = 0.0 if window is None else (network.step - window.origin) * float(kernel().resolution)
        """Milliseconds that the window goes back."""
        self._at_barrier = network.reseeded is not None and network.reseeded[1] == network.step
        self._unordered = out_of_order(nodes, synapses)
        self._learning = {one.post for one in synapses.values() if one.model not in SYNAPSES}
        self._doubts = list(self._of_the_kernel())

    @property
    def network(self) -> Resume:
        """Of what belongs to no object."""
        if self._window is None:
            return _approximate("spikes on their way", "random numbers", *self._doubts)
        if self._doubts:
            return _approximate(*self._doubts)
        if any(one.base == "poisson_generator" for one in self._nodes.values()):
            return Resume(Exactness.RESEEDED, ("random numbers",))
        return Resume(Exactness.EXACT)

    def nodes(self, name: str) -> Resume:
        """Of a population or device."""
        one = self._nodes[name]
        if one.frozen:
            return _approximate("which of its nodes are frozen")
        if one.is_device:
            return self._of_a_device(one)
        if reasons := list(self._of_neurons(one)):
            return _approximate(*reasons)
        if one.base in RELATIVE:
            return Resume(Exactness.RESEEDED, ("V_m, which NEST keeps relative to E_L",))
        return Resume(Exactness.EXACT)

    def synapses(self, one: NestSynapses) -> Resume:
        """Of a projection."""
        if self._window is None or self._doubts:
            return _approximate("spikes on their way")
        pre = self._nodes[one.pre]
        if one.model in PAIRING:
            return _approximate(
                f"spikes before the last {self._kept:g} ms, which {one.model} pairs with later ones"
            )
        if one.model not in SYNAPSES:
            return _approximate(f"nobody has shown that {one.model} can be replayed")
        if pre.base not in DEVICES and forcing(pre.nodes) is None:
            return _approximate(f"spikes of {pre.base} on their way")
        if one.name in self._unordered:
            return _approximate("the order in which its targets were connected")
        return Resume(Exactness.EXACT)

    # --- reasons ------------------------------------------------------------------------

    def _of_the_kernel(self) -> Iterator[str]:
        window, network, nest = self._window, self._network, kernel()
        if network.keeping is not None and window is None:
            yield "nothing is kept of the last steps"
        if window is None:
            return
        ms = float(nest.resolution)
        if (there := network.step - window.origin) < window.steps:
            yield f"the {window.steps * ms:g} ms before: {there * ms:g} are kept"
        if (needed := needed_steps(network)) > window.steps:
            yield f"what began {needed * ms:g} ms ago may last, and {window.steps * ms:g} are kept"
        if _matter(network):
            yield "nodes without a name"
        if nest.structural_plasticity_synapses:
            yield "structural plasticity"

    def _of_neurons(self, one: NestNodes) -> Iterator[str]:
        window = self._window
        if window is None or self._doubts:
            yield "refractory countdowns"
            if one.hidden:
                yield f"{', '.join(one.hidden)}, which NEST does not let anybody set"
        elif one.base in FADING:
            tau = max(float(np.max(v)) for name, v in one.values.items() if name.startswith("tau_syn"))
            yield f"input older than {self._kept:g} ms is forgotten (e^-{self._kept / tau:.3g})"
            if one.name in self._learning:
                yield "later input through synapses that have changed since"
        elif one.base not in EXACT | RELATIVE or forcing(one.nodes) is None:
            yield f"nobody has shown that {one.base} can be replayed"
        else:
            if np.any(one.values.get("refractory_input", np.False_)):
                yield "input during the refractory period"
            if one.base in RELATIVE and not self._at_barrier:
                yield "the last bits of V_m, which NEST keeps relative to E_L"
            trace = window.traces.get(sorted(self._network.populations).index(one.name))
            if trace is not None and not np.all(known := forgotten(adaptive(one.nodes), trace, one.values)):
                yield f"how long the last step was of the solvers of {np.count_nonzero(~known)} neurons"

    def _of_a_device(self, one: NestNodes) -> Resume:
        if self._window is None or self._doubts or one.base not in DEVICES:
            return _approximate("what the generator keeps to itself")
        if one.base == "poisson_generator":
            expected = float(np.max(one.values["rate"])) * float(kernel().resolution) / 1000.0
            if expected >= _MANY:
                return _approximate("a random number for the next draw")
        return Resume(Exactness.EXACT)


def out_of_order(nodes: Mapping[str, NestNodes], synapses: Mapping[str, NestSynapses]) -> set[str]:
    """Return projections of generators whose targets would draw other random numbers after a build.

    A generator draws for one target after the other, in the order in which they were connected, and
    ``build`` connects them projection by projection, row by row.
    """
    found: set[str] = set()
    groups: dict[tuple[str, str], list[NestSynapses]] = {}
    for one in synapses.values():
        if nodes[one.pre].base == "poisson_generator":
            groups.setdefault((one.pre, one.model), []).append(one)
    for together in groups.values():
        source = np.concatenate([one.rows.pre_ranks for one in together])
        thread, port = (np.concatenate([one.places[i] for one in together]) for i in (0, 1))
        order = np.lexsort((np.arange(source.size), thread, source))
        same = (np.diff(source[order]) == 0) & (np.diff(thread[order]) == 0)
        if np.any(same & (np.diff(port[order]) <= 0)):
            found |= {one.name for one in together}
    return found


def _matter(network: NestNetwork) -> bool:
    """Whether there are nodes without a name that may change what a run does.

    A recorder that was made last of all does not.
    """
    nest = kernel()
    ids = [node_ids(nodes) for nodes in network.nodes.values()]
    if network.keeping is not None and network.keeping.recorder is not None:
        ids.append(node_ids(network.keeping.recorder))
    named = np.concatenate([*ids, np.empty(0, np.int64)])
    others = np.setdiff1d(np.arange(1, int(nest.network_size) + 1), named)
    if not others.size:
        return False
    last = max(int(one[-1]) for one in ids[: len(network.nodes)])
    kinds: Iterable[str] = np.atleast_1d(nest.NodeCollection(others.tolist()).get("element_type"))
    return bool(others[0] < last) or any(kind != "recorder" for kind in kinds)


def _approximate(*reasons: str) -> Resume:
    return Resume(Exactness.APPROXIMATE, reasons)
