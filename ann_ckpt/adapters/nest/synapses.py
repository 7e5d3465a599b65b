"""Synapses: read from NEST in blocks, put into rows, and set where they are.

NEST gives connections in no lasting order once it has threads. What lasts is the key (thread, model, port),
so that rows are ordered by post-synaptic neuron, pre-synaptic neuron, thread and port, and values are set in
the connections as they come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.nest.keeping import SYNAPSE
from ann_ckpt.adapters.nest.kernel import kernel, node_ids
from ann_ckpt.adapters.nest.models import base_model
from ann_ckpt.adapters.nest.network import NestNetwork
from ann_ckpt.errors import SimulatorError, printable
from ann_ckpt.model import (
    Array,
    Attribute,
    AttributeInfo,
    Connectivity,
    Locality,
    ProjectionState,
    Resume,
    TypeInfo,
)

__all__ = ["WEIGHT", "NestSynapses", "NodeNames", "differ", "live_synapses"]

WEIGHT = "w"
_BLOCK = 20_000
"""Connections that NEST is asked for at once; it answers with a dictionary of some kB for each."""
_ENDS = ("source", "target", "target_thread", "port", "receptor")
_NO_VALUES = {
    *_ENDS, "sizeof", "synapse_id", "synapse_model", "synapse_modelid", "element_type", "has_delay",
    "num_connections", "receptor_type", "requires_symmetric", "weight_recorder", "volume_transmitter",
    "delay",
}  # fmt: skip
_COUNTED_FROM_1 = {"ht_neuron", "iaf_cond_alpha_mc", "pp_cond_exp_mc_urbanczik"}
"""Models that take receptors counted from 1, and show them counted from 0."""
_STATE = {WEIGHT, "Kplus", "Kplus_triplet", "Kminus", "c", "u", "x", "y", "P"}
"""What plasticity changes in a run."""

_TAKEN: dict[tuple[str, frozenset[str]], frozenset[str]] = {}


@dataclass(frozen=True, slots=True)
class NodeNames:
    """Who a node is: which of the named populations, and which of its neurons."""

    names: tuple[str, ...]
    owner: NDArray[np.int32]
    """By node: number of its population, -1 for none."""
    rank: NDArray[np.int32]
    ask: NDArray[np.bool_]
    """By population: whether it asks others for values, as a multimeter does; such have no receptor."""
    more: NDArray[np.int64]
    """By population: what its receptors are counted from."""
    device: NDArray[np.bool_]
    """By population: whether it is of generators."""

    def receptors(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
        """Return receptors as Connect takes them."""
        pre, post = self.owner[columns["source"]], self.owner[columns["target"]]
        found: NDArray[np.int64] = np.where(self.ask[pre], 0, columns["receptor"] + self.more[post])
        return found

    @classmethod
    def of(cls, network: NestNetwork) -> NodeNames:
        """Look up every named node."""
        size = int(kernel().network_size) + 1
        owner, rank = np.full(size, -1, np.int32), np.zeros(size, np.int32)
        for number, nodes in enumerate(network.nodes.values()):
            ids = node_ids(nodes)
            owner[ids], rank[ids] = number, np.arange(ids.size)
        first = [nodes[0].get() for nodes in network.nodes.values()]
        models = [base_model(one["model"]) for one in first]
        ask = np.array(["record_from" in one for one in first], np.bool_)
        more = np.array([model in _COUNTED_FROM_1 for model in models], np.int64)
        device = np.array([one["element_type"] == "stimulator" for one in first], np.bool_)
        return cls(tuple(network.nodes), owner, rank, ask, more, device)


class NestSynapses:
    """The synapses between two populations that are of one model and end at one receptor.

    Parameters
    ----------
    name, pre, post : str
    model : str
    receptor : int
    columns : mapping
        By NEST's name, in rows: one array each, or one value where all are the same.
    rows : Connectivity
    places : tuple
        Thread and port, in rows; empty where the source is a neuron.
    """

    def __init__(
        self,
        name: str,
        ends: tuple[str, str],
        model: str,
        receptor: int,
        columns: Mapping[str, NDArray[Any]],
        rows: Connectivity,
        places: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> None:
        self.name = name
        self.pre, self.post = ends
        self.model = model
        self.receptor = receptor
        self.columns = dict(columns)
        self.rows = rows
        self.places = places

    @property
    def defaults(self) -> dict[str, Any]:
        """What the model has now."""
        found: dict[str, Any] = kernel().GetDefaults(self.model)
        return found

    @property
    def common(self) -> dict[str, Any]:
        """Values that all synapses of the model in the kernel share."""
        return {
            n: v
            for n, v in self.defaults.items()
            if n not in self.columns and n not in _NO_VALUES and isinstance(v, bool | int | float)
        }

    @property
    def delays(self) -> NDArray[np.int32] | int | None:
        """In steps."""
        if "delay" not in self.columns or not self.defaults["has_delay"]:
            return None
        delays = self.columns["delay"]
        if not delays.size or delays.strides == (0,):
            return int(steps_of(delays[:1])[0]) if delays.size else 1
        return steps_of(delays)

    def state(self, sizes: Mapping[str, int], resume: Resume) -> ProjectionState:
        """Return the projection."""
        found: dict[str, Attribute] = {}
        for name, values in self.columns.items():
            found[WEIGHT if name == "weight" else name] = Attribute(values, Locality.LOCAL)
        for name, value in self.common.items():
            found[WEIGHT if name == "weight" else name] = Attribute(np.array(value), Locality.GLOBAL)
        found.pop("delay", None)
        infos = {
            name: AttributeInfo(ctype={"f": "double", "i": "long", "b": "bool"}[a.values.dtype.kind])
            for name, a in found.items()
        }
        return ProjectionState(
            self.name,
            self.pre,
            self.post,
            str(self.receptor),
            self.rows,
            parameters={n: a for n, a in found.items() if n not in _STATE},
            variables={n: a for n, a in found.items() if n in _STATE},
            delays=self.delays,
            pre_size=sizes[self.pre],
            post_size=sizes[self.post],
            synapse_type=TypeInfo(self.model, attributes=infos),
            resume=resume,
        )

    # --- setting ------------------------------------------------------------------------

    def refuse_delays(self, stored: ProjectionState) -> str | None:
        """Say why delays cannot be set, or None."""
        if stored.delays is None or self.delays is None:
            return None
        nest = kernel()
        steps = np.asarray(stored.delays)
        low, high = (round(d / nest.resolution) for d in (nest.min_delay, nest.max_delay))
        if steps.size and not low <= steps.min() <= steps.max() <= high:
            its = f"it has delays of {steps.min()} to {steps.max()} steps"
            if nest.biological_time:
                return f"{its}, and a kernel takes no others than its {low} to {high} once it was simulated"
            return (
                f"{its}, and those of the kernel are {low} to {high}; connect with such delays, or let "
                "ann_ckpt.nest.build make the network anew from the file"
            )
        return None

    def refuse(self, values: Mapping[str, Array]) -> str | None:
        """Say what NEST says of the least and greatest values, tried as defaults; None if it takes them."""
        nest = kernel()
        names = {n: "weight" if n == WEIGHT else n for n in values}
        defaults = self.defaults
        own = {n: defaults[n] for n in names.values()}
        try:
            for pick in (np.min, np.max):
                nest.SetDefaults(
                    self.model,
                    {names[n]: pick(np.asarray(v)).item() for n, v in values.items() if np.size(v)},
                )
        except (nest.NESTError, TypeError, ValueError) as error:
            return f"NEST refuses the values: {printable(str(error).rsplit(': ', maxsplit=1)[-1], 160)}"
        finally:
            nest.SetDefaults(self.model, own)
        return None

    def set(self, network: NestNetwork, values: Mapping[str, Array]) -> None:
        """Set values of synapses, given in rows; what is the same already is left alone."""
        given = {"weight" if n == WEIGHT else n: np.asarray(v) for n, v in values.items()}
        common = self.common
        shared = {n: v.item() for n, v in given.items() if n not in self.columns}
        if shared := {n: v for n, v in shared.items() if not _same(np.array(v), np.array(common[n]))}:
            kernel().SetDefaults(self.model, shared)
        own = {n: v for n, v in given.items() if n in self.columns and not _same(v, self.columns[n])}
        if not own:
            return
        changed = np.zeros(self.rows.n_synapses, np.bool_)
        for name, array in own.items():
            changed |= differ(array, self.columns[name])
        pre, post = network.nodes[self.pre], network.nodes[self.post]
        connections = kernel().GetConnections(pre, post, self.model)
        names = NodeNames.of(network)
        places = self._places(connections, names)
        for start in range(0, len(connections), _BLOCK):
            part = places[start : start + _BLOCK]
            mine = np.flatnonzero((part >= 0) & changed[part])
            if mine.size:
                chosen = connections[start : start + _BLOCK]
                lists = {n: v[part[mine]].tolist() for n, v in own.items()}
                given_each: list[dict[str, Any]] = [{} for _ in range(len(chosen))]
                for i, at in enumerate(mine.tolist()):
                    given_each[at] = {n: v[i] for n, v in lists.items()}
                chosen.set(given_each)
        self.columns |= {name: _compact(np.array(v)) for name, v in own.items()}

    def _places(self, connections: Any, names: NodeNames) -> NDArray[np.int64]:
        """For each connection as NEST gives them now: its place in the rows; -1 for other receptors."""
        found = _read(connections, _ENDS)
        mine = np.flatnonzero(names.receptors(found) == self.receptor)
        if mine.size != self.rows.n_synapses:
            raise SimulatorError(f"{printable(self.name)} has other synapses than a moment ago")
        places = np.full(len(connections), -1, np.int64)
        places[mine[_row_order({n: v[mine] for n, v in found.items()}, names)]] = np.arange(mine.size)
        return places


def steps_of(delays: NDArray[Any]) -> NDArray[np.int32]:
    """Return delays in ms as whole steps, which they are."""
    steps: NDArray[np.int32] = np.rint(delays / float(kernel().resolution)).astype(np.int32)
    return steps


def live_synapses(network: NestNetwork) -> tuple[dict[str, NestSynapses], int]:
    """Read all synapses; also return how many begin or end at nodes without a name."""
    nest, names = kernel(), NodeNames.of(network)
    found: dict[tuple[int, int, str, int], NestSynapses] = {}
    unnamed = 0
    for model in nest.synapse_models:
        if model == SYNAPSE or not nest.GetDefaults(model)["num_connections"]:
            continue
        connections = nest.GetConnections(synapse_model=model)
        shown = connections[:1].get()
        wanted = [n for n in shown if n in _ENDS or n == "delay" or n in _taken(model, shown)]
        columns = _read(connections, wanted)
        del connections
        pre, post = names.owner[columns["source"]], names.owner[columns["target"]]
        inside = (pre >= 0) & (post >= 0)
        unnamed += int(inside.size - np.count_nonzero(inside))
        for key, where in _groups(pre, post, names.receptors(columns), inside):
            found[key[0], key[1], model, key[2]] = _projection(names, key, model, columns, where)
    made: dict[str, NestSynapses] = {}
    for one in (found[key] for key in sorted(found)):
        if one.name in made:
            raise SimulatorError(f"two projections would be named {printable(one.name)!r}")
        made[one.name] = one
    return made, unnamed


def _projection(
    names: NodeNames,
    key: tuple[int, int, int],
    model: str,
    columns: Mapping[str, NDArray[Any]],
    where: NDArray[np.int64],
) -> NestSynapses:
    ends = names.names[key[0]], names.names[key[1]]
    name = f"{ends[0]}_to_{ends[1]}.{model}" + (f".{key[2]}" if key[2] else "")
    where = where[_row_order({n: columns[n][where] for n in _ENDS}, names)]
    kept = where if names.device[key[0]] else where[:0]
    places = columns["target_thread"][kept], columns["port"][kept]
    post, pre = (names.rank[columns[n][where]] for n in ("target", "source"))
    first = np.flatnonzero(np.diff(post, prepend=-1))
    rows = Connectivity(post[first], np.append(first, post.size), pre)
    values = {
        n: _compact(v[where] if v.strides != (0,) else v[: where.size])
        for n, v in columns.items()
        if n not in _ENDS
    }
    return NestSynapses(name, ends, model, key[2], values, rows, places)


def _groups(
    pre: NDArray[np.int32], post: NDArray[np.int32], receptor: NDArray[Any], inside: NDArray[np.bool_]
) -> Iterator[tuple[tuple[int, int, int], NDArray[np.int64]]]:
    """Yield (pre, post, receptor) with the places of those connections."""
    chosen = np.flatnonzero(inside)
    keys = np.stack([pre[chosen], post[chosen], receptor[chosen]])
    order = np.lexsort(keys[::-1])
    keys = keys[:, order]
    starts = np.flatnonzero(np.any(np.diff(keys, axis=1, prepend=-1) != 0, axis=0))
    for start, stop in zip(starts, [*starts[1:], order.size], strict=True):
        one, two, three = keys[:, start].tolist()
        yield (one, two, three), chosen[order[start:stop]]


def _row_order(ends: Mapping[str, NDArray[Any]], names: NodeNames) -> NDArray[np.int64]:
    """Return the order of rows: post, pre, thread, port."""
    post, pre = (names.rank[ends[n]] for n in ("target", "source"))
    return np.lexsort((ends["port"], ends["target_thread"], pre, post))


def _read(connections: Any, names: Any) -> dict[str, NDArray[Any]]:
    """Read some values of all connections, block by block; a column of equal values takes no room."""
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    total = len(connections)
    for start in range(0, total, _BLOCK):
        status = _status(connections[start : start + _BLOCK])
        for name in names:
            values = np.fromiter(map(itemgetter(name), status), _dtype(status[0][name]), len(status))
            parts[name].append(_compact(values))
    return {name: _joined(arrays) for name, arrays in parts.items()}


def _status(connections: Any) -> list[dict[str, Any]]:
    """Return one dictionary per connection.

    It is what ``connections.get()`` asks itself, and then turns into lists, which takes longer than asking.
    """
    from nest import nestkernel_api

    found: list[dict[str, Any]] = nestkernel_api.llapi_get_connection_status(connections._datum)
    return found


def _dtype(value: Any) -> Any:
    """Node numbers have 32 bits here, as everywhere; other integers 64."""
    if isinstance(value, bool):
        return np.bool_
    return np.float64 if isinstance(value, float) else np.int64


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    total = sum(part.size for part in parts)
    if all(part.strides == (0,) and _same(part[:1], parts[0][:1]) for part in parts):
        return np.broadcast_to(parts[0][:1], (total,)) if total else parts[0]
    return np.concatenate(parts)


def _compact(values: NDArray[Any]) -> NDArray[Any]:
    """Return equal values as one that is repeated."""
    if values.size and values.strides != (0,) and _same(values, np.broadcast_to(values[:1], values.shape)):
        return np.broadcast_to(values[:1].copy(), values.shape)
    return values


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether values are the same to the last bit."""
    return a.shape == b.shape and a.dtype == b.dtype and not np.any(differ(a, b))


def differ(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where values are not the same to the last bit, bool."""
    found: NDArray[np.bool_] = a != b
    if a.dtype.kind == b.dtype.kind == "f":
        found = (found | (np.signbit(a) != np.signbit(b))) & ~(np.isnan(a) & np.isnan(b))
    return found


def _taken(model: str, shown: Mapping[str, Any]) -> frozenset[str]:
    """Return which values of a synapse can be set, tried with the model's own defaults."""
    key = model, frozenset(shown)
    if key not in _TAKEN:
        nest = kernel()
        defaults = nest.GetDefaults(model)
        taken = set()
        for name in shown.keys() & defaults.keys() - _NO_VALUES:
            if isinstance(shown[name], bool | int | float):
                try:
                    nest.SetDefaults(model, {name: defaults[name]})
                except (nest.NESTError, TypeError, ValueError):
                    continue
                taken.add(name)
        _TAKEN[key] = frozenset(taken)
    return _TAKEN[key]
