"""All exceptions of this package, grouped by how a caller would handle them.

Each class has a stable ``code`` (safe to match in scripts) and an ``exit_status`` for
the command line. Where a builtin says the same thing (``KeyError``, ``ValueError``,
``OSError``), the class is that builtin too.

A message has up to three parts: the fact, what was there instead, and where::

    error[attribute-not-found]: projection 'ff' has no attribute 'weigth' (did you mean 'weight'?)
      stored: trace, w, weight
      where:  run.h5:/projections/ff
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from typing import Any, ClassVar

__all__ = [
    "AttributeNotFoundError",
    "BusyError",
    "ChangedFileError",
    "CheckpointError",
    "ClosedCheckpointError",
    "ConnectivityError",
    "CorruptFileError",
    "FileMissingError",
    "FormatVersionError",
    "LockedError",
    "MismatchError",
    "MissingExtraError",
    "NotFoundError",
    "NotReadableError",
    "NotWritableError",
    "ObjectNotFoundError",
    "OptionError",
    "OutsideStoreError",
    "ParameterFileError",
    "PlaceNotFoundError",
    "PrunedError",
    "SchemaUnusableError",
    "SimulatorError",
    "StateError",
    "UnknownFormatError",
    "UnrecognisedFileError",
    "UnsafeFileError",
    "WorkerCrashedError",
    "WorkerTimeoutError",
    "WrongTypeError",
    "printable",
]

_LISTED = 12
_LONGEST = 1000
"""Characters of where something is; paths in a file stand behind the file's own."""


def printable(text: object, limit: int = 120) -> str:
    """Return ``text`` with control characters escaped and its length bounded.

    Names come out of files that strangers may have written; what reaches a terminal
    must not move its cursor or flood it.
    """
    try:
        shown = str(text)
    except ValueError:  # Python writes no integers of more than 4300 digits
        shown = f"<{type(text).__name__}>"
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}\N{HORIZONTAL ELLIPSIS}"


class CheckpointError(Exception):
    """Base of everything this package raises on purpose.

    Parameters
    ----------
    fact : str
        What is wrong, in one sentence without a final full stop.
    details : mapping of str to str, optional
        Labelled lines below the fact, such as ``stored``, ``expected``, ``hint``.
    where : str or path-like, optional
        File and HDF5 path, byte offset, or live object concerned; escaped as :func:`printable` does.
    """

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1

    def __init__(
        self, fact: str, *, details: dict[str, str] | None = None, where: str | os.PathLike[str] | None = None
    ) -> None:
        super().__init__(fact)
        self.fact = fact
        self.details = dict(details or {})
        self.where = None if where is None else printable(where, _LONGEST)

    def __str__(self) -> str:
        lines = [self.fact, *(f"  {k + ':':<8} {v}" for k, v in self.details.items())]
        if self.where is not None:
            lines.append(f"  {'where:':<8} {self.where}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        fields = dict(self.__dict__)
        if isinstance(self, OSError):  # which keeps this one elsewhere
            fields["errno"] = self.errno
        return (_rebuild, (type(self), fields, self.args))


def _rebuild(cls: type[CheckpointError], fields: dict[str, Any], args: tuple[Any, ...]) -> CheckpointError:
    """Make the exception again after pickling, whatever its own ``__init__`` takes."""
    error = cls.__new__(cls, *args)
    error.args = args
    for name, value in fields.items():
        setattr(error, name, value)
    return error


class StateError(CheckpointError, ValueError):
    """A :class:`~ann_ckpt.NetworkState` or a part of it is invalid."""

    code = "invalid-state"
    exit_status = 2


class ConnectivityError(StateError):
    """Rows, ranks and pointers of a projection are inconsistent."""

    code = "invalid-connectivity"


class OptionError(CheckpointError, ValueError):
    """An argument has a value that this call does not accept."""

    code = "invalid-option"
    exit_status = 2


class WrongTypeError(OptionError, TypeError):
    """An argument is of a type that this call does not accept."""

    code = "wrong-type"


class MissingExtraError(CheckpointError, ImportError):
    """An optional dependency is not installed; the message names the extra."""

    code = "missing-extra"
    exit_status = 2


class NotFoundError(CheckpointError, KeyError):
    """A name does not exist; the message suggests the nearest ones."""

    code = "not-found"
    exit_status = 3

    __str__ = CheckpointError.__str__  # KeyError would print the repr of its argument

    @classmethod
    def among(
        cls,
        owner: str,
        noun: str,
        name: object,
        present: Iterable[str],
        *,
        label: str = "stored",
        where: str | os.PathLike[str] | None = None,
    ) -> NotFoundError:
        """Make the error that ``owner`` has no ``noun`` called ``name``, listing what it has as ``label``."""
        names = [str(p) for p in present]
        folded = str(name).casefold()
        near = [n for n in names if n.casefold() == folded] or difflib.get_close_matches(
            str(name), names, n=1
        )
        fact = f"{owner} has no {noun} {printable(name)!r}"
        if near:
            fact += f" (did you mean {printable(near[0])!r}?)"
        shown = ", ".join(printable(n, 40) for n in names[:_LISTED]) or "nothing"
        if len(names) > _LISTED:
            shown += f", and {len(names) - _LISTED} more"
        return cls(fact, details={label: shown}, where=where)


class ObjectNotFoundError(NotFoundError):
    """No population, projection or constant has that name."""

    code = "object-not-found"


class PlaceNotFoundError(ObjectNotFoundError, IndexError):
    """A store has not that many checkpoints."""

    code = "place-not-found"


class AttributeNotFoundError(NotFoundError):
    """A population or projection has no attribute of that name."""

    code = "attribute-not-found"


class ClosedCheckpointError(CheckpointError, ValueError):
    """The checkpoint was closed; unread data is no longer available."""

    code = "closed"
    exit_status = 2


class FileMissingError(CheckpointError, FileNotFoundError):
    """The file does not exist."""

    code = "no-such-file"
    exit_status = 3

    __str__ = CheckpointError.__str__


class PrunedError(CheckpointError, FileNotFoundError):
    """The checkpoint was removed from its store after it was opened; unread data is no longer available."""

    code = "pruned"
    exit_status = 3

    __str__ = CheckpointError.__str__


class ChangedFileError(CheckpointError, ValueError):
    """Another file lies where the one was that was pickled, or that is being read over a network."""

    code = "changed-file"
    exit_status = 5


class NotReadableError(CheckpointError, OSError):
    """The file exists, but the operating system does not allow reading it."""

    code = "not-readable"
    exit_status = 9

    __str__ = CheckpointError.__str__


class UnknownFormatError(CheckpointError, ValueError):
    """Unsupported file format, or not accepted by this call."""

    code = "unknown-format"
    exit_status = 4


class FormatVersionError(UnknownFormatError):
    """The major version of the format is newer than this package supports."""

    code = "format-version"


class CorruptFileError(CheckpointError, ValueError):
    """The file is damaged: truncated, checksum mismatch, or broken structure."""

    code = "corrupt-file"
    exit_status = 5


class OutsideStoreError(CorruptFileError):
    """The checkpoint file was moved out of its store, without the objects that hold its large arrays."""

    code = "outside-store"
    exit_status = 3


class UnsafeFileError(CheckpointError, ValueError):
    """The file contains something that no checkpoint needs, and was rejected."""

    code = "unsafe-file"
    exit_status = 6


class UnrecognisedFileError(CorruptFileError, UnknownFormatError):
    """The content is neither a checkpoint nor a file that ANNarchy wrote."""

    code = "unrecognised-file"
    exit_status = 4


class WorkerCrashedError(UnsafeFileError):
    """The separate process that read the file crashed; this process is unaffected."""

    code = "worker-crashed"


class WorkerTimeoutError(UnsafeFileError):
    """The separate process that read the file took too long and was stopped."""

    code = "worker-timeout"


class MismatchError(CheckpointError, ValueError):
    """The stored state does not fit the live network; nothing was changed.

    ``report`` holds the :class:`~ann_ckpt.report.LoadReport` with every problem.
    """

    code = "mismatch"
    exit_status = 7

    report: Any = None


class ParameterFileError(CheckpointError, ValueError):
    """A parameter file is wrong or does not fit the network; nothing was changed.

    ``findings`` holds every :class:`~ann_ckpt.params.Finding`, with line and column.
    """

    code = "invalid-parameters"
    exit_status = 1

    findings: Any = ()


class SchemaUnusableError(CheckpointError, ValueError):
    """The schema is invalid, or uses features that are not supported.

    ``findings`` holds every :class:`~ann_ckpt.params.Finding`, with line and column.
    """

    code = "schema-unusable"
    exit_status = 4

    findings: Any = ()


class SimulatorError(CheckpointError, RuntimeError):
    """The live network cannot be read or written in its current state."""

    code = "simulator"
    exit_status = 8


class NotWritableError(CheckpointError, OSError):
    """The target could not be written; the message says what happened to the previous file."""

    code = "not-writable"
    exit_status = 9

    __str__ = CheckpointError.__str__


class LockedError(CheckpointError, OSError):
    """Another process is writing to the store; the message says which, and since when."""

    code = "locked"
    exit_status = 10

    __str__ = CheckpointError.__str__


class BusyError(LockedError):
    """The same thread is already changing the store, and would deadlock."""

    code = "busy"
