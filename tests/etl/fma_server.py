"""A real HTTP server on a loopback port that serves one archive and treats each request as a test says."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stack.ports import free_ports

Behaviour = Callable[["Handler"], None]
_PIECE = 4096


@dataclass
class Served:
    """What the server has and does: for each request the next of ``script``, then ``otherwise``."""

    content: bytes
    etag: str | None = '"one"'
    modified: str | None = None
    script: list[Behaviour] = field(default_factory=list)
    otherwise: Behaviour = field(default_factory=lambda: honest)
    ranges: list[str | None] = field(default_factory=list)
    bytes_sent: int = 0
    on_piece: Callable[[int], None] = field(default=lambda sent: None)
    released: threading.Event = field(default_factory=threading.Event)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    served: Served

    def do_GET(self) -> None:
        self.served.ranges.append(self.headers["Range"])
        behaviour = self.served.script.pop(0) if self.served.script else self.served.otherwise
        try:
            behaviour(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def asked(self) -> int | None:
        """Return the first byte that was asked for, if a valid range was."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if match is None or self.headers["If-Range"] not in (None, self.served.etag):
            return None
        return int(match[1])

    def head(self, status: int, headers: dict[str, str]) -> None:
        """Send the status line and headers, with the validators."""
        self.send_response(status)
        validators = {"ETag": self.served.etag, "Last-Modified": self.served.modified}
        for name, value in ({name: text for name, text in validators.items() if text} | headers).items():
            self.send_header(name, value)
        self.end_headers()

    def body(self, data: bytes) -> None:
        """Send bytes piece by piece."""
        for begin in range(0, len(data), _PIECE):
            piece = data[begin : begin + _PIECE]
            self.wfile.write(piece)
            self.served.bytes_sent += len(piece)
            self.served.on_piece(self.served.bytes_sent)


def honest(handler: Handler, most: int | None = None) -> None:
    """Answer as RFC 9110 says; ``most`` cuts the connection after so many bytes of the body."""
    content, first = handler.served.content, handler.asked()
    if first is not None and first >= len(content):
        handler.head(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
        return
    rest = content[first or 0 :]
    headers = {"Content-Length": str(len(rest))}
    if first is not None:
        headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
    handler.head(200 if first is None else 206, headers)
    handler.body(rest if most is None else rest[:most])
    if most is not None and most < len(rest):
        handler.close_connection = True


def cut_after(most: int) -> Behaviour:
    """Cut the connection after so many bytes."""
    return lambda handler: honest(handler, most)


def ignoring_ranges(most: int | None = None) -> Behaviour:
    """Send all of it whatever was asked for, or its first ``most`` bytes."""

    def behaviour(handler: Handler) -> None:
        del handler.headers["Range"]
        honest(handler, most)

    return behaviour


def answering(status: int, **headers: str) -> Behaviour:
    """Answer with a status and headers (``_`` for ``-``) and no body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.head(status, {"Content-Length": "0"} | named)


def stalling_after(most: int) -> Behaviour:
    """Send so many bytes, then nothing, with the connection open, until the test ends."""

    def behaviour(handler: Handler) -> None:
        honest(handler, most)
        handler.served.released.wait(60)

    return behaviour


def ranged(content_range: Callable[[int, int], str]) -> Behaviour:
    """Answer 206 whatever ``If-Range`` says, with a ``Content-Range`` of the test's making."""

    def behaviour(handler: Handler) -> None:
        del handler.headers["If-Range"]
        first, content = handler.asked() or 0, handler.served.content
        rest = content[first:]
        handler.head(
            206, {"Content-Length": str(len(rest)), "Content-Range": content_range(first, len(content))}
        )
        handler.body(rest)

    return behaviour


def without_length(data: bytes) -> Behaviour:
    """Send bytes until the connection closes, without saying how many."""

    def behaviour(handler: Handler) -> None:
        handler.close_connection = True
        handler.head(200, {"Connection": "close"})
        handler.body(data)

    return behaviour


def changed_first(change: Callable[[Served], None], then: Behaviour = honest) -> Behaviour:
    """Change what is served, then answer."""

    def behaviour(handler: Handler) -> None:
        change(handler.served)
        then(handler)

    return behaviour


class _Server(ThreadingHTTPServer):
    """Connections that a client drops are what these tests are about."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(content: bytes) -> Iterator[Served]:
    """Serve one archive under any path while the block runs."""
    served = Served(content)
    handler = type("Bound", (Handler,), {"served": served})
    server = _Server(("127.0.0.1", free_ports(1)[0]), handler)
    served.url = f"http://127.0.0.1:{server.server_address[1]}/fma"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
