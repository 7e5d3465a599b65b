"""Does a file fit? Everything that is said about one file, collected and put in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from ann_ckpt.errors import OptionError, printable
from ann_ckpt.params.checking.explain import Explainer
from ann_ckpt.params.checking.model_rules import ModelRule, broken_rules, rules_of
from ann_ckpt.params.checking.units import in_model_units
from ann_ckpt.params.ctype import SMALLEST, CType, c_type
from ann_ckpt.params.description import SECTIONS
from ann_ckpt.params.file import ParameterFile
from ann_ckpt.params.findings import Finding, quoted
from ann_ckpt.params.rules import Severity
from ann_ckpt.params.schema.engine import Engine
from ann_ckpt.params.schema.schema import MarksReader, Schema
from ann_ckpt.params.text.document import MOST_PROBLEMS, Document, Path, Problems, SourceText

__all__ = [
    "MOST_FINDINGS",
    "Checked",
    "Checker",
]

MOST_FINDINGS = 1000
"""Findings kept for one file unless told otherwise."""

_EVERY = {
    "semiglobal": "one value per dendrite",
    "populations": "one value per neuron",
    "projections": "one value per synapse",
}


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """What was found in one file."""

    path: str
    findings: tuple[Finding, ...]
    """In the order of the file."""
    source: SourceText | None = None
    """The text, to show lines of; None where there was nothing to read."""
    dropped: int = 0
    """Number of findings beyond those that are kept."""
    schema: str = ""
    """What the file was checked against, in words or as a path; empty if it was not said."""
    suppressed: int = 0
    """How many findings were left out because somebody asked for that."""
    document: Document | None = None
    """The content with all quantities in the units of the model; None if it could not be read."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep a file from being applied."""
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)

    @property
    def exit_status(self) -> int:
        """Exit status that the findings ask for."""
        return max((f.exit_status for f in self.findings), default=0)

    def limited(self, limit: int) -> Checked:
        """Return it with so many findings at most: errors before warnings, in the order of the file."""
        urgent = sorted(
            range(len(self.findings)), key=lambda i: self.findings[i].severity is not Severity.ERROR
        )
        kept = tuple(self.findings[i] for i in sorted(urgent[:limit]))
        return replace(self, findings=kept, dropped=self.dropped + len(self.findings) - len(kept))


class Checker:
    """Checks files against one schema.

    Parameters
    ----------
    schema : Schema
        Of the network, or the general one.
    engine : str
        See :data:`ann_ckpt.params.schema.engine.ENGINES`.
    rules : sequence of ModelRule
        Rules between values, besides those of the schema.
    """

    def __init__(self, schema: Schema, *, engine: str = "auto", rules: Sequence[ModelRule] = ()) -> None:
        self._schema = schema
        self._engine = Engine(schema, engine)
        self._rules, self._rule_fault = list(rules), ""
        try:
            self._rules += rules_of(schema)
        except OptionError as error:
            self._rule_fault = printable(f"{error.fact}: {error.details.get('reason', '')}".rstrip(": "), 300)

    def check(self, file: ParameterFile, *, global_only: bool = False, limit: int = MOST_FINDINGS) -> Checked:
        """Return everything that is wrong with a file.

        Parameters
        ----------
        file : ParameterFile
            As it was read; what the reader found is among the findings.
        global_only : bool
            Whether a parameter with one value per neuron, dendrite or synapse is a finding.
        limit : int
            How many findings to keep; the rest is counted.
        """
        problems = Problems(prefix=file.prefix)
        problems.found.extend(file.problems.found)
        problems.dropped = file.problems.dropped
        document = file.document
        if file.is_schema:
            problems.found.clear()
            problems.add("P016", (0, 1), "a JSON Schema, not a parameter file")
        elif document is not None:
            document = in_model_units(document, self._schema, problems)
            self._check(document, problems, global_only=global_only)
            if self._rule_fault:
                problems.add("P503", (0, 1), self._rule_fault)
            broken_rules(self._rules, document, self._schema, file.source, problems)
        found = problems.findings(file.source)
        return Checked(file.path, found, file.source, problems.dropped, document=document).limited(limit)

    def _check(self, document: Document, problems: Problems, *, global_only: bool) -> None:
        explainer = Explainer(document, self._schema, self._engine, problems)
        for failure in islice(self._engine.failures(document.value), MOST_PROBLEMS):
            explainer.explain(failure)
        known = {p.start for p in problems.found}
        for rule, path, key, message in _marked(document, self._schema, global_only=global_only):
            span = document.span_of(path, key=key)
            if span[0] not in known:
                problems.add(rule, span, message, path=path)


_Noted = tuple[str, Path, bool, str]
"""Rule, path, whether it is about the name there, message."""


def _marked(document: Document, schema: Schema, *, global_only: bool) -> Iterator[_Noted]:
    """Yield what the schema's ``x-ann`` notes refuse: localities and ranges of C types."""
    variables, marks_of = schema.variables(), MarksReader(schema)
    unknown = schema.marks(schema.at(("constants",))).get("names") == "unknown"
    if unknown and document.value.get("constants"):
        fact = "names are not checked: the old file that this network comes from kept no constants"
        yield "P405", ("constants",), True, fact
    for owner, values in _owners(document.value):
        # A schema is looked up for the few values that it can say something about.
        doubtful = [(n, v) for n, v in values.items() if global_only or n in variables or not _harmless(v)]
        if not doubtful:
            continue
        above = marks_of.owner(owner)
        for name, value in doubtful:
            path = (*owner, name)
            marks = marks_of.member(above, name)
            if marks.get("role") == "variable":
                yield "P403", path, True, f"{quoted(name)} is a variable, which no parameter file sets"
            if global_only and owner[0] in SECTIONS:
                yield from _locality(path, value, marks)
            ctype = c_type(str(marks.get("ctype", "")))
            # A double holds whatever float the reader let through.
            if ctype is not None and not (ctype.name == "double" and type(value) is float):
                yield from _range(path, value, ctype)


def _owners(data: Any) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield every object that holds parameters or constants; what has another form is skipped."""
    for section in SECTIONS:
        members = data.get(section)
        if isinstance(members, dict):
            yield from (((section, n), values) for n, values in members.items() if isinstance(values, dict))
    if isinstance(data.get("constants"), dict):
        yield ("constants",), data["constants"]


def _locality(path: Path, value: Any, marks: dict[str, Any]) -> Iterator[_Noted]:
    locality = str(marks.get("locality", "local" if isinstance(value, list) else "global"))
    if locality != "global":
        every = _EVERY.get(locality) or _EVERY[str(path[0])]
        yield "P301", path, True, f"{quoted(path[-1])} has {every}; only global parameters are loaded here"


def _harmless(value: Any) -> bool:
    """Whether a value fits any C type there is, so that its own need not be looked up."""
    return isinstance(value, bool) or (
        isinstance(value, int | float) and (SMALLEST <= value <= 127 or value == 0)
    )


def _range(path: Path, value: Any, ctype: CType) -> Iterator[_Noted]:
    if isinstance(value, list):
        yield from _ranges(path, value, ctype)
    elif isinstance(value, int | float) and not isinstance(value, bool) and ctype.json != "boolean":
        shown = printable(value, 40)
        if not ctype.holds(value):
            yield "P203", path, False, f"{shown} is beyond the range of the C type {ctype.name}"
        elif ctype.changes(value):
            yield "P401", path, False, f"{shown} has more digits than the C type {ctype.name} keeps"
        elif ctype.vanishes(value):
            yield "P401", path, False, f"{shown} is too small for the C type {ctype.name} and is set as 0"


def _ranges(path: Path, values: list[Any], ctype: CType) -> Iterator[_Noted]:
    """Yield what an array has beyond the range: of each rule the first, which counts the others."""
    kinds = set(map(type, values))
    if kinds <= {int, float} and (not values or _all_fit(values, kinds, ctype)):
        return
    first: dict[str, _Noted] = {}
    alike: Counter[str] = Counter()
    for index, item in enumerate(values):
        for noted in _range((*path, index), item, ctype):
            first.setdefault(noted[0], noted)
            alike[noted[0]] += 1
    for rule, noted_path, key, message in first.values():
        more = f"; {alike[rule] - 1} more like it in this array" if alike[rule] > 1 else ""
        yield rule, noted_path, key, message + more


def _all_fit(values: list[Any], kinds: set[type], ctype: CType) -> bool:
    """Whether numbers fit throughout, told by the smallest and largest; False may mean that they do."""
    least, most = min(values), max(values)
    exact = int not in kinds or -ctype.exact <= least <= most <= ctype.exact
    seen = ctype.name != "float" or not any(map(ctype.vanishes, values))
    return exact and seen and ctype.holds(least) and ctype.holds(most)
