"""Networks of C++ standalone mode: what a program left is read, and what a new build begins with is set.

After a run, Brian2 2.11 leaves every array, the queues of spikes and the random generator in a folder;
versions before leave the arrays only. A new build starts from a state by lines in front of its run:
arrays that are filled, and texts that the program reads as it wrote them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.brian2.describe import own_arrays
from ann_ckpt.adapters.brian2.live import ACTIVE, LivePart
from ann_ckpt.adapters.brian2.mapping import (
    NETWORK_TIME,
)
from ann_ckpt.adapters.brian2.order import SynapsesInRows
from ann_ckpt.adapters.brian2.population import LiveGroup
from ann_ckpt.adapters.brian2.projection import LiveSynapses
from ann_ckpt.adapters.brian2.simulator import BrianSimulator
from ann_ckpt.adapters.protocol import Owner
from ann_ckpt.errors import SimulatorError, printable
from ann_ckpt.model import (
    Array,
    Connectivity,
    Exactness,
    NetworkState,
    PopulationState,
    ProjectionState,
    Resume,
)

__all__ = ["GENERATOR", "NextBuild", "captured", "network_of"]

GENERATOR = "random.standalone"
"""The Mersenne twister of a program: 624 words and the position, uint32, shape ``(625,)``."""
_WORDS = 625
_HEADER = "<sstream>"
_LITERAL = 10_000
"""Characters of one text in a C++ program."""


def network_of(device: Any, network: Any = None, *, ran: bool) -> tuple[Any, Any]:
    """Return the one network of a device, and the device itself.

    Parameters
    ----------
    device : brian2.devices.cpp_standalone.device.CPPStandaloneDevice
        Or ``brian2.device``, which stands for it.
    network : brian2.Network, optional
        By default the one that there is.
    ran : bool
        Whether it has to have been run, or must not.

    Raises
    ------
    SimulatorError
        If this is no such device, its program has several threads, there is no one network, or
        it was run and should not have been, or the other way round.
    """
    from brian2 import Network, get_device, prefs
    from brian2.devices.cpp_standalone.device import CPPStandaloneDevice
    from brian2.devices.device import CurrentDeviceProxy

    if isinstance(device, CurrentDeviceProxy):
        device = get_device()
    if not isinstance(device, CPPStandaloneDevice):
        raise SimulatorError(
            f"a {type(device).__name__} is not a C++ standalone device",
            details={"hint": "pass brian2.get_device(); networks in memory are saved and loaded themselves"},
        )
    if prefs["devices.cpp_standalone.openmp_threads"]:
        raise SimulatorError(
            "the program has several threads, each with its own spikes and random numbers",
            details={"hint": "set prefs.devices.cpp_standalone.openmp_threads to 0"},
        )
    if ran and not device.has_been_run:
        raise SimulatorError("the program has not been run", details={"hint": "capture after device.build()"})
    if not ran and device.networks:
        raise SimulatorError(
            "a run is part of this program already",
            details={"hint": "insert before the first run, after device.reinit() and device.activate()"},
        )
    gc.collect()  # or those that nobody has any more would count
    there = [known() for known in Network.__instances__()]
    networks = [network] if network is not None else device.networks if ran else there
    found = {id(one): one for one in networks if one is not None and one.objects}
    if len(found) != 1:
        raise SimulatorError(
            f"there are {len(found)} networks in this program; expected one",
            details={"hint": "make one Network of all objects, and pass it as network="},
        )
    return next(iter(found.values())), device


# --- what a program left ----------------------------------------------------------------


def captured(device: Any) -> NetworkState:
    """Return the state in which the program of a device ended, in memory."""
    return _Ended(*network_of(device, ran=True)).read().state.in_memory()


class _EndedSynapses(LiveSynapses):
    """Synapses whose arrays a program left, with the queues of spikes beside them."""

    results = Path()

    def _queued(self, pathway: Any) -> list[list[int]] | None:
        path = self.results / f"{pathway.name}_queue"
        return _slots(path) if path.exists() else None


class _Ended(BrianSimulator):
    """A network whose program has ended; Brian2 reads the arrays where it left them."""

    def __init__(self, network: Any, device: Any) -> None:
        super().__init__(network)
        self._cpp = device
        self._results = Path(device.results_dir)
        if (done := device._last_run_completed_fraction) != 1.0:
            raise SimulatorError(f"the program was stopped after {done:.0%} of its last run")
        # Brian2 remembers values that were set, such as the place of the next spike, beyond the run.
        for group in self._content.populations.values():
            for variable in own_arrays(group).values():
                device.array_cache[variable] = None

    def _synapses(self, thing: Any, **options: Any) -> LiveSynapses:
        found = _EndedSynapses(thing, **options)
        found.results = self._results
        return found

    def _dynamics(self) -> dict[str, Array]:
        found = _flags(self)
        found[NETWORK_TIME] = np.array(self._network.t_ - self._time_of_step(self._step()))
        if (generator := self._generator()) is not None:
            found[GENERATOR] = generator
        return found

    def _generator(self) -> NDArray[np.uint32] | None:
        path = self._results / "random_generator_state"
        words = np.array(path.read_text().split() if path.exists() else [], np.uint64).astype(np.uint32)
        return words if words.size == _WORDS else None

    def _resuming(
        self, populations: Mapping[str, PopulationState], projections: Mapping[str, ProjectionState]
    ) -> Resume:
        reasons = list(super()._resuming(populations, projections).reasons)
        if self._generator() is None:
            reasons.append("random numbers and spikes under way, which Brian2 leaves since 2.11")
        elif self._draws_normal_numbers():
            reasons.append("one stored normal number, which the program does not leave")
        return Resume(Exactness.APPROXIMATE, tuple(reasons)) if reasons else Resume(Exactness.EXACT)

    def _draws_normal_numbers(self) -> bool:
        """Whether any code asks for them; they are made in pairs, and the second one waits."""
        code = (Path(self._cpp.project_dir) / "code_objects").glob("*.cpp")
        return any("_randn(_vectorisation_idx)" in path.read_text() for path in code)


def _slots(path: Path) -> list[list[int]]:
    """Return a queue from now on; the file has which slot is now, how many there are, and each of them."""
    numbers = iter(map(int, path.read_text().split()))
    now, count = next(numbers), next(numbers)
    slots = [[next(numbers) for _ in range(next(numbers))] for _ in range(count)]
    return [*slots[now:], *slots[:now]]


# --- what a new build begins with -------------------------------------------------------


class NextBuild(BrianSimulator):
    """A network that has not been run: what is set becomes lines of its program.

    Nobody knows its values before the program runs, so that every state is another one.

    Parameters
    ----------
    network : brian2.Network
    device : brian2.devices.cpp_standalone.device.CPPStandaloneDevice
    """

    def __init__(self, network: Any, device: Any) -> None:
        super().__init__(network)
        self._cpp = device

    def _group(self, thing: Any, **options: Any) -> LiveGroup:
        found = _NextGroup(thing, **options)
        found.device = self._cpp
        return found

    def _synapses(self, thing: Any, **options: Any) -> LiveSynapses:
        found = _NextSynapses(thing, **options)
        found.device = self._cpp
        return found

    def _dynamics(self) -> dict[str, Array]:
        return {**_flags(self), NETWORK_TIME: np.array(0.0), GENERATOR: np.zeros(_WORDS, np.uint32)}

    def connect(self, projection: ProjectionState) -> None:
        """Put stored synapses in place of those that the program will have made by then."""
        self._projection(projection.name).connect(projection)

    def _set_time(self, seconds: float) -> None:
        self._network.t_ = seconds
        # The program has a time of its own; the clocks follow when it is run.
        self._cpp.insert_code("main", f"brian::{self._network.name}.t = {seconds!r};")

    def refuse_dynamics(self, stored: Owner) -> str | None:
        """Say why what ``stored`` carries does not fit the object of its name."""
        words = stored.dynamics.get(GENERATOR) if isinstance(stored, NetworkState) else None
        if words is not None and (words.shape != (_WORDS,) or words.dtype != np.uint32):
            return f"{GENERATOR} is not the state of a Mersenne twister"
        return super().refuse_dynamics(stored)

    def set_dynamics(self, stored: Owner, dynamics: Mapping[str, Array]) -> None:
        """Set what the object of the name of ``stored`` carries."""
        if isinstance(stored, NetworkState):
            # The process's own random numbers are none of the program's.
            super().set_dynamics(stored, {n: a for n, a in dynamics.items() if not n.startswith("random.")})
            if GENERATOR in dynamics:
                target = "brian::_random_generators[0]"
                self._cpp.insert_code("main", f"{target}.seed(0ul);  // forgets a stored normal number")
                _read_in(self._cpp, target, np.asarray(dynamics[GENERATOR]).tolist())
        else:
            super().set_dynamics(stored, dynamics)

    def reseed(self, seed: int) -> None:
        """Give the program's random numbers a seed."""
        self._cpp.seed(seed % 2**32)

    def barrier(self) -> None:
        """Refuse: there is no state to make a seed from before the program runs."""
        raise SimulatorError("a program that has not been run cannot be reseeded from its state")


class _Next(LivePart):
    """What groups and synapses have in common before the program runs."""

    device: Any = None

    def dynamics(self) -> dict[str, NDArray[Any]]:
        """Return nothing: it is not known yet."""
        return {}

    def forget(self) -> None:
        """Do nothing: nothing is under way when a program begins."""

    def values(self, variable: Any) -> Array:
        """Return zeros."""
        return np.zeros(() if variable.scalar else (self._length(variable),), variable.dtype)

    def put(self, variable: Any, values: Any) -> None:
        """Let the program fill an array."""
        from brian2.core.variables import DynamicArrayVariable

        array = np.array(values, variable.dtype).reshape(-1)
        dynamic = isinstance(variable, DynamicArrayVariable)
        self.device.array_cache[variable] = None if dynamic else array
        if array.size:
            name = self.device.get_array_name(variable, access_data=False)
            source = self.device.static_array(name, array)
            self.device.main_queue.append(("set_by_array", (name, source, dynamic)))

    def _faults(self, dynamics: Mapping[str, Array]) -> Iterator[str]:
        here = self._carrying()
        yield from self._flag_faults(dynamics)
        for name, array in dynamics.items():
            if self._is_special(name):
                continue
            if name not in here:
                yield f"it carries {name} in the file, and not here"
            elif array.shape != (here[name].size,) or array.dtype != np.dtype(here[name].dtype):
                yield f"{name} is {array.dtype} of the shape {array.shape} in the file, and another here"


class _NextGroup(_Next, LiveGroup):
    """A group before the program runs."""

    def _length(self, variable: Any) -> int:
        return int(variable.size)

    def _faults(self, dynamics: Mapping[str, Array]) -> Iterator[str]:
        if not self._generates:
            yield from super()._faults(dynamics)
            return
        # Where among its spikes it is follows from the time.
        for name, own in (("spike_time", self.thing._spike_time), ("neuron_index", self.thing._neuron_index)):
            if name in dynamics and not np.array_equal(np.asarray(dynamics[name]), own):
                yield f"{name} is another one in the file: its spikes are part of the program"

    def set_dynamics(self, dynamics: Mapping[str, Array]) -> None:
        """Set what it carries, unless it is given its spikes."""
        if not self._generates:
            super().set_dynamics(dynamics)


class _NextSynapses(_Next, LiveSynapses):
    """Synapses before the program runs; how many it would make is not known."""

    _order: NDArray[np.integer[Any]] = np.zeros(0, np.int32)

    @property
    def size(self) -> int:
        """Number of synapses that were set."""
        return int(self._order.size)

    def _length(self, _variable: Any) -> int:
        return self.size

    @property
    def _rows(self) -> SynapsesInRows:
        """A row without synapses, as no file has one."""
        nothing = np.zeros(0, np.int32)
        row = Connectivity(np.zeros(1, np.int32), np.zeros(2, np.int64), nothing)
        return SynapsesInRows.of(("", ""), row, nothing, None)

    def _seconds(self, pathway: Any) -> Array:
        return np.zeros((), pathway.variables["delay"].dtype)

    def _reasons(self, stored: ProjectionState) -> Iterator[str]:
        for end in (self.thing.source, self.thing.target):
            if hasattr(end, "_pathways"):
                yield f"it ends at the synapses {printable(end.name)}, which is not possible in a new build"
        yield from super()._reasons(stored)

    def _vary(self, delay: Any) -> bool:
        return not delay.scalar

    def _replace(self, stored: ProjectionState) -> None:
        """Let the program put stored synapses in place of its own."""
        n, synapses = stored.connectivity.n_synapses, self.thing
        self._order = np.arange(n) if stored.order is None else np.asarray(stored.order)
        for variable in synapses._registered_variables:
            self.device.resize(variable, n)
        post = np.repeat(stored.connectivity.post_ranks, stored.connectivity.row_sizes)[self._order]
        pre = np.asarray(stored.connectivity.pre_ranks)[self._order]
        self.put(self._arrays["_synaptic_pre"], pre)
        self.put(self._arrays["_synaptic_post"], post)
        self.put(self._arrays["N"], n)
        ends = (("N_outgoing", pre, synapses.source), ("N_incoming", post, synapses.target))
        for name, ranks, end in ends:
            self.device.resize(self._arrays[name], _stop(end))
            self.put(self._arrays[name], np.bincount(ranks, minlength=_stop(end)))

    def put_rows(self, variable: Any, values: Array) -> None:
        """Set values of all synapses, which come in rows."""
        self.put(variable, np.asarray(values)[self._order])

    def count(self) -> None:
        """Do nothing: synapses are counted when they are put in place."""

    def _set_queue(self, pathway: Any, slots: list[list[int]]) -> None:
        numbers = chain.from_iterable((len(slot), *slot) for slot in slots)
        _read_in(self.device, f"*brian::{pathway.name}.queue[0]", [0, len(slots), *numbers])


def _flags(simulator: BrianSimulator) -> dict[str, Array]:
    """Return whether what has no arrays runs."""
    return {ACTIVE: np.array([thing.active for thing in simulator._flagged()], np.bool_)}


def _stop(group: Any) -> int:
    """Return how many neurons there are up to the end of a group or a part of one."""
    return int(group.stop if hasattr(group, "source") else group.variables["N"].item())


def _read_in(device: Any, target: str, numbers: list[int]) -> None:
    """Let the program read an object from text, as it wrote it."""
    from brian2 import prefs

    headers = prefs["codegen.cpp.headers"]
    if _HEADER not in headers:
        prefs["codegen.cpp.headers"] = [*headers, _HEADER]
    text = " ".join(map(str, numbers))
    parts = [f'"{text[at : at + _LITERAL]}"' for at in range(0, len(text), _LITERAL)]
    lines = ["{", "std::istringstream stored(", *parts, ");", f"stored >> {target};", "}"]
    device.insert_code("main", "\n".join(lines))
