"""Synapses as projections, in rows by post-synaptic neuron."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import xxhash
from numpy.typing import NDArray

from ann_ckpt.adapters.brian2.describe import synapse_type, target_of
from ann_ckpt.adapters.brian2.live import EXACT, LivePart, fill
from ann_ckpt.adapters.brian2.mapping import (
    Kind,
    Role,
    invalid_queue,
    queue_arrays,
    queue_slots,
    rows_of,
    steps_of,
)
from ann_ckpt.adapters.brian2.order import InRows, Steps, SynapsesInRows
from ann_ckpt.model import Array, Connectivity, ProjectionState, Resume
from ann_ckpt.model.arrays import plain_array

__all__ = ["LiveSynapses"]

_MOST = 2**31 - 1
"""Brian numbers synapses with 32 bits."""
_LONGEST = 2**30
"""Steps; a queue of spikes has a place for each."""


_ROWS: WeakKeyDictionary[Any, SynapsesInRows] = WeakKeyDictionary()
"""Putting synapses into rows takes longer than reading them, and they seldom change."""


class LiveSynapses(LivePart):
    """A Synapses object.

    Parameters
    ----------
    thing, exact, ignored
        As for :class:`LivePart`.
    dt : float
        Length of a step of the network in s.
    """

    def __init__(self, thing: Any, *, exact: bool, dt: float, ignored: frozenset[Any] = frozenset()) -> None:
        super().__init__(thing, exact=exact, ignored=ignored)
        self._dt = dt
        self._known: SynapsesInRows | None = None

    @property
    def size(self) -> int:
        """Number of synapses."""
        return int(self.thing.variables["N"].item())

    @property
    def _kind(self) -> Kind:
        return Kind.SYNAPSES

    @property
    def _pathways(self) -> dict[str, Any]:
        return {str(pathway.objname): pathway for pathway in self.thing._pathways}

    def values(self, variable: Any) -> Array:
        """Return one value for all, or one each in rows."""
        own, places = super().values(variable), self._rows.places
        return own if variable.scalar or places is None else InRows(np.asarray(own), places)

    @property
    def _rows(self) -> SynapsesInRows:
        """The synapses in rows: those of the file that they were loaded from, else made now.

        They are looked at once, because nothing but :meth:`connect` changes them meanwhile.
        """
        if self._known is None:
            known, digest = _ROWS.get(self.thing), self._digest()
            if known is None or known.digest != digest:
                known = _ROWS[self.thing] = SynapsesInRows.of(digest, *rows_of(*self._ends()))
            self._known = known
        return self._known

    def _ends(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        pre, post = (self._arrays[name].get_value() for name in ("_synaptic_pre", "_synaptic_post"))
        return pre, post

    def _digest(self) -> tuple[str, str]:
        pre, post = (xxhash.xxh3_64_hexdigest(ranks.data) for ranks in self._ends())
        return pre, post

    def state(self, outside: Mapping[str, Any], resume: Resume = EXACT) -> ProjectionState:
        """Return the projection; its attributes and delays are live."""
        rows = self._rows
        (pre, pre_size, pre_view), (post, post_size, post_view) = (
            _end(end) for end in (self.thing.source, self.thing.target)
        )
        delays = {name: self._seconds(pathway) for name, pathway in self._pathways.items()}
        return ProjectionState(
            self.name,
            pre,
            post,
            target_of(self.thing),
            rows.connectivity,
            parameters=self.wrapped(Role.PARAMETER),
            variables=self.wrapped(Role.VARIABLE),
            delays=self._steps(delays),
            pathway_delays=delays,
            order=rows.order,
            pre_size=pre_size,
            post_size=post_size,
            pre_view=pre_view,
            post_view=post_view,
            synapse_type=synapse_type(self.thing, self.attributes, outside),
            dynamics=self.dynamics(),
            resume=resume,
        )

    def set(self, attribute: str, values: Array) -> None:
        """Set one attribute, from rows."""
        variable = self.attributes[attribute]
        (self.put if variable.scalar else self.put_rows)(variable, values)

    def put_rows(self, variable: Any, values: Array) -> None:
        """Set values of all synapses, which come in rows."""
        own, places = variable.get_value(), self._rows.places
        if places is None:
            fill(own, values)
        else:
            places.from_rows(values, own)

    # --- delays -------------------------------------------------------------------------

    def _seconds(self, pathway: Any) -> Array:
        """Return the delays of a pathway in s: one where all synapses have the same, else in rows."""
        own, places = pathway.variables["delay"].get_value(), self._rows.places
        if own.size and _is_one(own):
            return np.array(own[0])
        return own.copy() if places is None else InRows(own, places)

    def _first(self) -> Any | None:
        """The pathway whose delays are the projection's, if they count in steps of the network."""
        pathway = next(iter(self._pathways.values()), None)
        return pathway if pathway is not None and pathway.source.clock.dt_ == self._dt else None

    def _steps(self, delays: Mapping[str, Array]) -> int | Array | None:
        pathway = self._first()
        if pathway is None:
            return None
        seconds = delays[str(pathway.objname)]
        return Steps(seconds, self._dt) if seconds.shape else int(steps_of(np.asarray(seconds), self._dt))

    def set_delays(self, delays: int | Array) -> None:
        """Set the delays of the first pathway, in steps."""
        pathway = self._first()
        if pathway is not None:
            self._set_seconds(pathway, np.asarray(delays) * self._dt)

    def set_pathway_delays(self, delays: Mapping[str, Array]) -> None:
        """Set delays in s."""
        for name, seconds in delays.items():
            self._set_seconds(self._pathways[name], seconds)

    def _set_seconds(self, pathway: Any, seconds: Array) -> None:
        variable = pathway.variables["delay"]
        if variable.scalar:
            self.put(variable, np.asarray(seconds).reshape(-1)[:1])
        elif seconds.shape:
            self.put_rows(variable, seconds)
        else:
            self.put(variable, np.full(self.size, seconds))

    # --- synapses -----------------------------------------------------------------------

    def refusal(self, stored: ProjectionState) -> str | None:
        """Say all that is against setting synapses or delays, or None."""
        return "; ".join(self._reasons(stored)) or None

    def _reasons(self, stored: ProjectionState) -> Iterator[str]:
        if not self.exact:
            yield "synapses and delays are set in tested versions of Brian2 only"
        if stored.connectivity.n_synapses > _MOST:
            yield f"{stored.connectivity.n_synapses} synapses; Brian2 numbers them up to {_MOST}"
        for side, end in (("pre", self.thing.source), ("post", self.thing.target)):
            _, _, view = _end(end)
            ranks = np.asarray(getattr(stored.connectivity, f"{side}_ranks"))
            if view is not None and ranks.size and not view[0] <= ranks.min() <= ranks.max() <= view[-1]:
                yield f"{side} ranks from {ranks.min()} to {ranks.max()}, outside of the subgroup"
        for name, pathway in self._pathways.items():
            yield from self._delay_reasons(stored, name, pathway)

    def _delay_reasons(self, stored: ProjectionState, name: str, pathway: Any) -> Iterator[str]:
        own, wanted = pathway.variables["delay"], None
        if pathway is self._first() and stored.delays is not None:
            wanted = np.asarray(stored.delays)
            if wanted.size and not 0 <= wanted.min() <= wanted.max() <= _LONGEST:
                yield f"delays of {wanted.min()} to {wanted.max()} steps"
                return
        if name in stored.pathway_delays:
            seconds, dt = plain_array(stored.pathway_delays[name]), pathway.source.clock.dt_
            if seconds.size and not (seconds.min() >= 0 and seconds.max() / dt <= _LONGEST):
                yield f"delays of the pathway {name} from {seconds.min()} to {seconds.max()} s"
                return
            if wanted is not None and not np.all(steps_of(seconds, dt) == wanted):
                yield f"the delays in steps and those of the pathway {name} in s say different things"
            wanted = seconds
        same = stored.connectivity.n_synapses == self.size
        if wanted is None and not same and self._vary(own):
            yield f"the delays of the pathway {name} are not known, and here each synapse has its own"
        if wanted is not None and own.scalar and not _is_one(wanted):
            yield f"the pathway {name} has one delay for all synapses here"

    def _vary(self, delay: Any) -> bool:
        return not _is_one(delay.get_value())

    def connect(self, stored: ProjectionState) -> None:
        """Put stored synapses in place of the live ones, with weights and delays."""
        self._replace(stored)
        self.thing._connect_called = True
        if stored.delays is not None:
            self.set_delays(stored.delays)
        self.set_pathway_delays({n: d for n, d in stored.pathway_delays.items() if n in self._pathways})
        if "w" in stored and "w" in self.attributes:
            self.set("w", stored["w"])

    def _replace(self, stored: ProjectionState) -> None:
        synapses, n = self.thing, stored.connectivity.n_synapses
        lasting = {
            name: pathway.variables["delay"].get_value()[:1].copy()
            for name, pathway in self._pathways.items()
        }
        for variable in synapses._registered_variables:
            variable.resize(n)
            variable.get_value()[:] = 0
        self._arrays["N"].set_value(n)
        given = stored.connectivity
        rows = Connectivity(given.post_ranks, given.row_ptr, np.array(given.pre_ranks))
        order = (np.arange(n) if stored.order is None else np.array(stored.order)).astype(np.int32)
        places = np.empty_like(order)
        places[order] = np.arange(n, dtype=np.int32)
        own_pre, own_post = self._ends()
        own_pre[:] = np.asarray(rows.pre_ranks)[order]
        own_post[:] = np.repeat(rows.post_ranks, rows.row_sizes)[order]
        in_rows = np.array_equal(order, places) and bool(np.all(order[1:] > order[:-1]))
        self._known = _ROWS[synapses] = SynapsesInRows.of(
            self._digest(), rows, order, None if in_rows else places
        )
        self.count()
        for name, pathway in self._pathways.items():
            own = pathway.variables["delay"].get_value()
            own[:] = lasting[name] if lasting[name].size else 0.0
        self.forget()

    def count(self) -> None:
        """Count the synapses of each neuron anew, unless they end at synapses that are still to come."""
        for name in ("N_incoming", "N_outgoing"):
            self._arrays[name].get_value()[:] = 0
        ends = zip((self.thing.source, self.thing.target), self._ends(), strict=True)
        if not any(hasattr(end, "_pathways") and ranks.max(initial=-1) >= len(end) for end, ranks in ends):
            self.thing._update_synapse_numbers(0)

    # --- what it carries ----------------------------------------------------------------

    def forget(self) -> None:
        """Drop the spikes on their way."""
        for pathway in self._pathways.values():
            _set_queue(pathway.queue, [[] for _ in _slots(pathway.queue)])

    def dynamics(self) -> dict[str, NDArray[Any]]:
        """Copy what it carries from step to step."""
        found = super().dynamics()
        if self.exact:
            for name, pathway in self._pathways.items():
                if (slots := self._queued(pathway)) is not None:
                    found |= queue_arrays(name, slots)
        return found

    def _queued(self, pathway: Any) -> list[list[int]] | None:
        """Return the synapses that a spike reaches at each step from now on, if that is known."""
        return _slots(pathway.queue)

    def _set_queue(self, pathway: Any, slots: list[list[int]]) -> None:
        _set_queue(pathway.queue, slots)

    def _is_special(self, name: str) -> bool:
        return super()._is_special(name) or name.endswith((".queue", ".queue.sizes"))

    def refuse(self, stored: ProjectionState) -> str | None:
        """Say why the dynamics of stored synapses cannot be set, or None."""
        here = {f"{name}{end}" for name in self._pathways for end in (".queue", ".queue.sizes")}
        queues = {name for name in stored.dynamics if name.endswith((".queue", ".queue.sizes"))}
        if other := sorted(queues - here):
            return f"the network has no {other[0]}"
        n = stored.connectivity.n_synapses
        found = (invalid_queue(name, stored.dynamics, n) for name in self._pathways)
        return next((why for why in found if why), None) or self.refuse_dynamics(stored.dynamics)

    def set_dynamics(self, dynamics: Mapping[str, Array]) -> None:
        """Set what :meth:`refuse` has nothing against."""
        super().set_dynamics(dynamics)
        for name, pathway in self._pathways.items():
            slots = queue_slots(name, dynamics)
            if slots is not None:
                self._set_queue(pathway, slots)


def _end(group: Any) -> tuple[str, int | None, NDArray[np.int32] | None]:
    """Return name, size and view of one end; synapses have no lasting size."""
    from brian2.groups.subgroup import Subgroup

    if hasattr(group, "_pathways"):
        return str(group.name), None, None
    if isinstance(group, Subgroup):
        return (
            str(group.source.name),
            int(group.source.variables["N"].item()),
            np.arange(group.start, group.stop, dtype=np.int32),
        )
    return str(group.name), int(group.variables["N"].item()), None


def _is_one(values: NDArray[Any]) -> bool:
    return not values.size or bool(values.flat[0] == values.flat[-1] and np.all(values == values.flat[0]))


def _slots(queue: Any) -> list[list[int]]:
    """Return the synapses that wait in a queue, step by step from now on."""
    if hasattr(queue, "X"):  # written in Python
        length, now = len(queue.n), queue.currenttime
        return [queue.X[k, : queue.n[k]].tolist() for k in ((now + i) % length for i in range(length))]
    offset, slots = queue._full_state()
    return [*slots[offset:], *slots[:offset]]


def _set_queue(queue: Any, slots: list[list[int]]) -> None:
    if not hasattr(queue, "X"):
        queue._restore_from_full_state((0, slots))
        return
    spikes = [(step, synapse) for step, slot in enumerate(slots) for synapse in slot]
    shape = (len(slots), max(queue.X.shape[1], *(len(slot) for slot in slots)))
    queue.currenttime = 0
    queue._restore_from_full_state((queue._dt, np.array(spikes, int).reshape(-1, 2), shape))
