"""A way to Postgres that counts what goes over it: statements, round trips and bytes of COPY.

A proxy on loopback reads the frames of the protocol as they pass. Everything is counted before it
is handed on, so whoever has an answer also has its count.
"""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

_BLOCK_BYTES = 1 << 16
_WITHOUT_ENCRYPTION = "sslmode=disable&gssencmode=disable"
_HEAD = 70


@dataclass(slots=True)
class Traffic:
    """What went over the wire. `statements` counts by the statement's first words. A round trip is
    an answer that was waited for: the end of a command, one within a pipeline, or leave to copy."""

    statements: Counter[str] = field(default_factory=Counter)
    round_trips: int = 0
    copied_bytes: int = 0

    def clear(self) -> None:
        """Count anew."""
        self.statements.clear()
        self.round_trips = self.copied_bytes = 0

    def copy(self) -> Traffic:
        """The count as it is now."""
        return Traffic(self.statements.copy(), self.round_trips, self.copied_bytes)


class Wire:
    """Counts in `traffic` whatever goes through `url`."""

    def __init__(self, url: str) -> None:
        self.traffic = Traffic()
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._server = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        place = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}"
        self.url = urlunsplit(parts._replace(netloc=place, query=_WITHOUT_ENCRYPTION))
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def close(self) -> None:
        """End all connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(10)
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for end in self._sockets:
            end.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            server = socket.create_connection(self._server, timeout=10)
            for end in (client, server):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [client, server]
            asked = _Frames(_Asked(self.traffic, self._lock), has_start=True)
            self._start(_pump, client, server, asked)
            self._start(_pump, server, client, _Frames(_Answered(self.traffic, self._lock)))


def _pump(source: socket.socket, target: socket.socket, frames: _Frames) -> None:
    with suppress(OSError):  # either end may go at any time
        while data := source.recv(_BLOCK_BYTES):
            frames.feed(data)
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class _Frames:
    """Cuts a stream into (type, payload); the client's first frame has no type."""

    def __init__(self, hear: Callable[[bytes, bytes], None], *, has_start: bool = False) -> None:
        self._hear, self._has_start = hear, has_start
        self._rest = bytearray()

    def feed(self, data: bytes) -> None:
        self._rest += data
        at = 0
        while True:
            head = 0 if self._has_start else 1
            length = int.from_bytes(self._rest[at + head : at + head + 4])
            end = at + head + length
            if len(self._rest) < at + head + 4 or len(self._rest) < end:
                break
            if not self._has_start:
                self._hear(bytes(self._rest[at : at + 1]), bytes(self._rest[at + 5 : end]))
            self._has_start = False
            at = end
        del self._rest[:at]


class _Asked:
    """Counts what one client says: `E` and `Q` run a statement, `d` carries rows to copy, `H` wants
    what was asked so far answered, within a pipeline."""

    def __init__(self, traffic: Traffic, lock: threading.Lock) -> None:
        self._traffic, self._lock = traffic, lock
        self._known: dict[bytes, str] = {}
        self._bound = ""
        self._last = b""

    def __call__(self, kind: bytes, payload: bytes) -> None:
        if kind == b"P":
            name, text = payload.split(b"\0")[:2]
            self._known[name] = _head(text)
        elif kind == b"B":
            self._bound = self._known.get(payload.split(b"\0")[1], "?")
        elif kind in b"EQdH":
            with self._lock:
                self._count(kind, payload)
        self._last = kind

    def _count(self, kind: bytes, payload: bytes) -> None:
        if kind == b"d":
            self._traffic.copied_bytes += len(payload)
        elif kind == b"H":
            # after the end of a pipeline (`S`) it asks for nothing more
            self._traffic.round_trips += self._last != b"S"
        else:
            text = self._bound if kind == b"E" else _head(payload.rstrip(b"\0"))
            self._traffic.statements[text] += 1


class _Answered:
    """Counts what one server says: `Z` ends a command, `G` asks for the rows to copy."""

    def __init__(self, traffic: Traffic, lock: threading.Lock) -> None:
        self._traffic, self._lock = traffic, lock

    def __call__(self, kind: bytes, payload: bytes) -> None:
        if kind in b"ZG":
            with self._lock:
                self._traffic.round_trips += 1


def _head(statement: bytes) -> str:
    return re.sub(r"\s+", " ", statement.decode("utf-8", "replace")).strip()[:_HEAD]


@contextmanager
def counted(url: str) -> Iterator[Wire]:
    """A counting way to the database at `url`."""
    wire = Wire(url)
    try:
        yield wire
    finally:
        wire.close()
