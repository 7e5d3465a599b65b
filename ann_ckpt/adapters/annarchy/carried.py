"""Which members of generated structures carry something from one step to the next.

Found by reading the generator of ANNarchy 5.0.4.1: ``generator/Population`` and
``generator/Projection`` with their templates, and the templates of ``inputs``. Attributes
are not listed, they are parameters and variables. What is neither listed nor an attribute
is not known here, and resuming a network that has it is called approximate.
``docs/exact-resume.md`` says where each comes from.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ann_ckpt.adapters.annarchy.generated import Member

__all__ = ["POPULATION", "PROJECTION", "Sorted", "sort_members"]


@dataclass(frozen=True, slots=True)
class Kind:
    """The members of populations or of projections, by name."""

    carried: re.Pattern[str]
    """What one step leaves for a later one."""
    made: re.Pattern[str]
    """What is made when the network is built or loaded, or anew in each step before it is used."""


POPULATION = Kind(
    carried=re.compile(
        r"_active"
        r"|last_spike|spiked|axonal|refractory|refractory_remaining|in_ref"
        r"|_delayed_\w+"
        r"|_spike_history|_mean_fr_window|_mean_fr_rate"
        r"|_sum_\w+|_(min|max|mean|norm1|norm2)_\w+|rand_\d+"
        r"|spike_times|next_spike|idx_next_spike"
        r"|_t|_schedule|_buffer|_period|_block|_mu|_sigma"
    ),
    made=re.compile(r"size|max_delay|local_spiked_sizes"),
)
PROJECTION = Kind(
    carried=re.compile(
        r"_transmission|_axon_transmission|_plasticity|_update|_update_period|_update_offset"
        r"|_last_event|rand_\d+|dist_rand_\d+"
        r"|idx_delay|max_delay|_delayed_spikes"
        r"|_(pruning|creating)(_period|_offset)?|_dirty_connectivity"
    ),
    made=re.compile(r"delay|post_slices_"),
)


@dataclass(frozen=True, slots=True)
class Sorted:
    """The members of one structure, without its attributes."""

    carried: tuple[Member, ...]
    """To be kept and put back."""
    unknown: tuple[Member, ...]
    """Neither known, nor of a type that can be kept."""


def sort_members(
    members: Iterable[Member], attributes: Collection[str], kind: Kind, *, also: Collection[str] = ()
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
    also : collection of str
        Carried too: attributes of a special population that Python cannot reach.
    """
    carried: list[Member] = []
    unknown: list[Member] = []
    for member in members:
        if member.name in attributes or kind.made.fullmatch(member.name):
            continue
        keepable = member.dtype is not None or member.is_distribution
        known = member.name in also or kind.carried.fullmatch(member.name) is not None
        (carried if keepable and known else unknown).append(member)
    return Sorted(tuple(carried), tuple(unknown))
