"""What groups and synapses have in common: arrays moved in blocks, dynamics, flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.brian2.describe import own_arrays
from ann_ckpt.adapters.brian2.mapping import Kind, Role, event_space, role_of
from ann_ckpt.model import Array, Attribute, Exactness, Locality, Resume, blocks

__all__ = ["ACTIVE", "EXACT", "LivePart", "fill"]

EXACT = Resume(Exactness.EXACT)
ACTIVE = "active"
"""Which of an object's parts run: itself, then what it contains, by their names."""
_LATER = {"_last_timestep": np.float64, "_failed_steps": np.int32, "_step_count": np.int32}
"""Per neuron; the integrators of GSL make them when they are first run."""


def fill(target: NDArray[Any], values: Array) -> None:
    """Copy values block by block, because they may be lazy, or one to all."""
    for start, block in blocks(values):
        target[start : start + len(block) if block.shape else None] = block


class LivePart:
    """A group or synapses, with what it contains.

    Parameters
    ----------
    thing : brian2.Group
    exact : bool
        Whether this version of Brian2 was tested, so that what it keeps to itself can be moved too.
    ignored : frozenset
        Contained objects that are no part of the model.
    """

    def __init__(self, thing: Any, *, exact: bool, ignored: frozenset[Any] = frozenset()) -> None:
        self.thing = thing
        self.exact = exact
        self._ignored = ignored
        self._arrays = own_arrays(thing)

    @property
    def name(self) -> str:
        """Its name in the network and in files."""
        return str(self.thing.name)

    @property
    def size(self) -> int:
        """Number of neurons or synapses."""
        raise NotImplementedError

    def role(self, name: str) -> Role:
        """Return what one of its arrays is in a state."""
        v = self._arrays[name]
        length, size = self._length(v), self.size
        return role_of(name, self._kind, constant=v.constant, scalar=v.scalar, length=length, size=size)

    @property
    def _kind(self) -> Kind:
        raise NotImplementedError

    def _length(self, variable: Any) -> int:
        return int(variable.get_value().size)

    def _named(self, *roles: Role) -> dict[str, Any]:
        return {name: v for name, v in sorted(self._arrays.items()) if self.role(name) in roles}

    @property
    def attributes(self) -> dict[str, Any]:
        """Brian's variables that are attributes of the state."""
        return self._named(Role.PARAMETER, Role.VARIABLE)

    def values(self, variable: Any) -> Array:
        """Return one value for all, or one each in the order of the state."""
        own: Array = variable.get_value()
        return np.asarray(own).reshape(()) if variable.scalar else own

    def wrapped(self, role: Role) -> dict[str, Attribute]:
        """Return the attributes of one kind."""
        return {
            name: Attribute(self.values(v), Locality.GLOBAL if v.scalar else Locality.LOCAL)
            for name, v in self._named(role).items()
        }

    def set(self, attribute: str, values: Array) -> None:
        """Set one attribute."""
        self.put(self.attributes[attribute], values)

    def put(self, variable: Any, values: Array) -> None:
        """Set one of Brian's arrays, from values in its own order or one for all."""
        if self._resizable(variable):
            variable.resize(values.shape[0])
        fill(variable.get_value(), values)

    def contained(self) -> list[Any]:
        """Return what it contains, by names."""
        found = [part for part in _contained(self.thing) if part not in self._ignored]
        return sorted(found, key=lambda part: str(part.name))

    # --- what it carries ----------------------------------------------------------------

    def dynamics(self) -> dict[str, NDArray[Any]]:
        """Copy what it carries from step to step."""
        if not self.exact:
            return {}
        found = {name: np.array(v.get_value()) for name, v in self._carrying().items()}
        found[ACTIVE] = np.array([part.active for part in (self.thing, *self.contained())])
        return found

    def _carrying(self) -> dict[str, Any]:
        """Brian's variables that are dynamics, those of parts that have arrays too included."""
        found = self._named(Role.DYNAMICS)
        for part in self.contained():
            if hasattr(part, "variables") and part.variables.owner.name == part.name:
                kind = type(part).__name__  # its name may be one that Brian counts up
                arrays = {n: v for n, v in own_arrays(part).items() if not n.endswith("_idx")}
                found |= {f"{kind}.{n}": v for n, v in sorted(arrays.items())}
        return found

    def refuse_dynamics(self, dynamics: Mapping[str, Array]) -> str | None:
        """Say why these cannot be set, or None."""
        return next(self._faults(dynamics), None)

    def _faults(self, dynamics: Mapping[str, Array]) -> Iterator[str]:
        here = self._carrying()
        yield from self._flag_faults(dynamics)
        for name, array in dynamics.items():
            if self._is_special(name):
                continue
            if name not in here:
                if name in _LATER and array.shape == (self.size,) and array.dtype == _LATER[name]:
                    continue
                yield f"it carries {name} in the file, and not here"
                continue
            variable = here[name]
            now = variable.get_value()
            if not self._resizable(variable) and array.shape != now.shape:
                yield f"{name} has the shape {array.shape} in the file, {now.shape} here"
            elif array.dtype != now.dtype or len(array.shape) != now.ndim:
                yield f"{name} is {array.dtype} in the file, {now.dtype} here"
            elif self._is_structure(variable) and not np.array_equal(np.asarray(array), now):
                yield f"{name}, which says how the model is built, is another one in the file"
            elif event_space(name) and not _is_event_space(np.asarray(array)):
                yield f"{name} names neurons that there are not"

    def _flag_faults(self, dynamics: Mapping[str, Array]) -> Iterator[str]:
        parts, flags = 1 + len(self.contained()), dynamics.get(ACTIVE)
        if flags is not None and (flags.shape != (parts,) or flags.dtype != np.bool_):
            yield f"{ACTIVE} is {flags.dtype} of the shape {flags.shape} in the file, for {parts} parts here"

    def _is_special(self, name: str) -> bool:
        """Whether these dynamics are no array of Brian's."""
        return name == ACTIVE

    def _resizable(self, variable: Any) -> bool:
        return False

    def _is_structure(self, variable: Any) -> bool:
        """Whether compiled code follows these indices without looking."""
        return bool(variable.constant) and np.dtype(variable.dtype).kind in "iu"

    def set_dynamics(self, dynamics: Mapping[str, Array]) -> None:
        """Set what :meth:`refuse_dynamics` has nothing against."""
        for name, dtype in _LATER.items():
            if name in dynamics and name not in self._arrays:
                self.thing.variables.add_array(name, size=self.size, dtype=dtype)
                self._arrays = own_arrays(self.thing)
        for name, variable in self._carrying().items():
            if name in dynamics:
                self.put(variable, dynamics[name])
        if ACTIVE in dynamics:
            flags = np.asarray(dynamics[ACTIVE]).tolist()
            for part, active in zip((self.thing, *self.contained()), flags, strict=True):
                part.active = active


def _contained(thing: Any) -> Iterator[Any]:
    for part in thing.contained_objects:
        yield part
        yield from _contained(part)


def _is_event_space(space: NDArray[Any]) -> bool:
    """Whether the last number counts the neurons before it, all of which exist."""
    count, n = int(space[-1]), space.size - 1
    events = space[: max(count, 0)]
    return 0 <= count <= n and bool(np.all((events >= 0) & (events < n)))
