"""Rules between values, such as ``w_min <= w_max``: a small language that can only compute.

An expression is read with Python's own parser into a tree, and the tree is walked here:
numbers, names, comparisons, arithmetic, ``and``, ``or``, ``not`` and a few functions.
Nothing is ever handed to the interpreter, numbers are floats (no power can grow without
bound), and a tree has at most :data:`_MOST_NODES` nodes.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from ann_ckpt.errors import OptionError, printable
from ann_ckpt.params.findings import Related, pointer
from ann_ckpt.params.schema.schema import Schema
from ann_ckpt.params.text.document import Document, Path, Problems, SourceText

__all__ = [
    "ModelRule",
    "broken_rules",
    "rules_of",
]

_LONGEST = 1000
_MOST_NODES = 200

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "len": lambda v: float(np.size(v)),
    "min": lambda *v: np.min(np.concatenate([np.ravel(x) for x in v])),
    "max": lambda *v: np.max(np.concatenate([np.ravel(x) for x in v])),
    "sum": np.sum,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
}
_HARMLESS = (
    ast.Name, ast.BoolOp, ast.Tuple, ast.List,
    ast.boolop, ast.operator, ast.cmpop, ast.unaryop, ast.expr_context,
)  # fmt: skip
"""Nodes that are fine whatever is in them, since that is looked at by itself."""

_ROOTS = ("populations", "projections", "constants", "network")


@dataclass(frozen=True, slots=True)
class ModelRule:
    """One rule, checked for every population or projection that has its names.

    Raises
    ------
    OptionError
        If the expression cannot be read.
    """

    check: str
    """The expression that has to be true."""
    message: str = ""
    """What to say where it is not; empty for the expression itself."""
    owners: str = "*"
    """Which populations and projections, as a glob such as ``populations.in*``."""
    tree: ast.expr = field(init=False, repr=False, compare=False)
    bare: frozenset[str] = field(init=False, repr=False, compare=False)
    """Names that stand without a section before them."""
    dotted: tuple[Path, ...] = field(init=False, repr=False, compare=False)
    """Paths that are written in full, in order."""

    def __post_init__(self) -> None:
        tree = _parsed(self.check)
        bare, dotted = _names(tree)
        object.__setattr__(self, "tree", tree)
        object.__setattr__(self, "bare", frozenset(bare))
        object.__setattr__(self, "dotted", tuple(dict.fromkeys(dotted)))

    @classmethod
    def of(cls, given: Any) -> ModelRule:
        """Take a rule from a schema or configuration: a text, or a table with ``check``."""
        if isinstance(given, str):
            return cls(given)
        table = given if isinstance(given, Mapping) else {}
        values = {
            "check": table.get("check"),
            "message": table.get("message", ""),
            "for": table.get("for", "*"),
        }
        if not all(isinstance(v, str) for v in values.values()) or not table.keys() <= values.keys():
            raise OptionError(
                f"the rule {printable(given, 80)} is neither an expression nor a table",
                details={"expected": "check, and if need be for and message, all texts"},
            )
        return cls(str(values["check"]), str(values["message"]), str(values["for"]))


def rules_of(schema: Schema) -> list[ModelRule]:
    """Return the rules that a schema has under ``x-ann`` at its top.

    Raises
    ------
    OptionError
        If one cannot be read.
    """
    rules = schema.marks([schema.document]).get("rules", [])
    if not isinstance(rules, list):
        raise OptionError("the rules of the schema are not a list")
    return [ModelRule.of(rule) for rule in rules]


def broken_rules(
    rules: Sequence[ModelRule], document: Document, schema: Schema, source: SourceText, problems: Problems
) -> None:
    """Add to ``problems`` every rule that does not hold for the values of a file.

    What a file leaves out has the value that the schema notes as the network's. A rule
    is looked at where the file gives at least one of its values and all are known.
    """
    if not rules:
        return
    values = _Values(document, schema)
    for rule in rules:
        applied = False
        for owner in values.owners(rule):
            paths = values.resolve(rule, owner)
            if paths is None:
                continue
            applied = True
            if any(values.in_file(p) for p in paths.values()):
                _check(rule, paths, values, source, problems)
        if not applied and values.complete:
            missing, names = values.nowhere(rule), sorted({*rule.bare, *map(_dotted, rule.dotted)})
            why = f"there is no {', '.join(missing)}" if missing else f"nothing has {', '.join(names)}"
            fact = f"the rule {_text(rule)} fits nothing in the network: {why}"
            problems.add("P503", (0, 1), printable(fact, 400))


def _check(
    rule: ModelRule,
    paths: Mapping[Path, Path],
    values: _Values,
    source: SourceText,
    problems: Problems,
) -> None:
    known = {name: values.get(path) for name, path in paths.items()}
    if any(v is None for v in known.values()):
        return
    try:
        with np.errstate(all="raise", under="ignore"):
            holds = bool(np.all(_evaluate(rule.tree, known)))
        reason = ""
    except (ArithmeticError, TypeError, ValueError) as error:
        holds, reason = False, f" ({printable(error, 100)})"
    if holds:
        return
    given = [(name, path) for name, path in paths.items() if values.in_file(path)]
    given.sort(key=lambda pair: values.document.span_of(pair[1]))
    related = []
    for name, path in given[1:]:
        at, where = source.place(*values.document.span_of(path)), pointer((*problems.prefix, *path))
        related.append(Related(where, at.line, at.column, at.end_column, f"{_dotted(name)} is here"))
    lines = {r.pointer: r.line for r in related}
    told = []
    for name, path in paths.items():
        line = lines.get(pointer((*problems.prefix, *path)))
        where = "" if values.in_file(path) else " (the network's)"
        if line is not None and source.origin is None:
            where = f" (line {line})"
        told.append(f"{_dotted(name)} is {_shown(known[name])}{where}")
    fact = rule.message or f"{_text(rule)} does not hold"
    first = given[0][1]
    problems.add(
        "P208",
        values.document.span_of(first),
        f"{printable(fact, 200)}: {', '.join(told)}{reason}",
        path=first,
        related=tuple(related),
    )


def _text(rule: ModelRule) -> str:
    return printable(rule.check, 100)


def _dotted(name: Path) -> str:
    return printable(".".join(map(str, name)), 80)


def _shown(value: Any) -> str:
    size = np.size(value)
    if size != 1 or isinstance(value, np.ndarray):
        return f"{size} values"
    return printable(value, 40)


class _Values:
    """The values of a file, and behind them those that the schema notes as the network's."""

    def __init__(self, document: Document, schema: Schema) -> None:
        self.document = document
        self._schema = schema
        self._data: Mapping[str, Any] = document.value
        top = schema.at(())
        self._facts = schema.marks(top)
        self._names_of: dict[Path, set[str]] = {}
        self._known = {s: self._names((s,)) for s in _ROOTS}
        self.complete = bool(self._known["populations"])
        """Whether the schema is that of a network, so that its names are all there are."""
        sizes = schema.marks(schema.at(("populations",))).get("sizes", {})
        self._sizes: Mapping[str, Any] = sizes if isinstance(sizes, Mapping) else {}

    def _size(self, population: str) -> Any:
        known = population in self._known["populations"]
        return self._sizes.get(population, self._sizes.get("*") if known else None)

    def _names(self, path: Path) -> set[str]:
        return {n for s in self._schema.at(path) for n in s.get("properties", ())}

    def owners(self, rule: ModelRule) -> Iterator[Path]:
        """Yield the populations and projections that a rule is about, and first the network as a whole."""
        if rule.owners == "*":
            yield ()
            if not rule.bare:
                return
        for section in ("populations", "projections"):
            members = self._data.get(section)
            there = set(members) if isinstance(members, dict) else set()
            for name in sorted(self._known[section] | there):
                if rule.owners == "*" or fnmatchcase(f"{section}.{name}", rule.owners):
                    yield (section, name)

    def resolve(self, rule: ModelRule, owner: Path) -> dict[Path, Path] | None:
        """Return where each name of a rule stands for one owner; None if one stands nowhere."""
        found: dict[Path, Path] = {}
        places = (*([owner] if owner else ()), ("constants",), ("network",))
        for name in sorted(rule.bare):
            place = next((p for p in places if name in self._members(p)), None)
            if place is not None:
                found[(name,)] = (*place, name)
            elif name == "dt" and "dt" in self._facts:
                found[(name,)] = ("dt",)
            else:
                return None
        if owner and not any(path[:2] == owner for path in found.values()):
            return None  # said once, of the network as a whole
        for path in rule.dotted:
            is_size = path[0] == "populations" and path[2:] == ("size",)
            if not (
                self._size(str(path[1])) is not None if is_size else path[-1] in self._members(path[:-1])
            ):
                return None
            found[path] = path
        return found

    def nowhere(self, rule: ModelRule) -> list[str]:
        """Return the bare names of a rule that stand nowhere in the network."""
        owners = [("constants",), ("network",), *self.owners(replace(rule, owners="*"))]
        there = {name for owner in owners if owner for name in self._members(owner)}
        return sorted(rule.bare - there - ({"dt"} if "dt" in self._facts else set()))

    def _members(self, owner: Path) -> set[str]:
        there = self._at(owner)
        return (set(there) if isinstance(there, dict) else set()) | self._cached(owner)

    def _cached(self, owner: Path) -> set[str]:
        if owner not in self._names_of:
            self._names_of[owner] = self._names(owner)
        return self._names_of[owner]

    def _at(self, path: Path) -> Any:
        value: Any = self._data
        for step in path:
            if not isinstance(value, dict) or step not in value:
                return None
            value = value[step]
        return value

    def in_file(self, path: Path) -> bool:
        """Whether the file gives a value."""
        return self._at(path) is not None

    def get(self, path: Path) -> Any:
        """Return a value as expressions compute with it: a float, an array or a text; None if unknown."""
        value = self._at(path)
        if value is None:
            value = self._of_network(path)
        if isinstance(value, list):
            try:
                return np.asarray(value, np.float64)
            except (TypeError, ValueError):
                return None
        if isinstance(value, int | float):  # bools count as 0 and 1
            return np.float64(value)
        return value if isinstance(value, str) else None

    def _of_network(self, path: Path) -> Any:
        if path == ("dt",):
            return self._facts.get("dt")
        if path[0] == "populations" and path[2:] == ("size",):
            return self._size(str(path[1]))
        for schema in self._schema.at(path):
            if "default" in schema:
                return schema["default"]
        for schema in self._schema.at(path[:-1]):  # large networks note them with their owner
            defaults = schema.get("default")
            if isinstance(defaults, dict) and path[-1] in defaults:
                return defaults[path[-1]]
        return None


def _parsed(text: str) -> ast.expr:
    """Return the tree of an expression.

    Raises
    ------
    OptionError
        If it is none, or asks for more than rules can do.
    """

    def refused(reason: str) -> OptionError:
        return OptionError(f"the rule {printable(text, 80)!r} cannot be read", details={"reason": reason})

    if len(text) > _LONGEST:
        raise refused(f"it has more than {_LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise refused(f"{error.msg} at character {error.offset or 0}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise refused(str(error) or "it is nested too deeply") from None
    for count, node in enumerate(ast.walk(tree)):
        if count >= _MOST_NODES:
            raise refused(f"it has more than {_MOST_NODES} parts")
        if not _allowed(node):
            raise refused(f"{type(node).__name__} cannot be part of a rule")
    return tree


def _allowed(node: ast.AST) -> bool:  # noqa: PLR0911 - one case for each kind of node
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool | int | float | str)
    match node:
        case ast.Call(func=ast.Name(id=name), keywords=[]):
            return name in _FUNCTIONS
        case ast.BinOp(op=op):
            return type(op) in _BINARY
        case ast.Compare(ops=ops):
            return all(type(op) in _COMPARED for op in ops)
        case ast.UnaryOp(op=op):
            return isinstance(op, ast.USub | ast.UAdd | ast.Not)
        case ast.Attribute() | ast.Subscript():
            return _path_of(node) is not None
        case _:
            return isinstance(node, _HARMLESS)


def _path_of(node: ast.expr) -> Path | None:
    """Return the path that ``populations.out.tau`` or ``populations["out"].tau`` stands for."""
    steps: list[str] = []
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Attribute):
            steps.append(node.attr)
        elif isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            steps.append(node.slice.value)
        else:
            return None
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in _ROOTS:
        return None
    wanted = 3 if node.id in {"populations", "projections"} else 2
    return (node.id, *reversed(steps)) if len(steps) + 1 <= wanted else None


def _names(tree: ast.expr) -> tuple[list[str], list[Path]]:
    bare: list[str] = []
    dotted: list[Path] = []

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.Attribute | ast.Subscript):
            path = _path_of(node)
            assert path is not None  # noqa: S101 - checked when it was parsed
            dotted.append(path)
            return
        if isinstance(node, ast.Name):
            bare.append(node.id)
            return
        for child in ast.iter_child_nodes(node):
            if not (isinstance(node, ast.Call) and child is node.func):
                walk(child)

    walk(tree)
    return bare, dotted


def _evaluate(node: ast.expr, known: Mapping[Path, Any]) -> Any:  # noqa: C901, PLR0911 - one case for each kind of node
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Constant(value=number):
            return np.float64(number)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return known[(name,)]
        case ast.Attribute() | ast.Subscript():
            return known[_path_of(node) or ()]
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return [_evaluate(item, known) for item in items]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not np.all(_evaluate(operand, known))
        case ast.UnaryOp(op=op, operand=operand):
            value = _evaluate(operand, known)
            return -value if isinstance(op, ast.USub) else value
        case ast.BoolOp(op=op, values=parts):
            results = (bool(np.all(_evaluate(part, known))) for part in parts)
            return all(results) if isinstance(op, ast.And) else any(results)
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_numbers(_evaluate(left, known)), _numbers(_evaluate(right, known)))
        case ast.Compare(left=left, ops=ops, comparators=others):
            values = [_evaluate(v, known) for v in (left, *others)]
            pairs = zip(values, ops, values[1:], strict=False)
            return all(bool(np.all(_COMPARED[type(op)](a, b))) for a, op, b in pairs)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _FUNCTIONS[name](*(_numbers(_evaluate(a, known)) for a in arguments))
        case _:
            raise TypeError(f"{type(node).__name__} cannot be part of a rule")


def _numbers(value: Any) -> Any:
    if isinstance(value, str):
        raise TypeError(f"{value!r} is a text, not a number")
    return np.asarray(value, np.float64)[()]
