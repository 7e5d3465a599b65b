"""What a project asks of its parameter files: ``[tool.ann-ckpt]`` in pyproject.toml, or ann-ckpt.toml.

Which files, against what, how much each rule weighs, which findings are left out. Nothing
named in a configuration is ever run.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ann_ckpt.errors import OptionError, printable
from ann_ckpt.params.checking.checker import Checked
from ann_ckpt.params.checking.model_rules import ModelRule
from ann_ckpt.params.file import ParameterFile, read_bounded
from ann_ckpt.params.findings import Finding, pointer
from ann_ckpt.params.reports.common import fingerprinted, relative
from ann_ckpt.params.rules import RULES, Severity
from ann_ckpt.params.schema.generate import IGNORE
from ann_ckpt.params.text.document import SourceText
from ann_ckpt.paths import exists, is_file

__all__ = [
    "Config",
    "FileSet",
    "dump_baseline",
    "find_config",
    "load_baseline",
    "load_config",
    "may_be_ignored",
    "settled",
]

_OWN, _SHARED = "ann-ckpt.toml", "pyproject.toml"
_OFF = "off"
_TARGETS = ("schema", "checkpoint")
_ANY = ("*",)
"""Globs of a set that names no files: it holds for whatever is checked, and asks for nothing to be."""

_COMMENT = re.compile(r"#[ \t]*ann-ckpt:[ \t]*ignore(-file)?(?:\[([^\]\n]{0,200})\])?[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FileSet:
    """Some files, and what they have to fit."""

    files: tuple[str, ...]
    """Globs, seen from the folder of the configuration; ``*`` matches slashes too."""
    schema: str | None = None
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one project. Without a file, those that nobody changed."""

    path: Path | None = None
    """The file that they stand in."""
    sets: tuple[FileSet, ...] = ()
    """In order; the first that names a file decides what the file has to fit."""
    severity: Mapping[str, str] = field(default_factory=dict)
    """Of rules that weigh otherwise than usual: ``error``, ``warning`` or ``off``."""
    baseline: str | None = None
    strict: bool = False
    """Whether warnings count as errors."""
    require_schema: bool = False
    global_only: bool = False
    rules: tuple[ModelRule, ...] = ()

    @property
    def folder(self) -> Path:
        """What paths in the configuration are seen from."""
        return Path() if self.path is None else self.path.parent

    def within(self, path: str) -> str:
        """Return a path of the configuration as seen from the working directory."""
        return os.path.relpath(self.folder / path)

    @property
    def files(self) -> list[str]:
        """Every glob of every set, as seen from the working directory."""
        return [self.within(glob) for some in self.sets if some.files != _ANY for glob in some.files]

    def set_for(self, path: str) -> FileSet | None:
        """Return the set that a file belongs to."""
        seen = os.path.relpath(path, self.folder).replace(os.sep, "/")
        for some in self.sets:
            globs = (os.path.normpath(glob).replace(os.sep, "/") for glob in some.files)
            if any(fnmatchcase(seen, one) for glob in globs for one in _without_stars(glob)):
                return some
        return None


def _without_stars(glob: str) -> Iterator[str]:
    """Yield a glob with ``**/`` read as no folder, and as some."""
    before, stars, behind = glob.partition("**/")
    if not stars:
        yield glob
        return
    for rest in _without_stars(behind):
        yield before + rest
        yield f"{before}*/{rest}"


def find_config(start: str | os.PathLike[str] = ".") -> Path | None:
    """Return the configuration of a folder: its own, or that of the nearest folder above.

    The search ends at the top of a git repository.
    """
    here = Path(start).absolute()
    for folder in (here, *here.parents):
        if is_file(folder / _OWN):
            return folder / _OWN
        if is_file(folder / _SHARED) and _table(folder / _SHARED) is not None:
            return folder / _SHARED
        if exists(folder / ".git"):
            break
    return None


def load_config(path: str | os.PathLike[str]) -> Config:
    """Read a configuration.

    Raises
    ------
    OptionError
        If it is no TOML, or has a key or value that is not known.
    OSError
        If it cannot be read.
    """
    table = _table(Path(path))
    if table is None:
        raise OptionError("there is no table [tool.ann-ckpt]", where=os.fspath(path))
    try:
        return _config(Path(path), table)
    except OptionError as error:
        raise OptionError(error.fact, details=error.details, where=os.fspath(path)) from None


def _table(path: Path) -> dict[str, Any] | None:
    try:
        content = tomllib.loads(read_bounded(path).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        if path.name == _SHARED and b"ann-ckpt" not in read_bounded(path):
            return None  # not ours, so not for us to complain
        raise OptionError(
            "the configuration is not well formed", details={"reason": str(error)}, where=os.fspath(path)
        ) from None
    if path.name == _OWN:
        return content
    tool = content.get("tool")
    table = tool.get("ann-ckpt") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise OptionError(
            "tool.ann-ckpt is not one table", details={"expected": "[tool.ann-ckpt]"}, where=os.fspath(path)
        )
    return table


_KINDS: Mapping[str, tuple[type, str]] = {
    "files": (list, "a list of globs"),
    "schema": (str, "a path"),
    "checkpoint": (str, "a path"),
    "sets": (list, "a list of tables"),
    "severity": (dict, "a table of rules"),
    "ignore": (list, "a list of rules"),
    "baseline": (str, "a path"),
    "strict": (bool, "true or false"),
    "require-schema": (bool, "true or false"),
    "global-only": (bool, "true or false"),
    "rules": (list, "a list of rules"),
}


def _config(path: Path, table: dict[str, Any]) -> Config:
    _check_keys(table, _KINDS)
    severity: dict[str, str] = {}
    for name, given in table.get("severity", {}).items():
        if not isinstance(given, str) or given not in {*Severity, _OFF}:
            raise OptionError(
                f"the severity of {printable(name, 40)} is {printable(given, 40)!r}",
                details={"expected": "error, warning or off"},
            )
        severity[_rule(name)] = given
    severity |= {_rule(name): _OFF for name in table.get("ignore", [])}
    for rule, given in severity.items():
        if given != Severity.ERROR and not may_be_ignored(rule):
            raise OptionError(
                f"{rule} is always an error",
                details={"reason": "without it, nothing of the file or network would have been checked"},
            )
    sets = [_set(one) for one in table.get("sets", [])]
    if any(key in table for key in ("files", *_TARGETS)):
        sets.append(
            _set({"files": table.get("files", list(_ANY))} | {k: table[k] for k in _TARGETS if k in table})
        )
    return Config(
        path,
        tuple(sets),
        severity,
        table.get("baseline"),
        table.get("strict", False),
        table.get("require-schema", False),
        table.get("global-only", False),
        tuple(ModelRule.of(rule) for rule in table.get("rules", [])),
    )


def _check_keys(table: Mapping[str, Any], known: Mapping[str, tuple[type, str]]) -> None:
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise OptionError(
                f"unknown key {printable(key, 40)!r}{hint}", details={"known": ", ".join(known)}
            )
        kind, expected = known[key]
        if not isinstance(value, kind):
            raise OptionError(f"{key} is {printable(value, 40)}", details={"expected": expected})


def _set(table: Any) -> FileSet:
    if not isinstance(table, dict):
        raise OptionError(
            "an entry of sets is not a table", details={"expected": "files, and schema or checkpoint"}
        )
    _check_keys(table, {k: _KINDS[k] for k in ("files", *_TARGETS)})
    files = table.get("files", [])
    if not files or not all(isinstance(f, str) for f in files):
        raise OptionError("files is not a list of globs", details={"found": printable(files, 80)})
    if len(table.keys() & set(_TARGETS)) > 1:
        raise OptionError("a set has both a schema and a checkpoint", details={"expected": "one of them"})
    return FileSet(tuple(files), table.get("schema"), table.get("checkpoint"))


def _rule(given: Any) -> str:
    """Return the id of a rule that is named by its id or name."""
    for rule in RULES.values():
        if given in (rule.id, rule.name):
            return rule.id
    raise OptionError(
        f"there is no rule {printable(given, 40)!r}", details={"list": "ann-ckpt params explain"}
    )


def may_be_ignored(rule: str) -> bool:
    """Whether a file with a finding of this rule has been checked all the same."""
    return rule[1] in "1234" and rule in RULES


# --- what becomes of findings ---


def settled(
    checked: Checked, file: ParameterFile | None, config: Config, baseline: frozenset[str] = frozenset()
) -> Checked:
    """Return what a project makes of the findings of one file.

    Left out are those of rules that are off, those that the file itself says to leave
    out, and those of the baseline.
    """
    kept: list[Finding] = []
    in_file = _Ignored(file)
    for finding, digest in fingerprinted(checked.findings):
        severity = config.severity.get(finding.rule, str(finding.severity))
        if (
            digest in baseline
            or severity == _OFF
            or (may_be_ignored(finding.rule) and in_file.covers(finding))
        ):
            continue
        if config.strict:
            severity = Severity.ERROR
        kept.append(replace(finding, severity=Severity(severity)))
    suppressed = checked.suppressed + len(checked.findings) - len(kept)
    return replace(checked, findings=tuple(kept), suppressed=suppressed)


class _Ignored:
    """What a file says should be left out: comments in YAML, a key in JSON."""

    def __init__(self, file: ParameterFile | None) -> None:
        self.lines: dict[int, frozenset[str]] = {}
        self.below: dict[str, frozenset[str]] = {}
        if file is None:
            return
        if Path(file.path).suffix.lower() in {".yaml", ".yml"}:
            self._comments(file.source)
        for prefix, document in (((), file.whole), (file.prefix, file.document)):
            noted = {} if document is None else document.value.get(IGNORE)
            if isinstance(noted, list):
                self._add("", _ids(noted))
            elif isinstance(noted, dict):
                for place, ids in noted.items():  # of a part, seen from there as well
                    for seen in {place, pointer(prefix) + place}:
                        self._add(seen, _ids(ids))

    def _add(self, place: str, ids: frozenset[str]) -> None:
        self.below[place] = self.below.get(place, frozenset()) | ids

    def _comments(self, source: SourceText) -> None:
        for comment in _COMMENT.finditer(source.text):
            ids = _ids((comment[2] or "*").split(","))
            if comment[1]:
                self._add("", ids)
            else:
                line = source.place(comment.start()).line
                self.lines[line] = ids

    def covers(self, finding: Finding) -> bool:
        """Whether a finding is to be left out."""
        ids = set(self.lines.get(finding.line, ()))
        for place, some in self.below.items():
            if finding.pointer == place or finding.pointer.startswith(f"{place}/") or not place:
                ids |= some
        return bool(ids & {"*", finding.rule, RULES[finding.rule].name})


def _ids(given: Any) -> frozenset[str]:
    return frozenset(str(i).strip() for i in given) if isinstance(given, list) else frozenset()


def dump_baseline(checked: Iterable[Checked]) -> str:
    """Return the text of a baseline: all findings that there are now."""
    entries = [
        {"rule": f.rule, "path": relative(f.path), "pointer": f.pointer, "fingerprint": digest}
        for file in checked
        for f, digest in fingerprinted(file.findings)
        if may_be_ignored(f.rule)
    ]
    return json.dumps({"format_version": 1, "findings": entries}, indent=1) + "\n"


def load_baseline(path: str | os.PathLike[str]) -> frozenset[str]:
    """Read the findings of a baseline.

    Raises
    ------
    OptionError
        If the file is not a baseline.
    OSError
        If it cannot be read.
    """
    try:
        entries: Sequence[Any] = json.loads(read_bounded(path))["findings"]
        return frozenset(str(entry["fingerprint"]) for entry in entries)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise OptionError(
            "the file is not a baseline", details={"reason": printable(error, 100)}, where=os.fspath(path)
        ) from None
