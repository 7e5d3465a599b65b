"""What distinguishes the file formats of ANNarchy's versions.

Each release that changed the layout of its files left a mark in them. Reading never
depends on a version number, which no file holds: every entry is read by the form that
it has. The range of versions is told to people, and explains what is missing.

=====================  ==========================================================
versions               what marks their files
=====================  ==========================================================
up to 4.1              values in nested dicts ``parameter`` and ``variables``
4.2                    ``attributes``; ``rank`` and ``delay`` are among them
4.3 to 4.5.2           ``dendrites`` of lists; ``delay`` the whole list each time
4.5.3 to 4.5.4         no ``dendrites``; no ``pre``, ``post`` and ``target`` yet
4.5.5 to 4.5.7         ``pre``, ``post`` and ``target``; no ``time_step`` yet
4.6.0 to 4.6.5         ``time_step`` and ``obj_names``; no ``delays`` yet
4.6.6                  archives that are archives
4.6.7 to 4.6.9.7       ``delays`` in ms
4.6.9.8, 4.6.9.9       all values of projections are arrays of objects
4.6.10                 rows of equal length are arrays of numbers
4.7.0                  projections have names and ranks, but no values
4.7.0.1 to 4.8         populations have arrays in their geometry
5.0                    numpy 2; connectivity files have delays in ms
=====================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

import numpy as np

from ann_ckpt.adapters.legacy.values import (
    NumberRows,
    OldDocument,
    Table,
    Value,
    check_text,
    is_number,
    names,
)

__all__ = [
    "NETWORK_ENTRIES",
    "NOT_SAVED",
    "TableKind",
    "attribute_names",
    "kind_of_table",
    "written_by",
]

NOT_SAVED: Final = (
    "no version of ANNarchy saves dt, seeds and random generators, delay queues, spike and refractory "
    "bookkeeping, learning flags or constants"
)

NETWORK_ENTRIES: Final = frozenset({"time_step", "net_id", "obj_names", "allow_pickle"})
"""Top-level entries of a network file that are not objects."""

POPULATION_ENTRIES: Final = frozenset(
    {"name", "geometry", "size", "attributes", "parameters", "variables", "parameter"}
)
PROJECTION_ENTRIES: Final = frozenset(
    {
        "name",
        "pre",
        "post",
        "target",
        "post_ranks",
        "pre_ranks",
        "delays",
        "attributes",
        "parameters",
        "variables",
    }
    | {"variables", "dendrites", "number_of_synapses"}
)


class TableKind(StrEnum):
    """What one table of a file describes."""

    NETWORK = "network"
    POPULATION = "population"
    PROJECTION = "projection"
    CONNECTIVITY = "connectivity"


def kind_of_table(table: Mapping[str, Value]) -> TableKind | None:
    """Tell what a table describes by the entries that every version gave it."""
    if "post_ranks" in table:
        return (
            TableKind.CONNECTIVITY
            if "uniform_delay" in table or "nb_synapses" in table
            else TableKind.PROJECTION
        )
    if "geometry" in table or ("size" in table and "attributes" in table):
        return TableKind.POPULATION
    if "dendrites" in table:
        return TableKind.PROJECTION
    if "obj_names" in table or any(isinstance(entry, dict) for entry in table.values()):
        return TableKind.NETWORK
    return None


def attribute_names(table: Mapping[str, Value]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of parameters and of variables; none stands in both.

    A name in both lists, as spiking synapses have ``w``, changes while the network
    runs: it is a variable. So is one that stands in neither.
    """
    if isinstance(table.get("variables"), dict) or isinstance(table.get("parameter"), dict):
        nested = [table.get(group) for group in ("parameter", "variables")]
        parameters, variables = (
            tuple(map(check_text, group)) if isinstance(group, dict) else () for group in nested
        )
    else:
        parameters, variables = names(table, "parameters"), names(table, "variables")
        known = {*parameters, *variables}
        variables += tuple(n for n in names(table, "attributes") if n not in known)
    changing = set(variables)
    return tuple(n for n in parameters if n not in changing), variables


def _nested_names(table: Mapping[str, Value], group: str) -> tuple[str, ...]:
    nested = table.get(group)
    return tuple(check_text(name) for name in nested) if isinstance(nested, dict) else ()


def written_by(document: OldDocument) -> str:
    """Return the versions that write such a file, such as ``4.5.3 to 4.5.4``."""
    possible = set(range(len(_ERAS)))
    for eras in _marks(document):
        possible &= eras
    for eras in _hints(document):
        # A file may have been read and pickled again since; its layout stays what it was.
        possible = possible & eras or possible
    if not possible:
        return "several versions at once"
    first, last = _ERAS[min(possible)][0], _ERAS[max(possible)][1]
    return first if first == last else f"{first} to {last}" if first else f"{last} or earlier"


_ERAS: Final = (
    ("", "4.1"),
    ("4.2", "4.2"),
    ("4.3", "4.5.2"),
    ("4.5.3", "4.5.4"),
    ("4.5.5", "4.5.7"),
    ("4.6.0", "4.6.5"),
    ("4.6.6", "4.6.6"),
    ("4.6.7", "4.6.9.7"),
    ("4.6.9.8", "4.6.9.9"),
    ("4.6.10", "4.6.10"),
    ("4.7.0", "4.7.0"),
    ("4.7.0.1", "4.8"),
    ("5.0", "5.0"),
)
_FIRST_ERA: Final = {first: index for index, (first, _) in enumerate(_ERAS)}


def _eras(first: str = "", before: str | None = None) -> set[int]:
    return set(range(_FIRST_ERA[first], len(_ERAS) if before is None else _FIRST_ERA[before]))


def _marks(document: OldDocument) -> Iterator[set[int]]:
    """Yield, for every mark in the file, the eras that left it."""
    table = document.content
    if not isinstance(table, dict):
        return
    kind = kind_of_table(table)
    if document.container == "npz":
        yield _eras("4.6.6")
    if kind is TableKind.NETWORK:
        yield _eras("4.6.0") if "time_step" in table else _eras(before="4.6.0")
    # Numbers of one object in an archive or a MATLAB file are arrays, whatever they were.
    typed = document.container in ("pickle", "gzip") or (
        document.container == "npz" and kind is TableKind.NETWORK
    )
    tables = (
        [one for one in table.values() if isinstance(one, dict)] if kind is TableKind.NETWORK else [table]
    )
    for one in {id(one): one for one in tables}.values():
        yield from _marks_of_object(one, typed=typed)


def _hints(document: OldDocument) -> Iterator[set[int]]:
    """Yield the eras that the writer's Python and numpy go with."""
    if "numpy2" in document.traits:
        yield _eras("5.0")
    if "python2" in document.traits:
        yield _eras(before="4.7.0")


def _marks_of_object(table: Table, *, typed: bool) -> Iterator[set[int]]:
    kind = kind_of_table(table)
    if kind is TableKind.POPULATION:
        yield from _marks_of_population(table)
    elif kind is TableKind.PROJECTION:
        yield from _marks_of_projection(table, typed=typed)
    elif kind is TableKind.CONNECTIVITY:
        delay = table.get("delay")
        values = (
            delay.values if isinstance(delay, NumberRows) else np.asarray(delay if is_number(delay) else 0)
        )
        yield _eras("5.0") if values.dtype.kind == "f" and values.size else _eras("4.2")
        yield _eras("4.3") if "name" in table else _eras(before="4.5.3")


def _marks_of_population(table: Table) -> Iterator[set[int]]:
    if "attributes" not in table:
        yield _eras(before="4.2")
        return
    yield _eras("4.2")
    geometry = table.get("geometry")
    if isinstance(geometry, np.ndarray) and geometry.size > 1:
        own = tuple(geometry.reshape(-1).tolist())
        values = [table[name] for name in names(table, "attributes") if name in table]
        shapes = {value.shape for value in values if isinstance(value, np.ndarray) and value.size > 1}
        if own in shapes:
            yield _eras("4.7.0")
        elif shapes:
            yield _eras(before="4.7.0")


def _marks_of_projection(table: Table, *, typed: bool) -> Iterator[set[int]]:
    if "pre_ranks" not in table:
        yield _eras_of_dendrites(table)
        return
    if "pre" not in table:
        yield _eras("4.5.3", before="4.5.5")
        return
    yield _eras("4.6.7") if "delays" in table else _eras("4.5.5", before="4.6.7")
    attributes = names(table, "attributes")
    values = [table[name] for name in attributes if name in table]
    if attributes and not values:
        yield _eras("4.7.0", before="4.7.0.1")
    if not typed:
        return
    if any(isinstance(value, np.ndarray) and value.ndim == 0 for value in values):
        yield _eras("4.6.9.8", before="4.7.0")
    elif any(isinstance(value, (bool, int, float)) for value in values):
        yield _eras(before="4.6.9.8") | _eras("4.7.0")
    ranks = table["pre_ranks"]
    if isinstance(ranks, np.ndarray):
        yield _eras("4.6.9.8")
    elif isinstance(ranks, NumberRows) and np.unique(np.diff(ranks.row_ptr)).size == 1:
        yield _eras(before="4.6.9.8")


def _eras_of_dendrites(table: Table) -> set[int]:
    dendrites = table.get("dendrites")
    first = dendrites[0] if isinstance(dendrites, tuple) and dendrites else {}
    if "attributes" not in table or (isinstance(first, dict) and isinstance(first.get("variables"), dict)):
        return _eras(before="4.2")
    if "rank" in names(table, "attributes"):
        return _eras("4.2", before="4.3")
    return _eras("4.3", before="4.5.3")
