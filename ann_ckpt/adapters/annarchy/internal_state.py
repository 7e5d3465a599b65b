"""One instrumented population or projection: what its structure carries from step to step."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy.containers import (
    array_names,
    arrays_of,
    flattened,
    in_parts,
    without_parts,
)
from ann_ckpt.adapters.annarchy.cpp_members import CppMember
from ann_ckpt.adapters.annarchy.exactness import RACE
from ann_ckpt.adapters.annarchy.internal_checks import invalid_population, invalid_projection
from ann_ckpt.adapters.annarchy.rows import BulkSynapses, write_rows
from ann_ckpt.errors import StateError
from ann_ckpt.model import Array

__all__ = [
    "POPULATION",
    "PROJECTION",
    "CarriedByPopulation",
    "CarriedByProjection",
    "Sorted",
    "is_instrumented",
    "members_by_row",
    "sort_members",
]

_F = "(double|float)"
_N = "(double|float|int|bool)"
_BY_SYNAPSE = r"std::vector<(std::vector<){0,2}%s>{1,3}"
"""Values per synapse, in any storage format."""


@dataclass(frozen=True, slots=True)
class MemberPatterns:
    """The members of populations or of projections: pattern of the name -> pattern of the C++ type."""

    carried: Mapping[str, str]
    """What one step leaves for a later one."""
    made: Mapping[str, str]
    """What is made when the network is built or loaded, or anew in each step before it is used."""
    bases: str = ""
    """Pattern of the classes that a structure may be derived from; they hold its synapses."""


POPULATION = MemberPatterns(
    carried={
        "_active": "bool",
        "spiked|axonal": "std::vector<int>",
        "last_spike": "std::vector<long int>",
        "refractory|refractory_remaining": "std::vector<int>",
        "in_ref": "std::vector<short int>",
        "_delayed_spike": "std::deque<std::vector<int>>",
        r"_delayed_(?!spike)\w+": f"std::deque<({_N}|std::vector<{_N}>)>",
        "_spike_history": "std::vector<std::queue<long int>>",
        "_mean_fr_window": "long int",
        "_mean_fr_rate": _F,
        r"_sum_\w+|g_\w+": f"std::vector<{_F}>",
        r"_(min|max|mean|norm1|norm2)_\w+": _F,
        r"rand_\d+": f"({_F}|std::vector<{_F}>)",
    },
    made={"size|max_delay": "int", "local_spiked_sizes": "std::vector<int>"},
)
PROJECTION = MemberPatterns(
    carried={
        "_transmission|_axon_transmission|_plasticity|_update": "bool",
        "_update_period": "int",
        "_update_offset": "long int",
        "_last_event": _BY_SYNAPSE % "long( int)?",
        r"rand_\d+": f"({_F}|{_BY_SYNAPSE % _F})",
        r"dist_rand_\d+": (
            "std::(uniform_real|uniform_int|normal|lognormal|exponential|gamma|binomial)"
            "_distribution<(double|float|int)>"
        ),
        "idx_delay|max_delay": "int",
        "_delayed_spikes": "(std::vector<){3,4}int>{3,4}",
        "_pruning|_creating": "bool",
        "_pruning_period|_creating_period": "int",
        "_pruning_offset|_creating_offset": "long int",
    },
    made={"delay": f"(int|{_BY_SYNAPSE % 'int'})", "post_slices_": "std::vector<int>"},
    bases=(
        r"(PartitionedMatrix<)?((LIL|BSR)(Inv)?|COO|CSR|CSRC|Dense|Dia|ELL|ELLR|HYB|SELL)MatrixT?<[^<>]*>"
        r"(,[^<>]*>)?|SpecificConnectivity|"
    ),
)


@dataclass(frozen=True, slots=True)
class Sorted:
    """The members of one structure, without its attributes."""

    carried: tuple[CppMember, ...]
    """To be kept and put back."""
    unknown: tuple[CppMember, ...]
    """Neither known, nor of a type that can be kept."""


def sort_members(
    members: Iterable[CppMember],
    attributes: Collection[str],
    kind: MemberPatterns,
    *,
    own: Mapping[str, str] | None = None,
    also: Collection[str] = (),
) -> Sorted:
    """Tell the members that are carried from those that nothing is known about.

    Parameters
    ----------
    members : iterable of CppMember
        All of one structure.
    attributes : collection of str
        Those that are kept as parameters and variables.
    kind : MemberPatterns
        :data:`POPULATION` or :data:`PROJECTION`.
    own : mapping of str to str, optional
        What its class alone carries: name -> pattern of the C++ type.
    also : collection of str
        Carried too: attributes of a special population that Python cannot reach.
    """
    carried: list[CppMember] = []
    unknown: list[CppMember] = []
    for member in members:
        if member.name in attributes or _is_listed(member, kind.made):
            continue
        keepable = member.dtype is not None or member.is_distribution
        known = member.name in also or _is_listed(member, kind.carried) or _is_listed(member, own or {})
        (carried if keepable and known else unknown).append(member)
    return Sorted(tuple(carried), tuple(unknown))


def _is_listed(member: CppMember, patterns: Mapping[str, str]) -> bool:
    """Whether name and type are those of one entry."""
    return any(
        re.fullmatch(name, member.name) and re.fullmatch(ctype, member.ctype)
        for name, ctype in patterns.items()
    )


_LAST_EVENT = "_last_event"
_RING = "_delayed_spikes"
_PARTED = 4
"""Levels of a ring that is cut into a part for each thread; others have one less."""
_NEVER = -10000
"""The step that the generated code starts from."""


def is_instrumented(instance: Any) -> bool:
    """Whether a structure was compiled with the additional bindings."""
    return hasattr(instance, "_ann_ckpt")


def members_by_row(instance: Any) -> frozenset[str]:
    """Names of the members with one value per synapse that can be copied by rows."""
    return frozenset(json.loads(instance._ann_ckpt())["rows"]) if is_instrumented(instance) else frozenset()


class _Carried:
    """What both kinds have in common."""

    kind: MemberPatterns

    def __init__(
        self,
        instance: Any,
        attributes: Collection[str],
        *,
        own: Mapping[str, str] | None = None,
        also: Collection[str] = (),
    ) -> None:
        about = json.loads(instance._ann_ckpt())
        self._base = str(about["base"])
        members = [self._seen(CppMember(name, ctype)) for name, ctype in about["members"].items()]
        self._instance = instance
        self._unordered = bool(about.get("unordered"))
        self._rows = frozenset(about["rows"])
        self._vectors = {m.name: m for m in members if m.depth == 1 and m.dtype is not None}
        self._sorted = sort_members(members, attributes, self.kind, own=own, also=also)

    @property
    def lost(self) -> tuple[str, ...]:
        """What is not among the arrays of :meth:`read`: members that nothing is known about, and order."""
        lost = [f"what {m.name} is in the generated code" for m in self._sorted.unknown]
        if not re.fullmatch(self.kind.bases, self._base):
            lost.append(f"what {self._base} is, from which the generated code derives it")
        return (*lost, RACE) if self._unordered else tuple(lost)

    @property
    def names(self) -> tuple[str, ...]:
        """What the arrays of :meth:`read` are called."""
        return tuple(name for member in self._sorted.carried for name in self._names(member))

    def lacking(self, stored: Mapping[str, Array]) -> str | None:
        """Say what of all this is not among the stored arrays; None if everything is."""
        missing = [name for name in self.names if name not in stored]
        return f"the file does not have {', '.join(missing)}" if missing else None

    def _names(self, member: CppMember) -> tuple[str, ...]:
        return (member.name,) if member.name in self._rows else array_names(member)

    @property
    def _whole(self) -> list[CppMember]:
        return [m for m in self._sorted.carried if m.name not in self._rows]

    @property
    def _by_row(self) -> list[CppMember]:
        return [m for m in self._sorted.carried if m.name in self._rows]

    def _seen(self, member: CppMember) -> CppMember:
        """Return a member in the form in which it is kept."""
        return member

    def _read_whole(self, member: CppMember) -> dict[str, NDArray[Any]]:
        return arrays_of(member, *self._instance._ann_ckpt_get(member.name))

    def _set_whole(self, member: CppMember, arrays: Mapping[str, Array]) -> None:
        self._instance._ann_ckpt_set(member.name, *flattened(member, arrays))

    def _known(self, arrays: Mapping[str, Array]) -> dict[str, NDArray[Any]]:
        """Return those arrays that are whole members here, each of the form that it has to have.

        Raises
        ------
        StateError
            If one has another.
        """
        found: dict[str, NDArray[Any]] = {}
        for member in self._whole:
            if any(name in arrays for name in self._names(member)):
                flattened(member, arrays)
                found |= {name: np.asarray(arrays[name]) for name in self._names(member)}
        return found


class CarriedByPopulation(_Carried):
    """What a population carries.

    Parameters
    ----------
    instance : object
        Its instrumented structure.
    attributes : collection of str
        What is kept as parameters and variables.
    own : mapping of str to str, optional
        What its class alone carries: name -> pattern of the C++ type.
    also : collection of str
        Attributes that Python cannot reach otherwise.
    """

    kind = POPULATION

    def read(self) -> dict[str, Array]:
        """Return everything, by the names that it has in C++."""
        return {name: a for m in self._whole for name, a in self._read_whole(m).items()}

    def has(self, name: str) -> bool:
        """Whether a member of that name holds one number per neuron."""
        return name in self._vectors

    def vector(self, name: str) -> NDArray[Any]:
        """Return one number per neuron, shape ``(size,)``, as C++ has them."""
        return self._read_whole(self._vectors[name])[name]

    def set_vector(self, name: str, values: NDArray[Any]) -> None:
        """Set one number per neuron, shape ``(size,)``."""
        member = self._vectors[name]
        self._set_whole(member, {name: values.astype(_dtype(member), copy=False)})

    def refusal(self, arrays: Mapping[str, Array], size: int) -> str | None:
        """Say why these arrays cannot be set in a population of ``size`` neurons; None if they can."""
        try:
            present = {name: a for m in self._whole for name, a in self._read_whole(m).items()}
            return invalid_population(self._known(arrays), present, size)
        except StateError as error:
            return error.fact

    def set(self, arrays: Mapping[str, Array]) -> None:
        """Set those members that are among the arrays."""
        for member in self._whole:
            if member.name not in arrays:
                continue
            if member.ctype.startswith("std::deque<"):
                self._set_whole(member, self._lengthened(member, arrays))
            else:
                self._set_whole(member, arrays)

    def _lengthened(self, member: CppMember, arrays: Mapping[str, Array]) -> dict[str, NDArray[Any]]:
        """Return a queue of delayed values, newest first, not shorter than the present one.

        Projections with longer delays than the saved network had look further back; what
        was there stays.
        """
        stored = {name: np.asarray(arrays[name]) for name in self._names(member)}
        present = self._read_whole(member)
        sizes = f"{member.name}.sizes"
        steps = len(stored[sizes]) if sizes in stored else len(stored[member.name])
        if sizes in stored:
            seen = int(present[sizes][:steps].sum())
            return {
                member.name: np.concatenate((stored[member.name], present[member.name][seen:])),
                sizes: np.concatenate((stored[sizes], present[sizes][steps:])),
            }
        return {member.name: np.concatenate((stored[member.name], present[member.name][steps:]))}


class CarriedByProjection(_Carried):
    """What a projection carries.

    Parameters
    ----------
    instance : object
        Its instrumented structure.
    attributes : collection of str
        What is kept as parameters and variables.
    own : mapping of str to str, optional
        What its class alone carries: name -> pattern of the C++ type.
    """

    kind = PROJECTION

    def __init__(
        self, instance: Any, attributes: Collection[str], *, own: Mapping[str, str] | None = None
    ) -> None:
        # Only spikes with a delay each have a ring; without one, the number is just that of the population.
        ring = json.loads(instance._ann_ckpt())["members"].get(_RING)
        self._parted = ring is not None and CppMember(_RING, ring).depth == _PARTED
        super().__init__(instance, attributes if ring else {*attributes, "max_delay"}, own=own)

    def read(self, row_ptr: NDArray[np.int64]) -> dict[str, Array]:
        """Return everything, by the names that it has in C++; values per synapse are lazy."""
        found: dict[str, Array] = {n: a for m in self._whole for n, a in self._read_whole(m).items()}
        for member in self._by_row:
            read = partial(self._instance._ann_ckpt_read_rows, member.name)
            found[member.name] = BulkSynapses(row_ptr, _dtype(member), read)
        return found

    def refusal(self, arrays: Mapping[str, Array], row_sizes: NDArray[np.int64]) -> str | None:
        """Say why these arrays cannot be set in a projection with such rows; None if they can."""
        for member in self._by_row:
            values = arrays.get(member.name)
            if values is not None and (values.shape != (row_sizes.sum(),) or values.dtype != _dtype(member)):
                return f"{member.name} is {values.dtype} {values.shape} for {row_sizes.sum()} synapses"
        try:
            known = self._known(arrays)
        except StateError as error:
            return error.fact
        ring = {_RING, "idx_delay", "max_delay"}
        if ring & known.keys() and not ring <= known.keys():
            return f"{', '.join(sorted(ring - known.keys()))} is missing"
        present = {name: a for m in self._whole for name, a in self._read_whole(m).items()}
        return invalid_projection(known, present, row_sizes)

    def forget(self, row_ptr: NDArray[np.int64]) -> None:
        """Reset each synapse's last-event time stamp."""
        if _LAST_EVENT in self._rows:
            never = np.broadcast_to(np.int64(_NEVER), int(row_ptr[-1]))
            put = partial(self._instance._ann_ckpt_write_rows, _LAST_EVENT)
            write_rows(never, row_ptr, never.dtype, put)

    def set(self, arrays: Mapping[str, Array], row_ptr: NDArray[np.int64]) -> None:
        """Set those members that are among the arrays."""
        for member in self._whole:
            if member.name in arrays:
                self._set_whole(member, arrays)
        for member in self._by_row:
            if member.name in arrays:
                put = partial(self._instance._ann_ckpt_write_rows, member.name)
                write_rows(arrays[member.name], row_ptr, _dtype(member), put)

    def _seen(self, member: CppMember) -> CppMember:
        """Return a ring as if it were not cut into parts."""
        if not self._is_parted(member):
            return member
        return CppMember(member.name, member.ctype.removeprefix("std::vector<").removesuffix(">"))

    def _read_whole(self, member: CppMember) -> dict[str, NDArray[Any]]:
        if not self._is_parted(member):
            return super()._read_whole(member)
        values, sizes = self._instance._ann_ckpt_get(_RING)
        return arrays_of(member, *without_parts(values, sizes, _dtype(member).itemsize))

    def _set_whole(self, member: CppMember, arrays: Mapping[str, Array]) -> None:
        if not self._is_parted(member):
            super()._set_whole(member, arrays)
            return
        values, sizes = flattened(member, arrays)
        values, sizes = in_parts(values, sizes, self._rows_of_parts(), _dtype(member).itemsize)
        self._instance._ann_ckpt_set(_RING, values, sizes)

    def _is_parted(self, member: CppMember) -> bool:
        return self._parted and member.name == _RING

    def _rows_of_parts(self) -> NDArray[np.int64]:
        """Return the rows of each part of the ring, shape ``(n_threads,)``.

        The lengths of its lists, of which these are a few, are most of a ring: it has one for each
        row and step, and a number only for each synapse that a spike is on its way to.
        """
        _, (_, steps, rows, _) = self._instance._ann_ckpt_get(_RING)
        return np.frombuffer(rows, np.int64)[:: int(np.frombuffer(steps, np.int64)[0])]


def _dtype(member: CppMember) -> np.dtype[Any]:
    return cast("np.dtype[Any]", member.dtype)  # only members that hold numbers are copied by rows
