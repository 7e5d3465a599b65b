"""A parameter file: bytes to values with positions, in whichever notation."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ann_ckpt.errors import OptionError
from ann_ckpt.params.findings import Finding
from ann_ckpt.params.text.decode import LARGEST, decode
from ann_ckpt.params.text.document import Document, Problems
from ann_ckpt.params.text.json import read_json
from ann_ckpt.params.text.source import Place, SourceText
from ann_ckpt.params.text.xml import read_xml
from ann_ckpt.params.text.yaml import read_yaml
from ann_ckpt.paths import local_path

__all__ = ["NOTATIONS", "ParameterFile", "load", "parse", "read_bounded"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


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
        """The schema that the file names for itself under ``$schema``."""
        named = self.data.get("$schema")
        return named if isinstance(named, str) else None

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
        if self.document is None:
            return Place(1, 1, 2)
        return self.source.place(*self.document.span_of(path, key=key))


def load(path: str | os.PathLike[str]) -> ParameterFile:
    """Read a parameter file: JSON, YAML (``.yaml``, ``.yml``) or ANNarchy's old XML.

    What is wrong with the text becomes ``findings`` of the result and is not raised.

    Raises
    ------
    OSError
        If the file is missing, cannot be read or is no regular file.
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


def read_bounded(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a regular file, at most one more than :func:`parse` takes."""
    path = local_path(path)
    # A pipe or a device would block, or never end.
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise OSError(None, "not a regular file", os.fspath(path))
    with Path(path).open("rb") as file:
        return file.read(LARGEST + 1)


def _notation_of(path: str, text: str) -> str:
    """Tell the notation: nothing but XML begins with an angle bracket; else the suffix says."""
    if text.lstrip().startswith("<"):
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
