"""Checking many files, each against the schema that applies to it.

What cannot be read becomes a finding like everything else, so that a report is complete
whatever happens.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ann_ckpt.api import open as open_checkpoint
from ann_ckpt.errors import (
    CheckpointError,
    MissingExtraError,
    OptionError,
    SchemaUnusableError,
    printable,
)
from ann_ckpt.params.api import schema_of
from ann_ckpt.params.checking.checker import MOST_FINDINGS, Checked, Checker
from ann_ckpt.params.config import Config, settled
from ann_ckpt.params.file import ParameterFile, load, parse, read_bounded
from ann_ckpt.params.findings import Finding, quoted
from ann_ckpt.params.rules import RULES, Severity
from ann_ckpt.params.schema.generate import GENERAL_ID, GENERAL_SCHEMA
from ann_ckpt.params.schema.schema import Schema
from ann_ckpt.params.text.document import MOST_PROBLEMS, Place
from ann_ckpt.paths import exists

__all__ = [
    "SCHEMA_SUFFIX",
    "STDIN_NAME",
    "Checkers",
    "expanded",
    "unreadable",
    "unusable_checkpoint",
    "users_of",
]

GENERAL_FORM = "the general form only"
SCHEMA_SUFFIX = ".schema.json"
"""How the names of schemas end that ``ann-ckpt params init`` writes."""

STDIN_NAME = "<stdin>"
_NOT_OURS = frozenset(("node_modules", "__pycache__", "build", "dist", "venv"))


def expanded(patterns: Iterable[str]) -> Iterator[str]:
    """Yield the files that names and globs stand for, each once; what matches nothing stays as it is.

    A glob leaves out schemas (``*.schema.json``), which stand beside the files that name them.
    """
    seen: set[str] = set()
    for pattern in patterns:
        # Path.glob takes no absolute pattern.
        found = [] if exists(pattern) else glob.glob(pattern, recursive=True)  # noqa: PTH207
        for path in sorted(f for f in found if not f.endswith(SCHEMA_SUFFIX)) or [pattern]:
            place = os.path.realpath(path)
            if place not in seen or path == "-":
                seen.add(place)
                yield path


def unreadable(path: str, error: OSError | MissingExtraError) -> Checked:
    """Return the finding that a file is missing or cannot be read."""
    if isinstance(error, CheckpointError):
        reason = error.fact
    else:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
    return _about("P601", path, reason)


def unusable_checkpoint(path: str, error: CheckpointError) -> Checked:
    """Return the finding that a checkpoint cannot be used."""
    hint = f"; {error.details['hint']}" if "hint" in error.details else ""
    return _about("P502", path, error.fact + hint)


def _about(rule: str, path: str, reason: str) -> Checked:
    """Return one finding about a whole file."""
    finding = Finding(rule, RULES[rule].severity, path, "", 1, 1, 2, printable(reason, 400))
    return Checked(path, (finding,))


def _part(file: ParameterFile, at: str) -> ParameterFile:
    """Return the part of a file that holds the parameters; where there is none, that is its problem."""
    try:
        return file.at(at)
    except OptionError as error:
        span = (0, 1) if file.document is None else file.document.span_of(tuple(at.split(".")), key=True)
        file.problems.add("P011", span, f"{error.fact}; there is {error.details['there']}")
        return replace(file, document=None)


class Checkers:
    """Finds the schema of each file and checks the file against it.

    Parameters
    ----------
    schema : Schema, optional
        For all files. Without it a file is checked against what the configuration says,
        or the schema that it names, a path seen from the file; or against the general form.
    schema_name : str
        What reports call ``schema``.
    engine : str
        See :data:`ann_ckpt.params.schema.engine.ENGINES`.
    global_only : bool
        Whether a parameter with one value per neuron, dendrite or synapse is a finding.
    require_schema : bool
        Whether a file that is checked against the general form only is an error.
    limit : int
        How many findings to keep for each file.
    config : Config, optional
        The project's settings.
    baseline : frozenset of str
        Fingerprints of the findings to leave out.
    """

    def __init__(
        self,
        schema: Schema | None = None,
        *,
        schema_name: str = "the schema given",
        engine: str = "auto",
        global_only: bool = False,
        require_schema: bool = False,
        limit: int = MOST_FINDINGS,
        config: Config | None = None,
        baseline: frozenset[str] = frozenset(),
    ) -> None:
        self._config = config or Config()
        self._engine = engine
        self._global_only = global_only or self._config.global_only
        self._require_schema = require_schema or self._config.require_schema
        self._limit = limit
        self._baseline = baseline
        self._general = self._checker(Schema.trusted(GENERAL_SCHEMA))
        self._given = None if schema is None else self._checker(schema)
        self._schema_name = schema_name
        self._named: dict[tuple[str, Path], Checker | str] = {}
        """By kind and path: a checker, or why there is none."""

    def _checker(self, schema: Schema) -> Checker:
        return Checker(schema, engine=self._engine, rules=self._config.rules)

    def check_path(self, path: str, *, at: str | None = None) -> Checked:
        """Check one file by name; one that cannot be read is a finding.

        Parameters
        ----------
        at : str, optional
            Where in the file the parameters stand, see :meth:`ParameterFile.at`.
        """
        try:
            file = load(path)
        except (OSError, MissingExtraError) as error:
            return unreadable(path, error)
        return self.check(file, at=at)

    def check(self, file: ParameterFile, *, at: str | None = None) -> Checked:
        """Check one file that was read; one that has nothing at ``at`` is a finding."""
        if at is not None:
            file = _part(file, at)
        checker, name, about = self._checker_for(file)
        checked = checker.check(file, global_only=self._global_only, limit=MOST_PROBLEMS)
        if file.is_schema:
            name = ""  # nothing was checked against it
        elif about is not None:
            # Against the general form there is still much to say.
            findings = sorted((about, *checked.findings), key=lambda f: (f.line, f.column))
            checked = replace(checked, findings=tuple(findings))
        checked = settled(replace(checked, schema=name), file, self._config, self._baseline)
        return checked.limited(self._limit)  # of what is left: what is passed over keeps nothing out

    def _checker_for(self, file: ParameterFile) -> tuple[Checker, str, Finding | None]:
        """Return what checks ``file``, what to call it, and what is wrong with the schema, if anything."""
        if self._given is not None:
            return self._given, self._schema_name, None
        some = self._config.set_for(file.path) if file.path != STDIN_NAME else None
        if some is not None and (some.schema or some.checkpoint):
            kind = "schema" if some.schema else "checkpoint"
            shown = self._config.within(some.schema or some.checkpoint or "")
            return self._settle(file, self._loaded(kind, Path(shown)), shown)
        named = file.schema
        if named is None or named == GENERAL_ID:
            return self._general, GENERAL_FORM, self._about_general(file, named)
        try:
            fetched = urlsplit(named).scheme or named.startswith("//")
        except ValueError as error:  # an address that is none
            return self._settle(file, str(error), named)
        if fetched:
            return self._settle(file, "nothing is fetched; name a file, or pass --schema", named)
        folder = Path(file.path).parent if exists(file.path) else Path()
        path = Path(os.path.normpath(folder / unquote(named)))
        return self._settle(file, self._loaded("schema", path), str(path))

    def _settle(
        self, file: ParameterFile, found: Checker | str, name: str
    ) -> tuple[Checker, str, Finding | None]:
        if isinstance(found, Checker):
            return found, name, None
        at = file.schema_place
        about = Finding(
            "P501",
            RULES["P501"].severity,
            file.path,
            "/$schema" if file.schema is not None else "",
            at.line,
            at.column,
            at.end_column,
            f"the schema {quoted(file.schema or name, 80)} cannot be used: {found}",
        )
        return self._general, GENERAL_FORM, about

    def _about_general(self, file: ParameterFile, named: str | None) -> Finding | None:
        """Return that a file was checked for its form only; None where it asks for no more."""
        if file.document is None or file.is_schema:
            return None
        # The section network is free in the general form and in a network's schema alike.
        has_names = any(file.section(s) for s in ("populations", "projections", "constants"))
        if not self._require_schema and (named is not None or not has_names):
            return None
        severity = Severity.ERROR if self._require_schema else RULES["P404"].severity
        at = file.schema_place if named is not None else Place(1, 1, 2)
        fact = "general form only: no schema says which names the network has"
        return Finding("P404", severity, file.path, "", at.line, at.column, at.end_column, fact)

    def _loaded(self, kind: str, path: Path) -> Checker | str:
        key = (kind, path)
        if key not in self._named:
            self._named[key] = self._load(kind, path)
        return self._named[key]

    def _load(self, kind: str, path: Path) -> Checker | str:
        try:
            if kind == "schema":
                return self._checker(Schema.load(path))
            with open_checkpoint(path) as opened:
                return self._checker(schema_of(opened))
        except SchemaUnusableError as error:
            return printable(error.details["reason"], 300)
        except CheckpointError as error:
            return printable(error.fact, 300)
        except OSError as error:
            return "no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        except ValueError as error:  # a name that no file can have
            return printable(error, 200)


def users_of(schemas: Iterable[str], folder: str = ".") -> Iterator[str]:
    """Yield the parameter files below a folder that name one of some schemas, sorted.

    Hidden folders and those of other tools are passed over.
    """
    wanted = {os.path.realpath(s) for s in schemas}
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in _NOT_OURS)
        for name in sorted(files):
            path = os.path.normpath(os.path.join(where, name))  # noqa: PTH118 - as os.walk gives it
            if Path(name).suffix.lower() not in {".json", ".yaml", ".yml"}:
                continue
            try:
                raw = read_bounded(path)
                named = parse(raw, path=path).schema if b"$schema" in raw else None
                uses = named and os.path.realpath(Path(path).parent / unquote(named)) in wanted
            except (OSError, MissingExtraError, ValueError):  # a name that no file can have
                continue  # nobody asked for this one
            if uses:
                yield path
