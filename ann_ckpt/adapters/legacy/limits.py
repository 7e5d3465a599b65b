"""Limits on what reading one old file may cost.

Every bound is generous for files that ANNarchy wrote and small beside the machine
that reads them. What a file may take grows with the bytes that it *is*, never with
the numbers that it *says*.
"""

from __future__ import annotations

from dataclasses import dataclass

from ann_ckpt.errors import UnsafeFileError

__all__ = ["DEFAULT_LIMITS", "Budget", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for one file."""

    text_bytes: int = 1 << 20
    """Longest name or text, in bytes."""
    depth: int = 64
    """Deepest nesting of lists, tuples, dicts, structs and cells."""
    stack_items: int = 1 << 17
    """Most values that a pickle may hold between its marks at once."""
    free_operations: int = 1_000_000
    """Pickle opcodes allowed to any file; beyond, one for each byte stored on disk."""
    free_objects: int = 2_000_000
    """Lists, dicts and texts allowed to any file; beyond, one for every 4 bytes stored on disk."""
    free_inflated_bytes: int = 32 << 20
    """Bytes that any compressed file may become; beyond, ``inflation`` applies."""
    inflation: int = 200
    """Most bytes that one compressed byte may become."""
    inflated_bytes: int = 1 << 38
    """Most bytes that a compressed file may become, whatever its size."""
    members: int = 20_000
    """Most members of an archive, variables of a MATLAB file or fields of a struct."""
    fields: int = 1024
    """Most fields in one MATLAB struct."""

    def inflated_from(self, stored: int) -> int:
        """Most bytes that ``stored`` compressed bytes may become."""
        return min(self.inflated_bytes, max(self.free_inflated_bytes, self.inflation * stored))


DEFAULT_LIMITS = Limits()


class Budget:
    """What reading one file has spent so far.

    A file can refer to one list a million times. Nothing is expanded to more values
    than the file has bytes: genuine files spend at least one byte on each value.

    Parameters
    ----------
    stored : int
        Size of the file on disk in bytes.
    limits : Limits
        The bounds to keep.
    """

    __slots__ = ("_expanded", "_objects", "_operations", "_read", "limits", "stored")

    def __init__(self, stored: int, limits: Limits = DEFAULT_LIMITS) -> None:
        self.stored = stored
        self.limits = limits
        self._read = self._operations = self._objects = self._expanded = 0

    def read(self, count: int) -> None:
        """Note that ``count`` bytes, after inflation, were read."""
        self._read += count

    def work(self, operations: int, objects: int) -> None:
        """Note opcodes executed and objects made since the last call."""
        self._operations += operations
        self._objects += objects
        if self._operations > self.limits.free_operations + self.stored:
            raise UnsafeFileError(
                f"reading takes over {self._operations} operations for {self.stored} bytes on disk"
            )
        if self._objects > self.limits.free_objects + self.stored // 4:
            raise UnsafeFileError(
                f"the file creates over {self._objects} objects from {self.stored} bytes on disk"
            )

    def expand(self, values: int) -> None:
        """Note that ``values`` numbers or entries are about to be looked at once more.

        What a file refers to twice, it pays for twice.
        """
        self._expanded += values
        if self._expanded > 2 * self._read + 1_000_000:
            raise UnsafeFileError(
                f"shared parts expand to over {self._expanded} values in a file of {self._read} bytes",
            )
