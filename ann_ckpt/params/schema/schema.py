"""A schema that has been vetted, and what it says about one place of a file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ann_ckpt.arguments import check_flags
from ann_ckpt.errors import SchemaUnusableError, printable
from ann_ckpt.model.plain import strict_json
from ann_ckpt.params.file import read_bounded
from ann_ckpt.params.findings import Finding
from ann_ckpt.params.schema.vet import DEEPEST_SCHEMA, draft_of, follow, vet
from ann_ckpt.params.text.document import Path, Problems, decode
from ann_ckpt.params.text.json import read_json

__all__ = [
    "MarksReader",
    "Schema",
]


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """A JSON Schema that can be used: nothing in it is fetched, recursive or unbounded."""

    document: Mapping[str, Any]
    draft: str
    """``2020-12`` or ``7``."""

    @classmethod
    def trusted(cls, document: Mapping[str, Any]) -> Schema:
        """Take a schema that was generated here."""
        return cls(document, draft_of(document) or "2020-12")

    @classmethod
    def of(cls, document: Any) -> Schema:
        """Take a schema from plain values.

        Raises
        ------
        SchemaUnusableError
            If it cannot be used.
        """
        problems = Problems()
        try:
            document = json.loads(json.dumps(document))
        except (TypeError, ValueError, RecursionError) as error:
            raise _unusable("<schema>", [f"it is not plain: {error}"]) from None
        vet(document, lambda path, key=False: (0, 1), problems)  # noqa: ARG005
        if problems.found:
            raise _unusable(
                "<schema>", [f"/{'/'.join(map(str, p.path))}: {p.message}" for p in problems.found]
            )
        return cls(_object(document), draft_of(document) or "")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Schema:
        """Read a schema from a JSON file.

        Raises
        ------
        FileMissingError, NotReadableError
            If the file is missing or cannot be read; also an :class:`OSError`.
        SchemaUnusableError
            If it cannot be used; ``findings`` says where and why.
        """
        problems = Problems()
        source, readable = decode(read_bounded(path), os.fspath(path), problems)
        if readable and not problems.found:
            plain = _without_places(source.text)
            if plain is not None:
                return cls(plain, draft_of(plain) or "")
        document = read_json(source.text, problems, deepest=DEEPEST_SCHEMA) if readable else None
        if document is not None and not problems.found:
            vet(document.value, document.span_of, problems)
        if problems.found or document is None:
            findings = tuple(_as_schema_finding(f) for f in problems.findings(source))
            error = _unusable(os.fspath(path), [f"{f.line}:{f.column}: {f.message}" for f in findings])
            error.findings = findings
            raise error
        return cls(_object(document.value), draft_of(document.value) or "")

    def branches(self, schemas: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
        """Yield the subschemas that apply together where ``schemas`` do: references, ``allOf``."""
        for schema in schemas:
            if not isinstance(schema, Mapping):
                continue
            if "$ref" in schema:
                yield from self.branches([follow(self.document, schema["$ref"])[1]])
                if self.draft == "7":
                    continue
            yield schema
            yield from self.branches(schema.get("allOf", ()))

    def below(self, schemas: Iterable[Mapping[str, Any]], step: str | int) -> list[Mapping[str, Any]]:
        """Return the subschemas that apply to one member or item."""
        found: list[Any] = []
        for schema in schemas:
            if isinstance(step, int):
                found.append(schema.get("items"))
            elif step in schema.get("properties", ()):
                found.append(schema["properties"][step])
            else:
                found.append(schema.get("additionalProperties"))
        return list(self.branches(found))

    def at(self, path: Path) -> list[Mapping[str, Any]]:
        """Return the subschemas that apply to the value at ``path``."""
        schemas = list(self.branches([self.document]))
        for step in path:
            schemas = self.below(schemas, step)
        return schemas

    def variables(self) -> frozenset[str]:
        """Return the names that are a variable of any neuron or synapse type."""
        definitions = self.document.get("definitions" if self.draft == "7" else "$defs", {})
        return frozenset(
            name
            for definition in definitions.values()
            if isinstance(definition, dict)
            for name, schema in definition.get("properties", {}).items()
            if self.marks([schema] if isinstance(schema, dict) else ()).get("role") == "variable"
        )

    def facts(self, *, values: bool = False) -> dict[Path, Any]:
        """Return what the schema says of each name: types, bounds, sizes, units.

        How it is divided into definitions does not matter, nor do titles and descriptions.

        Parameters
        ----------
        values : bool
            Whether to take in current values.
        """
        check_flags(values=values)
        found: dict[Path, Any] = {}
        known: dict[tuple[int, ...], dict[str, Any]] = {}
        for section in ("populations", "projections", "constants"):
            schemas = self.at((section,))
            found[(section,)] = _fact(schemas, values=values)
            for owner in sorted({n for s in schemas for n in s.get("properties", ())}):
                inner = self.below(schemas, owner)
                found[(section, owner)] = _fact(inner, values=values)
                key = tuple(map(id, inner))
                if section != "constants" and key not in known:
                    names = sorted({n for s in inner for n in s.get("properties", ())})
                    known[key] = {n: _fact(self.below(inner, n), values=values) for n in names}
                found.update(((section, owner, n), fact) for n, fact in known.get(key, {}).items())
        found[("dt",)] = str(self.marks([self.document]).get("dt"))
        return found

    @staticmethod
    def marks(schemas: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Return what the generator noted there under ``x-ann``."""
        marks: dict[str, Any] = {}
        for schema in schemas:
            noted = schema.get("x-ann")
            if isinstance(noted, dict):
                marks.update(noted)
        return marks


class MarksReader:
    """Reads the ``x-ann`` notes of many parameters: those of one neuron type only once."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._sections: dict[str | int, list[Mapping[str, Any]]] = {}
        self._marks: dict[tuple[int, ...], dict[str, dict[str, Any]]] = {}

    def owner(self, path: Path) -> list[Mapping[str, Any]]:
        """Return the subschemas of one population, projection or section that say something of members."""
        if path[0] not in self._sections:
            self._sections[path[0]] = self._schema.at(path[:1])
        schemas = self._sections[path[0]]
        for step in path[1:]:
            schemas = self._schema.below(schemas, step)
        return [s for s in schemas if "properties" in s or "additionalProperties" in s]

    def member(self, owner: list[Mapping[str, Any]], name: str) -> dict[str, Any]:
        """Return the notes on one member of what :meth:`owner` returned."""
        # The document outlives this object, so that identities stay what they are.
        known = self._marks.setdefault(tuple(map(id, owner)), {})
        if name not in known:
            known[name] = self._schema.marks(self._schema.below(owner, name))
        return known[name]


_SAID = frozenset(("title", "description", "$comment", "properties", "$ref", "allOf", "doNotSuggest"))


def _fact(schemas: Iterable[Mapping[str, Any]], *, values: bool) -> str:
    """Return what some subschemas say together of one name, as text that is equal where they are."""
    merged: dict[str, set[str]] = {}
    marks: dict[str, Any] = {}
    for schema in schemas:
        for keyword, value in schema.items():
            if keyword == "x-ann" and isinstance(value, dict):
                marks |= value
            elif keyword not in _SAID and (values or keyword != "default"):
                merged.setdefault(keyword, set()).add(json.dumps(value, sort_keys=True))
    said = {k: [json.loads(t) for t in sorted(texts)] for k, texts in merged.items()}
    said = {k: v[0] if len(v) == 1 else v for k, v in said.items()}
    return json.dumps({**said, "x-ann": marks}, sort_keys=True)


def _without_places(text: str) -> Mapping[str, Any] | None:
    """Read a schema that is in order five times as fast; None where there may be something to say.

    Positions are for findings, and a schema under version control has none, nearly always.
    """
    problems = Problems()
    try:
        document = strict_json(text)
    except (ValueError, RecursionError):
        return None
    vet(document, lambda path, key=False: (0, 1), problems)  # noqa: ARG005
    return None if problems.found else _object(document)


def _object(document: Any) -> Mapping[str, Any]:
    """Return a schema that is true or false in its long form."""
    if isinstance(document, bool):
        return {} if document else {"not": {}}
    assert isinstance(document, dict)  # noqa: S101 - vetted
    return document


def _as_schema_finding(finding: Finding) -> Finding:
    """Return a finding about the text of a schema as one about the schema."""
    message = finding.message if finding.rule == "P501" else f"{finding.rule}: {finding.message}"
    return Finding(
        "P501",
        finding.severity,
        finding.path,
        finding.pointer,
        finding.line,
        finding.column,
        finding.end_column,
        message,
    )


def _unusable(path: str, reasons: list[str]) -> SchemaUnusableError:
    shown = "; ".join(reasons[:3]) + (f"; and {len(reasons) - 3} more" if len(reasons) > 3 else "")
    return SchemaUnusableError(
        "the schema cannot be used", details={"reason": printable(shown, 400)}, where=path
    )
