"""A parameter file: bytes to values with positions, in whichever notation."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ann_ckpt.arguments import check_flags
from ann_ckpt.errors import FileMissingError, NotReadableError, OptionError, WrongTypeError, printable
from ann_ckpt.params.findings import Finding, quoted
from ann_ckpt.params.text.document import LARGEST, Document, Members, Place, Problems, SourceText, decode
from ann_ckpt.params.text.document import Path as Path_
from ann_ckpt.params.text.json import read_json
from ann_ckpt.params.text.xml import read_xml
from ann_ckpt.params.text.yaml import read_yaml
from ann_ckpt.paths import local_path

__all__ = [
    "NOTATIONS",
    "ParameterFile",
    "from_object",
    "load",
    "parse",
    "read_bounded",
]

# The comment in which the YAML language server, and so VS Code, is told the schema of a file.
_MODELINE = re.compile(r"^[ \t]*#[ \t]*yaml-language-server:[ \t]*\$schema=(\S+)", re.MULTILINE)
_METASCHEMAS = ("http://json-schema.org/", "https://json-schema.org/")

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_SHOWN = 10


@dataclass(frozen=True, slots=True, eq=False)
class ParameterFile:
    """A parameter file as it was read: its values, where they stand, and what is wrong so far.

    Whether the values fit a network is not said here; see :func:`ann_ckpt.params.validate`.
    """

    source: SourceText
    document: Document | None
    """None where the text is not well formed or holds no object."""
    problems: Problems = field(default_factory=Problems)
    """What was wrong with the text itself, by offsets."""
    prefix: Path_ = ()
    """Names under which the parameters stand in the file; see :meth:`at`."""
    whole: Document | None = None
    """All of the file, where ``document`` is a part of it; see :meth:`at`."""

    @property
    def path(self) -> str:
        """The file, as it was named."""
        return self.source.path

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was wrong with the text itself, in the order of the file."""
        return self.problems.findings(self.source)

    @property
    def data(self) -> Mapping[str, Any]:
        """Everything in the file; empty where nothing could be read."""
        return _NOTHING if self.document is None else self.document.value

    @property
    def schema(self) -> str | None:
        """The schema that the file names: under ``$schema``, or for YAML in its modeline."""
        named = self.data.get("$schema")
        if isinstance(named, str):
            return named
        modeline = _MODELINE.search(self.source.text)
        return None if modeline is None else modeline[1]

    @property
    def schema_place(self) -> Place:
        """Where the file names its schema."""
        modeline = _MODELINE.search(self.source.text)
        if isinstance(self.data.get("$schema"), str) or modeline is None:
            return self.place("$schema")
        return self.source.place(*modeline.span(1))

    @property
    def is_schema(self) -> bool:
        """Whether the file is a JSON Schema instead of a parameter file."""
        return (self.schema or "").startswith(_METASCHEMAS)

    def at(self, keys: str) -> ParameterFile:
        """Return the part of a composed configuration that holds the parameters.

        Parameters
        ----------
        keys : str
            Names from the top, with points between them.

        Raises
        ------
        OptionError
            If there is no object at that place.
        """
        if self.document is None:
            return self
        value, mark, path = self.document.value, self.document.mark, tuple(keys.split("."))
        span = self.document.span_of(path)
        for depth, key in enumerate(path):
            if not isinstance(value.get(key), dict):
                names = [".".join((*path[:depth], name)) for name in value]
                more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
                raise OptionError(
                    f"the file has no object {quoted(keys)}",
                    details={"there": ", ".join(quoted(n) for n in names[:_SHOWN]) + more or "nothing"},
                    where=self.path,
                )
            assert isinstance(mark, Members)  # noqa: S101 - as the value is a dict
            value, mark = value[key], mark[key].mark
        whole = self.whole or self.document
        return replace(self, document=Document(value, span, mark), prefix=self.prefix + path, whole=whole)

    def section(self, name: str) -> Mapping[str, Any]:
        """Return one section; empty if it is missing or no object."""
        section = self.data.get(name)
        return section if isinstance(section, dict) else _NOTHING

    def place(self, *path: str | int, key: bool = False) -> Place:
        r"""Return the line and columns of a value, or with ``key`` of its name.

        Examples
        --------
        >>> file = parse('{"network": {\n  "seed": 7}}')
        >>> file.place("network", "seed"), file.place("network", "seed", key=True).column
        (Place(line=2, column=11, end_column=12), 3)
        """
        check_flags(key=key)
        if self.document is None:
            return Place(1, 1, 2)
        return self.source.place(*self.document.span_of(path, key=key))


def load(path: str | os.PathLike[str]) -> ParameterFile:
    """Read a parameter file: JSON, YAML (``.yaml``, ``.yml``) or ANNarchy's old XML.

    What is wrong with the text becomes ``findings`` of the result and is not raised.

    Raises
    ------
    FileMissingError, NotReadableError
        If the file is missing, cannot be read or is not a regular file; also an :class:`OSError`.
    MissingExtraError
        If it is YAML and PyYAML is not installed.
    """
    return parse(read_bounded(path), path=os.fspath(path))


def parse(
    content: str | bytes, *, path: str | os.PathLike[str] = "<text>", notation: str | None = None
) -> ParameterFile:
    """Read the content of a parameter file that is in memory already.

    Parameters
    ----------
    content : str or bytes
        Bytes are taken as UTF-8; more than 32 MiB are refused.
    path : str or path-like
        Name of the file in findings, whose suffix tells the notation.
    notation : {"json", "yaml", "xml"}, optional
        Notation, if neither suffix nor content tells.
    """
    name = os.fspath(path)
    if not isinstance(content, str | bytes | bytearray):
        raise WrongTypeError(
            f"the content is a {type(content).__name__}", details={"expected": "a text (str) or bytes"}
        )
    if notation is not None and notation not in NOTATIONS:
        raise OptionError(f"notation is {notation!r}", details={"expected": ", ".join(NOTATIONS)})
    raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    problems = Problems()
    source, readable = decode(raw, name, problems)
    document = None
    if readable:
        document = NOTATIONS[notation or _notation_of(name, source.text)](source, problems)
    if document is not None and not isinstance(document.value, dict):
        if isinstance(document.value, list) or not problems.found:
            kind = "a list" if isinstance(document.value, list) else "a single value"
            problems.add("P011", document.span, f"expected an object with sections at the top, found {kind}")
        document = None
    return ParameterFile(source, document, problems)


def from_object(given: Any, *, path: str = "<object>") -> ParameterFile:
    """Take parameters from an object in memory: a mapping, or an OmegaConf configuration.

    It is checked like a file that says the same. Findings name the place by its JSON
    pointer, and by line where the object knows its lines, as those of ruamel.yaml do.

    Parameters
    ----------
    given : mapping
        With the sections of a parameter file; numpy arrays and numbers count as lists
        and numbers. OmegaConf's interpolations are resolved.
    path : str
        What findings call it.
    """
    content, fault = given, ""
    if type(given).__module__.partition(".")[0] == "omegaconf":
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        try:
            content = OmegaConf.to_container(given, resolve=True)
        except OmegaConfBaseException as error:
            content, fault = {}, str(error).partition("\n")[0]
    try:
        text = json.dumps(content, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        text, fault = "{}", str(error)
    read = parse(text, path=path, notation="json")
    if fault:
        read.problems.add("P001", (0, 1), f"the object cannot be read: {printable(fault, 200)}")
    return replace(read, source=replace(read.source, origin=given))


def _plain(value: Any) -> Any:
    """Return what JSON has for a value of numpy, or a mapping of another kind."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is not a plain value")


def read_bounded(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a regular file, at most one more than :func:`parse` takes."""
    path = local_path(path)
    # A pipe or a device would block, or never end.
    try:
        if stat.S_ISREG(Path(path).stat().st_mode):
            with Path(path).open("rb") as file:
                return file.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise FileMissingError("no such file", where=path) from error
    except (OSError, ValueError) as error:  # a name that no file can have is a ValueError
        raise NotReadableError(getattr(error, "strerror", None) or str(error), where=path) from error
    raise NotReadableError("not a regular file", where=path)


def _notation_of(path: str, text: str) -> str:
    """Tell the notation: XML begins with an angle bracket, a merge conflict with more; or the suffix says."""
    if text.lstrip().startswith("<") and not text.lstrip().startswith("<<"):
        return "xml"
    return "yaml" if Path(path).suffix.lower() in {".yaml", ".yml"} else "json"


Reader = Callable[[SourceText, Problems], Document | None]

NOTATIONS: Mapping[str, Reader] = MappingProxyType(
    {
        "json": lambda source, problems: read_json(source.text, problems),
        "yaml": lambda source, problems: read_yaml(source.text, problems),
        "xml": read_xml,
    }
)
"""The reader of each notation."""
