"""Converts the per-dendrite lists of ANNarchy up to 4.5.2 to the later table layout.

Each dendrite is a dict with the values of one row. They are joined attribute by
attribute, so that the rest of the package meets one form only.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ann_ckpt.adapters.legacy.limits import Budget
from ann_ckpt.adapters.legacy.values import Rows, Table, Value, assemble, kind_of
from ann_ckpt.errors import CorruptFileError, printable

__all__ = [
    "join_dendrites",
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
    dendrites = [_flat(dendrite) for dendrite in _as_list(table["dendrites"])]
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


def _flat(dendrite: Table) -> Table:
    """Lift what versions before 4.2 keep in ``variables`` and ``parameter``."""
    own = {key: value for key, value in dendrite.items() if key not in ("variables", "parameter")}
    variables = {_OLDEST_NAMES.get(key, key): value for key, value in _nested(dendrite, "variables").items()}
    return own | _nested(dendrite, "parameter") | variables


def _is_whole_list(value: Value, n_rows: int) -> bool:
    if isinstance(value, Rows):
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
