"""Robust standard streams for the command line: closed pipes, full disks, odd encodings.

A terminal may not know UTF-8, a pipe may lose its reader, a disk behind ``>`` may be
full, and ``>&-`` closes a stream altogether, so that the next file opened gets its
number. None of these may end in a traceback, in a damaged file or, since 1 means that
something differs, in the exit status 1.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any

__all__ = ["Output", "standard_output"]


class Output(io.RawIOBase):
    """A standard stream that keeps its first error and goes on; nothing is lost but the text.

    Parameters
    ----------
    descriptor : int or None
        None for a stream that was closed when the program started.
    """

    def __init__(self, descriptor: int | None) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.error: OSError | None = None

    def writable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """Descriptor of the stream."""
        if self._descriptor is None:
            raise io.UnsupportedOperation("the stream was closed")
        return self._descriptor

    def isatty(self) -> bool:
        """Whether this is a terminal."""
        return self._descriptor is not None and os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        """Write everything, unless the stream had an error before."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        if self._descriptor is None:
            self.error = OSError(errno.EBADF, "it was closed")
            return size
        while rest and self.error is None:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # the terminal was made non-blocking by another program
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.error = error
                if isinstance(error, BrokenPipeError):
                    raise  # nobody reads any more, so nothing more needs to be done
        return size


def standard_output() -> Output | None:
    """Put streams in place that cannot fail; return that of the output, None where another one stands in."""
    _occupy()
    _stream("stderr", 2)
    return _stream("stdout", 1)


def _occupy() -> None:
    """Give the numbers 0 to 2 to nothing, where they are free, before a file gets them."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _stream(name: str, descriptor: int) -> Output | None:
    present: Any = getattr(sys, name)
    if present is not getattr(sys, f"__{name}__"):
        return None  # a program that calls `main` has put its own there
    raw = Output(None if present is None else descriptor)
    if present is not None:
        present.flush()
    made = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(present, "encoding", "utf-8"),
        errors="backslashreplace",
        line_buffering=getattr(present, "line_buffering", False),
    )
    setattr(sys, name, made)
    return raw
