"""New objects of one save: written under temporary names, durable before they get their own."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ann_ckpt.durable import fsync_file, fsync_folder
from ann_ckpt.errors import NotWritableError
from ann_ckpt.format.chunking import Compression
from ann_ckpt.format.shared.array import StoredObject
from ann_ckpt.format.shared.objects import ObjectWriter, is_whole
from ann_ckpt.store.folder import StoreFolder
from ann_ckpt.store.inside import check_folder
from ann_ckpt.threads import Threads

__all__ = ["ObjectBatch"]

_SYNCING = 4
"""Files that wait for the disk at the same time; file systems answer such calls together."""


@dataclass(frozen=True, slots=True)
class _Unnamed:
    """A finished object under its temporary name, on its way to the disk."""

    temporary: Path
    synced: Future[None]


class ObjectBatch:
    """New objects of one save; they get their names in :meth:`commit`.

    Parameters
    ----------
    folder : StoreFolder
        Its change lock is held by the caller, so temporary files are this batch's own.
    compression : Compression
        For large objects.
    pool : Executor
        Compresses chunks.
    """

    def __init__(self, folder: StoreFolder, compression: Compression, pool: Executor) -> None:
        self._folder = folder
        self._compression = compression
        self._pool = pool
        self._disk = Threads(_SYNCING, "ann_ckpt-sync")
        self._process = os.getpid()
        self._writers: list[ObjectWriter] = []
        self._added: dict[str, StoredObject] = {}
        self._unnamed: dict[str, _Unnamed] = {}
        self._named: list[Path] = []
        self.share = folder.share_of_save()
        self.bytes_written = 0
        """Size of the objects that were not there before."""

    def create(self, dtype: np.dtype[Any], entry: tuple[int, ...]) -> ObjectWriter:
        """Create an object of unknown length, with entries of the given type and shape."""
        self._refuse_in_child()
        path = str(self._folder.temporary_object(len(self._writers)))
        writer = ObjectWriter(path, dtype, entry, compression=self._compression, pool=self._pool)
        self._writers.append(writer)
        return writer

    def add(self, writer: ObjectWriter, name: str) -> StoredObject:
        """Finish an object; an existing one of the same content is used instead.

        Raises
        ------
        OSError
            If the disk does not take it.
        """
        self._refuse_in_child()
        entries = writer.entries
        writer.finish()
        temporary, final = Path(writer.path), self._folder.object_path(name)
        if name in self._added:
            temporary.unlink()
        elif is_whole(str(final)):
            temporary.unlink()
            self._added[name] = StoredObject(name, entries, final.stat().st_size)
        else:
            self._added[name] = StoredObject(name, entries, temporary.stat().st_size)
            self._unnamed[name] = _Unnamed(temporary, self._disk.submit(fsync_file, temporary))
            self.bytes_written += self._added[name].size
        return self._added[name]

    def commit(self) -> None:
        """Make every object durable under its name.

        Content first, then names, then the folders that hold the names: whatever a
        power cut leaves has a name only if it is complete. The folders of objects that
        were there already count too, and so does the folder of these folders: an
        interrupted save may have left those names.
        """
        self._refuse_in_child()
        for item in self._unnamed.values():
            item.synced.result()
        folders = {self._folder.object_path(name).parent for name in self._added}
        for folder in folders:
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
            check_folder(folder)
        for name, item in self._unnamed.items():
            final = self._folder.object_path(name)
            replaced = final.exists()
            item.temporary.replace(final)
            if not replaced:  # what replaced a damaged object is needed by those who needed that one
                self._named.append(final)
        holders = [*folders, *([self._folder.objects] if folders else [])]
        for _ in self._disk.map(fsync_folder, sorted(holders)):
            pass

    def _refuse_in_child(self) -> None:
        if self._process != os.getpid():
            raise NotWritableError(
                "this process was forked while its parent saved; only the parent can finish the save",
                where=os.fspath(self._folder.path),
            )

    def discard(self) -> None:
        """Remove everything that was added; no checkpoint refers to it.

        Without effect in a forked child: the files are its parent's.
        """
        if self._process != os.getpid():
            return
        for writer in self._writers:
            writer.close()
        for path in (*(Path(writer.path) for writer in self._writers), *self._named):
            try:
                path.unlink(missing_ok=True)
            except OSError:
                self._folder.mark_unswept()

    def close(self) -> None:
        """Shut down the thread pool."""
        self._disk.shutdown()
