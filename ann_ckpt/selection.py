"""Selects populations and projections by name or glob."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ann_ckpt.errors import ObjectNotFoundError, OptionError

__all__ = ["EVERYTHING", "Selection", "Which"]

Which = bool | str | Sequence[str]
"""True for all, False for none, or names and globs (``"input*"``)."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The ``populations=`` and ``projections=`` arguments of ``save`` and ``load``.

    Examples
    --------
    >>> Selection(populations=False, projections="ff*").pick("projections", ["ff1", "ff2", "lat"])
    ['ff1', 'ff2']
    """

    populations: Which = True
    projections: Which = True

    def __post_init__(self) -> None:
        for group in ("populations", "projections"):
            which = getattr(self, group)
            if not isinstance(which, bool | str | Iterable):
                raise OptionError(
                    f"{group}= takes True, False, names or globs, not a {type(which).__name__}",
                    details={"hint": "pass network=net"},
                )

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
        wanted = [which] if isinstance(which, str) else list(which)
        chosen: set[str] = set()
        for pattern in wanted:
            if not isinstance(pattern, str):
                raise OptionError(f"{group}= takes True, False, names or globs, not {pattern!r}")
            # A name may itself hold glob characters, so the plain name goes first.
            found = {pattern} & set(names) or set(fnmatch.filter(names, pattern))
            if not found:
                raise ObjectNotFoundError.among(f"{group}=", "match for", pattern, names)
            chosen |= found
        return [name for name in names if name in chosen]

    def narrowed(self, populations: Iterable[str], projections: Iterable[str]) -> Selection:
        """Return the selection of these names, where it is not one of all or nothing."""
        given = {"populations": populations, "projections": projections}
        named = {group: list(n) for group, n in given.items() if not isinstance(getattr(self, group), bool)}
        return replace(self, **named)


EVERYTHING = Selection()
