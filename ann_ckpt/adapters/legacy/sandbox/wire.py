"""The pipe protocol of a file that was read: a JSON header, then raw numbers.

The sender may have been compromised by the file that it read. So nothing here is ever
unpickled, and what arrives is validated like an untrusted file: the header is
JSON of bounded length, types are from a short list, sizes are bounded before memory
is taken, and the state is put together by the model's own checking constructors.

    8 bytes    length of the header, little-endian
    header     JSON: ``error``, or the file's facts, what it holds, its snapshots by name (those but
               the last, which is what it holds), and the type and shape of each array
    arrays     the bytes of each array, one after the other
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from ann_ckpt.adapters.protocol import ForeignFile, Owner, Reading
from ann_ckpt.errors import (
    CheckpointError,
    CorruptFileError,
    FileMissingError,
    NotReadableError,
    OptionError,
    UnrecognisedFileError,
    UnsafeFileError,
    WorkerCrashedError,
    printable,
)
from ann_ckpt.model import (
    Attribute,
    Connectivity,
    Exactness,
    Locality,
    NetworkState,
    PopulationState,
    ProjectionState,
    Resume,
)
from ann_ckpt.report import Loss, Note

__all__ = [
    "receive",
    "send",
    "send_error",
]

Take = Callable[[int], bytes]
"""``take(count)`` returns exactly ``count`` bytes from the pipe."""

_LENGTH_BYTES = 8
_HEADER_BYTES = 1 << 26
_MAX_AXES = 32
_SHOWN = 1000
_TYPES: Final = frozenset("?bhilqBHILQfd")
_ERRORS: Final = {
    cls.code: cls
    for cls in (
        CorruptFileError,
        FileMissingError,
        NotReadableError,
        OptionError,
        UnrecognisedFileError,
        UnsafeFileError,
    )
}


def send(found: ForeignFile, pipe: BinaryIO) -> None:
    """Write a file that was read, without its path."""
    arrays: list[NDArray[Any]] = []

    def put(values: object) -> int:
        arrays.append(np.asarray(values))
        return len(arrays) - 1

    facts = [found.container, found.kind, found.file_bytes, found.program, found.versions, found.python]
    others = {n: r for n, r in found.snapshots.items() if r is not found.reading}
    header = _reading_fields(found.reading, put) | {
        "facts": facts,
        "names": list(found.snapshots),
        "snapshots": [_reading_fields(reading, put) for reading in others.values()],
    }
    header["arrays"] = [[array.dtype.char, array.shape] for array in arrays]
    _write_header(header, pipe)
    pipe.writelines(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for array in arrays)


def send_error(error: CheckpointError, pipe: BinaryIO) -> None:
    """Write why a file could not be read."""
    fields = {"code": error.code, "fact": error.fact, "details": error.details, "where": error.where}
    _write_header({"error": fields}, pipe)


def receive(take: Take, path: str, limit: int) -> ForeignFile:
    """Return what was sent, or raise the error that was sent.

    Parameters
    ----------
    take : callable
        Returns exactly as many bytes from the pipe as it is asked for.
    path : str
        The file that the sender was asked to read.
    limit : int
        Most bytes that all arrays together may have.

    Raises
    ------
    WorkerCrashedError
        If what arrives is nothing that :func:`send` writes.
    CheckpointError
        The sender's own error.
    """
    length = int.from_bytes(take(_LENGTH_BYTES), "little")
    try:
        header = json.loads(take(_at_most(length, _HEADER_BYTES)))
        if "error" not in header:
            arrays = [_array(char, shape, take) for char, shape in _bounded(header["arrays"], limit)]
            return _old_file(header, arrays, path)
        error = _error(header["error"])
    except WorkerCrashedError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as failure:
        raise WorkerCrashedError("invalid answer from the process reading the file", where=path) from failure
    raise error


def _write_header(header: Mapping[str, Any], pipe: BinaryIO) -> None:
    data = json.dumps(header).encode()
    pipe.write(len(data).to_bytes(_LENGTH_BYTES, "little") + data)


def _reading_fields(reading: Reading, put: Callable[[object], int]) -> dict[str, Any]:
    state = reading.state
    return {
        "notes": [[note.path, note.text, isinstance(note, Loss)] for note in reading.notes],
        "time": [state.time_step, state.dt],
        "carried": _carried_fields(state, put),
        "populations": [_population_fields(p, put) for p in state.populations.values()],
        "projections": [_projection_fields(p, put) for p in state.projections.values()],
    }


def _carried_fields(owner: Owner, put: Callable[[object], int]) -> list[Any]:
    """Dynamics, and whether resuming is exact."""
    dynamics = [[name, put(values)] for name, values in owner.dynamics.items()]
    resume = owner.resume
    return [dynamics, None if resume is None else [str(resume.exactness), list(resume.reasons)]]


def _population_fields(population: PopulationState, put: Callable[[object], int]) -> list[Any]:
    groups = _group_fields(population.parameters, put), _group_fields(population.variables, put)
    return [population.name, population.geometry, *groups, _carried_fields(population, put)]


def _projection_fields(projection: ProjectionState, put: Callable[[object], int]) -> list[Any]:
    delays = projection.delays
    return [
        [projection.name, projection.pre, projection.post, projection.target],
        [projection.pre_size, projection.post_size],
        [put(projection.post_ranks), put(projection.row_ptr), put(projection.pre_ranks)],
        None if delays is None else [delays, None] if isinstance(delays, int) else [None, put(delays)],
        _group_fields(projection.parameters, put),
        _group_fields(projection.variables, put),
        _carried_fields(projection, put),
        None if projection.order is None else put(projection.order),
        [[name, put(values)] for name, values in projection.pathway_delays.items()],
    ]


def _group_fields(group: Mapping[str, Attribute], put: Callable[[object], int]) -> list[Any]:
    return [[name, str(attribute.locality), put(attribute.values)] for name, attribute in group.items()]


def _bounded(specs: list[Any], limit: int) -> list[tuple[str, tuple[int, ...]]]:
    """Return types and shapes after checking that they are plain and not too large together."""
    found = []
    for char, shape in specs:
        if char not in _TYPES or len(shape) > _MAX_AXES or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(char)
        limit -= _at_most(math.prod(shape) * np.dtype(char).itemsize, limit)
        found.append((char, tuple(shape)))
    return found


def _at_most(size: int, limit: int) -> int:
    if size > limit:
        raise ValueError(size)
    return size


def _array(char: str, shape: tuple[int, ...], take: Take) -> NDArray[Any]:
    data = take(math.prod(shape) * np.dtype(char).itemsize)
    return np.frombuffer(data, char).reshape(shape) if data else np.empty(shape, char)


def _error(fields: dict[str, Any]) -> CheckpointError:
    details = {printable(key, 40): printable(value, _SHOWN) for key, value in fields["details"].items()}
    where = None if fields["where"] is None else printable(fields["where"], _SHOWN)
    return _ERRORS[fields["code"]](printable(fields["fact"], _SHOWN), details=details, where=where)


def _old_file(header: dict[str, Any], arrays: list[NDArray[Any]], path: str) -> ForeignFile:
    container, kind, file_bytes, program, versions, python = header["facts"]
    reading = _reading(header, arrays)
    readings = [_reading(fields, arrays) for fields in header["snapshots"]]
    names = [_text(name) for name in header["names"]]
    return ForeignFile(
        path=path,
        container=_text(container),
        kind=_text(kind),
        file_bytes=_whole(file_bytes),
        program=_text(program),
        versions=_text(versions),
        python=_text(python),
        reading=reading,
        snapshots=dict(zip(names, [*readings, reading], strict=True)) if names else {},
    )


def _reading(fields: dict[str, Any], arrays: list[NDArray[Any]]) -> Reading:
    time_step, dt = fields["time"]
    populations = [_population(*found, arrays=arrays) for found in fields["populations"]]
    projections = [_projection(*found, arrays=arrays) for found in fields["projections"]]
    dynamics, resume = _carried(fields["carried"], arrays)
    state = NetworkState(
        populations={population.name: population for population in populations},
        projections={projection.name: projection for projection in projections},
        dynamics=dynamics,
        resume=resume,
        time_step=None if time_step is None else _whole(time_step),
        dt=None if dt is None else float(dt),
    )
    notes = tuple(
        (Loss if lost else Note)(_text(where), _text(what)) for where, what, lost in fields["notes"]
    )
    return Reading(state, notes)


def _carried(fields: list[Any], arrays: list[NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], Resume | None]:
    dynamics, resume = fields
    if resume is not None:
        exactness, reasons = resume
        resume = Resume(Exactness(exactness), tuple(_text(reason) for reason in reasons))
    return _named(dynamics, arrays), resume


def _named(fields: list[Any], arrays: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {_text(name): arrays[_whole(index)] for name, index in fields}


def _population(
    name: str,
    geometry: list[int],
    parameters: list[Any],
    variables: list[Any],
    carried: list[Any],
    *,
    arrays: list[NDArray[Any]],
) -> PopulationState:
    dynamics, resume = _carried(carried, arrays)
    return PopulationState(
        _text(name),
        tuple(_whole(n) for n in geometry),
        parameters=_group(parameters, arrays),
        variables=_group(variables, arrays),
        dynamics=dynamics,
        resume=resume,
    )


def _projection(
    names: list[str],
    sizes: list[int | None],
    ranks: list[int],
    delays: list[int | None] | None,
    parameters: list[Any],
    variables: list[Any],
    carried: list[Any],
    order: int | None,
    pathway_delays: list[Any],
    *,
    arrays: list[NDArray[Any]],
) -> ProjectionState:
    dynamics, resume = _carried(carried, arrays)
    name, pre, post, target = map(_text, names)
    pre_size, post_size = (None if size is None else _whole(size) for size in sizes)
    post_ranks, row_ptr, pre_ranks = (arrays[_whole(index)] for index in ranks)
    steps, per_synapse = (None, None) if delays is None else delays
    return ProjectionState(
        name,
        pre,
        post,
        target,
        Connectivity(post_ranks, row_ptr, pre_ranks),
        delays=arrays[_whole(per_synapse)] if per_synapse is not None else steps,
        pathway_delays=_named(pathway_delays, arrays),
        order=None if order is None else arrays[_whole(order)],
        parameters=_group(parameters, arrays),
        variables=_group(variables, arrays),
        pre_size=pre_size,
        post_size=post_size,
        dynamics=dynamics,
        resume=resume,
    )


def _group(fields: list[Any], arrays: list[NDArray[Any]]) -> dict[str, Attribute]:
    return {
        _text(name): Attribute(arrays[_whole(index)], Locality(locality)) for name, locality, index in fields
    }


def _note(path: object, text: object, lost: object) -> Note:
    return (Loss if lost else Note)(_text(path), _text(text))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    value.encode("utf-8")  # half a surrogate pair is refused here, not when it is written
    return value


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(value)
    return value
