"""Converts the table of one population or projection, of any version.

Up to ANNarchy 4.5.2 each dendrite is a dict with the values of one row. They are joined
attribute by attribute, so that the rest of the package meets one form only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.legacy import delays as units
from ann_ckpt.adapters.legacy.delays import Delays
from ann_ckpt.adapters.legacy.streams import Budget
from ann_ckpt.adapters.legacy.values import (
    NumberRows,
    Table,
    Value,
    assemble,
    kind_of,
    names,
    number,
    ranks,
    rows_of,
    text,
    whole,
)
from ann_ckpt.adapters.legacy.versions import (
    POPULATION_ENTRIES,
    PROJECTION_ENTRIES,
    attribute_names,
)
from ann_ckpt.errors import CorruptFileError, printable
from ann_ckpt.model import Attribute, Connectivity, Locality, PopulationState, ProjectionState
from ann_ckpt.report import Loss, Note

__all__ = [
    "Draft",
    "connectivity_draft",
    "join_dendrites",
    "population",
    "projection_draft",
]

_NEW_NAMES: Final = {"rank": "pre_ranks", "post_rank": "post_ranks", "size": "number_of_synapses"}
_OLDEST_NAMES: Final = {"values": "w", "delays": "delay", "pre_ranks": "rank"}
_PER_SYNAPSE: Final = frozenset({"rank", "delay", "w"})
_NO_ATTRIBUTES: Final = frozenset({"rank", "delay", "post_rank", "size"})


def join_dendrites(table: Table, budget: Budget, *, matlab: bool) -> tuple[Table, frozenset[str]]:
    """Return the table of a projection as 4.5.3 would have written it.

    Parameters
    ----------
    table : Table
        With an entry ``dendrites``.
    budget : Budget
        Charged with the values that are copied.
    matlab : bool
        Whether one number may stand for a list of one number.

    Returns
    -------
    Table
        With ``post_ranks``, ``pre_ranks`` and each attribute, and ``delay`` in steps.
    frozenset of str
        Attributes that may have one value per dendrite or per synapse: in a MATLAB
        file, where every dendrite has one synapse.
    """
    dendrites = [_lifted(dendrite) for dendrite in _as_list(table["dendrites"])]
    joined = {key: value for key, value in table.items() if key != "dendrites"}
    keys = list(dict.fromkeys(key for dendrite in dendrites for key in dendrite))
    unsure = set()
    for key in keys:
        budget.expand(len(dendrites))
        if any(key not in dendrite for dendrite in dendrites):
            raise CorruptFileError(f"some dendrites have {printable(key)!r} and others do not")
        values = [dendrite[key] for dendrite in dendrites]
        if key == "delay" and _is_whole_list(values[0], len(values)):
            joined["delay"] = values[0]  # each of these dendrites repeats the delays of all
            continue
        if matlab:
            values, ambiguous = _from_cells(key, values)
            unsure |= {key} if ambiguous else set()
        joined[_NEW_NAMES.get(key, key)] = assemble(values, budget)
    if not dendrites:
        joined |= {"pre_ranks": np.empty((0, 0), np.int64), "post_ranks": np.empty(0, np.int64)}
    if "attributes" not in joined:
        parameters = {
            key for dendrite in _as_list(table["dendrites"]) for key in _nested(dendrite, "parameter")
        }
        attributes = [key for key in keys if key not in _NO_ATTRIBUTES]
        joined["parameters"] = tuple(key for key in attributes if key in parameters)
        joined["variables"] = tuple(key for key in attributes if key not in parameters)
    return joined, frozenset(unsure)


def _as_list(value: Value) -> list[Table]:
    if isinstance(value, dict):
        return [value]  # MATLAB's list of one
    if isinstance(value, np.ndarray) and not value.size:
        return []
    if not isinstance(value, tuple):
        raise CorruptFileError(f"the dendrites are {kind_of(value)}; expected a list of dicts")
    tables = [dendrite for dendrite in value if isinstance(dendrite, dict)]
    if len(tables) != len(value):
        raise CorruptFileError("some dendrites are not dicts")
    return tables


def _nested(dendrite: Table, group: str) -> Table:
    nested = dendrite.get(group)
    return nested if isinstance(nested, dict) else {}


def _lifted(dendrite: Table) -> Table:
    """Lift what versions before 4.2 keep in ``variables`` and ``parameter``."""
    own = {key: value for key, value in dendrite.items() if key not in ("variables", "parameter")}
    variables = {_OLDEST_NAMES.get(key, key): value for key, value in _nested(dendrite, "variables").items()}
    return own | _nested(dendrite, "parameter") | variables


def _is_whole_list(value: Value, n_rows: int) -> bool:
    if isinstance(value, NumberRows):
        return True
    return isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[0] == n_rows


def _from_cells(key: str, values: list[Value]) -> tuple[list[Value], bool]:
    """Tell numbers from lists of numbers, which are 1 x n arrays both."""
    if not all(isinstance(value, np.ndarray) for value in values):
        return values, False
    flat = [value.reshape(-1) for value in values if isinstance(value, np.ndarray)]
    single = all(value.size == 1 for value in flat)
    if key in _PER_SYNAPSE or not single:
        return list(flat), False
    return [value.reshape(()) for value in flat], key not in _NO_ATTRIBUTES


_UNKNOWN_ENTRY = "is in the file but belongs to no attribute; left out"
_ONE_CELL = "one value in a MATLAB file may be global or not: its locality is unknown"


@dataclass
class Draft:
    """A projection whose delays wait for dt."""

    name: str
    ends: dict[str, str]
    """``pre``, ``post`` and ``target``; empty texts where the file does not say."""
    connectivity: Connectivity
    parameters: dict[str, Attribute] = field(default_factory=dict)
    variables: dict[str, Attribute] = field(default_factory=dict)
    delays: Delays | None = None
    notes: list[Note] = field(default_factory=list)

    def note(self, text: str, attribute: str = "") -> None:
        """Say something about the projection, or one attribute of it."""
        self.notes.append(Note(_path("projections", self.name, attribute), text))

    def lost(self, text: str, attribute: str = "") -> None:
        """Say that something should be here and is not."""
        self.notes.append(Loss(_path("projections", self.name, attribute), text))

    def state(self, dt: float | None, sizes: Mapping[str, int]) -> ProjectionState:
        """Return the finished projection.

        Parameters
        ----------
        dt : float, optional
            Length of a step in ms, for delays in ms.
        sizes : mapping of str to int
            Neurons in each population that is known.
        """
        steps = None
        if self.delays is not None and not (self.delays.in_ms and dt is None):
            steps = self.delays.steps(dt or 1.0)
        if self.delays is not None and steps is None:
            self.lost(
                "its delays are in ms, and nothing tells how long a step is; dt= does"
                if dt is None
                else f"its delays are not whole numbers of steps of {dt:g} ms; left out"
            )
        return ProjectionState(
            self.name,
            self.ends["pre"],
            self.ends["post"],
            self.ends["target"],
            self.connectivity,
            delays=steps,
            parameters=self.parameters,
            variables=self.variables,
            pre_size=sizes.get(self.ends["pre"]),
            post_size=sizes.get(self.ends["post"]),
        )


def population(
    table: Table, name: str, budget: Budget, *, matlab: bool
) -> tuple[PopulationState, list[Note]]:
    """Return a population and what its table could not say.

    Parameters
    ----------
    table : Table
        What the file holds about it.
    name : str
        Its name.
    budget : Budget
        What reading this file may still use.
    matlab : bool
        Whether the table stood in a MATLAB file, which has no plain numbers.
    """
    notes: list[Note] = []
    geometry = _geometry(table)
    size = math.prod(geometry)
    budget.expand(len(table))

    groups: list[dict[str, Attribute]] = []
    for group, key in zip(attribute_names(table), ("parameter", "variables"), strict=True):
        found: dict[str, Attribute] = {}
        for attribute in group:
            value = _entry(table, key, attribute)
            settled = _of_population(value, geometry, size, matlab=matlab)
            if isinstance(settled, str):
                notes.append(Loss(_path("populations", name, attribute), settled))
            else:
                found[attribute] = settled
                if settled.locality is Locality.UNKNOWN:
                    notes.append(Note(_path("populations", name, attribute), _ONE_CELL))
        groups.append(found)
    unknown = table.keys() - POPULATION_ENTRIES.union(*attribute_names(table))
    notes += [Loss(_path("populations", name, entry), _UNKNOWN_ENTRY) for entry in sorted(unknown)]
    return PopulationState(name, geometry, parameters=groups[0], variables=groups[1]), notes


def projection_draft(table: Table, name: str, budget: Budget, *, matlab: bool) -> Draft:
    """Return a projection of any version, but for the unit of its delays."""
    ends = {end: text(table[end], repr(end)) if end in table else "" for end in ("pre", "post", "target")}
    unsure: frozenset[str] = frozenset()
    if "dendrites" in table:
        table, unsure = join_dendrites(table, budget, matlab=matlab)
    connectivity = _connectivity(table, budget)
    draft = Draft(name, ends, connectivity)
    if not ends["pre"]:
        draft.note(
            "the file says neither which populations it connects nor its target; 4.5.5 was the first to"
        )
    parameters, variables = attribute_names(table)
    attributes = [n for n in (*parameters, *variables) if n not in _RANKS]
    if attributes and not any(_entry(table, "variables", n) is not None for n in attributes):
        draft.lost("the file has no value of any attribute; ANNarchy 4.7.0 forgot to write them")
        attributes = []
    for attribute in attributes:
        budget.expand(connectivity.n_rows)
        group = draft.parameters if attribute in parameters else draft.variables
        _settle(draft, group, attribute, _entry(table, "variables", attribute), matlab=matlab)
        if (
            attribute in unsure
            and attribute in group
            and draft.connectivity.n_rows == draft.connectivity.n_synapses
        ):
            group[attribute] = Attribute(group[attribute].values, Locality.UNKNOWN)
            draft.note(_ONE_CELL, attribute)
    _read_delays(draft, table)
    known = PROJECTION_ENTRIES | {*parameters, *variables} | _FROM_DENDRITES
    for entry in sorted(table.keys() - known):
        draft.lost(_UNKNOWN_ENTRY, entry)
    return draft


def connectivity_draft(table: Table, name: str, budget: Budget, *, matlab: bool) -> Draft:
    """Return the projection that a connectivity file describes."""
    draft = Draft(name, {"pre": "", "post": "", "target": ""}, _connectivity(table, budget))
    draft.note(
        "a connectivity file holds ranks, weights and delays only, and not which populations they join"
    )
    if table.get("w") is not None:
        _settle(draft, draft.variables, "w", table["w"], matlab=matlab)
    longest, uniform = (
        whole(table[key], key) if key in table else None for key in ("max_delay", "uniform_delay")
    )
    found = units.from_connectivity(
        table.get("delay"), draft.connectivity.row_ptr, longest=longest, uniform=uniform
    )
    if isinstance(found, Delays):
        draft.delays = found
    elif found is not None:
        draft.lost(found + "; left out")
    return draft


_MAX_AXES = 32
_MAX_NEURONS = 1 << 31
_RANKS = frozenset({"rank", "delay"})  # 4.2 lists them among the attributes
_FROM_DENDRITES = frozenset({"delay", "size", "nb_synapses"})


def _path(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def _geometry(table: Table) -> tuple[int, ...]:
    geometry = tuple(ranks(_flat(table.get("geometry", table.get("size"))), "the geometry").tolist())
    if min(geometry, default=0) < 0 or len(geometry) > _MAX_AXES or math.prod(geometry) > _MAX_NEURONS:
        raise CorruptFileError(f"a population has the geometry {printable(geometry)}")
    size = table.get("size")
    if (
        "size" not in names(table, "attributes")
        and size is not None
        and whole(size, "size") != math.prod(geometry)
    ):
        raise CorruptFileError(f"a population of geometry {geometry} declares {whole(size, 'size')} neurons")
    return geometry


def _flat(value: Value) -> Value:
    return np.array([value]) if isinstance(value, int) else value


def _entry(table: Table, group: str, attribute: str) -> Value:
    """Return the value of an attribute, which versions before 4.2 keep one level down."""
    for nested in (table.get(group), table.get("parameter"), table.get("variables")):
        if isinstance(nested, dict) and attribute in nested:
            return nested[attribute]
    return table.get(attribute)


def _of_population(value: Value, geometry: tuple[int, ...], size: int, *, matlab: bool) -> Attribute | str:
    """Return an attribute, or the reason why the value cannot be one."""
    if value is None:
        return "the file has no value of it"
    single = number(value)
    if single is not None:
        return Attribute(single, Locality.GLOBAL)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iufb":
        return f"is {kind_of(value)}, not a valid attribute value; left out"
    one_cell = matlab and value.shape == (1, 1)
    if one_cell and size != 1:
        return Attribute(value.reshape(()), Locality.GLOBAL)
    if value.size != size:
        return f"has {value.size} values for {size} neurons; left out"
    return Attribute(value.reshape(geometry), Locality.UNKNOWN if one_cell else Locality.LOCAL)


def _of_projection(value: Value, connectivity: Connectivity, *, matlab: bool) -> Attribute | str:
    """Return an attribute, or the reason why the value cannot be one."""
    if value is None:
        return "the file has no value of it"
    single = number(value)
    if single is not None:
        return Attribute(single, Locality.GLOBAL)
    n_rows = connectivity.n_rows
    if matlab and isinstance(value, np.ndarray) and value.shape[0] == 1:
        if value.size == 1:
            return _one_cell(value, n_rows)
        value = value.reshape(-1) if n_rows > 1 else value
    rows = rows_of(value, n_rows)
    if rows is not None and np.array_equal(rows.row_ptr, connectivity.row_ptr):
        return Attribute(rows.values, Locality.LOCAL)
    if isinstance(value, np.ndarray) and value.shape == (n_rows,) and value.dtype.kind in "iufb":
        return Attribute(value, Locality.SEMIGLOBAL)
    expected = f"{n_rows} rows nor {connectivity.n_synapses} synapses"
    return f"is {kind_of(value)}, which fits neither {expected}; left out"


def _one_cell(value: NDArray[Any], n_rows: int) -> Attribute:
    """Return a 1 x 1 array, which with one row may be one value for all or a list of one."""
    if n_rows == 1:
        return Attribute(value.reshape(1), Locality.UNKNOWN)
    return Attribute(value.reshape(()), Locality.GLOBAL)


def _settle(draft: Draft, group: dict[str, Attribute], name: str, value: Value, *, matlab: bool) -> None:
    settled = _of_projection(value, draft.connectivity, matlab=matlab)
    if isinstance(settled, str):
        draft.lost(settled, name)
        return
    group[name] = settled
    if settled.locality is Locality.UNKNOWN:
        draft.note(_ONE_CELL, name)


def _connectivity(table: Table, budget: Budget) -> Connectivity:
    for key in ("post_ranks", "pre_ranks"):
        if key not in table:
            raise CorruptFileError(
                f"a projection has no {key}",
                details={"hint": "ANNarchy stopped while writing this file; it holds names only"},
            )
    post = ranks(table["post_ranks"], "post_ranks")
    rows = rows_of(table["pre_ranks"], post.size)
    if rows is None:
        raise CorruptFileError(
            f"pre_ranks is {kind_of(table['pre_ranks'])}; expected one row for each of {post.size} post_ranks"
        )
    if rows.values.dtype.kind not in "iu" and rows.values.size:
        raise CorruptFileError(f"pre_ranks hold {rows.values.dtype}; expected integers")
    budget.expand(len(table) + post.size + rows.values.size)
    for key in ("number_of_synapses", "nb_synapses"):
        _check_count(table.get(key), rows, key)
    values = rows.values if rows.values.size else rows.values.astype(np.int32)
    return Connectivity(post, rows.row_ptr, values)


def _check_count(value: Value, rows: NumberRows, key: str) -> None:
    """Compare the number of synapses that the file says, in all or per row, with those it has."""
    if value is None:
        return
    said = ranks(_flat(value), key)
    actual = np.diff(rows.row_ptr) if said.size == rows.n_rows else np.array([rows.values.size])
    if not np.array_equal(said, actual):
        raise CorruptFileError(f"{key} does not match the {rows.values.size} synapses in the file")


def _read_delays(draft: Draft, table: Table) -> None:
    in_ms = "delays" in table
    value = table.get("delays", table.get("delay"))
    empty = value is None or (isinstance(value, (NumberRows, np.ndarray)) and not _size(value))
    if empty:
        draft.note("the file holds no delays" + ("" if in_ms else "; versions before 4.6.7 do not save them"))
        return
    found = units.from_value(value, draft.connectivity.row_ptr, in_ms=in_ms)
    if isinstance(found, str):
        draft.lost(found + "; left out")
    else:
        draft.delays = found


def _size(value: NumberRows | NDArray[Any]) -> int:
    return value.values.size if isinstance(value, NumberRows) else value.size
