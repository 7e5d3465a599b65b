"""Writes a network as SONATA, synapses in blocks."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.edges import column_notes, edge_attributes, population_sizes, texts
from ann_ckpt.adapters.sonata import names
from ann_ckpt.errors import OptionError, printable
from ann_ckpt.model import Array, Locality, NetworkState, PopulationState, ProjectionState
from ann_ckpt.model.arrays import blocks
from ann_ckpt.report import Note

__all__ = ["write"]

_BLOCK = 1 << 18
_SORTED_AT_ONCE = 1 << 20
"""Synapses of which the order by pre-synaptic neuron is in memory at a time."""


def write(state: NetworkState, folder: Path) -> list[Note]:
    """Write ``nodes.h5``, ``edges.h5``, tables of their types and ``circuit_config.json``.

    Edge ``i`` of a projection is its synapse ``i``, rows in order; ``w`` is called ``syn_weight``, and
    ``delay`` is in ms where the length of a step is known.

    Parameters
    ----------
    state : NetworkState
        Lazy or not; a block of synapses is in memory at a time.
    folder : Path
        Is there, and empty.

    Returns
    -------
    list of Note
        What has no place in SONATA, and what was written otherwise.
    """
    notes = list(_unmapped(state))
    sizes = population_sizes(state)
    _check_names("populations", sizes)
    _check_names("projections", state.projections)
    with _create(folder / "nodes.h5") as file:
        node_types = [
            _write_nodes(file, name, size, state.populations.get(name), number, notes)
            for number, (name, size) in enumerate(sizes.items(), names.FIRST_TYPE)
        ]
    with _create(folder / "edges.h5") as file:
        edge_types = [
            _write_edges(file, projection, sizes, state.dt, number, notes)
            for number, projection in enumerate(state.projections.values(), names.FIRST_TYPE)
        ]
    _write_types(folder / "node_types.csv", node_types)
    _write_types(folder / "edge_types.csv", edge_types)
    config = _config(state, list(sizes))
    (folder / names.CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return notes


def _config(state: NetworkState, populations: list[str]) -> dict[str, Any]:
    nodes = {names.in_file(name): {"type": "point_neuron"} for name in populations}
    edges = {names.in_file(name): {"type": "chemical"} for name in state.projections}
    networks: dict[str, Any] = {"nodes": [], "edges": []}
    for what, present in (("node", nodes), ("edge", edges)):
        if present:  # libsonata refuses a file without populations
            networks[f"{what}s"].append(
                {
                    f"{what}s_file": f"$NETWORK_DIR/{what}s.h5",
                    f"{what}_types_file": f"$NETWORK_DIR/{what}_types.csv",
                    "populations": present,
                }
            )
    return {
        "manifest": {"$NETWORK_DIR": "."},
        "networks": networks,
        names.OURS: {"dt": state.dt, "time_step": state.time_step},
    }


def _create(path: Path) -> Any:
    file = h5py.File(path, "w")
    file.attrs["magic"] = np.uint32(names.MAGIC)
    file.attrs["version"] = np.array(names.VERSION, np.uint32)
    return file


def _write_nodes(
    file: Any, name: str, size: int, population: PopulationState | None, kind: int, notes: list[Note]
) -> dict[str, str]:
    """Write one population; return its row of the table of types."""
    group = file.create_group(f"nodes/{names.in_file(name)}")
    _fill(group, "node_type_id", size, np.int32, _repeated(kind, size))
    _fill(group, "node_group_id", size, np.uint16, _repeated(0, size))
    _fill(group, "node_id", size, np.uint64, _counted(size))
    _fill(group, "node_group_index", size, np.uint64, _counted(size))
    values = group.create_group(names.GROUP)
    row = {"node_type_id": str(kind), "pop_name": name, "model_type": "point_neuron"}
    path = f"populations/{name}"
    if population is None:
        notes.append(Note(path, "only its size is known"))
        return row | {names.GEOMETRY: str(size)}
    units = {} if population.neuron_type is None else population.neuron_type.attributes
    for attribute, given in population.attributes.items():
        stored, array = names.in_file(attribute), given.values
        if given.locality is Locality.LOCAL and population.part is not None:
            notes.append(
                Note(f"{path}/{attribute}", "left out: a part of the neurons is here, and all have ids")
            )
        elif array.shape == population.geometry and given.locality is Locality.LOCAL:
            unit = units[attribute].unit if attribute in units else ""
            flat = ((i, np.asarray(block).reshape(-1)) for i, block in _flat_blocks(array))
            _fill(values, stored, size, array.dtype, flat, unit)
        elif array.shape == () and stored not in (*row, names.GEOMETRY):
            row[stored] = texts(np.asarray(array).reshape(1))[0]
        else:
            notes.append(
                Note(f"{path}/{attribute}", "left out: it is not one number per neuron, or its name is taken")
            )
    geometry = list(population.geometry)
    if population.part is not None:
        geometry[0] = population.part.whole
    return row | {names.GEOMETRY: "x".join(map(str, geometry))}


def _write_edges(
    file: Any,
    projection: ProjectionState,
    sizes: Mapping[str, int],
    dt: float | None,
    kind: int,
    notes: list[Note],
) -> dict[str, str]:
    """Write one projection; return its row of the table of types."""
    total, rows = projection.connectivity.n_synapses, projection.connectivity
    path = f"projections/{projection.name}"
    group = file.create_group(f"edges/{names.in_file(projection.name)}")
    _fill(group, "edge_type_id", total, np.int32, _repeated(kind, total))
    _fill(group, "edge_group_id", total, np.uint16, _repeated(0, total))
    _fill(group, "edge_group_index", total, np.uint64, _counted(total))
    values = group.create_group(names.GROUP)
    row = {"edge_type_id": str(kind), "pop_name": projection.name, names.TARGET: projection.target}
    sinks = {}
    for column, stored, side in (
        ("pre", "source_node_id", projection.pre),
        ("post", "target_node_id", projection.post),
    ):
        sinks[column] = _dataset(group, stored, total, np.uint64)
        sinks[column].attrs["node_population"] = names.in_file(side)
    scale = None
    if projection.delays is not None:
        if dt is None:
            notes.append(
                Note(path, "the length of a step is not known: delays are called delay_steps, in steps")
            )
            sinks["delay"] = _dataset(values, "delay_steps", total, np.int64, "steps")
        else:
            scale = dt
            sinks["delay"] = _dataset(values, names.DELAY, total, np.float64, "ms")
    columns = []
    for attribute in edge_attributes(projection):
        stored = _edge_name(projection, attribute)
        shared = projection.attributes[attribute].locality is Locality.GLOBAL and stored != names.WEIGHT
        if stored in values or (shared and stored in row):
            notes.append(Note(f"{path}/{attribute}", "left out: its name is taken"))
        elif shared:
            row[stored] = texts(np.asarray(projection.attributes[attribute].values).reshape(1))[0]
        else:
            columns.append(attribute)
            dtype = projection.attributes[attribute].values.dtype
            sinks[attribute] = _dataset(values, stored, total, dtype, projection.units.get(attribute, ""))
    start = 0
    for block in projection.column_blocks(columns, synapses=_BLOCK):
        stop = start + block["pre"].size
        for column, array in block.items():
            sinks[column][start:stop] = array * scale if column == "delay" and scale is not None else array
        start = stop
    indices = group.create_group("indices")
    _index_by_target(indices.create_group("target_to_source"), projection, sizes[projection.post])
    _index_by_source(indices.create_group("source_to_target"), projection.pre_ranks, sizes[projection.pre])
    if rows.n_rows and not rows.row_sizes.all():
        notes.append(Note(path, "dendrites without a synapse have no place"))
    return row


def _edge_name(projection: ProjectionState, attribute: str) -> str:
    if attribute == "w" and names.WEIGHT not in projection:
        return names.WEIGHT
    return names.in_file(attribute)


def _index_by_target(group: Any, projection: ProjectionState, size: int) -> None:
    """Say for each neuron which edges reach it: a row of the projection is one range."""
    pointers, posts = projection.connectivity.row_ptr, projection.connectivity.post_ranks
    filled = np.flatnonzero(np.diff(pointers))
    ranges = np.stack((pointers[:-1][filled], pointers[1:][filled]), axis=1)
    of_nodes = np.zeros((size, 2), np.uint64)
    of_nodes[posts[filled], 0] = np.arange(filled.size)
    of_nodes[posts[filled], 1] = np.arange(1, filled.size + 1)
    _write_node_ranges(group, of_nodes)
    group["range_to_edge_id"] = ranges.astype(np.uint64)


def _index_by_source(group: Any, pre_ranks: Array, size: int) -> None:
    """Say for each neuron which edges leave it: each edge is a range of its own.

    The edges are ordered by their post-synaptic neurons; to order them by the others, all ranks are looked
    at once for each part of the neurons whose edges fit into memory.
    """
    counts = np.zeros(size, np.int64)
    for _, block in blocks(pre_ranks):
        counts += np.bincount(block, minlength=size)
    ends = np.cumsum(counts)
    starts = ends - counts
    _write_node_ranges(group, np.where(counts[:, None] > 0, np.stack((starts, ends), axis=1), 0))
    total = int(ends[-1]) if size else 0
    ranges = _dataset(group, "range_to_edge_id", total, np.uint64, width=2)
    low, written = 0, 0
    while written < total:
        high = max(low + 1, int(np.searchsorted(ends, written + _SORTED_AT_ONCE, "right")))
        edges, sources = [], []
        for start, block in blocks(pre_ranks):
            here = np.flatnonzero((block >= low) & (block < high))
            edges.append(here + start)
            sources.append(block[here])
        found = np.concatenate(edges)[np.argsort(np.concatenate(sources), kind="stable")]
        ranges[written : written + found.size] = np.stack((found, found + 1), axis=1)
        written += found.size
        low = high


def _write_node_ranges(group: Any, ranges: NDArray[Any]) -> None:
    group["node_id_to_ranges"] = ranges.astype(np.uint64)
    group["node_id_to_range"] = group["node_id_to_ranges"]  # which is what bmtk looks for


def _flat_blocks(array: Array) -> Iterator[tuple[int, NDArray[Any]]]:
    inner = int(np.prod(array.shape[1:], dtype=np.int64))
    for start, block in blocks(array):
        yield start * inner, block


def _counted(size: int) -> Iterator[tuple[int, NDArray[Any]]]:
    for start in range(0, size, _BLOCK):
        yield start, np.arange(start, min(start + _BLOCK, size))


def _repeated(value: int, size: int) -> Iterator[tuple[int, NDArray[Any]]]:
    for start in range(0, size, _BLOCK):
        yield start, np.full(min(_BLOCK, size - start), value)


def _dataset(group: Any, name: str, size: int, dtype: Any, unit: str = "", *, width: int = 0) -> Any:
    # Not compressed: libsonata's own HDF5 cannot inflate. Nor does it know a type of truth values.
    stored = np.uint8 if np.dtype(dtype).kind == "b" else dtype
    made = group.create_dataset(name, (size, width) if width else (size,), stored, track_times=False)
    if unit:
        made.attrs["units"] = unit
    return made


def _fill(
    group: Any, name: str, size: int, dtype: Any, parts: Iterator[tuple[int, NDArray[Any]]], unit: str = ""
) -> None:
    made = _dataset(group, name, size, dtype, unit)
    for start, part in parts:
        made[start : start + part.size] = part


def _write_types(path: Path, rows: list[dict[str, str]]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row)) or [f"{path.stem[:4]}_type_id"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="NULL", delimiter=" ", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            # An empty field between two blanks is read as none at all.
            writer.writerow({column: value or "NULL" for column, value in row.items()})


def _check_names(group: str, given: Any) -> None:
    for name in given:
        if not printable(name, 1 << 16) == name or len(name) > 1000:
            raise OptionError(
                f"SONATA cannot have {group[:-1]} {printable(name)!r}: names are printable and of less than "
                "1,000 characters",
                details={"hint": f"leave it out with {group}=[...], or give it another name"},
            )


def _unmapped(state: NetworkState) -> Iterator[Note]:
    """Say what a network has and SONATA does not."""
    if state.constants:
        yield Note("", f"constants are left out: {', '.join(state.constants)}")
    if state.dynamics or any(o.dynamics for o in (*state.populations.values(), *state.projections.values())):
        yield Note("", "dynamics are left out: what a simulator carries from step to step has no place")
    if state.metadata or state.seed is not None:
        yield Note("", "metadata and seed are left out")
    if state.recordings:
        yield Note("", f"recordings are left out: {', '.join(state.recordings)}")
    if state.time_step is not None:
        yield Note("", "the time stands in circuit_config.json, under a key of our own")
    kinds = [p.neuron_type for p in state.populations.values()]
    kinds += [p.synapse_type for p in state.projections.values()]
    if any(kind is not None and kind.texts for kind in kinds):
        yield Note("", "equations of neuron and synapse types are left out")
    for projection in state.projections.values():
        yield from _unmapped_synapses(projection)
    yield from _other_types(state)


def _other_types(state: NetworkState) -> Iterator[Note]:
    for path, given in _attributes(state):
        if given.values.dtype.kind == "b":
            yield Note(path, "truth values are written as 0 and 1")
        elif given.locality is Locality.GLOBAL and given.values.dtype not in (np.float64, np.int64):
            yield Note(path, f"a table has no types: it is read back as another than {given.values.dtype}")


def _unmapped_synapses(projection: ProjectionState) -> Iterator[Note]:
    path = f"projections/{projection.name}"
    if projection.partial:
        yield Note(path, "that only some of its dendrites are here is left out")
    for what in ("order", "pre_view", "post_view"):
        if getattr(projection, what) is not None:
            yield Note(path, f"{what} is left out")
    if projection.pathway_delays:
        yield Note(path, "delays of pathways are left out")
    yield from column_notes([projection])
    for attribute in edge_attributes(projection):
        if projection.attributes[attribute].locality is Locality.SEMIGLOBAL:
            yield Note(f"{path}/{attribute}", "one value per dendrite, repeated for each of its synapses")


def _attributes(state: NetworkState) -> Iterator[tuple[str, Any]]:
    for name, population in state.populations.items():
        yield from ((f"populations/{name}/{n}", a) for n, a in population.attributes.items())
    for name, projection in state.projections.items():
        yield from ((f"projections/{name}/{n}", a) for n, a in projection.attributes.items())
