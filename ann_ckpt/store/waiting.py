"""A checkpoint of a store whose file is opened on first use."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from ann_ckpt.errors import ClosedCheckpointError, FileMissingError, PrunedError, printable
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.store.inside import check_file

__all__ = ["WaitingCheckpoint"]


class WaitingCheckpoint(Checkpoint):
    """A :class:`~ann_ckpt.Checkpoint` that opens its file on first use.

    Parameters
    ----------
    path : path-like
        A checkpoint file of a store.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._opening = threading.RLock()
        self._waits = True
        self._ended = False

    def __getattr__(self, name: str) -> Any:
        # Called only for what is not there: everything that opening the file brings.
        if name.startswith("__") or not self.__dict__.get("_waits"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        with self._opening:
            if self._waits:
                self._open()
        return getattr(self, name)

    def _open(self) -> None:
        if self._ended:
            raise ClosedCheckpointError("the checkpoint was closed", where=printable(self.path, 400))
        before = dict(self.__dict__)
        try:
            check_file(Path(self.path))
            super().__init__(self.path)
        except BaseException as error:
            self.__dict__.clear()
            self.__dict__.update(before)
            if isinstance(error, FileMissingError):
                raise PrunedError(
                    "the checkpoint was pruned before it was opened", where=printable(self.path, 400)
                ) from error
            raise
        self._waits = False

    def close(self) -> None:
        """Close the file if it was opened; unread data is no longer available."""
        with self._opening:
            self._ended = True
            if not self._waits:
                super().close()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._ended
