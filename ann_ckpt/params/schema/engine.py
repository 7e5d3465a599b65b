"""Evaluating a schema: jsonschema says what is wrong, jsonschema-rs whether anything is.

The fast engine answers the common question, whether a file is clean, in a hundredth of
the time. Only where it says no is the file evaluated again by jsonschema, which alone
decides what a finding is about. So both find the same, by construction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from jsonschema import Draft7Validator, Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry

from ann_ckpt.errors import MissingExtraError, OptionError
from ann_ckpt.params.schema.schema import Schema
from ann_ckpt.params.text.document import Path

__all__ = ["ENGINES", "Engine", "Failure"]

ENGINES = ("auto", "jsonschema", "jsonschema-rs")
"""Names of the engines; ``auto`` is the fast one where it is installed."""

_MOST_ITEMS = 100
"""Failures reported in one array: one that is wrong throughout needs no more."""


class Failure(NamedTuple):
    """A value that a keyword of the schema refuses."""

    path: Path
    keyword: str
    """Empty where the schema is plainly false."""
    schema: Any
    """The subschema that the keyword stands in."""
    value: Any


class Engine:
    """Evaluates one schema, any number of times.

    Parameters
    ----------
    schema : Schema
        Vetted; nothing in it leads out of it.
    name : {"auto", "jsonschema", "jsonschema-rs"}
        Which engine answers first.

    Raises
    ------
    MissingExtraError
        If ``jsonschema-rs`` is asked for and not installed.
    """

    def __init__(self, schema: Schema, name: str = "auto") -> None:
        if name not in ENGINES:
            raise OptionError(f"engine is {name!r}", details={"expected": ", ".join(ENGINES)})
        document = {k: v for k, v in schema.document.items() if k != "$id"}
        # An empty registry: a reference that is not in the document cannot be fetched.
        self._thorough: Any = _VALIDATORS[schema.draft](document, registry=Registry())
        self._fast = (
            _fast(document, schema.draft, required=name == "jsonschema-rs") if name != "jsonschema" else None
        )

    def failures(self, value: Any) -> Iterator[Failure]:
        """Yield everything in ``value`` that the schema refuses, in the schema's order."""
        if self._fast is not None and self._fast.is_valid(value):
            return
        yield from map(_failure, self._thorough.iter_errors(value))

    def failures_under(self, schema: Any, value: Any) -> Iterator[Failure]:
        """Yield what one subschema of the document refuses in ``value``."""
        yield from map(_failure, self._thorough.evolve(schema=schema).iter_errors(value))


def _failure(error: ValidationError) -> Failure:
    keyword = error.validator
    return Failure(
        tuple(error.path), keyword if isinstance(keyword, str) else "", error.schema, error.instance
    )


def _fast(document: dict[str, Any], draft: str, *, required: bool) -> Any:
    try:
        import jsonschema_rs
    except ImportError as error:
        if not required:
            return None
        raise MissingExtraError(
            "the engine jsonschema-rs is not installed",
            details={"install": "pip install 'ann_ckpt[fast]'"},
        ) from error
    cls = jsonschema_rs.Draft7Validator if draft == "7" else jsonschema_rs.Draft202012Validator
    return cls(document)


_SCALARS: Mapping[str, frozenset[type]] = {
    "number": frozenset((int, float)),
    "integer": frozenset((int,)),
    "boolean": frozenset((bool,)),
}


def _items(validator: Any, items: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Evaluate ``items`` with two changes: plain numbers at C speed, and a bounded answer.

    An array holds a million values more often than a wrong one, and an array of a
    million wrong ones would make as many error objects.
    """
    if not isinstance(instance, list) or _plainly_valid(items, instance):
        return
    original = _BASES["7" if isinstance(validator, _VALIDATORS["7"]) else "2020-12"].VALIDATORS["items"]
    yield from islice(original(validator, items, instance, schema), _MOST_ITEMS)


def _plainly_valid(items: Any, instance: list[Any]) -> bool:
    """Whether all items are scalars of the type asked for, within bounds; False if it takes more to tell."""
    if not isinstance(items, dict) or not items.keys() <= {"type", "items", "minimum", "maximum"}:
        return False
    named = items.get("type")
    accepted = frozenset().union(
        *(_SCALARS.get(t, frozenset()) for t in ([named] if isinstance(named, str) else named or ()))
    )
    if not accepted.issuperset(map(type, instance)):
        return False
    bounded = "minimum" in items or "maximum" in items
    if not instance or not bounded:
        return True
    return bool(items.get("minimum", min(instance)) <= min(instance)) and bool(
        max(instance) <= items.get("maximum", max(instance))
    )


_BASES: Mapping[str, Any] = {"2020-12": Draft202012Validator, "7": Draft7Validator}
_VALIDATORS: Mapping[str, Any] = {
    draft: extend(base, validators={"items": _items})  # type: ignore[no-untyped-call]
    for draft, base in _BASES.items()
}
