"""A web server on loopback that counts what it is asked for, and misbehaves on request."""

from __future__ import annotations

import contextlib
import threading
import time
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_FLIPPED = bytes(range(255, -1, -1))


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str
    start: int
    count: int
    """Bytes of the answer."""
    match: str | None = None
    """Entity tag that the object must have."""


class Server:
    """Serves the files of a folder as they are at each request."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[Asked] = []
        self.trouble: Callable[[Handler, bytes, int, int], bool] | None = None
        """Called before each answer to a request for a range; True if it has answered itself."""
        self.tagged = True
        self.weak = False
        """Whether its entity tags are weak, as those of servers that compress what they send."""
        self._at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"server_": self}))
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def spent(self) -> tuple[int, int]:
        """Requests and bytes since this was asked last."""
        with self._lock:
            asked, self.asked = self.asked, []
        return len(asked), sum(one.count for one in asked)

    def note(self, asked: Asked) -> None:
        with self._lock:
            self.asked.append(asked)

    @contextlib.contextmanager
    def counted(self):
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_: Server

    def log_message(self, *_: object) -> None:
        pass

    def file(self) -> Path:
        return self.server_.folder / unquote(urlsplit(self.path).path).lstrip("/")

    def answer(
        self, status: int, headers: dict[str, str], body: bytes = b"", count: int | None = None
    ) -> None:
        """Send an answer of which ``body`` is all that comes, whatever length it declares."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body) if count is None else count), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
            self.wfile.flush()

    def headers_of(self, data: bytes) -> dict[str, str]:
        tag = f'"{zlib.crc32(data):x}"'
        return {"ETag": "W/" * self.server_.weak + tag} if self.server_.tagged else {}

    def do_HEAD(self) -> None:
        self.server_.note(Asked("HEAD", self.path, 0, 0))
        found = self.file().is_file()
        self.answer(200 if found else 404, {}, count=self.file().stat().st_size if found else 0)

    def do_PROPFIND(self) -> None:
        self.server_.note(Asked("PROPFIND", self.path, 0, 0))
        self.answer(405, {})

    def do_GET(self) -> None:
        with self.server_.counted():
            self.get()

    def get(self) -> None:
        if not self.file().is_file():
            self.server_.note(Asked("GET", self.path, 0, 0))
            self.answer(404, {})
            return
        data = self.file().read_bytes()
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or len(data)) + 1, len(data))
        if start >= len(data) > 0:
            self.server_.note(Asked("GET", self.path, start, 0))
            self.answer(416, {"Content-Range": f"bytes */{len(data)}"})
            return
        self.server_.note(Asked("GET", self.path, start, stop - start, self.headers["If-Match"]))
        if self.server_.trouble is not None and self.server_.trouble(self, data, start, stop):
            return
        self.give(data, start, stop)

    def give(self, data: bytes, start: int, stop: int, part: bytes | None = None) -> None:
        tag = self.headers_of(data)
        match = self.headers["If-Match"]
        if match is not None and (match != tag.get("ETag") or match.startswith("W/")):
            self.answer(412, {})
            return
        part = data[start:stop] if part is None else part
        place = {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}
        self.answer(206, {**tag, **place}, part, count=stop - start)
        if len(part) < stop - start:
            self.close_connection = True


def failing(handler: Handler, data: bytes, start: int, stop: int) -> bool:
    handler.answer(500, {}, b"out of order")
    return True


def denying(handler: Handler, data: bytes, start: int, stop: int) -> bool:
    handler.answer(403, {})
    return True


def gone(handler: Handler, data: bytes, start: int, stop: int) -> bool:
    handler.answer(404, {})
    return True


def stalling(handler: Handler, data: bytes, start: int, stop: int) -> bool:
    handler.give(data, start, stop, data[start : start + 5])
    time.sleep(2.5)
    return True


def truncating(handler: Handler, data: bytes, start: int, stop: int) -> bool:
    handler.give(data, start, stop, data[start : stop - 1])
    return True


def ignoring(handler: Handler, data: bytes, start: int, stop: int) -> bool:
    handler.answer(200, handler.headers_of(data), data)
    return True


def shifting(handler: Handler, data: bytes, start: int, stop: int) -> bool:
    """Give, and declare, other bytes than were asked for."""
    shifted = max(0, start - 8)
    place = {"Content-Range": f"bytes {shifted}-{shifted + stop - start - 1}/{len(data)}"}
    handler.answer(206, {**handler.headers_of(data), **place}, data[shifted : shifted + stop - start])
    return True


def shortening(handler: Handler, data: bytes, start: int, stop: int) -> bool:
    """Give less than was asked for, and declare it correctly."""
    stop = max(start + 1, stop - 100)
    place = {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}
    handler.answer(206, {**handler.headers_of(data), **place}, data[start:stop])
    return True


def flipping(handler: Handler, data: bytes, start: int, stop: int) -> bool:
    """Give wrong bytes."""
    handler.give(data, start, stop, data[start:stop].translate(_FLIPPED))
    return True
