"""Names of a file in terms of the network: the ``names=`` of a load, and what to suggest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ann_ckpt.errors import ObjectNotFoundError, OptionError, printable
from ann_ckpt.model import NetworkState, PopulationState, ProjectionState

__all__ = ["Names", "ends_at_synapses", "renamed", "shifted"]

Names = Mapping[str, str]
"""Names or globs of a file, and what they are called in the network: ``{"exc*": "E*"}``."""

_AUTOMATIC = re.compile(r"(pop|proj)\d+|[a-z]+(group|neuron|synapses)(_\d+)?|synapses(_\d+)?")
"""Names that simulators count up: ``pop3``, ``proj0``, ``neurongroup_1``."""
_GROUPS = ("populations", "projections")


def renamed(state: NetworkState, names: Names) -> NetworkState:
    """Return a state whose populations and projections have other names.

    Parameters
    ----------
    state : NetworkState
        Arrays may be lazy and stay so.
    names : mapping of str to str
        Name or glob -> new name, where each ``*`` stands for what the one of the same place matched.
        A plain name goes before globs, globs go in their order. ``populations/a`` is the population
        only, where a projection has the same name.

    Raises
    ------
    ObjectNotFoundError
        If the state has nothing of such a name.
    OptionError
        If two objects would have one name, or a new name has other ``*`` than the old one.
    """
    if not isinstance(names, Mapping) or not all(isinstance(n, str) for pair in names.items() for n in pair):
        raise OptionError("names= takes a mapping of names to names")
    ends = {end for projection in state.projections.values() for end in (projection.pre, projection.post)}
    there = {"populations": {*state.populations, *ends}, "projections": set(state.projections)}
    new = {group: dict(_new_names(group, there[group], names)) for group in _GROUPS}
    for old in names:
        if not any(_match(group, old, name) for group in _GROUPS for name in there[group]):
            everything = [*state.populations, *state.projections]
            raise ObjectNotFoundError.among("names=", "match for", old, everything)
    # What a projection ends at has the name that it has itself, be it a population or other synapses.
    at = new["populations"] | {end: new["projections"][end] for _, _, end in ends_at_synapses(state)}
    populations = [replace(p, name=new["populations"][n]) for n, p in state.populations.items()]
    projections = [
        replace(p, name=new["projections"][n], pre=at[p.pre], post=at[p.post])
        for n, p in state.projections.items()
    ]
    _check_unique(populations)
    _check_unique(projections)
    return replace(
        state,
        populations={p.name: p for p in populations},
        projections={p.name: p for p in projections},
        recordings={n: replace(r, of=_renamed_path(r.of, new)) for n, r in state.recordings.items()},
    )


def _renamed_path(path: str, new: Mapping[str, Mapping[str, str]]) -> str:
    group, _, name = path.partition("/")
    return f"{group}/{new[group].get(name, name)}" if group in new else path


def _new_names(group: str, present: Iterable[str], names: Names) -> Iterator[tuple[str, str]]:
    for name in present:
        plain = names.get(f"{group}/{name}", names.get(name))
        if plain is not None:
            yield name, plain
            continue
        found = ((new, _match(group, old, name)) for old, new in names.items())
        new, match = next(((new, match) for new, match in found if match is not None), (name, None))
        yield name, new if match is None else _filled(new, match)


def _match(group: str, old: str, name: str) -> re.Match[str] | None:
    pattern = old.removeprefix(f"{group}/")
    if pattern == name:
        return re.fullmatch(re.escape(name), name)
    return re.fullmatch("(.*)".join(map(re.escape, pattern.split("*"))), name, re.DOTALL)


def _filled(new: str, match: re.Match[str]) -> str:
    pieces, found = new.split("*"), match.groups()
    if len(pieces) != len(found) + 1:
        raise OptionError(
            f"names=: {printable(new)!r} has {len(pieces) - 1} *, and the name that it replaces {len(found)}"
        )
    return "".join(piece + text for piece, text in zip(pieces, (*found, ""), strict=True))


def _check_unique(objects: list[PopulationState] | list[ProjectionState]) -> None:
    seen: set[str] = set()
    for thing in objects:
        if thing.name in seen:
            raise OptionError(f"names=: two objects of the file would be called {printable(thing.name)!r}")
        seen.add(thing.name)


def shifted(stored: NetworkState, live: NetworkState) -> dict[str, str]:
    """Return the new names of objects whose automatic numbers are others in the network, if that is all.

    Objects with automatic names (``pop0``, ``proj0``) are put beside each other in their order; those
    of equal sizes, attributes and ends belong together. Nothing is returned unless each one of the
    file, or each one of the network, has a partner, and some partner has another number.
    """
    found = _aligned(
        {n: (p.geometry, *sorted(p)) for n, p in stored.populations.items()},
        {n: (p.geometry, *sorted(p)) for n, p in live.populations.items()},
    )
    if found is None:
        return {}
    ends = _aligned(_kinds(stored, found), _kinds(live, {}))
    if ends is None:
        return {}
    return {old: new for old, new in (found | ends).items() if old != new}


def ends_at_synapses(state: NetworkState) -> Iterator[tuple[str, str, str]]:
    """Yield each projection that ends at another one, with the side, ``pre`` or ``post``, and the other."""
    for name, projection in state.projections.items():
        for side in ("pre", "post"):
            end, size = getattr(projection, side), getattr(projection, f"{side}_size")
            if size is None and end in state.projections and end not in state.populations:
                yield name, side, end


def _kinds(state: NetworkState, names: Names) -> dict[str, tuple[object, ...]]:
    """Return by what each projection is told from others, but for which synapses it ends at."""
    synapses = {(name, side) for name, side, _ in ends_at_synapses(state)}
    return {
        n: (
            None if (n, "pre") in synapses else names.get(p.pre, p.pre),
            None if (n, "post") in synapses else names.get(p.post, p.post),
            p.target,
            *sorted(p),
        )
        for n, p in state.projections.items()
    }


def _aligned(
    stored: Mapping[str, tuple[object, ...]], live: Mapping[str, tuple[object, ...]]
) -> dict[str, str] | None:
    """Return the partner of each automatic name, in order; None if on either side some have none."""
    here = [(kind, name) for name, kind in stored.items() if _AUTOMATIC.fullmatch(name)]
    there = [(kind, name) for name, kind in live.items() if _AUTOMATIC.fullmatch(name)]
    fewer, more = (here, there) if len(here) <= len(there) else (there, here)
    rest, pairs = iter(more), {}
    for kind, name in fewer:
        partner = next((other for its_kind, other in rest if its_kind == kind), None)
        if partner is None:
            return None
        pairs[name] = partner
    return pairs if fewer is here else {partner: name for name, partner in pairs.items()}
