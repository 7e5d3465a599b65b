"""A network of NEST with names, as users hold one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.nest.keeping import Keeping
from ann_ckpt.adapters.nest.kernel import kernel, node_ids, slice_steps
from ann_ckpt.arguments import duration as in_ms
from ann_ckpt.arguments import named
from ann_ckpt.errors import OptionError, SimulatorError, printable

__all__ = ["Given", "NestNetwork"]

_KINDS = {"neuron": "populations", "stimulator": "devices", "recorder": "devices"}
"""Where nodes are named, by what NEST says they are: times of devices only follow the network's clock."""


@dataclass(slots=True)
class Given:
    """What the kernel was given for times of a device, and what that stands for by the network's clock."""

    columns: dict[str, tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=dict)
    lists_given: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    lists_mean: dict[str, list[NDArray[Any]]] = field(default_factory=dict)


class NestNetwork:
    """Names for what is in NEST's kernel; made by :func:`ann_ckpt.nest.network`.

    Parameters
    ----------
    populations : mapping of str to NodeCollection
        Each of one model.
    devices : mapping of str to NodeCollection
        Generators and recorders.

    Raises
    ------
    OptionError
        If something is no NodeCollection, is empty, or stands under two names.
    """

    def __init__(self, populations: Mapping[str, Any], devices: Mapping[str, Any]) -> None:
        self.populations: dict[str, Any] = named("populations", populations, "NodeCollection")
        """NodeCollections by name."""
        self.devices: dict[str, Any] = named("devices", devices, "NodeCollection")
        """NodeCollections of generators and recorders by name."""
        self.offset = 0
        """Steps that the network had been simulated for when the kernel began."""
        self.given: dict[str, Given] = {}
        """Times of devices by the kernel's clock, and what they stand for."""
        self.reseeded: tuple[int, int] | None = None
        """Seed of the last barrier, and the step of it."""
        self.keeping: Keeping | None = None
        """What is kept of the last milliseconds."""
        self._calls: list[tuple[int, Callable[[], None]]] = []
        self._check()

    def _check(self) -> None:
        nest = kernel()
        if both := self.populations.keys() & self.devices.keys():
            raise OptionError(f"{printable(min(both))!r} names a population and a device")
        taken: dict[str, NDArray[np.int64]] = {}
        for name, nodes in self.nodes.items():
            if not isinstance(nodes, nest.NodeCollection):
                raise OptionError(f"{printable(name)!r} is a {type(nodes).__name__}, no NodeCollection")
            if not len(nodes):
                raise OptionError(f"{printable(name)!r} is an empty NodeCollection")
            models = set(nodes.get("model")) if len(nodes) > 1 else {nodes.get("model")}
            if len(models) > 1:
                raise OptionError(
                    f"{printable(name)!r} has neurons of several models: {', '.join(sorted(models))}",
                    details={"hint": "name those of each model apart"},
                )
            here = "devices" if name in self.devices else "populations"
            if (there := _KINDS.get(nodes[0].get("element_type"), here)) != here:
                raise OptionError(
                    f"{printable(name)!r} stands in {here}=, and {min(models)} belongs in {there}="
                )
            for other, ids in taken.items():
                if (both_have := np.intersect1d(ids, node_ids(nodes))).size:
                    raise OptionError(
                        f"node {both_have[0]} is in {printable(other)!r} and in {printable(name)!r}"
                    )
            taken[name] = node_ids(nodes)

    @property
    def nodes(self) -> dict[str, Any]:
        """Populations and devices."""
        return {**self.populations, **self.devices}

    def check_alive(self) -> None:
        """Raise an error if the kernel was reset since."""
        nest = kernel()
        try:
            for nodes in self.nodes.values():
                nodes[-1].get("global_id")
        except nest.NESTError as error:
            raise SimulatorError(
                "the kernel was reset, and the nodes that the network names are gone",
                details={"hint": "ann_ckpt.nest.network names new ones"},
            ) from error

    # --- time ---------------------------------------------------------------------------

    @property
    def kernel_step(self) -> int:
        """Steps since the kernel was reset."""
        nest = kernel()
        return round(float(nest.biological_time) / float(nest.resolution))

    @property
    def step(self) -> int:
        """Steps that the network was simulated for, in kernels before this one too."""
        self.check_alive()
        return self.kernel_step + self.offset

    @property
    def time(self) -> float:
        """Simulated time in ms, in kernels before this one too; NEST's own begins at 0 in each."""
        return self.step * float(kernel().resolution)

    def simulate(self, duration: float) -> None:
        """Simulate as ``nest.Simulate`` does, and call in between what asked for it.

        Parameters
        ----------
        duration : float
            In ms; whole steps.

        Raises
        ------
        OptionError
            If it is no number, not finite, negative, or no whole number of steps; nothing is simulated.
        SimulatorError
            If the kernel was reset since the network was named.

        Notes
        -----
        NEST updates neurons in slices as long as the shortest delay, and random numbers are drawn slice by
        slice. The run is divided at the borders of slices only, so that nothing changes: a call that is due
        within a slice comes at its end. After :meth:`keep` the last milliseconds before the end, and before
        each call, are simulated in single steps.
        """
        nest = kernel()
        self.check_alive()
        duration = in_ms("duration", duration)
        # Of what NEST itself refuses, the kernel would stay prepared, and not be simulated any more.
        steps, rest = divmod(round(duration * nest.tics_per_ms), int(nest.tics_per_step))
        if rest or duration > nest.T_max:
            expected = f"whole steps of {nest.resolution:g} ms" if rest else f"at most {nest.T_max:g} ms"
            raise OptionError(f"duration= takes {expected}, not {duration:g} ms")
        if not self._calls and self.keeping is None:
            nest.Simulate(duration)
            return
        end = self.kernel_step + steps
        if self.keeping is not None:
            self.keeping.connect()
            self._go(end, self.keeping.run)
            return
        nest.Prepare()
        try:
            self._go(end, lambda border: nest.Run((border - self.kernel_step) * nest.resolution))
        finally:
            nest.Cleanup()

    def _go(self, end: int, run: Callable[[int], None]) -> None:
        """Run to a step of the kernel, from one call that is due to the next."""
        while (now := self.kernel_step) < end:
            run(min(self._next_border(now), end) if self._calls else end)
            self._call(now)

    def keep(self, duration: float) -> None:
        """Keep the last milliseconds of every run, so that they can be replayed in another kernel.

        Use :meth:`simulate`, once all is connected. The last ``duration`` ms of each run, and before each
        checkpoint within it, are then simulated in single steps, reseeded from the seed and the step.
        A network that keeps as much already, as one that was built from a file does, goes on as it is.

        Parameters
        ----------
        duration : float
            In ms; at least the longest delay and the longest refractory period together.

        Raises
        ------
        OptionError
            If it is no finite number, or less than one step.
        """
        steps = round(in_ms("duration", duration) / kernel().resolution)
        before = self.keeping
        if before is None:
            self.keeping = Keeping(self, steps)
        elif before.steps != steps:
            # The kernel's seed is that of the last reseeding by now, and one recorder is enough.
            self.keeping = Keeping(self, steps, before.seed)
            self.keeping.recorder = before.recorder

    def _next_border(self, now: int) -> int:
        """Return the first border of slices at which something is due."""
        slice_ = slice_steps()
        due: int = (
            min((now + self.offset) // period * period + period for period, _ in self._calls) - self.offset
        )
        return max(-(-due // slice_), now // slice_ + 1) * slice_

    def _call(self, before: int) -> None:
        now = self.kernel_step
        if now % slice_steps():
            return
        for period, call in list(self._calls):
            if (now + self.offset) // period > (before + self.offset) // period:
                call()

    def call_every(self, period: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call at each multiple of ``period`` ms, or where its slice ends; what is returned ends that."""
        entry = (max(1, round(period / kernel().resolution)), call)
        self._calls.append(entry)

        def leave() -> None:
            if entry in self._calls:
                self._calls.remove(entry)

        return leave
