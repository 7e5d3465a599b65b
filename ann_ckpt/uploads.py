"""Objects that are written over a network: put, fetched whole, listed and removed.

What a server has to do for that: list by a prefix what was just put, with sizes, times and entity tags, and
put an object only if there is none of its name (``If-None-Match: *``). :func:`check_server` asks it to.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ann_ckpt.errors import CheckpointError, FileMissingError, NotWritableError, OptionError
from ann_ckpt.paths import Address
from ann_ckpt.remote import explained, place
from ann_ckpt.threads import Threads

__all__ = [
    "ServerClock",
    "Stored",
    "check_server",
    "download",
    "each",
    "fetch",
    "put",
    "put_new",
    "remove",
    "stored_below",
    "stored_from",
]

_AT_ONCE = 8
_WHOLE = 32 << 20
"""A larger file is put in parts."""

T = TypeVar("T")
R = TypeVar("R")


class Stored(NamedTuple):
    """One object of a listing."""

    key: str
    """Below the folder that was listed."""
    size: int
    modified: datetime
    """By the server's clock."""
    tag: str | None
    """Entity tag."""


@dataclass(frozen=True, slots=True)
class ServerClock:
    """A server's clock, known by the time of an object that was put: never ahead of it."""

    moment: datetime
    """When the object was put."""
    known_at: float = field(default_factory=time.monotonic)
    """When that was heard of, in seconds of this machine."""

    @property
    def now(self) -> datetime:
        """What time it is there."""
        return self.moment + timedelta(seconds=time.monotonic() - self.known_at)


def stored_below(folder: Address) -> list[Stored]:
    """Return every object below a folder; a request for each thousand.

    Raises
    ------
    NotReadableError
        If the server does not list them.
    """
    return list(stored_from(folder))


def stored_from(folder: Address, first: str = "") -> Iterator[Stored]:
    """Yield the objects below a folder in the order of their names; raises as :func:`stored_below`.

    Parameters
    ----------
    first : str
        What comes before this name is left out.
    """
    store, key = place(folder)
    import obstore

    prefix = f"{key}/"
    options = {"offset": prefix + first} if first else {}
    with suppress(FileMissingError), explained(folder, opened=True):
        for some in obstore.list(store, prefix=prefix, chunk_size=1000, **options):
            for m in some:
                yield Stored(m["path"][len(prefix) :], m["size"], m["last_modified"], m["e_tag"])


def fetch(address: Address) -> bytes:
    """Return a whole object.

    Raises
    ------
    FileMissingError
        If there is none.
    NotReadableError
        If the server does not give it.
    """
    store, key = place(address)
    import obstore

    with explained(address, opened=False):
        return bytes(obstore.get(store, key).bytes())


def download(address: Address, path: Path) -> int:
    """Write a whole object to a file, some MiB at a time; return its bytes.

    Raises
    ------
    FileMissingError
        If there is none.
    NotReadableError
        If the server does not give it.
    OSError
        If the disk does not take it.
    """
    store, key = place(address)
    import obstore

    done = 0
    with path.open("wb") as file:
        with explained(address, opened=False):
            parts = iter(obstore.get(store, key).stream())
        while True:
            with explained(address, opened=True):
                part = next(parts, None)
            if part is None:
                return done
            done += file.write(part)


def put(address: Address, content: bytes | Path) -> None:
    """Write an object, whatever is there.

    Raises
    ------
    NotWritableError
        If the server does not take it.
    """
    _put(address, content, {"use_multipart": isinstance(content, Path) and content.stat().st_size > _WHOLE})


def put_new(address: Address, content: bytes | Path) -> bool:
    """Write an object if there is none of its name; return whether it was written.

    Raises
    ------
    NotWritableError
        If the server does not take it.
    """
    return _put(address, content, {"mode": "create", "use_multipart": False})


def _put(address: Address, content: bytes | Path, options: dict[str, Any]) -> bool:
    if address.scheme in ("http", "https"):
        raise OptionError("web servers are for reading only", where=address.shown)
    store, key = place(address)
    import obstore
    from obstore import exceptions

    try:
        with explained(address, opened=False):
            obstore.put(store, key, content, **options)
    except CheckpointError as error:
        if isinstance(error.__cause__, exceptions.AlreadyExistsError | exceptions.PreconditionError):
            return False
        raise NotWritableError(
            "the server does not take the object",
            details=error.details,
            where=address.shown,
        ) from error
    return True


def remove(addresses: Sequence[Address]) -> None:
    """Remove objects; those that are gone already do not matter.

    Raises
    ------
    NotWritableError
        If the server refuses.
    """
    if not addresses:
        return
    store, _ = place(addresses[0])
    import obstore

    try:
        with explained(addresses[0], opened=False):
            obstore.delete(store, [address.key for address in addresses])
    except FileMissingError:
        return
    except CheckpointError as error:
        raise NotWritableError(
            "the server does not remove objects", details=error.details, where=addresses[0].shown
        ) from error


def each(do: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Do something with each item, eight at a time; raises the first error, once all have ended."""
    threads = Threads(_AT_ONCE, "ann_ckpt-uploads")
    try:
        return list(threads.map(do, list(items)))
    finally:
        threads.shutdown()


def check_server(folder: Address) -> ServerClock:
    """Raise unless a server does what writing needs of it; return its clock. Leaves nothing behind.

    Raises
    ------
    NotWritableError
        If it takes no objects, replaces one where it is asked not to, or does not list what was put.
    """
    probes = folder.at(f"{folder.key}/probes")
    probe = probes.at(f"{probes.key}/{secrets.token_hex(8)}")
    fresh, again = put_new(probe, b"1"), put_new(probe, b"2")
    found = next((one for one in stored_below(probes) if one.key == probe.name), None)
    remove([probe])
    if again or not fresh:
        raise NotWritableError(
            "the server replaces objects where it is asked not to",
            details={"expected": "a server that knows If-None-Match: *"},
            where=folder.shown,
        )
    if found is None or found.size != 1 or not found.tag:
        raise NotWritableError(
            "the server does not list an object that was just put, with its size and entity tag",
            details={"found": "no such object" if found is None else f"{found.size} bytes, {found.tag}"},
            where=folder.shown,
        )
    return ServerClock(found.modified)
