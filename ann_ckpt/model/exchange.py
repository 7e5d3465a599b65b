"""Forms that other libraries take: data frames, Arrow tables, graphs. Each needs an extra."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import MissingExtraError, printable

__all__ = [
    "EdgeEnd",
    "Tabular",
    "arrow_array",
    "arrow_table",
    "frame",
    "igraph_graph",
    "networkx_graph",
    "optional",
]

Columns = Mapping[str, NDArray[Any]]


class EdgeEnd(NamedTuple):
    """One end of all edges of a graph."""

    population: str
    size: int
    """Neurons in the population."""


class Tabular:
    """Has columns of equal length, of which tables are made."""

    __slots__ = ()

    def _columns(self, attributes: Iterable[str] | None) -> Columns:
        """Arrays by name; by default of all attributes that suit."""
        raise NotImplementedError

    @property
    def _units(self) -> Mapping[str, str]:
        """Units of columns that have one."""
        raise NotImplementedError

    def to_arrow(self, attributes: Iterable[str] | None = None) -> Any:
        """Return the rows of :meth:`to_frame` as a :class:`pyarrow.Table`, for polars and DuckDB.

        Raises
        ------
        MissingExtraError
            Without pyarrow, which the extra ``frames`` brings.
        """
        return arrow_table(self._columns(attributes), self._units)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)


def optional(module: str, extra: str) -> Any:
    """Import a module that an extra brings.

    Raises
    ------
    MissingExtraError
        If it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        # A package may be there and refuse, as pyarrow does beside a numpy that is too old for it.
        said = {} if isinstance(error, ModuleNotFoundError) else {"found": printable(error, 200)}
        raise MissingExtraError(
            f"this needs the package {module.partition('.')[0]}",
            details=said | {"install": f"pip install 'ann_ckpt[{extra}]'"},
        ) from error


def frame(columns: Columns, units: Mapping[str, str]) -> Any:
    """Return columns of equal length as a :class:`pandas.DataFrame`; ``attrs["units"]`` has their units."""
    made = optional("pandas", "frames").DataFrame(dict(columns))
    made.attrs["units"] = dict(units)
    return made


def arrow_table(columns: Columns, units: Mapping[str, str]) -> Any:
    """Return columns of equal length as a :class:`pyarrow.Table`; fields have their ``unit`` as metadata."""
    arrow = optional("pyarrow", "frames")
    arrays = [arrow_array(values) for values in columns.values()]
    fields = [
        arrow.field(name, array.type, metadata={"unit": units[name]} if name in units else None)
        for name, array in zip(columns, arrays, strict=True)
    ]
    return arrow.table(arrays, schema=arrow.schema(fields))


def arrow_array(values: NDArray[Any]) -> Any:
    """Return an array as a :class:`pyarrow.Array`; of several axes, as lists of fixed size."""
    arrow = optional("pyarrow", "frames")
    made = arrow.array(np.ascontiguousarray(values).reshape(-1))
    for length in values.shape[:0:-1]:
        made = arrow.FixedSizeListArray.from_arrays(made, length)
    return made


def networkx_graph(pre: EdgeEnd, post: EdgeEnd, columns: Columns) -> Any:
    """Return edges as a :class:`networkx.MultiDiGraph`; its nodes are ``(population, rank)``.

    Parameters
    ----------
    pre, post : EdgeEnd
        Where edges begin and end.
    columns : mapping of str to array, shape (n,)
        ``pre``, ``post``, and attributes of the edges.
    """
    graph = optional("networkx", "graphs").MultiDiGraph()
    for side in (pre, post):
        for rank in range(side.size):
            graph.add_node((side.population, rank), population=side.population, rank=rank)
    begin, end, *values = (column.tolist() for column in columns.values())
    names = list(columns)[2:]
    rows = zip(*values, strict=True) if values else ((),) * len(begin)
    graph.add_edges_from(
        ((pre.population, a), (post.population, b), dict(zip(names, row, strict=True)))
        for a, b, row in zip(begin, end, rows, strict=True)
    )
    return graph


def igraph_graph(pre: EdgeEnd, post: EdgeEnd, columns: Columns) -> Any:
    """Return edges as a directed :class:`igraph.Graph`.

    Its vertices are the neurons of ``pre``, then those of ``post`` where that is another population;
    they have the attributes ``population`` and ``rank``. For parameters see :func:`networkx_graph`.
    """
    sides = [pre] if pre.population == post.population else [pre, post]
    first = 0 if len(sides) == 1 else pre.size
    edges = np.stack((columns["pre"].astype(np.int64), columns["post"].astype(np.int64) + first), axis=1)
    return optional("igraph", "graphs").Graph(
        sum(side.size for side in sides),
        edges.tolist(),
        directed=True,
        vertex_attrs={
            "population": [side.population for side in sides for _ in range(side.size)],
            "rank": [rank for side in sides for rank in range(side.size)],
        },
        edge_attrs={name: column.tolist() for name, column in columns.items() if name not in ("pre", "post")},
    )
