"""A named network of NEST as a simulator: read whole, set where NEST can."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.nest.exactness import Certificates, out_of_order
from ann_ckpt.adapters.nest.keeping import LastSteps
from ann_ckpt.adapters.nest.kernel import kernel, node_ids
from ann_ckpt.adapters.nest.models import FADING, RELATIVE, base_model
from ann_ckpt.adapters.nest.network import NestNetwork
from ann_ckpt.adapters.nest.nodes import NestNodes, move
from ann_ckpt.adapters.nest.replay import replay
from ann_ckpt.adapters.nest.synapses import NestSynapses, live_synapses
from ann_ckpt.adapters.protocol import Clock, Owner, Reading
from ann_ckpt.errors import SimulatorError, printable
from ann_ckpt.model import (
    Array,
    NetworkState,
    PopulationState,
    ProjectionState,
)
from ann_ckpt.report import Note
from ann_ckpt.selection import EVERYTHING, Selection

__all__ = ["METADATA", "NestSimulator"]

METADATA = "nest"
"""Under which metadata have what a kernel has to be like."""
_SETTINGS = ("rng_type", "tics_per_ms", "min_delay", "max_delay", "local_num_threads")


class NestSimulator:
    """Meets :class:`~ann_ckpt.adapters.protocol.ExactSimulator`.

    Parameters
    ----------
    network : NestNetwork

    Raises
    ------
    SimulatorError
        If the kernel was reset since the network was named, or NEST runs on several machines.
    """

    def __init__(self, network: NestNetwork) -> None:
        network.check_alive()
        if kernel().num_processes > 1:
            raise SimulatorError(
                f"NEST runs with {kernel().num_processes} MPI processes, each of which sees its own synapses",
                details={"hint": "threads are supported: nest.local_num_threads"},
            )
        self.network = network
        self._read: dict[str, NestSynapses] = {}
        self._read_at = -1.0

    @property
    def label(self) -> str:
        """Name and version, such as ``NEST 3.10.0``."""
        return f"NEST {kernel().build_info['version']}"

    @property
    def identity(self) -> object:
        """The network, of which there may be several simulators."""
        return self.network

    # --- reading ------------------------------------------------------------------------

    def read(self, selection: Selection = EVERYTHING) -> Reading:
        """Return the selected part of the network, with notes on what is not saved."""
        network, nest = self.network, kernel()
        network.check_alive()
        nodes = {name: NestNodes(network, name) for name in network.nodes}
        synapses, unnamed = live_synapses(network) if selection.projections else ({}, 0)
        self._read, self._read_at = synapses, kernel().biological_time
        sizes = {name: one.size for name, one in nodes.items()}
        populations = selection.pick("populations", nodes)
        projections = selection.pick("projections", synapses)
        keeping, window = network.keeping, None
        # Replayed is all or nothing.
        if keeping is not None and len(populations) == len(nodes) and selection.projections:
            window = keeping.window() if len(projections) == len(synapses) else None
        said = Certificates(network, nodes, synapses, window)
        state = NetworkState(
            populations={n: nodes[n].state(said.nodes(n)) for n in populations},
            projections={n: synapses[n].state(sizes, said.synapses(synapses[n])) for n in projections},
            resume=said.network,
            dynamics={} if window is None else window.dynamics,
            reseeded=self._seed_of_barrier(),
            time_step=network.step,
            dt=float(nest.resolution),
            seed=int(nest.rng_seed) if keeping is None else keeping.seed,
            metadata={METADATA: self._kernel(nodes)},
        )
        return Reading(state, tuple(self._notes(nodes, unnamed)))

    def clock(self) -> Clock:
        """Return the step, and its length in ms."""
        return Clock(self.network.step, float(kernel().resolution))

    def _kernel(self, nodes: Mapping[str, NestNodes]) -> dict[str, Any]:
        """Return what a kernel has to be given before the network can be made in it."""
        nest = kernel()
        return {
            "version": str(nest.build_info["version"]),
            "kernel": {name: getattr(nest, name) for name in _SETTINGS},
            "devices": list(self.network.devices),
            "nodes": {
                name: {
                    "model": one.model,
                    "base": one.base,
                    "runs": _runs(one.nodes),
                    "options": one.options,
                    **({"record_from": _recorded(one)} if "record_from" in one.nodes[0].get() else {}),
                }
                for name, one in nodes.items()
            },
        }

    def _notes(self, nodes: Mapping[str, NestNodes], unnamed: int) -> Iterator[Note]:
        named, there = sum(one.size for one in nodes.values()), int(kernel().network_size)
        if self.network.keeping is not None and self.network.keeping.recorder is not None:
            named += 1
        if named < there:
            yield Note("", f"{there - named} nodes of the kernel have no name here; they are not saved")
        if unnamed:
            yield Note("", f"{unnamed} synapses of nodes without a name are not saved")
        for name, one in nodes.items():
            if one.left:
                yield Note(f"populations/{name}", f"not saved: {', '.join(sorted(one.left))}")
            if one.nodes[0].get("element_type") == "recorder":
                yield Note(f"populations/{name}", "what a recorder has recorded is not saved")

    # --- setting ------------------------------------------------------------------------

    def _synapses(self, name: str) -> NestSynapses:
        if self._read_at != kernel().biological_time or name not in self._read:
            self._read, _ = live_synapses(self.network)
            self._read_at = kernel().biological_time
        return self._read[name]

    def refusal(self, projection: ProjectionState) -> str | None:
        """Say why ``projection`` cannot be put in place of the live one of its name."""
        live = self._synapses(projection.name)
        if not live.rows.equals(projection.connectivity):
            return (
                "NEST takes synapses away one by one, some hundred in a second; "
                "ann_ckpt.nest.build makes the network anew from the file"
            )
        return live.refuse_delays(projection)

    def refuse_values(self, stored: Owner, values: Mapping[str, Array]) -> str | None:
        """Say what NEST itself says of the values, tried on a copy of the model."""
        if isinstance(stored, PopulationState):
            return NestNodes(self.network, stored.name).refuse(values)
        if isinstance(stored, ProjectionState):
            return self._synapses(stored.name).refuse(values)
        return None

    def _forget(self) -> None:
        """Forget what was kept of the last steps, before something is set that they do not lead to."""
        if self.network.keeping is not None:
            self.network.keeping.forget()

    def set_attributes(self, stored: PopulationState | ProjectionState, values: Mapping[str, Array]) -> None:
        """Set all values of one object together."""
        self._forget()
        if isinstance(stored, PopulationState):
            NestNodes(self.network, stored.name).set(values)
        else:
            self._synapses(stored.name).set(self.network, values)

    def set_population_attribute(self, population: str, attribute: str, values: Array) -> None:
        """Set one attribute of all neurons."""
        self._forget()
        NestNodes(self.network, population).set({attribute: values})

    def set_projection_attribute(self, projection: str, attribute: str, values: Array) -> None:
        """Set one attribute of synapses, given in rows."""
        self._forget()
        self._synapses(projection).set(self.network, {attribute: values})

    def set_constant(self, name: str, value: NDArray[Any]) -> None:
        """Do nothing: there are no constants."""

    def set_delays(self, projection: str, delays: int | Array) -> None:
        """Set delays in steps."""
        self._forget()
        live = self._synapses(projection)
        ms = np.asarray(delays) * float(kernel().resolution)
        live.set(self.network, {"delay": np.broadcast_to(ms, (live.rows.n_synapses,))})

    def connect(self, projection: ProjectionState) -> None:
        """Synapses that differ are always refused."""
        raise SimulatorError(f"synapses of {printable(projection.name)} cannot be replaced")

    def set_time_step(self, time_step: int) -> None:
        """Count time from where the file stood; the kernel's own clock stays, and devices are set by it."""
        self._forget()
        move(self.network, time_step)

    # --- what is carried from step to step ----------------------------------------------

    def cannot_take(self, stored: Owner) -> str | None:
        """Say why a window of spikes cannot be replayed here; lists of events are always taken."""
        if not isinstance(stored, NetworkState) or not stored.dynamics:
            return None
        about = stored.metadata.get(METADATA)
        nodes = {name: NestNodes(self.network, name) for name in self.network.nodes}
        here = self._kernel(nodes)
        if not isinstance(about, Mapping) or about.get("kernel") != here["kernel"]:
            return "the kernel has other threads, delays or random numbers than the one that was saved"
        there = about.get("nodes")
        if not isinstance(there, Mapping) or any(
            name not in there or there[name].get("runs") != one["runs"] for name, one in here["nodes"].items()
        ):
            return "nodes have other numbers in this kernel than in the one that was saved"
        synapses, _ = live_synapses(self.network)
        if synapses.keys() != stored.projections.keys() or any(
            not one.rows.equals(stored.projections[name].connectivity) for name, one in synapses.items()
        ):
            return "the network has other synapses than the one that was saved"
        if out_of_order(nodes, synapses):
            return "targets of a generator were connected in another order"
        return None

    def replays(self, stored: NetworkState) -> bool:
        """Whether a load goes through the last steps of the saved run."""
        return bool(stored.dynamics) and self.cannot_take(stored) is None

    def refuse_dynamics(self, stored: Owner) -> str | None:
        """Say why what is carried from step to step does not fit what has the name of ``stored``."""
        if isinstance(stored, PopulationState):
            return NestNodes(self.network, stored.name).refuse_dynamics(stored.dynamics)
        if isinstance(stored, NetworkState):
            return LastSteps.refuse(stored.dynamics, self.network.populations, stored.time_step or 0)
        return "only generators have lists of events" if stored.dynamics else None

    def set_dynamics(self, stored: Owner, dynamics: Mapping[str, Array]) -> None:
        """Set lists of events; of the network, go through its last steps once more."""
        if isinstance(stored, PopulationState):
            NestNodes(self.network, stored.name).set_dynamics(dynamics)
        elif isinstance(stored, NetworkState) and (window := LastSteps.of(dynamics)) is not None:
            replay(self.network, stored, window)

    def reseed(self, seed: int) -> None:
        """Give the kernel a new seed."""
        kernel().rng_seed = seed
        self.network.reseeded = (seed, self.network.step)

    def barrier(self) -> None:
        """Reseed from seed and step, and set potentials that lose bits on their way out to what comes in."""
        words = [int(kernel().rng_seed), self.network.step]
        self.reseed(int(np.random.SeedSequence(words).generate_state(1)[0] >> 1) or 1)
        for nodes in self.network.populations.values():
            if base_model(nodes[0].get("model")) in RELATIVE | FADING:
                nodes.set([{"V_m": value} for value in np.atleast_1d(nodes.get("V_m")).tolist()])

    def _seed_of_barrier(self) -> int | None:
        seed, step = self.network.reseeded or (None, None)
        return seed if step == self.network.step else None

    # --- calls between steps ------------------------------------------------------------

    def call_every(self, period: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call while ``network.simulate`` runs; see there."""
        return self.network.call_every(period, call)


def _recorded(part: NestNodes) -> list[str]:
    return [str(name) for name in part.nodes[0].get("record_from")]


def _runs(nodes: Any) -> list[list[int]]:
    """Return ranges of nodes, first and last."""
    ids = node_ids(nodes)
    breaks = np.flatnonzero(np.diff(ids) != 1)
    return np.stack([ids[np.append(0, breaks + 1)], ids[np.append(breaks, ids.size - 1)]], axis=1).tolist()  # type: ignore[no-any-return]
