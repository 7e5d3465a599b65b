"""What a parameter file tells about the network that it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ann_ckpt.model import Attribute, Locality
from ann_ckpt.params.description import (
    NetworkDescription,
    ObjectDescription,
    ParameterDescription,
    describe_parameter,
)
from ann_ckpt.params.file import ParameterFile

__all__ = ["describe_file"]


def describe_file(file: ParameterFile) -> NetworkDescription:
    """Describe a network with just the names that a file has, each of its value's type.

    An array stands for a parameter with many values; whether per neuron, dendrite or
    synapse, the file does not say.

    Parameters
    ----------
    file : ParameterFile
        A file of the general form.
    """
    sections = {
        section: {
            name: ObjectDescription(section, name, "", "", _parameters(values))
            for name, values in file.section(section).items()
        }
        for section in ("populations", "projections")
    }
    return NetworkDescription(**sections, constants=_parameters(file.section("constants")))


def _parameters(values: Mapping[str, Any]) -> dict[str, ParameterDescription]:
    return {name: _parameter(name, value) for name, value in values.items()}


def _parameter(name: str, value: Any) -> ParameterDescription:
    array = np.asarray(value)
    if array.dtype == np.int64 and not array.shape and abs(int(value)) < 2**31:
        array = array.astype(np.int32)  # what a simulator calls int
    return describe_parameter(name, Attribute(array, Locality.UNKNOWN if array.shape else Locality.GLOBAL))
