"""From what a schema refuses to what a person reads: rule, place, words, suggestions."""

from __future__ import annotations

import difflib
import heapq
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ann_ckpt.errors import printable
from ann_ckpt.params.findings import quoted
from ann_ckpt.params.rules import RULES, Severity
from ann_ckpt.params.schema.engine import MOST_ITEMS, Engine, Failure
from ann_ckpt.params.schema.generate import IGNORE, QUANTITY
from ann_ckpt.params.schema.schema import Schema
from ann_ckpt.params.text.document import Document, Path, Problems

__all__ = [
    "Explainer",
    "Nearest",
    "found",
]

_MOST_COMPARED = 100
_MOST_NAMES = 1000
_LONGEST = 200
_LEFT_OUT = str.maketrans("", "", "_- ")


class Nearest:
    """Finds near names, within a budget for one file.

    A file with thousands of unknown names is the wrong file; telling what each might
    have meant would take minutes and help nobody.

    Parameters
    ----------
    budget : int
        How many names may be looked at in all.

    Examples
    --------
    >>> Nearest().to("inptu", ["output", "input"])
    ('input',)
    """

    def __init__(self, budget: int = 300_000) -> None:
        self._budget = budget
        self._names = _MOST_NAMES

    def to(self, name: str, present: Collection[str], *, most: int = 3) -> tuple[str, ...]:
        """Return up to ``most`` names, nearest first; none where nothing is near."""
        if len(name) > _LONGEST or len(present) > self._budget or not self._names:
            return ()
        self._budget -= len(present)
        self._names -= 1
        names = [n for n in present if len(n) <= _LONGEST]
        letters = _letters(name)
        same_letters = [n for n in names if _letters(n) == letters]
        if len(names) > _MOST_COMPARED:
            # One slip of the hand leaves what stands before and behind it as it was.
            names = heapq.nlargest(_MOST_COMPARED, names, key=lambda n: _shared_ends(name, n))
        near = difflib.get_close_matches(name, names, n=most)
        return tuple(dict.fromkeys([*same_letters, *near]))[:most]


def _letters(name: str) -> str:
    """Return a name without what people get wrong most: capitals, underscores, hyphens, blanks."""
    return name.casefold().translate(_LEFT_OUT)


def _shared_ends(a: str, b: str) -> int:
    front = _shared_start(a, b)
    return front + _shared_start(a[front:][::-1], b[front:][::-1])


def _shared_start(a: str, b: str) -> int:
    for count, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return count
    return min(len(a), len(b))


_EXPECTED = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "string": "a text",
    "null": "null",
    "object": "an object",
    "array": "an array",
}

_BOUNDS = {
    "minimum": "is below the minimum",
    "maximum": "is above the maximum",
    "exclusiveMinimum": "is not above",
    "exclusiveMaximum": "is not below",
}

_ONCE = frozenset(("P201", "P202"))
_SECTION_NAMES = frozenset(("populations", "projections", "network", "constants"))
_OWNERS = {"populations": ("population", "P102"), "projections": ("projection", "P103")}


def found(value: object) -> str:
    """Return a value as a message shows it."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, str):
        return f"the text {quoted(value, 40)}"
    return printable(json.dumps(value), 40)


class Explainer:
    """Turns failures into problems of one document, each place and reason once."""

    def __init__(self, document: Document, schema: Schema, engine: Engine, problems: Problems) -> None:
        self.document = document
        self.schema = schema
        self.engine = engine
        self.problems = problems
        self.nearest = Nearest()
        self.refused = {p.start for p in problems.found if RULES[p.rule].severity is Severity.ERROR}
        """Where something stands that the reader refused: there the value is not the file's."""
        self._seen: set[tuple[Path, str]] = set()
        self._said: set[tuple[Path, str]] = set()
        self._known: dict[Path, set[str]] = {}
        self._more = ""
        """What to add to the message of the failure being explained."""

    def explain(self, failure: Failure, above: Path = ()) -> None:
        """Add the problem behind one failure.

        Parameters
        ----------
        failure : Failure
            What was refused.
        above : tuple
            Path of the value in which ``failure`` was found, if not the whole document.
        """
        path = (*above, *failure.path)
        # Several names or keywords may be behind one failure, and one behind several.
        if (path, failure.keyword) not in self._seen:
            self._seen.add((path, failure.keyword))
            _EXPLAINED.get(failure.keyword, Explainer._other)(self, path, failure)

    def _other(self, path: Path, failure: Failure) -> None:
        keyword = quoted(failure.keyword)
        self._add("P206", path, f"the schema's {keyword} refuses {found(failure.value)}")

    def _false(self, path: Path, failure: Failure) -> None:
        self._add("P206", path, f"the schema refuses everything, here {found(failure.value)}")

    def _extra(self, path: Path, failure: Failure) -> None:
        known = failure.schema.get("properties", {})
        for name in failure.value:
            if name not in known and (path or name != IGNORE):
                if self.problems.full:  # what will not be kept needs no words
                    self.problems.dropped += 1
                    continue
                self._unknown((*path, name), known)

    def _missing(self, path: Path, failure: Failure) -> None:
        for name in failure.schema["required"]:
            if name not in failure.value:
                self._add("P106", path, f"the name {quoted(name)} is missing here")

    def _type(self, path: Path, failure: Failure) -> None:
        named = failure.schema["type"]
        wanted = _any_of(_EXPECTED[t] for t in ([named] if isinstance(named, str) else named))
        self._add("P201", path, f"expected {wanted}, found {found(failure.value)}")

    def _allowed(self, path: Path, failure: Failure) -> None:
        allowed = failure.schema["enum"] if failure.keyword == "enum" else [failure.schema["const"]]
        shown = _any_of(printable(json.dumps(a), 30) for a in allowed[:8])
        self._add("P205", path, f"expected {shown}, found {found(failure.value)}")

    def _add(self, rule: str, path: Path, message: str) -> None:
        span = self.document.span_of(path)
        # A type and a length can be asked for in two places of one schema.
        known = rule in _ONCE and (path, rule) in self._said
        if span[0] not in self.refused and not known:
            self._said.add((path, rule))
            self.problems.add(rule, span, message + self._more, path=path)

    def _unknown(self, path: Path, present: Collection[str]) -> None:
        """Report a name that is none of those present."""
        *owner, name = map(str, path)
        rule, fact = _unknown_fact(owner, quoted(name))
        if rule == "P104" and name in self._variables(tuple(owner)):
            kind = _OWNERS[owner[0]][0]
            fact = f"{quoted(name)} is a variable of {kind} {quoted(owner[1])}; files set parameters only"
            self.problems.add(rule, self.document.span_of(path, key=True), fact, path=path)
            return
        near = self.nearest.to(name, present)
        if rule in {"P101", "P102", "P103"}:
            fact += self._elsewhere(owner, name)
        if near:
            fact += f" (did you mean {quoted(near[0])}?)"
        self.problems.add(rule, self.document.span_of(path, key=True), fact, path=path, suggestions=near)

    def _elsewhere(self, owner: list[str], name: str) -> str:
        """Say so if a name is known in another place: one of a population, projection or section."""
        if owner and name in _SECTION_NAMES:
            return "; it is a section, which stands at the top"
        sections = (s for s in ("populations", "projections", "constants") if s not in owner)
        return next((f"; it is one of the {s}" for s in sections if name in self._members(s)), "")

    def _members(self, section: str) -> Collection[str]:
        """Return the names in one section, looked up once."""
        if (section,) not in self._known:
            schemas = self.schema.at((section,))
            self._known[(section,)] = {n for s in schemas for n in s.get("properties", ())}
        return self._known[(section,)]

    def _variables(self, owner: Path) -> Collection[str]:
        """Return the variables of a population or projection, looked up once."""
        if owner not in self._known:
            noted = self.schema.marks(self.schema.at(owner)).get("variables")
            self._known[owner] = set(map(str, noted)) if isinstance(noted, list) else set()
        return self._known[owner]

    def _length(self, path: Path, failure: Failure) -> None:
        least, most = failure.schema.get("minItems", 0), failure.schema.get("maxItems")
        if least == most:
            wanted = f"{least} values"
        elif most is None:
            wanted = f"at least {least} values"
        else:
            wanted = f"{least} to {most} values"
        noun = self._noun(path)
        each = f", one for each {noun}" if noun and least == most else ""
        self._add("P202", path, f"expected {wanted}{each}; found {len(failure.value)}")

    def _noun(self, path: Path) -> str:
        """Return what has a value each, if the value at ``path`` is a whole parameter."""
        if len(path) != 3:
            return ""
        locality = self.schema.marks(self.schema.at(path)).get("locality")
        local = {"populations": "neuron", "projections": "synapse"}.get(str(path[0]), "")
        return {"local": local, "semiglobal": "dendrite"}.get(str(locality), "")

    def _bound(self, path: Path, failure: Failure) -> None:
        limit = failure.schema[failure.keyword]
        unit = self._unit(path)
        self._add("P204", path, f"{found(failure.value)} {_BOUNDS[failure.keyword]} {found(limit)}{unit}")

    def _unit(self, path: Path) -> str:
        """Return the unit that the model states for a parameter, after a blank."""
        unit = self.schema.marks(self.schema.at(path[:3])).get("unit", "")
        return f" {printable(unit, 30)}" if unit else ""

    def _alternatives(self, path: Path, failure: Failure) -> None:
        """Explain why no alternative fits by the one that was meant."""
        # A number with a unit has become a number before; what is left of texts is none.
        alternatives = [a for a in failure.schema[failure.keyword] if a != QUANTITY]
        if self._wrong_shape(path, alternatives, failure.value):
            return
        meant = self._meant(alternatives, failure.value)
        if meant is None:
            types = [t for a in alternatives for t in self._accepted(a)]
            wanted = _any_of(_EXPECTED[t] for t in dict.fromkeys(types)) or "something else"
            self._add("P201", path, f"expected {wanted}, found {found(failure.value)}")
            return
        inner = list(self.engine.failures_under(meant, failure.value))
        alike = Counter(each.keyword for each in inner)
        for each in inner:
            if isinstance(failure.value, list):  # an array that is wrong throughout is one fault
                count = alike.pop(each.keyword, 0)
                least = "at least " if count == MOST_ITEMS else ""
                self._more = f"; {least}{count - 1} more like it in this array" if count > 1 else ""
                if not count:
                    continue
            self.explain(each, path)
        self._more = ""
        if not inner:
            self._add("P206", path, f"{found(failure.value)} fits more than one alternative of the schema")

    def _wrong_shape(self, path: Path, alternatives: list[Any], value: Any) -> bool:
        """Report an array whose shape is none of those accepted, as one fact; False for another fault."""
        shape = _shape(value)
        accepted = [a for a in map(self._accepted_shape, alternatives) if a]
        if not shape or not accepted or shape in accepted:
            return False
        wanted = [f"{a[0]} values" if len(a) == 1 else " x ".join(map(str, a)) for a in accepted]
        noun = self._noun(path)
        each = f", one for each {noun}" if noun and len(accepted) == 1 else ""
        given = " x ".join(map(str, shape))
        self._add("P202", path, f"expected {_any_of(wanted)}{each}; found {given}")
        return True

    def _accepted_shape(self, alternative: Any) -> tuple[int, ...]:
        """Return the one shape of arrays that an alternative accepts; empty if there is no such."""
        for schema in self.schema.branches([alternative]):
            least, most = schema.get("minItems"), schema.get("maxItems")
            if schema.get("type") == "array" and least is not None and least == most:
                return (int(least), *self._accepted_shape(schema.get("items", True)))
        return ()

    def _meant(self, alternatives: list[Any], value: Any) -> Any:
        """Return the alternative of the value's own type, for arrays of the same depth."""
        fitting = [a for a in alternatives if _type_of(value) & self._accepted(a).keys()]
        if isinstance(value, list) and len(fitting) > 1:
            nested = any(isinstance(v, list) for v in value)
            deep = [a for a in fitting if ("array" in self._accepted(a.get("items", {}))) == nested]
            fitting = deep or fitting
        return fitting[0] if fitting else None

    def _accepted(self, alternative: Any) -> dict[str, None]:
        """Return the JSON types that an alternative accepts, in its order."""
        types: dict[str, None] = {}
        for schema in self.schema.branches([alternative]):
            named = schema.get("type", ())
            types |= dict.fromkeys([named] if isinstance(named, str) else named)
        return types


def _shape(value: Any) -> tuple[int, ...]:
    """Return the shape of a regular array; empty for anything else."""
    if not isinstance(value, list):
        return ()
    if list not in set(map(type, value)):
        return (len(value),)
    shapes = {_shape(v) for v in value}
    (inner,) = shapes if len(shapes) == 1 else ((),)
    return (len(value), *inner) if inner else ()


def _any_of(things: Iterable[str]) -> str:
    """Join as a sentence does: ``a, b or c``."""
    *most, last = [*things] or [""]
    return f"{', '.join(most)} or {last}" if most else last


def _unknown_fact(owner: list[str], name: str) -> tuple[str, str]:
    """Return the rule and the words for an unknown name below ``owner``."""
    match owner:
        case []:
            return "P101", f"unknown section {name}"
        case ["constants"]:
            return "P105", f"unknown constant {name}"
        case ["populations" | "projections" as section]:
            noun, rule = _OWNERS[section]
            return rule, f"unknown {noun} {name}"
        case ["populations" | "projections" as section, member]:
            return "P104", f"{_OWNERS[section][0]} {quoted(member)} has no parameter {name}"
        case _:
            return "P107", f"unknown name {name}"


_EXPLAINED: Mapping[str, Callable[[Explainer, Path, Failure], None]] = {
    "": Explainer._false,
    "additionalProperties": Explainer._extra,
    "required": Explainer._missing,
    "type": Explainer._type,
    **dict.fromkeys(("oneOf", "anyOf"), Explainer._alternatives),
    **dict.fromkeys(("minItems", "maxItems"), Explainer._length),
    **dict.fromkeys(_BOUNDS, Explainer._bound),
    **dict.fromkeys(("const", "enum"), Explainer._allowed),
}
"""What explains the failure of each keyword."""


def _type_of(value: object) -> set[str]:
    """Return the names that JSON Schema has for the type of a value."""
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int | float):
        return {"number", "integer"}
    names: Mapping[type, str] = {str: "string", list: "array", dict: "object"}
    return {names.get(type(value), "null")}
