"""Writes synapses as tables and graphs, some of them at a time: CSV, Parquet, GraphML."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.errors import StateError, printable
from ann_ckpt.model import NetworkState, ProjectionState
from ann_ckpt.model.exchange import arrow_table, optional
from ann_ckpt.model.rows import has_column
from ann_ckpt.report import Note

__all__ = [
    "TABLES",
    "column_notes",
    "edge_attributes",
    "population_sizes",
    "texts",
    "write_csv",
    "write_graphml",
    "write_parquet",
]

_GRAPHML_TYPES = {"b": "boolean", "i": "long", "u": "long", "f": "double"}
_NODES = 1 << 16
_BARE_NODES = 1 << 22
"""Most neurons that are written without a value of theirs."""


def write_csv(projection: ProjectionState, path: Path) -> None:
    """Write a row for each synapse, below the names of the columns; floats read back as they were."""
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, block in enumerate(projection.column_blocks(edge_attributes(projection))):
            if number == 0:
                csv.writer(file, lineterminator="\n").writerow(block)
            rows = zip(*map(texts, block.values()), strict=True)
            _write_lines(file, (",".join(row) + "\n" for row in rows))


def write_parquet(projection: ProjectionState, path: Path) -> None:
    """Write a row group for each block of synapses; fields have their ``unit`` as metadata.

    Raises
    ------
    MissingExtraError
        Without pyarrow, which the extra ``frames`` brings.
    """
    parquet = optional("pyarrow.parquet", "frames")
    writer: Any = None
    try:
        for block in projection.column_blocks(edge_attributes(projection)):
            table = arrow_table(block, projection.units)
            writer = writer or parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


TABLES: dict[str, Callable[[ProjectionState, Path], None]] = {"csv": write_csv, "parquet": write_parquet}
"""Who writes one projection as a table, by the name of the format, which is the extension too."""


def write_graphml(state: NetworkState, path: Path) -> None:
    """Write a directed graph: a node for each neuron of each population, an edge for each synapse.

    Nodes have ``population`` and ``rank``; edges have ``projection`` and the attributes of synapses.
    """
    sizes = population_sizes(state)
    numbers = {name: number for number, name in enumerate(sizes)}
    with path.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        file.write('<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n')
        _write_key(file, "population", "node", "population", "string")
        _write_key(file, "rank", "node", "rank", "long")
        _write_key(file, "projection", "edge", "projection", "string")
        keys = _edge_keys(file, state)
        file.write('<graph id="network" edgedefault="directed">\n')
        for name, size in sizes.items():
            data = f'<data key="population">{_text(name)}</data>'
            n = numbers[name]
            _write_lines(
                file,
                (f'<node id="p{n}n{r}">{data}<data key="rank">{r}</data></node>\n' for r in range(size)),
            )
        for projection in state.projections.values():
            for block in projection.column_blocks(edge_attributes(projection)):
                _write_lines(file, _edges(projection, block, numbers, keys))
        file.write("</graph>\n</graphml>\n")


def _edge_keys(file: TextIO, state: NetworkState) -> dict[tuple[str, str], str]:
    """Declare each attribute once for each type that it has; return the keys by name and type."""
    keys: dict[tuple[str, str], str] = {}
    for projection in state.projections.values():
        kinds = {name: projection.attributes[name].values.dtype for name in edge_attributes(projection)}
        if projection.delays is not None:
            kinds = {"delay": np.dtype(np.int64), **kinds}
        for name, dtype in kinds.items():
            kind = _GRAPHML_TYPES[dtype.kind]
            if (name, kind) not in keys:
                keys[name, kind] = f"e{len(keys)}"
                _write_key(file, keys[name, kind], "edge", name, kind)
    return keys


def _edges(
    projection: ProjectionState,
    block: dict[str, NDArray[Any]],
    numbers: dict[str, int],
    keys: dict[tuple[str, str], str],
) -> Iterator[str]:
    pre, post, *values = (texts(column) for column in block.values())
    named = list(block.items())[2:]
    used = [keys[name, _GRAPHML_TYPES[column.dtype.kind]] for name, column in named]
    source, target = numbers[projection.pre], numbers[projection.post]
    first = f'<data key="projection">{_text(projection.name)}</data>'
    for i, (a, b) in enumerate(zip(pre, post, strict=True)):
        data = "".join(f'<data key="{k}">{column[i]}</data>' for k, column in zip(used, values, strict=True))
        yield f'<edge source="p{source}n{a}" target="p{target}n{b}">{first}{data}</edge>\n'


def _write_key(file: TextIO, key: str, domain: str, name: str, kind: str) -> None:
    attribute = quoteattr(printable(name, 400))
    file.write(f'<key id="{key}" for="{domain}" attr.name={attribute} attr.type="{kind}"/>\n')


def _text(name: str) -> str:
    """Return a name for XML, which cannot hold control characters at all."""
    return quoteattr(printable(name, 400))[1:-1]


def _write_lines(file: TextIO, lines: Iterator[str]) -> None:
    """Write in pieces, so that neither every line is a call nor all of them are in memory."""
    piece: list[str] = []
    for line in lines:
        piece.append(line)
        if len(piece) == _NODES:
            file.write("".join(piece))
            piece.clear()
    file.write("".join(piece))


def texts(values: NDArray[Any]) -> list[str]:
    """Return numbers as texts that read back exactly: the shortest ones of their own type."""
    if values.dtype.kind == "b":
        return ["true" if value else "false" for value in values.tolist()]
    if values.dtype == np.float32:
        return [str(value) for value in values]  # as Python floats they would have 17 digits
    return [repr(value) for value in values.tolist()]


def edge_attributes(projection: ProjectionState) -> list[str]:
    """Attributes that have a column: one number for each synapse, and a name that no other column has."""
    taken = {"pre", "post"} if projection.delays is None else {"pre", "post", "delay"}
    rows = projection.connectivity
    return [n for n, a in projection.attributes.items() if n not in taken and has_column(a, rows)]


def column_notes(projections: Iterable[ProjectionState]) -> list[Note]:
    """Say which attributes have no column."""
    return [
        Note(
            f"projections/{projection.name}/{name}",
            "left out: it is not one number per synapse, or its name is taken",
        )
        for projection in projections
        for name in projection.attributes
        if name not in edge_attributes(projection)
    ]


def population_sizes(state: NetworkState) -> dict[str, int]:
    """Neurons of each population, of a part those of the whole; also of those that only projections name.

    A population of which nothing is known but its synapses is as large as their ranks ask for.

    Raises
    ------
    StateError
        If there are far more neurons than values: a line for each would fill the disk.
    """
    sizes = {name: population.whole_size for name, population in state.populations.items()}
    for projection in state.projections.values():
        for side in ("pre", "post"):
            name, known = getattr(projection, side), getattr(projection, f"{side}_size")
            if name in state.populations:
                continue
            if known is None:
                known = 1 + max(int(block[side].max(initial=-1)) for block in projection.column_blocks([]))
            sizes[name] = max(sizes.get(name, 0), known)
    owners = (*state.populations.values(), *state.projections.values())
    values = sum(math.prod(a.values.shape) for owner in owners for a in owner.attributes.values())
    values += sum(projection.connectivity.n_synapses for projection in state.projections.values())
    if sum(sizes.values()) > _BARE_NODES + values:
        largest = max(sizes, key=lambda name: sizes[name])
        raise StateError(
            f"population {printable(largest)!r} has {sizes[largest]} neurons",
            details={"expected": f"at most {_BARE_NODES} neurons more than there are values"},
        )
    return sizes
