"""What a parameter file, or a model that is not compiled, tells about a network."""

from __future__ import annotations

import contextlib
import math
import runpy
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ann_ckpt.adapters.annarchy import DeclaredObject, declared_network
from ann_ckpt.adapters.annarchy.describe import Declared
from ann_ckpt.errors import OptionError, SimulatorError, printable
from ann_ckpt.model import Attribute, Locality
from ann_ckpt.params.description import (
    NetworkDescription,
    ObjectDescription,
    ParameterDescription,
    describe,
    describe_parameter,
    info_of,
    said,
)
from ann_ckpt.params.file import ParameterFile
from ann_ckpt.params.network import state_of

__all__ = ["describe_file", "describe_model", "load_model"]


def describe_file(file: ParameterFile) -> NetworkDescription:
    """Describe a network with just the names that a file has, each of its value's type.

    An array stands for a parameter with many values; whether per neuron, dendrite or
    synapse, the file does not say.

    Parameters
    ----------
    file : ParameterFile
        A file of the general form.
    """
    populations, projections = (
        {
            name: ObjectDescription(section, name, "", "", _parameters(values))
            for name, values in file.section(section).items()
        }
        for section in ("populations", "projections")
    )
    return NetworkDescription(populations, projections, _parameters(file.section("constants")))


def _parameters(values: Mapping[str, Any]) -> dict[str, ParameterDescription]:
    return {name: _parameter(name, value) for name, value in values.items()}


def _parameter(name: str, value: Any) -> ParameterDescription:
    array = np.asarray(value)
    if array.dtype == np.int64 and not array.shape and abs(int(value)) < 2**31:
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
    if not path.is_file():
        raise OptionError("there is no such file", where=file)
    folder = str(path.parent.resolve())
    sys.path.insert(0, folder)
    try:
        # What a model prints is no part of the schema that goes to standard output.
        with contextlib.redirect_stdout(sys.stderr):
            return runpy.run_path(str(path), run_name="ann_ckpt_model")[name]()
    except Exception as error:
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
