"""What a network offers to parameter files: names, types, sizes and current values.

Everything that takes a network here (schemas, extraction, application, comparison)
looks at it through this description. Values stay lazy: only those of global parameters
are ever read, one at a time, when somebody asks for them.
"""

from __future__ import annotations

import contextlib
import math
import re
import runpy
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.annarchy import DeclaredNetwork, DeclaredObject, declared_network
from ann_ckpt.adapters.annarchy.describe import Declared
from ann_ckpt.adapters.protocol import Simulator
from ann_ckpt.adapters.simulators import simulator_for
from ann_ckpt.errors import OptionError, SimulatorError, printable
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.model import (
    Array,
    Attribute,
    AttributeInfo,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    TypeInfo,
)
from ann_ckpt.params.ctype import CType, Scalar
from ann_ckpt.params.file import ParameterFile
from ann_ckpt.params.findings import refusal
from ann_ckpt.params.text.document import Problems
from ann_ckpt.paths import is_file

__all__ = [
    "FREE",
    "SECTIONS",
    "NetworkDescription",
    "ObjectDescription",
    "ParameterDescription",
    "describe",
    "describe_file",
    "describe_initial",
    "describe_model",
    "describe_parameter",
    "info_of",
    "live_of",
    "load_model",
    "said",
    "state_of",
]


def state_of(network: Any, net_id: int = 0) -> NetworkState:
    """Return a state whose arrays are read when somebody asks for them.

    Parameters
    ----------
    network : NetworkState, Checkpoint, live network or None
        None stands for the simulator's global network of number ``net_id``.

    Raises
    ------
    SimulatorError
        If it is none of these.
    """
    if isinstance(network, NetworkState):
        return network
    if isinstance(network, Checkpoint):
        return network.state(lazy=True)
    return simulator_for(network, net_id).read().state


def live_of(network: Any, net_id: int = 0) -> Simulator | None:
    """Return the simulator behind a live network; None for what cannot be changed in place."""
    if isinstance(network, NetworkState | Checkpoint):
        return None
    return simulator_for(network, net_id)


FREE = "network"
"""Name in a checkpoint's metadata of the ``network`` section that was applied to it."""

_CONVERTED = "converted_from"
"""Name in the metadata of what was converted from an old file, none of which hold constants."""

_COMMENTED = re.compile(r"\s*([A-Za-z_]\w*)\s*=[^#]*#\s*(\S.*)")
_BRACKETED = re.compile(r"\(([^()]{1,30})\)|\[([^\[\]]{1,30})\]")
_SYMBOL = (
    r"(?:[fpnuµμmcdkMG]?(?:s|m|g|A|V|F|S|Hz|N|J|W|C|K|mol|M|L|l|T|Pa|Ω|[Oo]hm|Siemens|rad)"
    r"|sec|min|h|steps?|deg|degC|°C?|%|1)(?:(?:\^|\*\*)?-?[1-9])?"
)
_UNIT = re.compile(rf"{_SYMBOL}(?:\s*[*/·.]\s*{_SYMBOL}|\s+{_SYMBOL}){{0,4}}")
"""What is a unit among the words that people put into brackets."""

SECTIONS = ("populations", "projections")
"""The sections whose members hold parameters."""


@dataclass(frozen=True, slots=True, eq=False)
class ParameterDescription:
    """One parameter of one population or projection, or one constant."""

    name: str
    ctype: CType
    locality: Locality
    shape: tuple[int, ...]
    """``()`` for a global parameter; else of its values."""
    values: Array
    info: AttributeInfo = field(default_factory=AttributeInfo)
    sized: bool = True
    """False where the network does not know yet how many values there will be."""

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def is_global(self) -> bool:
        """Whether one value serves all."""
        return self.locality is Locality.GLOBAL

    @property
    def takes_units(self) -> bool:
        """Whether a file may give a text such as ``10 ms``: the model states a unit of a number."""
        return bool(self.info.unit) and self.ctype.json != "boolean"

    def current(self) -> Scalar | None:
        """Read the value of a global parameter; None for NaN and infinities, which JSON lacks."""
        return self.ctype.from_numpy(np.asarray(self.values))


@dataclass(frozen=True, slots=True, eq=False)
class ObjectDescription:
    """One population or projection."""

    section: str
    """One of :data:`SECTIONS`."""
    name: str
    type_name: str
    """Neuron or synapse type; empty if unknown."""
    type_description: str
    parameters: Mapping[str, ParameterDescription]
    variables: Mapping[str, ParameterDescription] = field(default_factory=dict)
    """Global variables: ANNarchy writes them into its parameter files, and passes them over
    when it reads one."""
    other_variables: tuple[str, ...] = ()
    """Names of the variables that are not global, sorted."""
    size: int | None = None
    """Number of neurons of a population; None for a projection or where it is not known."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkDescription:
    """All that a parameter file may name."""

    populations: Mapping[str, ObjectDescription]
    projections: Mapping[str, ObjectDescription]
    constants: Mapping[str, ParameterDescription]
    constants_known: bool = True
    """False where the source of the network keeps no constants; then any may be there."""
    dt: float | None = None
    """Length of one step in ms; None if it is not known."""
    free: Mapping[str, Any] = field(default_factory=dict)
    """The ``network`` section of the parameter file that was applied last, if any."""

    def objects(self) -> Iterator[ObjectDescription]:
        """Yield populations, then projections."""
        yield from self.populations.values()
        yield from self.projections.values()

    def parameter(self, section: str, name: str, parameter: str | None = None) -> ParameterDescription:
        """Return a parameter of an object, or without ``parameter`` a constant.

        Raises
        ------
        KeyError
            If there is none.
        """
        if parameter is None:
            return self.constants[name]
        members: Mapping[str, ObjectDescription] = getattr(self, section)
        return members[name].parameters[parameter]


def describe(state: NetworkState) -> NetworkDescription:
    """Describe the parameters and constants of a state. Arrays of values are not read."""
    return NetworkDescription(
        populations={p.name: _object("populations", p, p.neuron_type) for p in state.populations.values()},
        projections={p.name: _object("projections", p, p.synapse_type) for p in state.projections.values()},
        constants={
            name: describe_parameter(name, Attribute(values, _locality(values)))
            for name, values in state.constants.items()
        },
        constants_known=bool(state.constants) or _CONVERTED not in state.metadata,
        dt=state.dt,
        free=_free(state.metadata.get(FREE)),
    )


def _free(noted: Any) -> Mapping[str, Any]:
    """Return free values as a file may hold them; metadata can be anything."""
    if not isinstance(noted, Mapping):
        return {}
    return {str(n): v for n, v in noted.items() if v is None or isinstance(v, str | int | float)}


def _object(
    section: str, owner: PopulationState | ProjectionState, type_info: TypeInfo | None
) -> ObjectDescription:
    kind = type_info or TypeInfo("")
    return ObjectDescription(
        section,
        owner.name,
        said(kind.name),
        said(kind.description),
        {
            name: describe_parameter(name, attribute, info_of(kind, name))
            for name, attribute in owner.parameters.items()
        },
        {
            name: describe_parameter(name, attribute)
            for name, attribute in owner.variables.items()
            if attribute.locality is Locality.GLOBAL
        },
        tuple(sorted(n for n, a in owner.variables.items() if a.locality is not Locality.GLOBAL)),
        owner.size if isinstance(owner, PopulationState) else None,
    )


def said(text: str) -> str:
    """Return a name or description of a type; ANNarchy writes a dash where its author gave none."""
    return text if any(c.isalnum() for c in text) else ""


@lru_cache(maxsize=512)
def _notes(parameters: str) -> Mapping[str, tuple[str, str]]:
    """Return description and unit of each parameter from the comments in a model's text.

    Examples
    --------
    >>> _notes("tau = 10.0 : population  # Time constant (ms)")["tau"]
    ('Time constant', 'ms')
    """
    found = {}
    for line in parameters.splitlines():
        note = _COMMENTED.match(line)
        if note is None:
            continue
        text, unit = note[2].strip(), ""
        for bracketed in _BRACKETED.finditer(text):
            inner = (bracketed[1] or bracketed[2]).strip()
            if _UNIT.fullmatch(inner):
                unit = inner
                text = f"{text[: bracketed.start()].rstrip()} {text[bracketed.end() :].lstrip()}".strip()
                break
        else:
            if _UNIT.fullmatch(text):
                text, unit = "", text
        found[note[1]] = (text, unit)
    return found


def info_of(kind: TypeInfo, name: str) -> AttributeInfo | None:
    """Return a declaration, with the description and unit of the model's text where it has none."""
    info, note = kind.attributes.get(name), _notes(kind.texts.get("parameters", "")).get(name)
    if note is None:
        return info
    info = info or AttributeInfo()
    return replace(info, description=info.description or note[0], unit=info.unit or note[1])


def describe_parameter(
    name: str, attribute: Attribute, info: AttributeInfo | None = None
) -> ParameterDescription:
    """Describe one attribute; where a declaration contradicts what is stored, it is ignored."""
    info = info or AttributeInfo()
    values = attribute.values
    # A single value that is an array is not a number that a file could hold.
    locality = (
        Locality.UNKNOWN if values.shape and attribute.locality is Locality.GLOBAL else attribute.locality
    )
    stored = CType.of("", values.dtype)
    declared = CType.of(info.ctype, values.dtype)
    ctype = declared if stored.covers(declared) else stored
    made = ParameterDescription(name, ctype, locality, values.shape, values, info)
    doubtful = ctype != stored or info.minimum is not None or info.maximum is not None
    if not (made.is_global and doubtful):
        return made
    current = made.current()
    if current is None:
        made = replace(made, ctype=stored)
        current = made.current()
    if current is None:
        return made
    minimum = info.minimum if info.minimum is None or info.minimum <= current else None
    maximum = info.maximum if info.maximum is None or info.maximum >= current else None
    return replace(made, info=replace(info, minimum=minimum, maximum=maximum))


def _locality(values: Array) -> Locality:
    return Locality.UNKNOWN if values.shape else Locality.GLOBAL


def describe_file(file: ParameterFile) -> NetworkDescription:
    """Describe a network with just the names that a file has, each of its value's type.

    An array stands for a parameter with many values; whether per neuron, dendrite or
    synapse, the file does not say.

    Parameters
    ----------
    file : ParameterFile
        A file of the general form.

    Raises
    ------
    ParameterFileError
        If the rows of an array differ in length, so that there is no shape that it has.
    """
    problems = Problems(prefix=file.prefix)

    def parameters(values: Mapping[str, Any], *owner: str) -> dict[str, ParameterDescription]:
        found = {}
        for name, value in values.items():
            try:
                found[name] = _parameter(name, np.asarray(value))
            except ValueError:  # numpy's word for an array without a shape
                path = (*owner, name)
                span = (0, 1) if file.document is None else file.document.span_of(path)
                problems.add("P202", span, "the rows of this array are not equally long", path=path)
        return found

    populations, projections = (
        {
            name: ObjectDescription(section, name, "", "", parameters(values, section, name))
            for name, values in file.section(section).items()
        }
        for section in SECTIONS
    )
    constants = parameters(file.section("constants"), "constants")
    if findings := problems.findings(file.source):
        raise refusal(findings, findings)
    return NetworkDescription(populations, projections, constants)


def _parameter(name: str, array: NDArray[Any]) -> ParameterDescription:
    if array.dtype == object:  # an integer beyond 64 bits
        array = array.astype(np.float64)
    if array.dtype == np.int64 and not array.shape and abs(int(array)) < 2**31:
        array = array.astype(np.int32)  # what a simulator calls int
    return describe_parameter(name, Attribute(array, Locality.UNKNOWN if array.shape else Locality.GLOBAL))


def load_model(named: str) -> Any:
    """Run a function of a Python file, and return the network that it builds.

    Parameters
    ----------
    named : str
        ``model.py:build``; the function takes no arguments. The folder of the file is
        where it imports from.

    Raises
    ------
    OptionError
        If there is no such file or function, or it fails.
    """
    file, _, name = named.rpartition(":")
    path = Path(file)
    if not file or not name.isidentifier() or path.suffix != ".py":
        fact = f"{printable(named, 200)!r} names no function"
        raise OptionError(fact, details={"expected": "model.py:build"})
    if not is_file(path):
        raise OptionError("there is no such file", where=file)
    folder = str(path.parent.resolve())
    sys.path.insert(0, folder)
    try:
        # What a model prints is not part of the schema that goes to standard output.
        with contextlib.redirect_stdout(sys.stderr):
            return runpy.run_path(str(path), run_name="ann_ckpt_model")[name]()
    except (Exception, SystemExit) as error:  # a script that exits has built nothing
        reason = printable(f"{type(error).__name__}: {error}", 300)
        raise OptionError("the model cannot be built", details={"reason": reason}, where=named) from error
    finally:
        sys.path.remove(folder)


def describe_model(network: Any) -> NetworkDescription:
    """Describe a network that a script has built, compiled or not.

    Of one that is not compiled, arrays with a value per dendrite or synapse may have any
    length, since nobody knows yet how many there will be.

    Parameters
    ----------
    network : NetworkState, Checkpoint, live network or None
        None for the one that a simulator keeps globally.

    Raises
    ------
    SimulatorError
        If it is none of these.
    """
    try:
        return describe(state_of(network))
    except SimulatorError:
        found = declared_network(network)
        if found is None:
            raise
    return _describe_declared(found)


def describe_initial(network: Any, net_id: int = 0) -> NetworkDescription:
    """Describe an ANNarchy network with the values that its parameters started from.

    Constants have only the values that are in force.

    Parameters
    ----------
    network : ANNarchy.Network or None
        Compiled or not; None for the network number ``net_id``.

    Raises
    ------
    OptionError
        If it is anything else, which keeps no initial values.
    """
    if network is None:
        simulator_for(network, net_id)  # says which networks there are, if the number does not
    found = declared_network(network, net_id)
    if found is None:
        raise OptionError("initial=True needs an ANNarchy network; nothing else keeps initial values")
    return _describe_declared(found)


def _describe_declared(found: DeclaredNetwork) -> NetworkDescription:
    return NetworkDescription(
        {p.name: _declared("populations", p) for p in found.populations},
        {p.name: _declared("projections", p) for p in found.projections},
        {
            name: describe_parameter(name, Attribute(np.asarray(value), Locality.GLOBAL))
            for name, value in found.constants.items()
        },
        dt=found.dt,
    )


def _declared(section: str, given: DeclaredObject) -> ObjectDescription:
    def parameter(one: Declared) -> ParameterDescription:
        values = given.values.get(one.name)
        sized = values is not None
        array = (
            np.zeros(() if one.locality is Locality.GLOBAL else 0, one.dtype) if values is None else values
        )
        made = describe_parameter(one.name, Attribute(array, one.locality), info_of(given.kind, one.name))
        return replace(made, sized=sized)

    parameters = {a.name: parameter(a) for a in given.attributes if a.parameter}
    variables = [a for a in given.attributes if not a.parameter]
    return ObjectDescription(
        section,
        given.name,
        said(given.kind.name),
        said(given.kind.description),
        parameters,
        {a.name: parameter(a) for a in variables if a.locality is Locality.GLOBAL},
        tuple(sorted(a.name for a in variables if a.locality is not Locality.GLOBAL)),
        None if given.geometry is None else math.prod(given.geometry),
    )
