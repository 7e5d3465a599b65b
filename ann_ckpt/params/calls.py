"""``save_parameters`` and ``load_parameters``, with ANNarchy's signatures.

The same names and the same files, without the traps: nothing is applied before the
whole file has been checked, no value reaches another object than the one named, and
what is saved is what the network has now.
"""

from __future__ import annotations

import json
import math
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from ann_ckpt.arguments import check_flags
from ann_ckpt.errors import CheckpointError, OptionError, printable
from ann_ckpt.params.api import plan_for, schema_of
from ann_ckpt.params.description import (
    FREE,
    SECTIONS,
    NetworkDescription,
    ParameterDescription,
    describe,
    describe_initial,
    live_of,
    state_of,
)
from ann_ckpt.params.file import ParameterFile, load
from ann_ckpt.params.findings import quoted
from ann_ckpt.params.plan import Change, change_live, shown
from ann_ckpt.params.rules import RULES, Severity
from ann_ckpt.params.schema.generate import IGNORE
from ann_ckpt.params.text.document import LARGEST
from ann_ckpt.paths import is_file
from ann_ckpt.texts import check_text_target, not_replaced, text_file

__all__ = [
    "Extract",
    "NotWrittenWarning",
    "dump_parameters",
    "extract",
    "load_parameters",
    "save_parameters",
    "text_for",
]

_HEAD = ("$schema", "format_version", IGNORE)
_NOTHING_LOST = frozenset(("P003", "P004"))
"""Rules about a byte-order mark and an empty file."""
_MOST_VALUES = 1_000_000
"""Values of arrays in one file: more would not be read again."""
_SUFFIXES = frozenset((".yaml", ".yml"))
_BLANK = re.compile(r"\s")
_NOT_ASCII = re.compile(r"[^ -~]")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_PLAIN = frozenset(("y", "yes", "n", "no", "on", "off", "true", "false", "null"))
"""Texts to YAML 1.2, bools and null to YAML 1.1."""


@dataclass(frozen=True, slots=True, eq=False)
class Extract:
    """The content of a parameter file, and what it cannot say."""

    data: dict[str, Any]
    """Sections ``populations``, ``projections``, ``network`` and ``constants``."""
    left_out: tuple[str, ...]
    """Parameters that are NaN or infinite, which JSON has no way to write."""
    arrays: tuple[str, ...] = ()
    """Parameters with a value per neuron, dendrite or synapse that were not asked for."""


def extract(network: NetworkDescription, *, arrays: bool = False) -> Extract:
    """Return the current value of every global parameter and constant.

    Parameters
    ----------
    network : NetworkDescription
        The network; its free values become the section ``network``.
    arrays : bool
        Whether to read and take in parameters with a value per neuron, dendrite or
        synapse, which few people want to edit.

    Raises
    ------
    OptionError
        If the arrays hold more values than a parameter file takes.
    """
    left_out = [f"{FREE}/{name}" for name, value in network.free.items() if not _is_said(value)]
    not_asked: list[str] = []
    room = _MOST_VALUES

    def values(path: str, parameters: Mapping[str, ParameterDescription]) -> dict[str, Any]:
        nonlocal room
        found: dict[str, Any] = {}
        for name, parameter in parameters.items():
            if not parameter.is_global and not arrays:
                not_asked.append(f"{path}/{name}")
                continue
            room -= parameter.size
            if room < 0:
                raise OptionError(
                    "the arrays hold too many values for a parameter file",
                    details={"at most": f"{_MOST_VALUES:,}"},
                    where=f"{path}/{name}",
                )
            value = parameter.current() if parameter.is_global else _array(parameter)
            if value is None:
                left_out.append(f"{path}/{name}")
            else:
                found[name] = value
        return found

    return Extract(
        {
            "populations": {
                n: values(f"populations/{n}", o.parameters) for n, o in network.populations.items()
            },
            "projections": {
                n: values(f"projections/{n}", o.parameters) for n, o in network.projections.items()
            },
            FREE: {name: value for name, value in network.free.items() if _is_said(value)},
            "constants": values("constants", network.constants),
        },
        tuple(left_out),
        tuple(not_asked),
    )


def _is_said(value: object) -> bool:
    """Whether JSON has a way to write a single value."""
    return not isinstance(value, float) or math.isfinite(value)


def _array(parameter: ParameterDescription) -> list[Any] | None:
    """Read all values of a parameter; None if one of them cannot be written."""
    stored = np.asarray(parameter.values)
    flat = [parameter.ctype.from_numpy(np.asarray(value)) for value in stored.reshape(-1)]
    if any(value is None for value in flat):
        return None
    nested: Any = flat
    for length in reversed(stored.shape[1:]):
        nested = [nested[i : i + length] for i in range(0, len(nested), length)] if length else []
    made: list[Any] = nested
    return made


def text_for(
    path: str | os.PathLike[str] | None, data: Mapping[str, Any], *, schema: str | None = None
) -> str:
    """Return the text of a parameter file, in the notation that its name asks for.

    A file that stands there keeps what is not the network's: the schema that it names,
    its version, the rules it switches off, and its ``network`` section.

    Parameters
    ----------
    path : path-like or None
        The file; None for standard output.
    data : mapping
        The sections.
    schema : str, optional
        The schema to name instead.

    Raises
    ------
    NotWritableError
        If what stands there cannot be read as a parameter file, so that it would be lost.
    OptionError
        If the text is longer than that of a file that is read.
    """
    head, network, modeline = _standing(path)
    if schema is not None:
        head |= {"$schema": schema, "format_version": 1}
    content = {**head, **data}
    if network is not None:
        content[FREE] = {**data.get(FREE, {}), **network}
    if path is not None and Path(path).suffix.lower() in _SUFFIXES:
        named = modeline if schema is None else content.pop("$schema")
        named = _BLANK.sub(lambda blank: quote(blank[0]), named or "")
        first = f"# yaml-language-server: $schema={named}\n" if named else ""
        text = first + "\n".join(_yaml(content, "")) + "\n"
    else:
        text = dump_parameters(content)
    if len(text.encode()) > LARGEST:
        raise OptionError(
            f"the parameter file would be larger than the {LARGEST >> 20} MiB that are read again",
            details={"hint": "keep values per neuron, dendrite or synapse in a checkpoint"},
            where=path,
        )
    return text


def _standing(
    path: str | os.PathLike[str] | None,
) -> tuple[dict[str, Any], dict[str, Any] | None, str | None]:
    """Return head, ``network`` section and modeline of the file at ``path``, if it is a parameter file."""
    if path is None or not is_file(path):
        return {}, None, None
    try:
        file = load(path)
    except CheckpointError as error:
        raise not_replaced(path, what="a parameter file", reason=error.fact) from error
    if lost := _lost(file):
        raise not_replaced(path, what="a parameter file", reason=lost)
    head = {name: file.data[name] for name in _HEAD if name in file.data}
    return head, file.data.get(FREE), file.schema if "$schema" not in head else None


def _lost(file: ParameterFile) -> str:
    """Return why something of a file would be lost if it were written again; empty if nothing would."""
    if file.is_schema:
        return "it is a JSON Schema"
    unread = [
        p
        for p in file.problems.found
        if p.rule not in _NOTHING_LOST and RULES[p.rule].severity is Severity.ERROR
        if not p.path or p.path[0] in {*_HEAD, FREE}
    ]
    if unread:
        first = min(unread, key=lambda p: p.start)
        at = file.source.place(first.start)
        return f"{at.line}:{at.column}: {first.message}"
    other = [name for name in file.data if name not in {*_HEAD, *SECTIONS, FREE, "constants"}]
    if other:
        return f"there is no section {quoted(other[0])} in a parameter file"
    if not isinstance(file.data.get(FREE, {}), dict):
        return f"the section {FREE} is not an object"
    return ""


def dump_parameters(data: Mapping[str, Any]) -> str:
    """Return the text of a parameter file, one value a line, so that a change is one line too."""
    return json.dumps(data, indent=4, allow_nan=False) + "\n"


def _yaml(data: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in data.items():
        plain = _PLAIN_NAME.fullmatch(name) and name.casefold() not in _NOT_PLAIN
        key = name if plain else _text(name)
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}:"
            yield from _yaml(value, indent + "  ")
        else:
            yield f"{indent}{key}: {_flow(value)}"


def _flow(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, str):
        return _text(value)
    text = json.dumps(value, allow_nan=False)
    if isinstance(value, float) and math.isfinite(value) and "." not in text:
        mantissa, mark, exponent = text.partition("e")  # YAML 1.1 takes 1e-05 for a text
        text = f"{mantissa}.0{mark}{exponent}"
    return text


def _text(text: str) -> str:
    """Return a text in double quotes; YAML has no surrogate pairs, which JSON writes beyond 16 bits."""

    def escaped(match: re.Match[str]) -> str:
        code = ord(match[0])
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

    return _NOT_ASCII.sub(escaped, json.dumps(text, ensure_ascii=False))


Path_ = str | os.PathLike[str]

_TITLES = {"populations": "Population", "projections": "Projection", "constants": "Constants"}


class NotWrittenWarning(UserWarning):
    """A parameter is NaN or infinite, which a JSON file cannot say."""


def save_parameters(filename: Path_, net_id: int = 0, *, network: Any = None, initial: bool = False) -> None:
    """Write the values of all global parameters and constants to a file.

    JSON, or YAML if the name ends so. A parameter file that stands there keeps the
    schema that it names, its version and its ``network`` section.

    Parameters
    ----------
    filename : path-like
        Appears whole or not at all; until then an older file stands.
    net_id : int
        Number of the network, for simulators that keep them globally.
    network : optional
        A live network, a :class:`~ann_ckpt.NetworkState` or an open checkpoint;
        default is the simulator's global network.
    initial : bool
        False: the values that the network has now. True: those that it started from, which ANNarchy
        itself writes; only ANNarchy networks keep them.

    Warns
    -----
    NotWrittenWarning
        If a parameter is NaN or infinite; it is left out of the file.

    Raises
    ------
    NotWritableError
        If the file cannot be written, or what stands there is neither empty nor can be read as a
        parameter file: it would be lost.
    OptionError
        If ``initial`` and the network keeps no initial values.
    """
    check_flags(initial=initial)
    check_text_target(filename)
    extracted = extract(describe_initial(network, net_id) if initial else describe(state_of(network, net_id)))
    text = text_for(filename, extracted.data)
    with text_file(filename) as temporary:
        temporary.write_text(text, encoding="utf-8")
    if extracted.left_out:
        names = ", ".join(printable(n, 80) for n in extracted.left_out)
        warnings.warn(f"not finite, so not written: {names}", NotWrittenWarning, stacklevel=2)


def load_parameters(
    filename: Path_,
    global_only: bool = True,
    verbose: bool = False,
    net_id: int = 0,
    *,
    network: Any = None,
    strict: bool = False,
    schema: Path_ | Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Set the parameters and constants of a network from a file: all of them or none.

    Parameters
    ----------
    filename : path-like
        JSON as :func:`save_parameters` and ANNarchy write it, YAML, or ANNarchy's old XML.
    global_only : bool
        True: parameters with one value per neuron, dendrite or synapse are passed over, and one
        :class:`~ann_ckpt.params.IgnoredValueWarning` names them.
        False: one number is given to all, an array must fit.
    verbose : bool
        Print old and new values.
    net_id : int
        Number of the network, for simulators that keep them globally.
    network : optional
        A live network; default is the simulator's global one. A
        :class:`~ann_ckpt.NetworkState` or an open checkpoint never changes: the file
        is checked against it, and :func:`ann_ckpt.params.apply` gives the changed state.
    strict : bool
        False: names that the network lacks raise one
        :class:`~ann_ckpt.params.UnknownNameWarning` that lists them all. True: they
        are errors like everything else.
    schema : path-like or mapping, optional
        A JSON Schema that the file has to fit besides.

    Returns
    -------
    dict
        The ``network`` section, as it stands in the file.

    Raises
    ------
    ParameterFileError
        If anything is wrong; ``findings`` says what and where, nothing is changed.
    OptionError
        If ``global_only`` is not True or False.
    """
    check_flags(hint="pass network=net", global_only=global_only)
    check_flags(verbose=verbose, strict=strict)
    live = live_of(network, net_id)
    state = state_of(network, net_id) if live is None else live.read().state
    file = load(filename)
    changes = plan_for(
        file,
        state,
        global_only=False,
        ignore_local=bool(global_only),
        strict=strict,
        schema=None if schema is None else schema_of(schema),
    )
    if verbose:
        _print_changes(os.fspath(filename), changes)
    if live is not None:
        change_live(live, changes)
    return dict(file.section("network"))


def _print_changes(filename: str, changes: Sequence[Change]) -> None:
    print("Loading parameters from file", printable(filename, 400))  # noqa: T201 - verbose means print
    owner = None
    for change in changes:
        if (change.section, change.owner) != owner:
            owner = (change.section, change.owner)
            print(_TITLES[change.section], printable(change.owner))  # noqa: T201 - as above
        old, new = shown(change.parameter.values), shown(change.values)
        print(f"   {printable(change.name)} : {old} -> {new}")  # noqa: T201 - as above
