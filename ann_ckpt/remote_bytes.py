"""Objects that are read over a network: pages of them, fetched in few, merged, parallel requests.

Here is what obstore leaves to its callers: which bytes to ask for, which to keep, and whether the object is
still the one that was opened.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import lru_cache, partial
from itertools import count, starmap
from typing import Any, NamedTuple

from ann_ckpt.errors import CheckpointError, ClosedCheckpointError, NotReadableError
from ann_ckpt.paths import Address
from ann_ckpt.remote import changed_object, explained, place
from ann_ckpt.threads import Threads

__all__ = ["RemoteBytes", "open_objects"]

_PAGE = 8 << 10
"""Bytes that are kept or forgotten together."""
_HEAD = 48 << 10
"""Bytes that opening asks for: more than it needs of a file that this package wrote."""
_WHOLE = 256 << 10
"""An object that is known to be no longer is fetched at once."""
_TAIL = 32 << 10
"""Bytes at the end of a longer one that are fetched with its beginning: they locate 2,000 chunks."""
_LEAST = 64 << 10
"""Bytes that any other request asks for, if so many are missing: as many come while a round trip takes."""
_GAP = 128 << 10
"""What lies between two ranges is fetched with them, up to so many bytes: cheaper than another request."""
_PART = 4 << 20
"""A longer range is fetched in parts, at the same time."""
_CONNECTIONS = 8
_KEPT = 64 << 20
"""Bytes of all open objects that are kept; those that were used last stay."""


class RemoteBytes:
    """One object, of which pages are fetched when they are read, and kept.

    Any thread may read. Each answer is compared with the entity tag, the time and the size that the first one
    had: an object that is replaced while it is open is an error, never a mixture of two.

    Parameters
    ----------
    address : Address
        Of the object.
    size : int, optional
        Bytes that it must have. Where that is known, both ends are fetched, or all of a short one.

    Raises
    ------
    FileMissingError
        If there is no such object.
    NotReadableError
        If the server does not give it, or no ranges of it.
    MissingExtraError
        Without obstore, which the extra ``remote`` brings.
    """

    distant = True

    def __init__(self, address: Address, size: int | None = None) -> None:
        self.address = address
        self.path = address.shown
        self.closed = False
        self._number = next(_NUMBERS)
        self._flying: dict[int, tuple[Future[bytes], int]] = {}
        self._lock = threading.RLock()  # a signal handler may read in the middle of a read
        self._pin: _Pin | None = None
        self.size = 0
        """Bytes of the object."""
        # The end is where the places of chunks are noted; what it brings says how long the object is.
        first, stop = 0, _HEAD if size is None else _WHOLE
        begun = None
        if size is not None and size > _WHOLE:
            first, stop = (size - _TAIL) // _PAGE * _PAGE, size + _LEAST
            begun = _threads().submit(self._get, 0, _LEAST)
        try:
            data = self._get(first, stop)
        except NotReadableError:
            if not first:
                raise
            first, data = 0, self._get(0, _LEAST)  # a shorter one, as its size will tell
        pin = self._pin
        assert pin is not None  # noqa: S101  (the request has set it)
        self.size = pin.size
        self._keep(first, data)
        if begun is not None:
            self._keep(0, begun.result())

    def close(self) -> None:
        """Forget what was fetched; further reads are errors."""
        self.closed = True
        _PAGES.forget(self._number)

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes from ``offset`` on, fewer where the object ends.

        Raises
        ------
        ClosedCheckpointError
            If it was closed.
        ChangedFileError
            If another object has its name by now.
        NotReadableError, FileMissingError
            If the server does not give the bytes.
        """
        data = bytearray(max(0, min(count, self.size - offset)))
        self.read_into(data, offset)
        return bytes(data)

    def read_into(self, buffer: Any, offset: int) -> int:
        """Fill a buffer of bytes from ``offset`` on; return how many there were. Raises as :meth:`read`."""
        if self.closed:
            raise ClosedCheckpointError("the checkpoint is closed", where=self.path)
        view = memoryview(buffer).cast("B")
        stop = min(offset + len(view), self.size)
        if stop <= offset:
            return 0
        for page, coming in self._pages([(offset, stop - offset)]):
            data = coming()
            low, high = max(offset, page * _PAGE), min(stop, page * _PAGE + len(data))
            view[low - offset : high - offset] = memoryview(data)[low - page * _PAGE : high - page * _PAGE]
        return stop - offset

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Begin to fetch what is going to be read, each an offset and a count; reading waits for it."""
        self._pages(ranges)

    def _pages(self, ranges: Iterable[tuple[int, int]]) -> list[tuple[int, Callable[[], bytes]]]:
        """Return the pages of some ranges, each with what gets it; begin to fetch those that are missing."""
        wanted = {
            page
            for offset, count in ranges
            if offset < self.size and count > 0
            for page in range(offset // _PAGE, (min(offset + count, self.size) - 1) // _PAGE + 1)
        }
        found: list[tuple[int, Callable[[], bytes]]] = []
        with self._lock:
            missing = []
            for page in sorted(wanted):
                data = _PAGES.get(self._number, page)
                if data is not None:
                    found.append((page, partial(bytes, data)))
                elif page in self._flying:
                    found.append((page, partial(_page_of, *self._flying[page], page)))
                else:
                    missing.append(page)
            for first, last in self._requests(missing):
                begun = _threads().submit(self._fetch, first, last)
                self._flying.update(dict.fromkeys(range(first, last), (begun, first)))
                found += [
                    (page, partial(_page_of, begun, first, page)) for page in missing if first <= page < last
                ]
        return found

    def _requests(self, missing: list[int]) -> Iterator[tuple[int, int]]:
        """Yield ranges of pages that bring the missing ones: near ones together, long ones in parts."""
        runs: list[list[int]] = []
        for page in missing:
            if runs and (page - runs[-1][1]) * _PAGE <= _GAP:
                runs[-1][1] = page + 1
            else:
                runs.append([page, page + 1])
        for first, last in starmap(self._grown, runs):
            parts = -(-(last - first) * _PAGE // _PART)
            length = -(-(last - first) // parts)
            yield from ((at, min(at + length, last)) for at in range(first, last, length))

    def _grown(self, first: int, last: int) -> tuple[int, int]:
        """Return a range of pages with those around it that are missing too, until it is worth a request."""
        while (last - first) * _PAGE < _LEAST:
            if last * _PAGE < self.size and not self._is_known(last):
                last += 1
            elif first and not self._is_known(first - 1):
                first -= 1
            else:
                break
        return first, last

    def _is_known(self, page: int) -> bool:
        return page in self._flying or _PAGES.get(self._number, page) is not None

    def _fetch(self, first: int, last: int) -> bytes:
        """Fetch pages ``[first, last)`` and keep them."""
        try:
            data = self._get(first * _PAGE, min(last * _PAGE, self.size))
            self._keep(first * _PAGE, data)
        finally:
            with self._lock:
                for page in range(first, last):
                    self._flying.pop(page, None)
        return data

    def _keep(self, offset: int, data: bytes) -> None:
        for at in range(0, len(data), _PAGE):
            part = data[at : at + _PAGE]
            if len(part) == _PAGE or offset + at + len(part) == self.size:
                _PAGES.put(self._number, (offset + at) // _PAGE, part)
        if self.closed:
            _PAGES.forget(self._number)

    def _get(self, start: int, stop: int) -> bytes:
        """Fetch one range; only the first may reach beyond the end."""
        store, key = place(self.address)
        import obstore

        options: Any = {"range": (start, stop)}
        tag = None if self._pin is None else self._pin.tag
        # A weak one matches nothing here (RFC 9110, 13.1.1); answers are compared with it below.
        if tag is not None and not tag.startswith("W/"):
            options["if_match"] = tag
        with explained(self.address, opened=self._pin is not None):
            answer = obstore.get(store, key, options=options)
            found = answer.meta
            pin = _Pin(found["size"], found.get("e_tag"), found.get("version"), str(found["last_modified"]))
            low, high = answer.range
            data = bytes(answer.bytes())
        with self._lock:
            known = self._pin = self._pin or pin
        if known != pin:
            raise changed_object(self.address)
        if (low, high) != (start, min(stop, pin.size)) or len(data) != high - low:
            raise NotReadableError(
                "the server gave other bytes than it was asked for",
                details={"expected": f"bytes {start} to {stop}", "found": f"{len(data)} bytes from {low} on"},
                where=self.path,
            )
        return data


def _page_of(future: Future[bytes], first: int, page: int) -> bytes:
    """Wait for a request, and return one of the pages that it brings from page ``first`` on."""
    start = (page - first) * _PAGE
    return future.result()[start : start + _PAGE]


def open_objects(wanted: Iterable[tuple[Address, int]]) -> list[RemoteBytes | Exception]:
    """Open objects of known sizes, several at a time; what comes out for one that fails is the error."""

    def one(address: Address, size: int) -> RemoteBytes | Exception:
        try:
            return RemoteBytes(address, size)
        except CheckpointError as error:
            return error

    begun = [_threads().submit(one, address, size) for address, size in wanted]
    return [future.result() for future in begun]


class _Pin(NamedTuple):
    """What tells an object from another one under the same name."""

    size: int
    tag: str | None
    version: str | None
    modified: str


class _Pages:
    """Pages of all open objects; those that were not used for longest are forgotten."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._pages: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._bytes = 0

    def get(self, owner: int, page: int) -> bytes | None:
        with self._lock:
            found = self._pages.get((owner, page))
            if found is not None:
                self._pages.move_to_end((owner, page))
            return found

    def put(self, owner: int, page: int, data: bytes) -> None:
        with self._lock:
            self._bytes += len(data) - len(self._pages.pop((owner, page), b""))
            self._pages[owner, page] = data
            while self._bytes > _KEPT:
                self._bytes -= len(self._pages.popitem(last=False)[1])

    def forget(self, owner: int) -> None:
        with self._lock:
            for key in [key for key in self._pages if key[0] == owner]:
                self._bytes -= len(self._pages.pop(key))


_PAGES = _Pages()
_NUMBERS = count()


@lru_cache(1)
def _threads() -> Threads:
    return Threads(_CONNECTIONS, "ann_ckpt-remote")
