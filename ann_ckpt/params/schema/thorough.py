"""jsonschema, with the two changes that large parameter files need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry

__all__ = ["validator_for"]

_MOST_ITEMS = 100
"""Failures reported in one array: one that is wrong throughout needs no more."""

_SCALARS: Mapping[str, frozenset[type]] = {
    "number": frozenset((int, float)),
    "integer": frozenset((int,)),
    "boolean": frozenset((bool,)),
}
_QUICK = frozenset(("type", "items", "minimum", "maximum"))


def validator_for(document: Mapping[str, Any], draft: str) -> Any:
    """Return jsonschema's validator of a vetted schema.

    Its registry is empty: what is not in the document cannot be fetched.
    """
    return _VALIDATORS[draft](document, registry=Registry())


def _items(validator: Any, items: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Evaluate ``items`` with plain numbers at C speed, and a bounded answer.

    An array holds a million values more often than a wrong one, and an array of a
    million wrong ones would make as many error objects.
    """
    if not isinstance(instance, list) or _plainly_valid(items, instance):
        return
    # Where items holds one schema, which is all that passes the vetting, the drafts agree.
    original = Draft202012Validator.VALIDATORS["items"]
    yield from islice(original(validator, items, instance, schema), _MOST_ITEMS)


def _plainly_valid(items: Any, instance: list[Any]) -> bool:
    """Whether all items are scalars of the type asked for, within bounds; False if it takes more to tell."""
    if not isinstance(items, dict) or not items.keys() <= _QUICK:
        return False
    named = items.get("type")
    accepted: set[type] = set()
    for name in [named] if isinstance(named, str) else named or ():
        accepted |= _SCALARS.get(name, frozenset())
    if not accepted.issuperset(map(type, instance)):
        return False
    if not instance or not items.keys() & {"minimum", "maximum"}:
        return True
    least, most = min(instance), max(instance)
    return bool(items.get("minimum", least) <= least and most <= items.get("maximum", most))


_VALIDATORS: Mapping[str, Any] = {
    draft: extend(base, validators={"items": _items})  # type: ignore[no-untyped-call]
    for draft, base in (("2020-12", Draft202012Validator), ("7", Draft7Validator))
}
