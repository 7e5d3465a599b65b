"""The functions that people call on parameter files.

Each takes whatever names a file or a network and hands over; the work is done elsewhere.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ann_ckpt.arguments import check_flags
from ann_ckpt.errors import CheckpointError, OptionError, printable
from ann_ckpt.format.guard import begins_like_hdf5
from ann_ckpt.model import NetworkState
from ann_ckpt.params.checking.checker import MOST_FINDINGS, Checked, Checker
from ann_ckpt.params.description import FREE, NetworkDescription, describe, live_of, state_of
from ann_ckpt.params.file import ParameterFile, from_object, load
from ann_ckpt.params.findings import Finding, Findings, pointer, refusal
from ann_ckpt.params.plan import Change, change_live, changed_state, plan_changes
from ann_ckpt.params.rules import Severity
from ann_ckpt.params.schema.generate import GENERAL_SCHEMA, network_schema
from ann_ckpt.params.schema.schema import Schema
from ann_ckpt.params.text.document import MOST_PROBLEMS
from ann_ckpt.paths import address_of
from ann_ckpt.report import count
from ann_ckpt.store.opening import open_checkpoint, place_in_store

__all__ = [
    "IgnoredValueWarning",
    "ParameterFileWarning",
    "UnknownNameWarning",
    "apply",
    "file_of",
    "plan_for",
    "refuse",
    "schema_for",
    "schema_of",
    "validate",
]

File = ParameterFile | str | os.PathLike[str] | Mapping[str, Any]

_NAMES = frozenset(("P101", "P102", "P103", "P104", "P105", "P107"))
"""Rules about names that are not known: what ``strict=False`` lets pass."""


class ParameterFileWarning(UserWarning):
    """There is something in a parameter file that somebody should look at; it was applied."""


class IgnoredValueWarning(ParameterFileWarning):
    """With ``global_only=True`` a file has values per neuron, dendrite or synapse; they were passed over."""


class UnknownNameWarning(ParameterFileWarning):
    """A parameter file names what the network does not have; those names were passed over."""


def validate(
    file: File,
    target: Any = None,
    *,
    global_only: bool = False,
    engine: str = "auto",
    limit: int = MOST_FINDINGS,
) -> Findings:
    """Return everything that is wrong with a parameter file, in the order of the file.

    Parameters
    ----------
    file : ParameterFile, path-like or mapping
        The file to check, or an object in memory that says the same: a dict, or a
        configuration of OmegaConf.
    target : optional
        What it has to fit: a :class:`~ann_ckpt.NetworkState`, an open checkpoint, a
        live network, a schema (a mapping), or the path of a checkpoint, a store or a
        schema. None for the general form only, which knows no names. Where the simulator keeps its network
        globally, pass ``schema_for()``.
    global_only : bool
        Whether a parameter with one value per neuron, dendrite or synapse is a finding.
    engine : {"auto", "jsonschema", "jsonschema-rs"}
        Which library evaluates the schema; the findings are the same.
    limit : int
        How many findings to return at most, from 1.

    Raises
    ------
    OSError
        If a file is missing or cannot be read.
    CheckpointError
        If a checkpoint cannot be opened.
    SchemaUnusableError
        If the schema is none, or asks for what is not evaluated.

    Examples
    --------
    >>> import ann_ckpt, ann_ckpt.params as params
    >>> net = ann_ckpt.NetworkState(
    ...     populations=[ann_ckpt.PopulationState("input", (3,), parameters={"tau": 10.0})]
    ... )
    >>> file = params.parse('{"populations": {"inptu": {"tau": 2.0}}}', path="params.json")
    >>> print(*params.validate(file, net))
    params.json:1:18: error[P102] unknown population 'inptu' (did you mean 'input'?)
    """
    check_flags(global_only=global_only)
    if not isinstance(limit, int) or limit < 1:
        raise OptionError(f"limit is {limit!r}", details={"expected": "a whole number of at least 1"})
    checker = Checker(schema_of(target), engine=engine)
    return Findings(checker.check(file_of(file), global_only=global_only, limit=limit).findings)


def schema_for(network: Any = None, *, draft: str | int = "2020-12", net_id: int = 0) -> dict[str, Any]:
    """Return the JSON Schema of the parameter files of a network.

    Parameters
    ----------
    network : optional
        A :class:`~ann_ckpt.NetworkState`, an open checkpoint or a live network; None
        for the simulator's global network of number ``net_id``.
    draft : {"2020-12", "7"}
        Draft of JSON Schema.
    """
    return network_schema(describe(state_of(network, net_id)), draft=draft)


def apply(
    file: File, network: Any, *, global_only: bool = False, strict: bool = True, engine: str = "auto"
) -> NetworkState:
    """Check a parameter file against a network and, if nothing is wrong, set its values.

    Parameters
    ----------
    file : ParameterFile, path-like or mapping
        The file to apply, or an object in memory that says the same.
    network : NetworkState, Checkpoint or live network
        A live network is changed in place. A state or checkpoint stays as it is.
    global_only : bool
        Whether a parameter with one value per neuron, dendrite or synapse is an error.
    strict : bool
        False: names that the network lacks raise one :class:`UnknownNameWarning`
        instead of an error.

    Returns
    -------
    NetworkState
        The network with the new values.

    Raises
    ------
    ParameterFileError
        If anything is wrong; nothing is changed.
    """
    check_flags(global_only=global_only, strict=strict)
    live = live_of(network)
    state = state_of(network) if live is None else live.read().state
    file = file_of(file)
    changes = plan_for(file, state, global_only=global_only, strict=strict, engine=engine)
    if live is None:
        return changed_state(state, changes, file.section(FREE))
    change_live(live, changes)
    return live.read().state


def plan_for(
    file: ParameterFile,
    state: NetworkState,
    *,
    global_only: bool,
    strict: bool,
    engine: str = "auto",
    schema: Schema | None = None,
    ignore_local: bool = False,
) -> tuple[Change, ...]:
    """Check a file and return what it changes in a network.

    Parameters
    ----------
    ignore_local : bool
        Pass over parameters with one value per neuron, dendrite or synapse, whatever the file
        has for them, and name them in one :class:`IgnoredValueWarning`.
    schema : Schema, optional
        A further schema that the file has to fit.

    Raises
    ------
    ParameterFileError
        If anything is wrong.
    """
    network = describe(state)
    schemas = [Schema.trusted(network_schema(network))] + ([schema] if schema is not None else [])
    checked = [
        Checker(s, engine=engine).check(file, global_only=global_only, limit=MOST_PROBLEMS) for s in schemas
    ]
    values = {} if checked[0].document is None else checked[0].document.value
    ignored = _local(values, network) if ignore_local else ()
    refuse([_without(c, ignored) for c in checked] if ignored else checked, strict=strict)
    if ignored:
        fact = "global_only=True: not set, because each neuron, dendrite or synapse has a value of its own"
        names = ", ".join(printable("/".join(path), 200) for path in ignored)
        warnings.warn(f"{fact}: {names}", IgnoredValueWarning, stacklevel=3)
    return plan_changes(values, network, leave_out=ignored)


def _local(values: Mapping[str, Any], network: NetworkDescription) -> tuple[tuple[str, str, str], ...]:
    """Return the paths of values in a file that belong to parameters which are not global."""
    found = []
    for thing in network.objects():
        members = values.get(thing.section)
        given = members.get(thing.name) if isinstance(members, Mapping) else None
        if isinstance(given, Mapping):
            local = (n for n in given if n in thing.parameters and not thing.parameters[n].is_global)
            found += [(thing.section, thing.name, name) for name in local]
    return tuple(found)


def _without(checked: Checked, ignored: Sequence[tuple[str, ...]]) -> Checked:
    """Return findings without those on values that are passed over."""
    paths = [pointer(path) for path in ignored]
    kept = [f for f in checked.findings if not any(f"{f.pointer}/".startswith(f"{p}/") for p in paths)]
    return replace(checked, findings=tuple(kept))


def refuse(checked: Sequence[Checked], *, strict: bool) -> None:
    """Raise one error for all that is wrong, or one warning for all that is doubtful.

    Unless ``strict``, unknown names only warn.

    Raises
    ------
    ParameterFileError
        Its ``findings`` are those of all files, warnings included.
    """
    findings = tuple(dict.fromkeys(f for c in checked for f in c.findings))
    errors = list(dict.fromkeys(f for c in checked for f in c.errors))
    names = [] if strict else [f for f in errors if f.rule in _NAMES]
    if len(names) < len(errors) or any(c.dropped for c in checked):
        raise refusal(findings, errors)
    # The caller of the function that called this one is who wrote the file's name.
    if names:
        places = count(len(names), "place")
        fact = f"passed over, because no parameter of the network is called so: {places} of the file"
        warnings.warn(_listed(fact, names), UnknownNameWarning, stacklevel=4)
    doubts = [f for f in findings if f.severity is Severity.WARNING]
    if doubts:
        warnings.warn(_listed("look at these", doubts), ParameterFileWarning, stacklevel=4)


def _listed(fact: str, findings: Sequence[Finding]) -> str:
    return "\n".join([fact, *(f"  {printable(f, 600)}" for f in findings)])


def file_of(file: File) -> ParameterFile:
    """Return a parameter file, read if it was only named; an object in memory counts as one."""
    if isinstance(file, ParameterFile):
        return file
    return load(file) if isinstance(file, str | os.PathLike) else from_object(file)


def schema_of(target: Any) -> Schema:
    """Return the schema that ``target`` stands for, see :func:`validate`."""
    if target is None:
        return Schema.trusted(GENERAL_SCHEMA)
    if isinstance(target, Schema):
        return target
    if isinstance(target, Mapping):
        return Schema.of(target)
    if isinstance(target, str | os.PathLike):
        if not _is_checkpoint(target):
            return Schema.load(target)
        with open_checkpoint(target) as opened:
            return schema_of(opened)
    return Schema.trusted(network_schema(describe(state_of(target))))


def _is_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Whether a path is meant as one: a store, HDF5, or an address; a schema is a text on this machine."""
    if place_in_store(path) is not None or address_of(path) is not None:
        return True
    try:
        return begins_like_hdf5(path)
    except CheckpointError:  # reading the schema says what is wrong with it
        return False
