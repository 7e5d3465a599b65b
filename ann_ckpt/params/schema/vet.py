"""Is this a schema that can be used? Answered before any engine sees it.

A schema comes from a file like everything else. What could make its evaluation fetch
something, run for ever or differ between engines is refused by name here: references
out of the document, schemas that refer to themselves, patterns, ``multipleOf``. The
rest is checked keyword by keyword, which takes a tenth of a second for ten thousand
populations; the metaschema takes seven.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from ann_ckpt.params.findings import quoted
from ann_ckpt.params.schema.generate import DRAFTS
from ann_ckpt.params.text.document import Path, Problems, Span

__all__ = ["DEEPEST_SCHEMA", "draft_of", "follow", "vet"]

DEEPEST_SCHEMA = 64
"""Levels of nesting in the deepest schema that is read, references followed."""

_MOST_STEPS = 10_000_000
"""Subschemas that a value may meet, references followed: a small text can ask for 2**60."""

_TYPES = frozenset(("array", "boolean", "integer", "null", "number", "object", "string"))


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond any float
        return False


def _is_count(value: object) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)  # type: ignore[operator, call-overload]


def _is_names(value: object) -> bool:
    return (
        isinstance(value, list) and all(isinstance(n, str) for n in value) and len(set(value)) == len(value)
    )


def _is_type(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and _is_names(value) and _TYPES.issuperset(value)
    return isinstance(value, str) and value in _TYPES


def _is_comparable(value: object) -> bool:
    """Whether all engines agree on what equals ``value``; on large floats they do not."""
    if isinstance(value, dict):
        return all(map(_is_comparable, value.values()))
    if isinstance(value, list):
        return all(map(_is_comparable, value))
    return not isinstance(value, float) or abs(value) <= 2**53


_CHECKS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), (_is_number, "a number")),
    **dict.fromkeys(
        ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
        (_is_count, "a whole number of at least 0"),
    ),
    "type": (_is_type, "the name of a JSON type, or a list of some"),
    "enum": (lambda value: isinstance(value, list) and _is_comparable(value), "a list of plain values"),
    "const": (_is_comparable, "a plain value"),
    "required": (_is_names, "a list of different names"),
    "dependentRequired": (
        lambda value: isinstance(value, dict) and all(map(_is_names, value.values())),
        "an object of lists of different names",
    ),
    **dict.fromkeys(("title", "description", "$comment"), (lambda value: isinstance(value, str), "a text")),
}
"""What the value of a keyword has to be, where it holds no schemas."""

_REFUSED = {
    "$anchor": "references go by JSON pointer",
    "$dynamicAnchor": "references go by JSON pointer",
    "$dynamicRef": "references go by JSON pointer",
    "$recursiveAnchor": "references go by JSON pointer",
    "$recursiveRef": "references go by JSON pointer",
    "$vocabulary": "the vocabulary is fixed",
    "additionalItems": "write prefixItems and items",
    "contains": "it is not evaluated",
    "dependencies": "write dependentRequired or dependentSchemas",
    "maxContains": "it is not evaluated",
    "minContains": "it is not evaluated",
    "multipleOf": "0.3 is not a multiple of 0.1 in binary",
    "pattern": "a pattern can take for ever on one text",
    "patternProperties": "a pattern can take for ever on one text",
    "unevaluatedItems": "write items",
    "unevaluatedProperties": "write additionalProperties",
    "uniqueItems": "it is not evaluated",
}
"""Keywords that would decide something and are not evaluated, with the reason or the remedy.

Whatever is in none of these tables only annotates."""


def draft_of(schema: object) -> str | None:
    """Return the draft that a schema is written in; None if it is another than the two known."""
    named = schema.get("$schema", DRAFTS["2020-12"]) if isinstance(schema, dict) else DRAFTS["2020-12"]
    if not isinstance(named, str):
        return None
    return next((d for d, uri in DRAFTS.items() if named.rstrip("#") == uri.rstrip("#")), None)


def follow(root: Any, reference: str) -> tuple[Path, Any]:
    """Return the path and the value that a reference within the document leads to.

    Raises
    ------
    LookupError
        If there is nothing.
    """
    path: list[str | int] = []
    value = root
    for step in unquote(reference.removeprefix("#")).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        key: str | int = int(name) if isinstance(value, list) and name.isdecimal() else name
        if not isinstance(value, dict | list):
            raise KeyError(name)
        value = value[key]  # type: ignore[index]
        path.append(key)
    return tuple(path), value


def vet(schema: object, span_of: Callable[..., Span], problems: Problems) -> None:
    """Add to ``problems`` everything that makes ``schema`` unusable.

    Parameters
    ----------
    schema : object
        A parsed document, at most :data:`DEEPEST_SCHEMA` levels deep.
    span_of : callable
        ``span_of(path, key=False)``: where a value, or its name, stands.
    """
    draft = draft_of(schema)
    if draft is None:
        named = schema["$schema"] if isinstance(schema, dict) else None
        problems.add(
            "P501",
            span_of(("$schema",)),
            f"the draft {quoted(named, 80)} is not known; there are {' and '.join(DRAFTS)}",
            path=("$schema",),
        )
        return
    _Vetting(schema, draft, span_of, problems).visit((), schema, 0)


class _Vetting:
    def __init__(self, root: Any, draft: str, span_of: Callable[..., Span], problems: Problems) -> None:
        self.root = root
        self.draft = draft
        self.span_of = span_of
        self.problems = problems
        self.steps: dict[int, int | None] = {}
        """Steps that each subschema takes, by identity; None while it is being visited."""

    def visit(self, path: Path, schema: Any, level: int) -> int:
        """Check one subschema with all below it; returns how many steps a value may take in it."""
        if isinstance(schema, bool):
            if not schema and path and path[-1] not in {"additionalProperties", "items"}:
                # jsonschema loses the place of what such a schema refuses.
                self._refuse(path, 'false is refused here: leave the name out, or write {"not": {}}')
            return 1
        if not isinstance(schema, dict):
            self._refuse(path, "a schema is an object, true or false")
            return 1
        known = self.steps.get(id(schema), 0)
        if known is None:
            self._refuse(path, "the schema refers to itself")
            return 1
        if known:
            return known
        if level > DEEPEST_SCHEMA:
            self._refuse(path, f"the schema is more than {DEEPEST_SCHEMA} levels deep, references followed")
            return 1
        self.steps[id(schema)] = None
        steps = 1 + sum(self.visit(at, below, level + 1) for at, below in self._below(path, schema))
        if steps > _MOST_STEPS:
            self._refuse(path, "one value would meet millions of subschemas")
            steps = 1
        self.steps[id(schema)] = steps
        return steps

    def _below(self, path: Path, schema: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
        """Check the keywords of one subschema; yield the subschemas in it."""
        if self.draft == "7" and "$ref" in schema:
            schema = {"$ref": schema["$ref"]}
        for keyword, value in schema.items():
            at = (*path, keyword)
            if keyword in _HOLDERS:
                yield from _HOLDERS[keyword](self, at, value)
            elif keyword in _CHECKS:
                holds, expected = _CHECKS[keyword]
                if not holds(value):
                    self._refuse(at, f"{keyword} is not {expected}")
            elif keyword in _REFUSED:
                self._refuse(at, f"{keyword} is refused: {_REFUSED[keyword]}", key=True)
            elif keyword in {"$id", "$schema"} and path:
                self._refuse(at, f"{keyword} below the top is refused", key=True)

    def _one(self, at: Path, value: object) -> Iterator[tuple[Path, Any]]:
        yield at, value

    def _target(self, at: Path, reference: object) -> Iterator[tuple[Path, Any]]:
        if not isinstance(reference, str):
            self._refuse(at, "$ref is not a text")
        elif reference != "#" and not reference.startswith("#/"):
            self._refuse(at, f"the reference {quoted(reference, 80)} leaves the document; nothing is fetched")
        else:
            try:
                yield follow(self.root, reference)
            except LookupError:
                self._refuse(at, f"the reference {quoted(reference, 80)} leads nowhere")

    def _listed(self, at: Path, value: object) -> Iterator[tuple[Path, Any]]:
        if not isinstance(value, list) or not value:
            self._refuse(at, f"{at[-1]} is not a list of schemas")
            return
        yield from (((*at, i), below) for i, below in enumerate(value))

    def _named(self, at: Path, value: object) -> Iterator[tuple[Path, Any]]:
        if not isinstance(value, dict):
            self._refuse(at, f"{at[-1]} is not an object of schemas")
            return
        yield from (((*at, name), below) for name, below in value.items())

    def _refuse(self, path: Path, message: str, *, key: bool = False) -> None:
        self.problems.add("P501", self.span_of(path, key=key), message, path=path)


_HOLDERS: Mapping[str, Callable[[_Vetting, Path, Any], Iterator[tuple[Path, Any]]]] = {
    "$ref": _Vetting._target,
    **dict.fromkeys(
        ("additionalProperties", "propertyNames", "items", "not", "if", "then", "else"), _Vetting._one
    ),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _Vetting._listed),
    **dict.fromkeys(("properties", "$defs", "definitions", "dependentSchemas"), _Vetting._named),
}
"""How to find the subschemas that the value of a keyword holds."""
