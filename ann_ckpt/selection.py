"""Selects populations, projections and attributes by name or glob, and dendrites by rank."""

from __future__ import annotations

import fnmatch
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from glob import escape
from operator import index
from typing import Any

from ann_ckpt.arguments import check_flags
from ann_ckpt.errors import ObjectNotFoundError, OptionError, printable

__all__ = ["EVERYTHING", "Attributes", "Rows", "Selection", "Which"]

Which = bool | str | Sequence[str]
"""True for all, False for none, or names and globs (``"input*"``); live objects stand for their names."""
Attributes = str | Sequence[str] | Mapping[str, str | Sequence[str]]
"""Names and globs for all objects, or for each object by its name or glob; one that is not named has all."""
Rows = Mapping[str, Sequence[int]]
"""Post-synaptic ranks of the dendrites of projections, by name or glob."""

_WHICH = "True, False, names, globs or objects with a name"


@dataclass(frozen=True, slots=True)
class Selection:
    """What ``save`` and ``load`` are asked for: populations, projections, attributes, rows.

    Examples
    --------
    >>> Selection(populations=False, projections="ff*").pick("projections", ["ff1", "ff2", "lat"])
    ['ff1', 'ff2']
    """

    populations: Which = True
    projections: Which = True
    attributes: Attributes | None = None
    rows: Rows | None = None

    def __post_init__(self) -> None:
        for group in ("populations", "projections"):
            which = getattr(self, group)
            if not isinstance(which, bool):
                object.__setattr__(self, group, [_named(group, entry) for entry in _listed(group, which)])
        if self.attributes is not None and not isinstance(self.attributes, Mapping):
            object.__setattr__(self, "attributes", {"*": _texts(self.attributes)})
        elif self.attributes is not None:
            given = {_named("attributes", key): _texts(names) for key, names in self.attributes.items()}
            object.__setattr__(self, "attributes", given)
        if self.rows is not None:
            object.__setattr__(self, "rows", dict(_ranks(self.rows)))

    @property
    def is_whole(self) -> bool:
        """Whether all of a network is asked for."""
        everything = self.populations is True and self.projections is True
        return everything and self.attributes is None and self.rows is None

    def pick(self, group: str, present: Iterable[str]) -> list[str]:
        """Return the selected names among ``present``, in their order.

        Parameters
        ----------
        group : {"populations", "projections"}
            Which of the two arguments to apply.
        present : iterable of str
            The names that there are.

        Raises
        ------
        ObjectNotFoundError
            If a name or glob matches none of them.
        """
        which = getattr(self, group)
        names = list(present)
        if isinstance(which, bool):
            return names if which else []
        return _picked(f"{group}=", which, names)

    def pick_attributes(
        self, objects: Mapping[str, Iterable[str]], *, strict: bool = True
    ) -> dict[str, list[str]]:
        """Return the selected attributes of each object.

        Parameters
        ----------
        objects : mapping of str to iterable of str
            Path of an object, such as ``populations/exc``, and its attributes.
        strict : bool
            Whether a name or glob that matches nothing is an error.

        Raises
        ------
        ObjectNotFoundError
            If ``strict`` and a name or glob matches no object, or no attribute of those that it is for.
        """
        check_flags(strict=strict)
        given = self.attributes
        found: dict[str, set[str]] = {}
        assert given is None or isinstance(given, Mapping)  # noqa: S101  (see __post_init__)
        for key, patterns in (given or {}).items():
            paths = _matching(key, objects)
            if strict and not paths and key != "*":
                raise ObjectNotFoundError.among(
                    "attributes=", "match for", key, [p.partition("/")[2] for p in objects]
                )
            there = list(dict.fromkeys(name for path in paths for name in objects[path]))
            chosen = set(_picked("attributes=", patterns, there, strict=strict))
            for path in paths:
                found.setdefault(path, set()).update(chosen)
        return {p: [n for n in names if p not in found or n in found[p]] for p, names in objects.items()}

    def check_rows(self, projections: Iterable[str]) -> None:
        """Raise if rows are asked for of what is not there.

        Raises
        ------
        ObjectNotFoundError
            If a name or glob matches no projection.
        """
        names = list(projections)
        paths = [f"projections/{name}" for name in names]
        for key in self.rows or {}:
            if not _matching(key, paths):
                raise ObjectNotFoundError.among("rows=", "match for", key, names)

    def pick_rows(self, projection: str, among: Container[str] = ()) -> Sequence[int] | None:
        """Return the ranks of the selected dendrites of a projection; None for all of them.

        Parameters
        ----------
        projection : str
            Its name, which goes before globs; of these, the first one counts.
        among : container of str
            All projections that there are: what is the name of one of them is no glob for others.
        """
        path, rows = f"projections/{projection}", self.rows or {}
        for key in rows:
            if key in (path, projection):
                return rows[key]
        for key in rows:
            is_a_name = key in among or key.removeprefix("projections/") in among
            if not is_a_name and (fnmatch.fnmatchcase(projection, key) or fnmatch.fnmatchcase(path, key)):
                return rows[key]
        return None

    def renamed(
        self,
        populations: Mapping[str, Iterable[str]],
        projections: Mapping[str, Iterable[str]],
        *,
        old: Iterable[str] | None = None,
    ) -> Selection:
        """Return the selection in terms of what it selected, which has other names now.

        Parameters
        ----------
        populations, projections : mapping of str to iterable of str
            New name -> selected attributes.
        old : iterable of str, optional
            What the projections were called, in their order; by default ``rows`` stay as they are.

        Raises
        ------
        ObjectNotFoundError
            If rows are asked for of what is not among ``old``.
        """
        given = {"populations": populations, "projections": projections}
        named: dict[str, Any] = {
            g: list(n) for g, n in given.items() if not isinstance(getattr(self, g), bool)
        }
        if self.attributes is not None:
            named["attributes"] = {
                f"{g}/{n}": list(a) for g, objects in given.items() for n, a in objects.items()
            }
        if self.rows is not None and old is not None:
            names = list(old)
            self.check_rows(names)
            known = set(names)
            rows = {new: self.pick_rows(name, known) for new, name in zip(projections, names, strict=True)}
            named["rows"] = {escape(f"projections/{new}"): r for new, r in rows.items() if r is not None}
        return replace(self, **named)


def _listed(group: str, which: Any) -> list[Any]:
    if isinstance(which, str) or isinstance(getattr(which, "name", None), str):
        return [which]
    if not isinstance(which, Iterable):
        raise OptionError(
            f"{group}= takes {_WHICH}, not what is of type {type(which).__name__}",
            details={"hint": "pass network=net"},
        )
    return list(which)


def _named(group: str, entry: Any) -> str:
    """Return a name or glob as it is, and the name of a population or projection."""
    name = entry if isinstance(entry, str) else getattr(entry, "name", None)
    if not isinstance(name, str):
        raise OptionError(f"{group}= takes {_WHICH}, not {printable(repr(entry), 80)}")
    return name


def _ranks(rows: Any) -> Iterator[tuple[str, list[int]]]:
    try:
        for key, ranks in rows.items():
            yield _named("rows", key), [index(rank) for rank in ranks]
    except (AttributeError, TypeError) as error:
        raise OptionError("rows= takes a mapping of projections to lists of ranks") from error


def _texts(names: Any) -> list[str]:
    listed = [names] if isinstance(names, str) else list(names) if isinstance(names, Iterable) else [names]
    if not all(isinstance(name, str) for name in listed):
        raise OptionError("attributes= takes names or globs, or a mapping of objects to such")
    return listed


def _picked(argument: str, wanted: Iterable[str], names: list[str], *, strict: bool = True) -> list[str]:
    chosen: set[str] = set()
    for pattern in wanted:
        # A name may itself hold glob characters, so the plain name goes first.
        found = {pattern} & set(names) or set(fnmatch.filter(names, pattern))
        if strict and not found:
            raise ObjectNotFoundError.among(argument, "match for", pattern, names)
        chosen |= found
    return [name for name in names if name in chosen]


def _matching(key: str, paths: Iterable[str]) -> list[str]:
    """Return the paths of the objects that a name or glob is for."""
    names = {path: path.partition("/")[2] for path in paths}
    # As for populations and projections, the plain name goes first.
    return [path for path, name in names.items() if key in (name, path)] or [
        path
        for path, name in names.items()
        if fnmatch.fnmatchcase(name, key) or fnmatch.fnmatchcase(path, key)
    ]


EVERYTHING = Selection()
