"""Which members of generated structures carry something from one step to the next.

Found by reading the generator of ANNarchy 5.0.4.1: ``generator/Population`` and
``generator/Projection`` with their templates; what single classes have besides stands in
:mod:`~ann_ckpt.adapters.annarchy.classes`. Attributes are not listed, they are parameters and
variables. What is neither an attribute nor listed under its name and its C++ type is not known
here, and resuming a network that has it is called approximate.
``docs/exact-resume.md`` says where each comes from.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ann_ckpt.adapters.annarchy.generated import Member

__all__ = ["POPULATION", "PROJECTION", "Sorted", "sort_members"]


_F = "(double|float)"
_N = "(double|float|int|bool)"
_BY_SYNAPSE = r"std::vector<(std::vector<){0,2}%s>{1,3}"
"""Values per synapse, in any storage format."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The members of populations or of projections: pattern of the name -> pattern of the C++ type."""

    carried: Mapping[str, str]
    """What one step leaves for a later one."""
    made: Mapping[str, str]
    """What is made when the network is built or loaded, or anew in each step before it is used."""
    bases: str = ""
    """Pattern of the classes that a structure may be derived from; they hold its synapses."""


POPULATION = Kind(
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
PROJECTION = Kind(
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
        "_dirty_connectivity": "bool",
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

    carried: tuple[Member, ...]
    """To be kept and put back."""
    unknown: tuple[Member, ...]
    """Neither known, nor of a type that can be kept."""


def sort_members(
    members: Iterable[Member],
    attributes: Collection[str],
    kind: Kind,
    *,
    own: Mapping[str, str] | None = None,
    also: Collection[str] = (),
) -> Sorted:
    """Tell the members that are carried from those that nothing is known about.

    Parameters
    ----------
    members : iterable of Member
        All of one structure.
    attributes : collection of str
        Those that are kept as parameters and variables.
    kind : Kind
        :data:`POPULATION` or :data:`PROJECTION`.
    own : mapping of str to str, optional
        What its class alone carries: name -> pattern of the C++ type.
    also : collection of str
        Carried too: attributes of a special population that Python cannot reach.
    """
    carried: list[Member] = []
    unknown: list[Member] = []
    for member in members:
        if member.name in attributes or _is_listed(member, kind.made):
            continue
        keepable = member.dtype is not None or member.is_distribution
        known = member.name in also or _is_listed(member, kind.carried) or _is_listed(member, own or {})
        (carried if keepable and known else unknown).append(member)
    return Sorted(tuple(carried), tuple(unknown))


def _is_listed(member: Member, patterns: Mapping[str, str]) -> bool:
    """Whether name and type are those of one entry."""
    return any(
        re.fullmatch(name, member.name) and re.fullmatch(ctype, member.ctype)
        for name, ctype in patterns.items()
    )
