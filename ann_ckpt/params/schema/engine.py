"""Evaluating a schema: jsonschema says what is wrong, jsonschema-rs whether anything is.

The fast engine answers the common question, whether a file is clean, in a hundredth of
the time. Only where it says no is the file evaluated again by jsonschema, which alone
decides what a finding is about. So both find the same, by construction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from itertools import islice
from typing import Any, NamedTuple

from ann_ckpt.errors import MissingExtraError, OptionError
from ann_ckpt.params.schema.schema import Schema
from ann_ckpt.params.text.document import Path

__all__ = ["ENGINES", "MOST_ITEMS", "Engine", "Failure"]

ENGINES = ("auto", "jsonschema", "jsonschema-rs")
"""Names of the engines; ``auto`` is the fast one where it is installed."""

MOST_ITEMS = 100
"""Failures reported in one array: one that is wrong throughout needs no more."""

_SCALARS: Mapping[str, frozenset[type]] = {
    "number": frozenset((int, float)),
    "integer": frozenset((int,)),
    "boolean": frozenset((bool,)),
}
_QUICK = frozenset(("type", "items", "minimum", "maximum"))


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
        Which library answers first.

    Raises
    ------
    MissingExtraError
        If ``jsonschema-rs`` is asked for and not installed.
    """

    def __init__(self, schema: Schema, name: str = "auto") -> None:
        if name not in ENGINES:
            raise OptionError(f"engine is {name!r}", details={"expected": ", ".join(ENGINES)})
        self._document = {k: v for k, v in schema.document.items() if k != "$id"}
        self._draft = schema.draft
        self._fast = None if name == "jsonschema" else self._fast_validator(required=name != "auto")

    def failures(self, value: Any) -> Iterator[Failure]:
        """Yield everything in ``value`` that the schema refuses, in the schema's order."""
        if self._fast is None or not self._fast.is_valid(value):
            yield from map(_failure, self._thorough.iter_errors(value))

    def failures_under(self, schema: Any, value: Any) -> Iterator[Failure]:
        """Yield what one subschema of the document refuses in ``value``."""
        yield from map(_failure, self._thorough.evolve(schema=schema).iter_errors(value))

    @cached_property
    def _thorough(self) -> Any:
        from referencing import Registry

        # The registry is empty: what is not in the document cannot be fetched.
        return _thorough_validators()[self._draft](self._document, registry=Registry())

    def _fast_validator(self, *, required: bool) -> Any:
        try:
            import jsonschema_rs
        except ImportError as error:
            if not required:
                return None
            raise MissingExtraError(
                "the engine jsonschema-rs is not installed",
                details={"install": "pip install 'ann_ckpt[fast]'"},
            ) from error
        drafts = {"7": jsonschema_rs.Draft7Validator, "2020-12": jsonschema_rs.Draft202012Validator}
        return drafts[self._draft](self._document)


def _failure(error: Any) -> Failure:
    keyword = error.validator if isinstance(error.validator, str) else ""
    return Failure(tuple(error.path), keyword, error.schema, error.instance)


@cache
def _thorough_validators() -> Mapping[str, Any]:
    """Return jsonschema's validator of each draft, with what large arrays need.

    Importing jsonschema takes longer than checking a clean file, so it is done here.
    """
    from jsonschema import Draft7Validator, Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        # An array holds a million values more often than a wrong one, and an array of a
        # million wrong ones would make as many error objects.
        if isinstance(instance, list) and not _plainly_valid(wanted, instance):
            # Where items holds one schema, which is all that passes the vetting, the drafts agree.
            original = Draft202012Validator.VALIDATORS["items"]
            yield from islice(original(validator, wanted, instance, schema), MOST_ITEMS)

    def wordless(accepts: Any) -> Any:
        # jsonschema's own write the value into their messages, which nobody reads here: tens of
        # megabytes for an array, once for each alternative.
        def keyword(validator: Any, wanted: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
            if not accepts(validator, wanted, instance):
                yield ValidationError("")

        return keyword

    own = {"items": items, **{name: wordless(accepts) for name, accepts in _ACCEPTS.items()}}
    bases = {"2020-12": Draft202012Validator, "7": Draft7Validator}
    return {draft: extend(base, validators=own) for draft, base in bases.items()}  # type: ignore[no-untyped-call]


def _has_type(validator: Any, named: str | list[str], value: Any) -> bool:
    return any(validator.is_type(value, name) for name in ([named] if isinstance(named, str) else named))


def _fitting(validator: Any, alternatives: Iterable[Any], value: Any) -> int:
    """Return how many alternatives fit, up to two."""
    fit = (one for one in alternatives if validator.evolve(schema=one).is_valid(value))
    return len(list(islice(fit, 2)))


_ACCEPTS = {
    "type": _has_type,
    "anyOf": lambda validator, alternatives, value: _fitting(validator, alternatives, value) > 0,
    "oneOf": lambda validator, alternatives, value: _fitting(validator, alternatives, value) == 1,
    "not": lambda validator, refused, value: not _fitting(validator, [refused], value),
    "minItems": lambda _, least, value: not isinstance(value, list) or len(value) >= least,
    "maxItems": lambda _, most, value: not isinstance(value, list) or len(value) <= most,
}
"""Whether a keyword accepts a value."""


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
