"""Setting what a plan says: in a copy of a state, or in a live network all or nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.protocol import Simulator
from ann_ckpt.errors import SimulatorError
from ann_ckpt.model import Array, Attribute, NetworkState
from ann_ckpt.params.description import FREE
from ann_ckpt.params.plan import Change
from ann_ckpt.transfer.interrupt import finishing

__all__ = ["change_live", "changed_state"]


def changed_state(
    state: NetworkState, changes: Iterable[Change], free: Mapping[str, Any] | None = None
) -> NetworkState:
    """Return a state with other parameters and constants; what does not change is shared.

    Parameters
    ----------
    free : mapping, optional
        The ``network`` section of the file, which is kept in the metadata.
    """
    by_owner: dict[tuple[str, str], dict[str, Attribute]] = {}
    constants: dict[str, Array] = dict(state.constants)
    for change in changes:
        if change.section == "constants":
            constants[change.name] = change.values
        else:
            attribute = Attribute(change.values, change.parameter.locality)
            by_owner.setdefault((change.section, change.owner), {})[change.name] = attribute
    populations: dict[str, Any] = dict(state.populations)
    projections: dict[str, Any] = dict(state.projections)
    for (section, owner), parameters in by_owner.items():
        members = populations if section == "populations" else projections
        old = members[owner]
        members[owner] = replace(old, parameters={**old.parameters, **parameters})
    metadata = {**state.metadata, FREE: dict(free)} if free else state.metadata
    return replace(
        state, constants=constants, populations=populations, projections=projections, metadata=metadata
    )


def change_live(simulator: Simulator, changes: Sequence[Change]) -> None:
    """Set every value in a live network; if one is refused, put back those before it.

    Raises
    ------
    SimulatorError
        If the simulator refuses a value after all. Nothing is changed then.
    KeyboardInterrupt
        After ^C, when all is set; a second ^C breaks off, and a note says so.
    """
    with finishing(
        "all parameters were set before the interrupt was let through",
        "the parameters are partly set; set them again before going on",
    ):
        _change_all(simulator, changes)


def _change_all(simulator: Simulator, changes: Sequence[Change]) -> None:
    done: list[tuple[Change, NDArray[Any]]] = []
    for change in changes:
        old = np.array(change.parameter.values)
        done.append((change, old))
        try:
            _set(simulator, change, change.values)
        except Exception as error:
            with contextlib.suppress(Exception):  # it may refuse the old value just as well
                _set(simulator, *done.pop())
            for earlier, before in reversed(done):
                _set(simulator, earlier, before)
            raise SimulatorError(
                f"the simulator refused a value, and the {len(done)} set before it were put back",
                details={"reason": f"{type(error).__name__}: {error}"},
                where="/".join(change.path),
            ) from error


def _set(simulator: Simulator, change: Change, values: NDArray[Any]) -> None:
    match change.section:
        case "populations":
            simulator.set_population_attribute(change.owner, change.name, values)
        case "projections":
            simulator.set_projection_attribute(change.owner, change.name, values)
        case _:
            simulator.set_constant(change.name, values)
