"""One live projection: its state, and a way to set or rebuild it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy.bindings import Bindings
from ann_ckpt.adapters.annarchy.classes import known_projection, unknown_class
from ann_ckpt.adapters.annarchy.describe import Declared, declared, described, weight_is_single
from ann_ckpt.adapters.annarchy.exactness import (
    NOT_INSTRUMENTED,
    hidden_in_projection,
    is_event_driven,
    resuming,
)
from ann_ckpt.adapters.annarchy.internal_state import CarriedByProjection, is_instrumented, members_by_row
from ann_ckpt.adapters.annarchy.rows import BulkSynapses, Fetch, RowSynapses, rows_of, write_rows
from ann_ckpt.adapters.annarchy.storage import as_arrays, as_lists, rules_for, sets_single_rows
from ann_ckpt.errors import SimulatorError, printable
from ann_ckpt.model import Array, Attribute, Connectivity, Locality, ProjectionState, blocks
from ann_ckpt.model.connectivity import row_pointers
from ann_ckpt.report import Note

__all__ = [
    "LiveProjection",
]

_NEEDED = ("post_rank", "pre_rank", "dendrite_size")
_RANK = np.dtype(np.int32)
_STEP = np.dtype(np.int32)


class LiveProjection:
    """A projection of a compiled network.

    Parameters
    ----------
    bindings : Bindings
        The network that it belongs to.
    projection : object
        ANNarchy's own object.
    """

    def __init__(self, bindings: Bindings, projection: Any) -> None:
        self._bindings = bindings
        self._projection = projection
        self._instance = projection.cyInstance
        self._by_row = members_by_row(self._instance)
        self.name = bindings.name_of(projection)
        self.path = f"projections/{self.name}"

    # --- reading --------------------------------------------------------------------

    @property
    def saveable(self) -> bool:
        """Whether it has synapses of its own, one by one."""
        projection: Any = self._projection
        own = projection._saveable  # nothing public says it
        return bool(own) and all(hasattr(self._instance, name) for name in _NEEDED)

    def state(self, *, reseeded: bool = False) -> ProjectionState:
        """Return the state; values per synapse are fetched when asked for.

        Parameters
        ----------
        reseeded : bool
            Whether the random generators just got a new seed.
        """
        pre, pre_view = _end(self._projection.pre)
        post, post_view = _end(self._projection.post)
        connectivity = self._connectivity()
        attributes = self._declared()
        values = {a.name: self._attribute(a, connectivity.row_ptr) for a in attributes}
        return ProjectionState(
            self.name,
            self._bindings.name_of(pre),
            self._bindings.name_of(post),
            _target(self._projection.target),
            connectivity,
            parameters={a.name: values[a.name] for a in attributes if a.parameter},
            variables={a.name: values[a.name] for a in attributes if not a.parameter},
            delays=self._delays(connectivity.row_ptr),
            pre_size=pre.size,
            post_size=post.size,
            pre_view=pre_view,
            post_view=post_view,
            synapse_type=described(self._projection.synapse_type, attributes),
            dynamics={} if self._carried is None else self._carried.read(connectivity.row_ptr),
            resume=resuming(self.hidden, reseeded=reseeded),
        )

    def notes(self) -> Iterator[Note]:
        """Yield what the state does not say."""
        if not self.saveable:
            kind = type(self._projection).__name__
            yield Note(self.path, f"not saved: a {kind} projection has no synapses of its own")
            return

    @property
    def hidden(self) -> tuple[str, ...]:
        """What a state does not have."""
        if self._carried is not None:
            known = known_projection(self._projection) is not None
            return self._carried.lost if known else (unknown_class(self._projection), *self._carried.lost)
        period = self._bindings.update_period(self._instance)
        return hidden_in_projection(self._projection, period, int(self._bindings.setting("num_threads")))

    def _declared(self) -> tuple[Declared, ...]:
        return declared(
            self._projection.synapse_type.description, single_weight=weight_is_single(self._projection)
        )

    @property
    def _carried(self) -> CarriedByProjection | None:
        if not is_instrumented(self._instance):
            return None
        known = known_projection(self._projection)
        own = None if known is None else known.members
        return CarriedByProjection(self._instance, {a.name for a in self._declared()}, own=own)

    def _row_ptr(self) -> NDArray[np.int64]:
        if hasattr(self._instance, "_ann_ckpt_read_row_sizes"):
            sizes = np.empty(len(self._instance.post_rank()), np.int64)
            self._instance._ann_ckpt_read_row_sizes(sizes)
            return row_pointers(sizes)
        size = self._instance.dendrite_size
        return row_pointers(size(row) for row in range(len(self._instance.post_rank())))

    def _connectivity(self) -> Connectivity:
        row_ptr = self._row_ptr()
        posts = np.array(self._instance.post_rank(), _RANK)
        pres: Array
        if hasattr(self._instance, "_ann_ckpt_read_pre_ranks"):
            pres = BulkSynapses(row_ptr, _RANK, self._instance._ann_ckpt_read_pre_ranks)
        else:
            pres = RowSynapses(row_ptr, _RANK, self._instance.pre_rank)
        return Connectivity(posts, row_ptr, pres)

    def _attribute(self, attribute: Declared, row_ptr: NDArray[np.int64]) -> Attribute:
        name, ctype = attribute.name, attribute.ctype
        values: Array
        if attribute.locality is Locality.LOCAL:
            fetch = self._bindings.row_getter(self._instance, name, ctype)
            values = self._synapses(name, row_ptr, attribute.dtype, fetch)
        elif attribute.locality is Locality.SEMIGLOBAL:
            values = np.array(self._bindings.per_dendrite(self._instance, name, ctype), attribute.dtype)
        else:
            values = np.array(self._bindings.single(self._instance, name, ctype), attribute.dtype)
        return Attribute(values, attribute.locality)

    @property
    def _delays_differ(self) -> bool:
        """Whether it was compiled with a delay for each synapse."""
        return self._has_delays and self._projection.uniform_delay == -1

    @property
    def _has_delays(self) -> bool:
        """Whether it was compiled to wait longer than the one step that it always takes."""
        return hasattr(self._instance, "get_delay")

    def _delays(self, row_ptr: NDArray[np.int64]) -> int | Array:
        if not self._has_delays:
            return 1
        if not self._delays_differ:
            return int(self._instance.get_delay())
        return self._synapses("delay", row_ptr, _STEP, self._instance.get_dendrite_delay)

    def _synapses(self, name: str, row_ptr: NDArray[np.int64], dtype: np.dtype[Any], fetch: Fetch) -> Array:
        """Return one value per synapse: straight from memory where that is possible, else by rows."""
        if name in self._by_row:
            return BulkSynapses(row_ptr, dtype, partial(self._instance._ann_ckpt_read_rows, name))
        return RowSynapses(row_ptr, dtype, fetch)

    # --- setting --------------------------------------------------------------------

    def set(self, name: str, values: Array) -> None:
        """Set one attribute: shape ``()``, ``(n_rows,)`` or ``(n_synapses,)``."""
        attribute = next(a for a in self._declared() if a.name == name)
        row_ptr = self._row_ptr()
        shape = {
            Locality.GLOBAL: (),
            Locality.SEMIGLOBAL: (row_ptr.size - 1,),
            Locality.LOCAL: (int(row_ptr[-1]),),
        }[attribute.locality]
        if values.shape != shape:
            raise SimulatorError(
                f"{printable(self.path)}/{printable(name)}: values of the shape {values.shape}",
                details={"expected": f"{shape}"},
            )
        if attribute.locality is Locality.LOCAL:
            if name in self._by_row:
                bulk = partial(self._instance._ann_ckpt_write_rows, name)
                write_rows(values, row_ptr, attribute.dtype, bulk)
                return
            if not sets_single_rows(self._projection._storage_format):
                rows = [entries for _, entries in rows_of(values, row_ptr, attribute.dtype)]
                self._bindings.set_rows(self._instance, name, attribute.ctype, rows)
                return
            put = self._bindings.row_setter(self._instance, name, attribute.ctype)
            for row, entries in rows_of(values, row_ptr, attribute.dtype):
                put(row, entries)
            return
        array = np.asarray(values, attribute.dtype)
        if attribute.locality is Locality.SEMIGLOBAL:
            self._bindings.set_per_dendrite(self._instance, name, attribute.ctype, array.tolist())
        else:
            self._bindings.set_single(self._instance, name, attribute.ctype, array.item())

    def cannot_take(self, stored: ProjectionState) -> str | None:
        """Say why none of what the projection carries can be set."""
        carried = self._carried
        return NOT_INSTRUMENTED if carried is None else carried.lacking(stored.dynamics)

    def refuse_dynamics(self, stored: ProjectionState) -> str | None:
        """Say why what ``stored`` carries does not fit the synapses that it will have."""
        carried = self._carried
        return None if carried is None else carried.refusal(stored.dynamics, stored.connectivity.row_sizes)

    def set_dynamics(self, dynamics: Mapping[str, Array]) -> None:
        """Set what it carries."""
        carried = self._carried
        if carried is not None:
            carried.set(dynamics, self._row_ptr())

    def set_delays(self, delays: int | Array) -> None:
        """Set delays in steps; one for all may be given to synapses that have one each."""
        longest = _longest(delays)
        if not self._has_delays:
            return
        self._make_room(longest)
        if not self._delays_differ:
            self._projection.uniform_delay = max(1, longest)
            self._instance.set_delay(max(1, longest))
            return
        row_ptr = self._row_ptr()
        each = _each(delays, int(row_ptr[-1]))
        if "delay" in self._by_row:
            write_rows(each, row_ptr, _STEP, partial(self._instance._ann_ckpt_write_rows, "delay"))
        elif row_ptr[-1]:
            self._instance.set_delay([row for _, row in rows_of(each, row_ptr, _STEP)])

    def connect(self, projection: ProjectionState) -> None:
        """Replace the synapses; attributes that ``projection`` lacks start from their initial values."""
        synapses = projection.connectivity
        row_ptr = synapses.row_ptr
        left = [a for a in self._declared() if a.name not in projection]
        kept = {a.name: self._attribute(a, row_ptr).values for a in left if a.locality is Locality.GLOBAL}
        delays = self._delays(row_ptr) if projection.delays is None else projection.delays
        self._make_room(_longest(delays))
        # Some formats append to the synapses that they have.
        self._instance.clear()
        given = (synapses, projection["w"], self._as_compiled(delays, synapses.n_synapses))
        if hasattr(self._instance, "_ann_ckpt_rebuild"):
            built = self._instance._ann_ckpt_rebuild(*as_arrays(*given))
        else:
            built = self._instance.init_from_lil(*as_lists(*given), False)
        if not built or not np.array_equal(self._row_ptr(), row_ptr):
            raise SimulatorError(f"{printable(self.path)} could not be rebuilt; it may lack memory")
        for attribute in left:
            if attribute.name in kept:
                self.set(attribute.name, kept[attribute.name])
            else:
                setattr(self._projection, attribute.name, self._projection.init[attribute.name])

    def forget(self, *, has_run: bool) -> None:
        """Drop spikes on their way, and when each synapse last met one: they belong to another time.

        The second is a time stamp in the generated code, which decays event-driven
        variables; left behind in a network that is set back, it would blow them up. It
        is made anew together with the synapses only.
        """
        if hasattr(self._instance, "reset_ring_buffer"):
            self._instance.reset_ring_buffer()
        if (carried := self._carried) is not None and has_run:
            carried.forget(self._row_ptr())
        elif has_run and is_event_driven(self._projection):
            state = self.state().in_memory()
            if next(self._against_synapses(state, state.connectivity), None) is None:
                self.connect(state)
                for name, attribute in state.attributes.items():
                    self.set(name, attribute.values)

    def _as_compiled(self, delays: int | Array, size: int) -> int | Array | None:
        """Return delays as the compiled code looks at them: None, one for all, or one for each synapse."""
        if not self._has_delays:
            return None
        if self._delays_differ:
            return _each(delays, size)
        uniform = max(1, _longest(delays))
        self._projection.uniform_delay = uniform
        return uniform

    def _make_room(self, longest: int) -> None:
        """Lengthen the queues that delayed values wait in, if they are too short."""
        if longest <= self._projection.max_delay or not self._has_delays:
            return
        self._projection.max_delay = longest
        population, _ = _end(self._projection.pre)
        if longest > population.max_delay:
            population.max_delay = longest
            population.cyInstance.update_max_delay(longest)
        if self._delays_differ and self._projection.synapse_type.type == "spike":
            self._instance.update_max_delay(longest)

    # --- refusing -------------------------------------------------------------------

    def refusal(self, projection: ProjectionState) -> str | None:
        """Say why these synapses and delays cannot replace the live ones."""
        live = self._connectivity()
        reasons = self._against_delays(projection.delays)
        if not projection.connectivity.equals(live):
            reasons = chain(self._against_synapses(projection, live), reasons)
        return next(reasons, None)

    def _against_synapses(self, projection: ProjectionState, live: Connectivity) -> Iterator[str]:
        weight = next((a for a in self._declared() if a.name == "w"), None)
        if weight is None or "w" not in projection:
            yield "its synapses cannot be rebuilt without weights w that fit"
        elif projection.attribute("w").locality is not weight.locality:
            yield f"its weights are {projection.attribute('w').locality}, in the network {weight.locality}"
        if not hasattr(self._instance, "init_from_lil"):
            yield "it was compiled with a connector in C++, which cannot rebuild synapses"
        yield from self._against_storage(projection.connectivity)
        if self._monitored and not np.array_equal(projection.connectivity.post_ranks, live.post_ranks):
            yield "a monitor records its dendrites, and they would change under it"

    def _against_storage(self, synapses: Connectivity) -> Iterator[str]:
        storage, order = self._projection._storage_format, self._projection._storage_order
        rules = rules_for(self._bindings.release, storage, order)
        if rules is None or self._split:
            parts = ", in a part for each thread" if self._split else ""
            yield f"its storage format {storage} ({order}{parts}) cannot be rebuilt"
        elif broken := rules.refusal(synapses, _end(self._projection.post)[0].size):
            yield f"its storage format is {storage} ({order}): {broken}"

    def _against_delays(self, delays: int | Array | None) -> Iterator[str]:
        if delays is None:
            if self._delays_differ:
                yield "its delays are not known"
            return
        shortest, longest = _shortest(delays), _longest(delays)
        if shortest != longest and not self._delays_differ:
            yield "its synapses have different delays, and the network was compiled with one for all"
        if shortest < 1 and self._delays_differ:
            yield f"it has a delay of {shortest} steps; the shortest possible is 1"
        if longest > 1 and not self._has_delays:
            yield f"it has delays of up to {longest} steps, and the network was compiled without"
        population, _ = _end(self._projection.pre)
        if longest > population.max_delay and not hasattr(population.cyInstance, "update_max_delay"):
            yield f"it has delays of {longest} steps, and {population.name} remembers {population.max_delay}"

    @property
    def _split(self) -> bool:
        """Whether its matrix is cut into a part for each thread."""
        threads = self._bindings.setting("num_threads") > 1
        return threads and not self._projection._no_split_matrix

    @property
    def _monitored(self) -> bool:
        recorded = [monitor.object for monitor in self._bindings.monitors]
        return any(
            thing is self._projection or getattr(thing, "proj", None) is self._projection
            for thing in recorded
        )


def _end(population: Any) -> tuple[Any, NDArray[np.int32] | None]:
    """Return one end of a projection as its population and, for a view, the ranks selected."""
    if type(population).__name__ == "PopulationView":
        return population.population, np.array(population.ranks, _RANK)
    return population, None


def _target(target: str | list[str]) -> str:
    return target if isinstance(target, str) else "+".join(target)


def _longest(delays: int | Array) -> int:
    if isinstance(delays, int):
        return delays
    return max((int(block.max()) for _, block in blocks(delays) if block.size), default=1)


def _shortest(delays: int | Array) -> int:
    if isinstance(delays, int):
        return delays
    return min((int(block.min()) for _, block in blocks(delays) if block.size), default=1)


def _each(delays: int | Array, size: int) -> Array:
    """Return a delay for each of so many synapses."""
    return np.broadcast_to(_STEP.type(max(1, delays)), (size,)) if isinstance(delays, int) else delays
