"""From a network to a parameter file: the current values, in the form ANNarchy writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ann_ckpt.params.description import NetworkDescription, ParameterDescription

__all__ = ["Extract", "dump_parameters", "extract"]


@dataclass(frozen=True, slots=True, eq=False)
class Extract:
    """The content of a parameter file, and what it cannot say."""

    data: dict[str, Any]
    """Sections ``populations``, ``projections``, ``network`` and ``constants``."""
    left_out: tuple[str, ...]
    """Global parameters that are NaN or infinite, which JSON has no way to write."""


def extract(network: NetworkDescription) -> Extract:
    """Return the current value of every global parameter and constant.

    A parameter with a value per neuron, dendrite or synapse is not for a file that
    people edit, and is not read.
    """
    left_out: list[str] = []

    def values(path: str, parameters: Mapping[str, ParameterDescription]) -> dict[str, Any]:
        current = {n: p.current() for n, p in parameters.items() if p.is_global}
        left_out.extend(f"{path}/{n}" for n, v in current.items() if v is None)
        return {n: v for n, v in current.items() if v is not None}

    return Extract(
        {
            "populations": {
                n: values(f"populations/{n}", o.parameters) for n, o in network.populations.items()
            },
            "projections": {
                n: values(f"projections/{n}", o.parameters) for n, o in network.projections.items()
            },
            "network": {},
            "constants": values("constants", network.constants),
        },
        tuple(left_out),
    )


def dump_parameters(data: Mapping[str, Any]) -> str:
    """Return the text of a parameter file, one value a line, so that a change is one line too."""
    return json.dumps(data, indent=4, allow_nan=False) + "\n"
