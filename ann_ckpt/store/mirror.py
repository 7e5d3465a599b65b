"""A store in a folder and one in a bucket, made alike: only what the other lacks is sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ann_ckpt.durable import atomic_write, explained, fsync_file, fsync_folder
from ann_ckpt.errors import (
    CorruptFileError,
    FileMissingError,
    NotWritableError,
    OptionError,
    printable,
)
from ann_ckpt.format import layout
from ann_ckpt.format.shared.objects import is_whole
from ann_ckpt.lazy import Checkpoint
from ann_ckpt.paths import Address, address_of
from ann_ckpt.report import Meter, Progress, Report, count, human_bytes
from ann_ckpt.store.buckets.bucket import Bucket, bucket_at
from ann_ckpt.store.buckets.bucket_folder import being_removed
from ann_ckpt.store.catalog import Catalog
from ann_ckpt.store.folder import StoreFolder, settings_text
from ann_ckpt.store.opening import PathLike, split_store_path
from ann_ckpt.store.series import open_one
from ann_ckpt.store.store import CheckpointStore
from ann_ckpt.store.summary import CheckpointInfo, open_inside
from ann_ckpt.uploads import Stored, check_server, download, each, put, put_new, stored_below

__all__ = ["TransferReport", "pull", "push"]

_FRESH = timedelta(hours=1)
"""Older objects in a bucket that no checkpoint needs are sent again: they may be removed just now."""
_PATIENCE = 600.0
"""Seconds to wait for somebody who removes what was just sent."""
_POLL = 1.0


@dataclass(frozen=True, slots=True, repr=False)
class TransferReport(Report):
    """Report of :func:`push` and :func:`pull`."""

    path: str
    """Where it was sent to."""
    checkpoints: tuple[str, ...]
    """Names of the checkpoints that were not there before, oldest first."""
    objects: int
    """Objects that were sent."""
    bytes_sent: int
    """Their bytes, and those of the checkpoints' files."""
    seconds: float

    def headline(self) -> str:
        """Return the report in one line."""
        return (
            f"{printable(self.path, 400)}: {count(len(self.checkpoints), 'new checkpoint')}, "
            f"{count(self.objects, 'object')}, {human_bytes(self.bytes_sent)} in {self.seconds:.1f} s"
        )


def push(source: PathLike, target: PathLike, *, progress: Progress | None = None) -> TransferReport:
    """Send what is missing of a store to a bucket.

    Objects go first, then the checkpoints that need them, oldest first; what is interrupted leaves
    nothing that readers see, and goes on with the next call.

    Parameters
    ----------
    source : path-like
        The store's folder, or ``run.ckpt@trained`` for one of its checkpoints.
    target : path-like
        Its address, ``s3://bucket/run.ckpt``; ``gs://`` and ``az://`` likewise.
    progress : callable, optional
        Called as ``progress(what, done, total)`` with bytes.

    Raises
    ------
    FileMissingError
        If there is no store.
    NotWritableError
        If there is another checkpoint of the same name, the server does not take objects, or replaces
        some where it is asked not to.
    MissingExtraError
        Without obstore, which the extra ``remote`` brings.
    """
    began = time.perf_counter()
    folder, infos, wanted = _chosen(source)  # before the server is asked for anything
    address, bucket = _target(target)
    there = _there(bucket, address, folder)
    _check_same(infos, bucket, there)
    missing = [info for info in wanted if info.name not in there]
    known: set[str] = set()
    for info in infos:
        if info.name in there:
            known.update(info.objects)
    needed = {name: size for info in missing for name, size in info.objects.items() if name not in known}
    if needed:
        fresh = datetime.now(UTC) - _FRESH
        listed = stored_below(address.at(f"{address.key}/{layout.OBJECTS}"))
        whole = {_object_name(one): one.size for one in listed if one.modified > fresh}
        needed = {name: size for name, size in needed.items() if whole.get(name) != size}
    meter = Meter(progress, sum(needed.values()) + sum(info.file_bytes for info in missing))

    def send(name: str) -> None:
        path = folder.object_path(name)
        put(address.at(f"{address.key}/{layout.object_path(name).removeprefix('../')}"), path)
        meter.tick(name, path.stat().st_size)

    with explained(folder.path):
        each(send, needed)
        _send_again(address, needed, send)
        for info in missing:
            if not put_new(address.at(f"{address.key}/checkpoints/{info.name}.h5"), Path(info.path)):
                raise _another(info.name, address.shown)
            meter.tick(info.name, info.file_bytes)
    return TransferReport(
        address.shown,
        tuple(info.name for info in missing),
        len(needed),
        meter.done,
        time.perf_counter() - began,
    )


def pull(source: PathLike, target: PathLike, *, progress: Progress | None = None) -> TransferReport:
    """Fetch what is missing of a store in a bucket into a folder, which is made if there is none.

    Parameters
    ----------
    source : path-like
        The store's address, or ``s3://bucket/run.ckpt@trained`` for one of its checkpoints.
    target : path-like
        The store's folder.
    progress : callable, optional
        Called as ``progress(what, done, total)`` with bytes.

    Raises
    ------
    FileMissingError
        If there is no store at the address.
    LockedError
        If another process saves to the folder.
    NotWritableError
        If the folder has another checkpoint of the same name, or the disk does not take what is fetched.
    """
    began = time.perf_counter()
    address = address_of(source)
    place = None if address is None else bucket_at(address)
    if place is None:
        raise OptionError(
            "nothing is fetched from there",
            details={"expected": "the address of a store: s3://bucket/run.ckpt"},
            where=source,
        )
    bucket, which = place
    settings = bucket.settings()
    slots = bucket.slots()
    if which is not None:
        with open_one(bucket, which) as checkpoint:
            name = checkpoint.path.rpartition("/")[2].removesuffix(".h5")
        slots = [slot for slot in slots if slot.name == name]
    compression = str(settings.get("compression", "auto"))
    new = not StoreFolder(Path(target)).exists()
    with (
        CheckpointStore(target, "a", compression=compression if new else None) as store,
        store._entered(),
        ExitStack() as change,
    ):
        store._enter_change(change)
        folder = StoreFolder(Path(store.path))
        _check_same(Catalog(folder).all(), bucket, {slot.name: bucket.status(slot)[1] for slot in slots})
        have = set(folder.slots())
        missing = [slot for slot in slots if slot not in have]
        fetched = _Fetching(bucket.address, folder, progress, sum(bucket.status(s)[1] for s in missing))
        try:
            for slot in missing:
                fetched.checkpoint(bucket.checkpoint_address(slot), folder.checkpoint_path(slot))
        except BaseException:
            folder.mark_unswept()
            raise
    return TransferReport(
        store.path,
        tuple(slot.name for slot in missing),
        fetched.objects,
        fetched.meter.done,
        time.perf_counter() - began,
    )


class _Fetching:
    """Fetches checkpoints into a folder, the objects of each before it."""

    def __init__(self, bucket: Address, folder: StoreFolder, progress: Progress | None, total: int) -> None:
        self._bucket = bucket
        self._folder = folder
        self.meter = Meter(progress, total)
        self.objects = 0

    def checkpoint(self, address: Address, path: Path) -> None:
        """Fetch one checkpoint; its name, which commits it, comes last."""
        with atomic_write(path) as temporary:
            size = download(address, temporary)
            with Checkpoint(temporary) as checkpoint:
                objects = checkpoint.objects
            missing = [
                (number, name, size)
                for number, (name, size) in enumerate(objects.items())
                if not is_whole(str(self._folder.object_path(name)), size)
            ]
            each(self._object, missing)
            for folder in {self._folder.object_path(name).parent for _, name, _ in missing}:
                fsync_folder(folder)
            if missing:
                fsync_folder(self._folder.objects)
            self.objects += len(missing)
            self.meter.tick(path.stem, size)

    def _object(self, item: tuple[int, str, int]) -> None:
        number, name, size = item
        final, temporary = self._folder.object_path(name), self._folder.temporary_object(number)
        address = self._bucket.at(f"{self._bucket.key}/{layout.object_path(name).removeprefix('../')}")
        with explained(final):
            final.parent.mkdir(exist_ok=True)
            found = download(address, temporary)
            if not is_whole(str(temporary), size):
                temporary.unlink()
                raise CorruptFileError(
                    "the object is cut, or longer than it was written",
                    details={"expected": f"{size} bytes", "found": f"{found} bytes"},
                    where=address.shown,
                )
            fsync_file(temporary)
            temporary.replace(final)
        self.meter.tick(name, found)


def _send_again(address: Address, needed: Mapping[str, int], send: Callable[[str], None]) -> None:
    """Send once more what somebody has removed who saw it before it was sent.

    Raises
    ------
    NotWritableError
        If that does not come to an end.
    """
    deadline = time.monotonic() + _PATIENCE
    removed: set[str] = set()
    while needed:
        going = being_removed(address, datetime.now(UTC)) & set(needed)
        if not going:
            break
        if time.monotonic() > deadline:
            raise NotWritableError(
                "somebody prunes the store, and removes objects that are needed again",
                details={"hint": "what was sent stays for an hour: push again"},
                where=address.shown,
            )
        removed |= going
        time.sleep(_POLL)
    if removed:
        listed = stored_below(address.at(f"{address.key}/{layout.OBJECTS}"))
        each(send, removed - {_object_name(one) for one in listed})


def _target(target: PathLike) -> tuple[Address, Bucket]:
    address = address_of(target)
    web = address is None or address.scheme in ("http", "https")
    place = None if address is None or web else bucket_at(address)
    if address is None or place is None or place[1] is not None:
        raise OptionError(
            "nothing is sent there",
            details={"expected": "the address of a store: s3://bucket/run.ckpt"},
            where=target,
        )
    return address, place[0]


def _chosen(source: PathLike) -> tuple[StoreFolder, list[CheckpointInfo], list[CheckpointInfo]]:
    """Return a store, all its checkpoints, and those that are meant."""
    place = split_store_path(source)
    if place is None:
        raise FileMissingError("the store does not exist", where=source)
    folder, which = place
    folder.settings()
    infos = Catalog(folder).all()
    for info in infos:
        if info.problem is not None:
            raise CorruptFileError(
                "a checkpoint cannot be read", details={"found": info.problem}, where=info.path
            )
    if which is None:
        return folder, infos, infos
    with open_one(folder, which) as checkpoint:
        name = Path(checkpoint.path).stem
    return folder, infos, [info for info in infos if info.name == name]


def _there(bucket: Bucket, address: Address, folder: StoreFolder) -> Mapping[str, int]:
    """Return the checkpoints in a bucket with their sizes; makes a store where there is none."""
    try:
        bucket.settings()
    except FileMissingError:
        check_server(address)
        put_new(address.at(f"{address.key}/{layout.STORE_FILE}"), settings_text(_plain(folder)).encode())
    return {slot.name: bucket.status(slot)[1] for slot in bucket.slots()}


def _plain(folder: StoreFolder) -> dict[str, Any]:
    return {k: v for k, v in folder.settings().items() if k not in ("format", "version")}


def _check_same(infos: Sequence[CheckpointInfo], bucket: Bucket, there: Mapping[str, int]) -> None:
    """Raise if checkpoints of one name differ: in length, or the newest of them in what it says of itself."""
    common = [info for info in infos if info.name in there]
    for info in common:
        if info.file_bytes != there[info.name]:
            raise _another(info.name, bucket.path)
    if common:
        newest = common[-1]
        with open_inside(newest.path) as here, open_inside(bucket.checkpoint_path(newest.slot)) as other:
            if here._reader.identity[1] != other._reader.identity[1]:
                raise _another(newest.name, bucket.path)


def _another(name: str, where: str) -> NotWritableError:
    return NotWritableError(
        f"both stores have a checkpoint {name}, and they are different ones",
        details={"hint": "give one of them another place"},
        where=where,
    )


def _object_name(one: Stored) -> str:
    return one.key.rpartition("/")[2].removesuffix(".h5")
