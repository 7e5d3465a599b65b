"""Checking many files, each against the schema that applies to it.

What cannot be read becomes a finding like everything else, so that a report is complete
whatever happens.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ann_ckpt.errors import CheckpointError, MissingExtraError, SchemaUnusableError, printable
from ann_ckpt.params.checking.checker import MOST_FINDINGS, Checked, Checker
from ann_ckpt.params.file import ParameterFile, load
from ann_ckpt.params.findings import RULES, Finding, quoted
from ann_ckpt.params.schema.generate import GENERAL_ID, GENERAL_SCHEMA
from ann_ckpt.params.schema.schema import Schema

__all__ = ["Checkers", "expanded", "unreadable", "unusable_checkpoint"]


def expanded(patterns: Iterable[str]) -> Iterator[str]:
    """Yield the files that names and globs stand for; what matches nothing stays as it is."""
    for pattern in patterns:
        # Path.glob takes no absolute pattern.
        found = [] if Path(pattern).exists() else glob.glob(pattern, recursive=True)  # noqa: PTH207
        yield from sorted(found) or [pattern]


def unreadable(path: str, error: OSError | MissingExtraError) -> Checked:
    """Return the finding that a file is missing or cannot be read."""
    if isinstance(error, CheckpointError):
        reason = error.fact
    else:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
    return _about("P601", path, reason)


def unusable_checkpoint(path: str, error: CheckpointError) -> Checked:
    """Return the finding that a checkpoint cannot be used."""
    return _about("P502", path, error.fact)


def _about(rule: str, path: str, reason: str) -> Checked:
    """Return one finding about a whole file."""
    finding = Finding(rule, RULES[rule].severity, path, "", 1, 1, 2, printable(reason, 400))
    return Checked(path, (finding,))


class Checkers:
    """Finds the schema of each file and checks the file against it.

    Parameters
    ----------
    schema : Schema, optional
        For all files. Without it a file is checked against the schema that it names
        under ``$schema``, a path seen from the file; or against the general form.
    engine : str
        See :data:`ann_ckpt.params.schema.engine.ENGINES`.
    global_only : bool
        Whether a parameter with one value per neuron, dendrite or synapse is a finding.
    limit : int
        How many findings to keep for each file.
    """

    def __init__(
        self,
        schema: Schema | None = None,
        *,
        engine: str = "auto",
        global_only: bool = False,
        limit: int = MOST_FINDINGS,
    ) -> None:
        self._engine = engine
        self._global_only = global_only
        self._limit = limit
        self._general = Checker(schema or Schema.trusted(GENERAL_SCHEMA), engine=engine)
        self._given = schema is not None
        self._named: dict[Path, Checker | str] = {}
        """By path: a checker, or why there is none."""

    def check_path(self, path: str) -> Checked:
        """Check one file by name; one that cannot be read is a finding."""
        try:
            file = load(path)
        except (OSError, MissingExtraError) as error:
            return unreadable(path, error)
        return self.check(file)

    def check(self, file: ParameterFile) -> Checked:
        """Check one file that was read."""
        checker = self._checker_for(file)
        if isinstance(checker, Checker):
            return checker.check(file, global_only=self._global_only, limit=self._limit)
        # Against the general form there is still much to say.
        checked = self._general.check(file, global_only=self._global_only, limit=self._limit)
        finding = self._about_schema(file, checker)
        findings = sorted((finding, *checked.findings), key=lambda f: (f.line, f.column))
        return Checked(checked.path, tuple(findings), checked.source, checked.dropped)

    def _about_schema(self, file: ParameterFile, reason: str) -> Finding:
        at = file.place("$schema")
        return Finding(
            "P501",
            RULES["P501"].severity,
            file.path,
            "/$schema",
            at.line,
            at.column,
            at.end_column,
            f"the schema {quoted(file.schema, 80)} cannot be used: {reason}",
        )

    def _checker_for(self, file: ParameterFile) -> Checker | str:
        """Return what checks ``file``, or why its schema cannot be used."""
        named = file.schema
        if self._given or named is None or named == GENERAL_ID:
            return self._general
        if urlsplit(named).scheme or named.startswith("//"):
            return "nothing is fetched; name a file, or pass --schema"
        folder = Path(file.path).parent if Path(file.path).exists() else Path()
        path = Path(os.path.normpath(folder / unquote(named)))
        if path not in self._named:
            self._named[path] = self._load(path)
        return self._named[path]

    def _load(self, path: Path) -> Checker | str:
        try:
            return Checker(Schema.load(path), engine=self._engine)
        except SchemaUnusableError as error:
            return printable(error.details["reason"], 300)
        except OSError as error:
            return "no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        except ValueError as error:  # a name that no file can have
            return printable(error, 200)
