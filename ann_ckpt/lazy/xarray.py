"""An open checkpoint as xarray's Dataset and DataTree: named dimensions, units, nothing read yet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from ann_ckpt.format import layout
from ann_ckpt.lazy.array import LazyArray
from ann_ckpt.model import Attribute, Locality, PopulationState, TypeInfo

__all__ = ["network_tree", "population_dataset", "projection_dataset"]

_PREFERRED_BYTES = 16 << 20
"""Blocks are joined to chunks of about this size, for ``chunks={}``."""


def network_tree(checkpoint: Any) -> xarray.DataTree:
    """Return a tree with constants at its root, and a node for each population and projection.

    Parameters
    ----------
    checkpoint : Checkpoint
        Open; the tree reads from it.
    """
    said = {
        "time_step": checkpoint.time_step,
        "time_ms": checkpoint.time_ms,
        "dt": checkpoint.dt,
        "seed": checkpoint.seed,
        "tag": checkpoint.tag,
        "created": checkpoint.created or None,
        "metadata": json.dumps(checkpoint.metadata, default=str) if checkpoint.metadata else None,
    }
    constants = {
        name: (tuple(f"{layout.escape(name)}_{axis}" for axis in range(value.ndim)), value)
        for name, value in checkpoint.constants.items()
    }
    root = xarray.Dataset(
        {layout.escape(name): constant for name, constant in constants.items()},
        attrs={name: value for name, value in said.items() if value is not None},
    )
    groups = {layout.POPULATIONS: checkpoint.populations, layout.PROJECTIONS: checkpoint.projections}
    nodes = {
        f"/{group}/{layout.escape(name)}": owner.to_xarray()
        for group, members in groups.items()
        for name, owner in members.items()
    }
    return xarray.DataTree.from_dict({"/": root, **nodes})


def population_dataset(population: PopulationState) -> xarray.Dataset:
    """Return attributes over ``neuron``, or ``neuron_0``, ``neuron_1``, ... of a geometry of several axes."""
    axes = len(population.geometry)
    neurons = ("neuron",) if axes == 1 else tuple(f"neuron_{axis}" for axis in range(axes))
    dimensions = {Locality.LOCAL: neurons, Locality.GLOBAL: ()}
    return xarray.Dataset(
        _variables(population.attributes, population.neuron_type, dimensions),
        attrs={"name": population.name, "geometry": list(population.geometry)},
    )


def projection_dataset(projection: Any) -> xarray.Dataset:
    """Return attributes over ``synapse`` or ``dendrite``, with the ranks of both as coordinates.

    Parameters
    ----------
    projection : LazyProjection
        Of an open checkpoint.
    """
    dimensions: dict[Locality, tuple[str, ...]] = {
        Locality.LOCAL: ("synapse",),
        Locality.SEMIGLOBAL: ("dendrite",),
        Locality.GLOBAL: (),
    }
    variables = _variables(projection.attributes, projection.synapse_type, dimensions)
    coordinates = {
        "pre_rank": _variable(("synapse",), projection.pre_ranks, {"population": projection.pre}),
        "post_rank": _variable(("synapse",), _PostOfEach(projection), {"population": projection.post}),
        "dendrite_rank": _variable(("dendrite",), projection.post_ranks, {"population": projection.post}),
    }
    if projection.delays is not None:
        delays: Any = (
            projection.delays if isinstance(projection.delays, LazyArray) else np.array(projection.delays)
        )
        coordinates["delay"] = _variable(("synapse",)[: len(delays.shape)], delays, {"units": "steps"})
    said = {
        "name": projection.name,
        "pre": projection.pre,
        "post": projection.post,
        "target": projection.target,
    }
    # A model may call an attribute like one of the coordinates; then the attribute has the name.
    beside = {name + "_" * (name in variables): value for name, value in coordinates.items()}
    return xarray.Dataset(variables, coords=beside, attrs=said)


def _variables(
    attributes: Mapping[str, Attribute],
    declared: TypeInfo | None,
    dimensions: Mapping[Locality, tuple[str, ...]],
) -> dict[str, xarray.Variable]:
    made = {}
    taken = set(map(layout.escape, attributes))
    for name, attribute in attributes.items():
        link = layout.escape(name)
        axes = tuple(f"{link}_{axis}" for axis in range(len(attribute.values.shape)))
        # xarray takes an attribute of the same name for the coordinate of the axis.
        axes = tuple(axis + "_" * (axis in taken) for axis in axes)
        info = None if declared is None else declared.attributes.get(name)
        texts = {
            "units": "" if info is None else info.unit,
            "long_name": "" if info is None else info.description,
            "locality": str(attribute.locality),
        }
        own = dimensions.get(attribute.locality, ())
        made[link] = _variable((*own, *axes[len(own) :]), attribute.values, texts)
    return made


def _variable(dimensions: Iterable[str], values: Any, texts: Mapping[str, str]) -> xarray.Variable:
    dimensions = tuple(dimensions)
    encoding = {}
    if not isinstance(values, np.ndarray):
        entries = max(1, _PREFERRED_BYTES // max(1, values.nbytes // max(1, values.size)))
        chunks = values.chunks
        if chunks and 0 not in values.shape:
            first = chunks[0] * max(1, entries // int(np.prod(chunks)))
            encoding["preferred_chunks"] = dict(
                zip(dimensions, (min(first, values.shape[0]), *chunks[1:]), strict=True)
            )
        values = indexing.LazilyIndexedArray(_Stored(values))
    return xarray.Variable(dimensions, values, {k: v for k, v in texts.items() if v}, encoding)


class _Stored(BackendArray):
    """A lazy array with xarray's keys: each part is about its own axis."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape = array.shape
        self.dtype = array.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        support = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, support, self._read)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        part = np.asarray(self.array[key[:1]])
        axis = part.ndim - len(key[1:])
        for item in key[1:]:
            part = part[(*(slice(None),) * axis, item)]
            axis += not isinstance(item, int | np.integer)
        return part


class _PostOfEach:
    """Post-synaptic neuron of each synapse, which no file stores: made of the rows when asked for."""

    dtype = np.dtype(np.int32)

    def __init__(self, projection: Any) -> None:
        self._projection = projection
        self.shape = projection.pre_ranks.shape
        self.chunks = projection.pre_ranks.chunks
        self.size, self.nbytes = projection.pre_ranks.size, projection.pre_ranks.nbytes

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[np.int32]:
        (item,) = key
        rows = self._projection.connectivity
        places = np.arange(*item.indices(self.shape[0])) if isinstance(item, slice) else np.asarray(item)
        return np.asarray(rows.post_ranks[np.searchsorted(rows.row_ptr, places, side="right") - 1])
