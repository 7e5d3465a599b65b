"""What monitors recorded up to the instant of a state: samples of traces, and events such as spikes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.arguments import number
from ann_ckpt.errors import AttributeNotFoundError, StateError, printable
from ann_ckpt.model import exchange
from ann_ckpt.model.arrays import (
    Array,
    as_array,
    identical_values,
    in_memory,
    is_lazy,
    nbytes,
)
from ann_ckpt.model.connectivity import checked_ranks
from ann_ckpt.model.objects import names_of
from ann_ckpt.model.plain import check_kind, check_text, mapping, plain_metadata

__all__ = ["Recording", "Series"]

_FIELDS = ("times", "ranks", "values")


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Series:
    """What a monitor recorded of one variable: samples, or events; a series only ever grows at its end.

    At least one of the three arrays is there, and all have one length, the number of records.
    """

    times: Array | None = None
    """When, shape ``(n,)``: an integer type counts steps, a float type is in seconds. Never falls.
    None where the simulator does not say."""
    ranks: Array | None = None
    """Of events: which neuron or synapse, shape ``(n,)``, integers. None for samples."""
    values: Array | None = None
    """What was recorded each time, shape ``(n, ...)``: one value, or one for each entry that is recorded.
    None for events that are nothing but their time."""

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in _FIELDS if getattr(self, name) is not None}
        if not given:
            raise StateError("a series has neither times nor values")
        for name, values in given.items():
            try:
                array = as_array(values)
            except StateError as error:
                raise StateError(f"a series, {name}: {error.fact}", details=error.details) from error
            object.__setattr__(self, name, array)
            kinds = {"times": "iuf", "ranks": "iu"}.get(name)
            if array.shape == () or (kinds and (array.dtype.kind not in kinds or len(array.shape) != 1)):
                raise StateError(f"{name} of a series are {array.dtype} {array.shape}")
        if self.ranks is not None and self.times is None:
            raise StateError("a series has ranks of events, but no times")
        lengths = {name: getattr(self, name).shape[0] for name in given}
        if len(set(lengths.values())) > 1:
            raise StateError(f"the arrays of a series have different lengths: {lengths}")
        times = self.times
        if isinstance(times, np.ndarray) and times.size > 1 and not (times[1:] >= times[:-1]).all():
            raise StateError("the times of a series decrease")

    def __len__(self) -> int:
        arrays = (getattr(self, name) for name in _FIELDS)
        return next(int(array.shape[0]) for array in arrays if array is not None)

    def __repr__(self) -> str:
        if self.ranks is not None:
            return f"<{len(self):,} events>"
        shape = () if self.values is None else self.values.shape[1:]
        return f"<{len(self):,} samples" + (f" of {' x '.join(map(str, shape))} values>" if shape else ">")

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, which are not read."""
        return sum(nbytes(array) for _, array in self.arrays)

    @property
    def arrays(self) -> list[tuple[str, Array]]:
        """The arrays that are there, by the name of their field."""
        return [(name, getattr(self, name)) for name in _FIELDS if getattr(self, name) is not None]

    def __getitem__(self, records: slice) -> Series:
        """Return some records, in memory; nothing else is read.

        Parameters
        ----------
        records : slice
            Of step 1, such as ``-1000:`` for the last thousand.
        """
        if not isinstance(records, slice) or records.step not in (None, 1):
            raise StateError(f"records {printable(records, 60)} of a series; expected a slice of step 1")
        start, stop, _ = records.indices(len(self))
        return Series(**{name: np.asarray(array[start : max(start, stop)]) for name, array in self.arrays})

    def between(self, start: float, stop: float) -> Series:
        """Return the records with ``start <= time < stop``, in memory; of the others a few times are read.

        Parameters
        ----------
        start, stop : float
            In steps, or in seconds where :attr:`times` is of a float type.

        Raises
        ------
        StateError
            If the simulator did not say when the records were made.
        OptionError
            If ``start`` or ``stop`` is no number.
        """
        if self.times is None:
            raise StateError("the series has no times")
        start, stop = number("start", start), number("stop", stop)
        return self[_first_at(self.times, start) : _first_at(self.times, stop)]

    def in_memory(self) -> Series:
        """Return the same series with lazy arrays read."""
        lazy = {name: in_memory(array) for name, array in self.arrays if is_lazy(array)}
        return replace(self, **lazy) if lazy else self

    def to_frame(self, start: float | None = None, stop: float | None = None) -> Any:
        """Return a :class:`pandas.DataFrame`.

        Events have one row each, with the columns ``step`` or ``seconds``, ``rank``, and ``value`` if
        something was recorded with them. Samples have a column for each entry that is recorded, and
        their times as the index.

        Parameters
        ----------
        start, stop : float, optional
            As for :meth:`between`; by default everything is read.

        Raises
        ------
        OptionError
            If ``start`` or ``stop`` is no number.
        MissingExtraError
            Without pandas, which the extra ``frames`` brings.
        """
        whole = start is None and stop is None
        part = self[:] if whole else self.between(-np.inf if start is None else start, _or_inf(stop))
        columns: dict[Any, NDArray[Any]] = {}
        unit = None
        if part.times is not None:
            unit = "seconds" if part.times.dtype.kind == "f" else "step"
            columns[unit] = np.asarray(part.times)
        if part.ranks is not None:
            columns["rank"] = np.asarray(part.ranks)
        if part.values is not None:
            values = np.asarray(part.values)
            if values.ndim == 1:
                columns["value"] = values
            else:
                flat = values.reshape(len(part), math.prod(values.shape[1:]))
                columns |= {number: flat[:, number] for number in range(flat.shape[1])}
        made = exchange.frame(columns, {})
        return made.set_index(unit) if unit is not None and part.ranks is None else made


def _or_inf(stop: float | None) -> float:
    return np.inf if stop is None else stop


_BISECTED = 1 << 15
"""Times that are read at once: the blocks of a file are not much smaller."""


def _first_at(times: Array, moment: float) -> int:
    """Place of the first time that is not before a moment, by bisection: few of a lazy array are read."""
    low, high = 0, times.shape[0]
    while high - low > _BISECTED:
        middle = (low + high) // 2
        if np.asarray(times[middle : middle + 1])[0] < moment:
            low = middle + 1
        else:
            high = middle
    return low + int(np.searchsorted(np.asarray(times[low:high]), moment))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Recording(Mapping[str, Series]):
    """What one monitor holds: a series for each variable; a mapping of them by name."""

    name: str
    """Of the monitor; no two of a network have the same."""
    of: str = field(kw_only=True)
    """Path of what it records: ``populations/exc``, ``projections/ff``; empty if that is not stored."""
    series: Mapping[str, Series] = field(default_factory=dict, kw_only=True)
    """By variable."""
    ranks: NDArray[Any] | None = field(default=None, kw_only=True)
    """Ranks of the neurons, or of the dendrites, that are recorded; None for all of them."""
    settings: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    """What the script asked for, such as the period, under the simulator's own names; plain as metadata
    is. Loading compares it."""
    carried: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    """What the monitor goes on from, such as whether it is paused; plain, and the simulator's own. Loading
    sets it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_text("the name of a recording", self.name))
        object.__setattr__(self, "of", check_text(f"{self._title}: of", self.of))
        series = {}
        for variable, given in mapping(f"{self._title}: series", self.series).items():
            check_text(f"{self._title}: the name of a variable", variable)
            check_kind(f"{self._title}: {printable(variable)!r}", given, Series)
            series[str(variable)] = given
        object.__setattr__(self, "series", series)
        for name in ("settings", "carried"):
            object.__setattr__(self, name, plain_metadata(getattr(self, name)))
        if self.ranks is not None:
            ranks = checked_ranks(in_memory(as_array(self.ranks)), f"{self._title}: ranks")
            object.__setattr__(self, "ranks", ranks.copy())

    def __getitem__(self, variable: str) -> Series:
        """Return the series of one variable.

        Raises
        ------
        AttributeNotFoundError
            If it is not recorded; also a :class:`KeyError`.
        """
        if variable not in self.series:
            raise AttributeNotFoundError.among(self._title, "variable", variable, self.series)
        return self.series[variable]

    def __iter__(self) -> Iterator[str]:
        return iter(self.series)

    def __len__(self) -> int:
        return len(self.series)

    def __repr__(self) -> str:
        return f"<{self._title} of {printable(self.of)}: {names_of(self.series)}>"

    def in_memory(self) -> Recording:
        """Return the same recording with lazy arrays read."""
        return replace(self, series={variable: s.in_memory() for variable, s in self.series.items()})

    def differences(self, other: Recording) -> Iterator[str]:
        """Yield what differs, below the path of the recording: ``v/values``, ``settings``, ..."""
        for name in ("of", "settings", "carried"):
            if getattr(self, name) != getattr(other, name):
                yield name
        if not _same(self.ranks, other.ranks):
            yield "ranks"
        if list(self.series) != list(other.series):
            yield "series"
        for variable, mine in self.series.items():
            theirs = other.series.get(variable)
            for name in _FIELDS if theirs is not None else ():
                if not _same(getattr(mine, name), getattr(theirs, name)):
                    yield f"{variable}/{name}"

    @property
    def _title(self) -> str:
        return f"recording {printable(self.name)!r}"


def _same(a: Array | None, b: Array | None) -> bool:
    return a is b if a is None or b is None else identical_values(a, b)
