"""One population in a checkpoint file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import NDArray

from ann_ckpt.arguments import check_flags
from ann_ckpt.format import layout
from ann_ckpt.format.reader import FileReader
from ann_ckpt.lazy import notebook
from ann_ckpt.lazy.attributes import (
    arrays_in_memory,
    attributes_in_memory,
    attributes_of,
    dynamics_of,
)
from ann_ckpt.model import Part, PopulationState, Resume, TypeInfo
from ann_ckpt.model.exchange import optional

if TYPE_CHECKING:
    import xarray

__all__ = ["LazyPopulation"]


class LazyPopulation(PopulationState):
    """One population in a checkpoint: a state whose attributes are looked at when they are asked for."""

    __slots__ = ("_pickled", "_reporting")

    _pickled: Callable[[], tuple[Any, ...]]
    _reporting: Callable[[], AbstractContextManager[None]]
    """Blames on the file what goes wrong inside it; absent, as the other, if made from another population."""

    @classmethod
    def opened(
        cls,
        reader: FileReader,
        name: str,
        geometry: tuple[int, ...],
        *,
        resume: Resume | None,
        neuron_type: TypeInfo | None,
        part: Part | None,
        pickled: Callable[[], tuple[Any, ...]],
    ) -> Self:
        """Open a population of a file; of its attributes, nothing is read."""
        path = f"{layout.POPULATIONS}/{layout.escape(name)}"
        population = cls(name, geometry, resume=resume, neuron_type=neuron_type, part=part)
        for group in (layout.PARAMETERS, layout.VARIABLES):
            attributes = attributes_of(reader, path, group, population._settle)
            object.__setattr__(population, group, attributes)
        object.__setattr__(population, "dynamics", dynamics_of(reader, f"{path}/"))
        object.__setattr__(population, "_pickled", pickled)
        object.__setattr__(population, "_reporting", lambda: reader.reporting_corruption(path))
        return population

    def __reduce__(self) -> tuple[Any, ...]:
        if hasattr(self, "_pickled"):
            return self._pickled()
        return replace, (self.state(lazy=True),)  # made from another one, and in no file

    def to_xarray(self) -> xarray.Dataset:
        """Return the attributes as a dataset over ``neuron``, or ``neuron_0``, ... of several axes, unread.

        Raises
        ------
        MissingExtraError
            Without xarray, which the extra ``xarray`` brings.
        """
        optional("xarray", "xarray")
        from ann_ckpt.lazy.xarray import population_dataset

        return population_dataset(self)

    def state(self, *, lazy: bool = False) -> PopulationState:
        """Return the population as a state, every attribute checked, its arrays read or still lazy."""
        check_flags(lazy=lazy)
        attributes, arrays = (dict, dict) if lazy else (attributes_in_memory, arrays_in_memory)
        with getattr(self, "_reporting", nullcontext)():
            return PopulationState(
                self.name,
                self.geometry,
                parameters=attributes(self.parameters),
                variables=attributes(self.variables),
                dynamics=arrays(self.dynamics),
                resume=self.resume,
                neuron_type=self.neuron_type,
                part=self.part,
            )

    def _columns(self, attributes: Iterable[str] | None) -> dict[str, NDArray[Any]]:
        try:
            return PopulationState._columns(self, attributes)
        except MemoryError:
            with getattr(self, "_reporting", nullcontext)():
                raise

    def _repr_html_(self) -> str:
        return notebook.of_population(self)
