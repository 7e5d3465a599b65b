"""Texts that grow in one way each: what a reader or a check could take too long for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["SHAPES"]


def _in_inp(values: Any) -> str:
    return json.dumps({"populations": {"inp": values}})


def _each(n: int, value: Any = 1) -> dict[str, Any]:
    return {f"x{i}": value for i in range(n)}


def _lines(n: int, line: str) -> str:
    return "".join(line.replace("#", str(i)) for i in range(n))


def _database(inner: str) -> str:
    return f"<database>{inner}</database>"


JSON: Mapping[str, Callable[[int], str]] = {
    "quotes below the deepest level": lambda n: '{"network":' + "[" * 40 + '\\"' * n,
    "texts below the deepest level": lambda n: '{"network":' + "[" * 40 + '"a",' * n,
    "brackets": lambda n: "[" * n,
    "braces": lambda n: '{"a":' * n,
    "closed brackets": lambda n: '{"network":' + "[" * n + "]" * n + "}",
    "empty arrays": lambda n: '{"network":[' + "[]," * n + "[]]}",
    "empty objects": lambda n: '{"network":[' + "{}," * n + "{}]}",
    "empty populations": lambda n: json.dumps({"populations": _each(n, {})}),
    "unknown parameters": lambda n: _in_inp(_each(n)),
    "unknown names that are near": lambda n: _in_inp({"tau" + "_" * i: 1 for i in range(min(n, 2000))}),
    "unknown sections": lambda n: json.dumps(_each(n)),
    "unknown constants": lambda n: json.dumps({"constants": _each(n)}),
    "wrong types": lambda n: json.dumps({"network": _each(n, [])}),
    "wrong items": lambda n: _in_inp({"noise": ["x"] * n}),
    "numbers of the wrong type": lambda n: _in_inp({"tau": [1] * n, "nb": [0.5] * n}),
    "numbers out of bounds": lambda n: _in_inp({"noise": [2] * n}),
    "numbers beyond the range": lambda n: json.dumps(
        {"projections": {"ff": {"eta": [1e300, 2**53 + 1] * n}}}
    ),
    "numbers in a list of lists": lambda n: json.dumps({"network": {"a": [[1] * n] * 2}}),
    "wrong lengths": lambda n: _in_inp({"noise": [0] * n}),
    "wrong rows": lambda n: json.dumps({"populations": {"grid": {"noise": [[]] * n}}}),
    "ragged rows": lambda n: json.dumps({"populations": {"grid": {"noise": [[1], [1, 2]] * n}}}),
    "quantities": lambda n: json.dumps({"populations": _each(n, {"tau": "1 ms"})}),
    "a long quantity": lambda n: _in_inp({"tau": "1" * n + " ms"}),
    "a long unit": lambda n: _in_inp({"tau": "1 " + "m" * n}),
    "a long product of units": lambda n: _in_inp({"tau": "1 " + "ms*" * n}),
    "duplicates": lambda n: '{"network":{' + '"a":1,' * n + '"a":1}}',
    "not finite": lambda n: '{"network":{"a":[' + "NaN," * n + "NaN]}}",
    "a long number": lambda n: '{"network":{"a":' + "1" * n + "}}",
    "long numbers": lambda n: '{"network":{"a":[' + "1.5e-999," * n + "1]}}",
    "a long exponent": lambda n: '{"network":{"a":1e-' + "9" * n + "}}",
    "a long name": lambda n: '{"' + "a" * n + '":1}',
    "escapes": lambda n: '{"a":"' + "\\n" * n + '"}',
    "surrogates": lambda n: '{"a":"' + "\\ud800" * n + '"}',
    "an open text": lambda n: '{"a":"' + '\\"' * n,
    "blanks": lambda n: " " * n + "{" + "\n" * n,
    "commas": lambda n: "[" + "," * n,
    "rules switched off": lambda n: json.dumps({"$ignore": _each(n, ["P101"]), "populations": _each(n, {})}),
}
YAML: Mapping[str, Callable[[int], str]] = {
    "tag directives": lambda n: _lines(n, "%TAG !t#! tag:x,2000:\n") + "---\nnetwork: {}\n",
    "other directives": lambda n: _lines(n, "%FOO x#\n") + "---\nnetwork: {}\n",
    "comments": lambda n: "network: {}\n" + "# ann-ckpt: ignore[P101\n" * n,
    "modelines": lambda n: "# yaml-language-server: $schema=" * n + "\na: 1",
    "unknown populations": lambda n: "populations:\n" + _lines(n, "  x#: {}\n"),
    "an open text in YAML": lambda n: 'a: "' + "\\n" * n,
    "an open list": lambda n: "a: [" + "1,\n" * n,
    "numbers in YAML": lambda n: "network:\n  a:\n" + "  - 1\n" * n,
    "question marks": lambda n: "? " * n,
    "dashes": lambda n: "- " * n,
    "open brackets": lambda n: "[" * n,
    "open braces": lambda n: "{a: " * n,
    "anchors": lambda n: _lines(n, "a#: &x# 1\n"),
    "aliases": lambda n: _lines(n, "a#: *x\n"),
    "tags": lambda n: _lines(n, "a#: !!x 1\n"),
    "documents": lambda n: "---\na: 1\n" * n,
    "a plain text of many lines": lambda n: "a: b\n" + "  c\n" * n,
    "a block of many lines": lambda n: "a: |\n" + "  c\n" * n,
    "a text that is folded": lambda n: 'a: "' + "x \n" * n + '"',
    "indentation": lambda n: "a:\n" + " " * n + "b: 1",
    "names without values": lambda n: "{" + _lines(n, "a#,") + "}",
    "colons": lambda n: "a: " + "b: " * n,
    "tabs": lambda n: "a: " + "\t" * n + "1",
    "ends of lines": lambda n: "\r\n" * n + "a: [",
    "levels": lambda n: "".join(" " * i + "a:\n" for i in range(min(n, 900))),
}
XML: Mapping[str, Callable[[int], str]] = {
    "parameters": lambda n: _database("<parameter><name>a</name><value>1</value></parameter>" * n),
    "elements in elements": lambda n: "<database>" + "<a>" * n,
    "lines in a name": lambda n: _database(
        f"<parameter><name>{'#' * n}</name></parameter>".replace("#", "a\n")
    ),
    "references": lambda n: _database(f"<parameter><name>{'&lt;' * n}</name></parameter>"),
    "attributes": lambda n: "<database " + _lines(n, 'a#="1" ') + "/>",
    "a comment before a document type": lambda n: f"<!--{'x' * n}--><!DOCTYPE d [<!ENTITY x '1'>]><d/>",
}
SHAPES: Mapping[str, tuple[str, Callable[[int], str]]] = {
    name: (suffix, make)
    for suffix, shapes in (("json", JSON), ("yaml", YAML), ("xml", XML))
    for name, make in shapes.items()
}
"""By name: suffix of the file, and a function from a size to its text."""
