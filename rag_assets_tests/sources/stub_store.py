"""An object store that fails as the test says: it lists and gives, and does both badly."""

from __future__ import annotations

import hashlib
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

PAGE = 2
STALL_S = 20.0


class Fault(Enum):
    """What one answer does wrong."""

    CUT = auto()  # the connection ends in the middle of the body
    STALL = auto()  # the body stops coming
    FLIP = auto()  # one byte of the body is another
    SHORT = auto()  # a well-formed answer with half the body
    SWAP = auto()  # the object changed, and If-Match is ignored
    TRUNCATED_WITHOUT_TOKEN = auto()  # says that more follows, but not where


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is an error."""

    status: int
    code: str


@dataclass
class StubStore:
    """`objects` by key of bucket `bucket`; `script` is used up one entry per request, None being
    a good answer; `calls` is what was asked."""

    endpoint_url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    script: list[Fault | Refusal | None] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Empty, and well."""
        self.objects, self.script, self.calls = {}, [], []

    def next_fault(self, call: str) -> Fault | Refusal | None:
        """Note the call; what goes wrong with it."""
        with self.lock:
            self.calls.append(call)
            return self.script.pop(0) if self.script else None


@contextmanager
def serve() -> Iterator[StubStore]:
    """The store on a loopback port."""
    store = StubStore()

    class Handler(_Handler):
        pass

    Handler.store = store
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store.endpoint_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: ClassVar[StubStore]

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        key = unquote(url.path).partition("/")[2].partition("/")[2]
        query = parse_qs(url.query, keep_blank_values=True)
        if "versioning" in query:
            self._answer(200, b"<VersioningConfiguration/>")
            return
        fault = self.store.next_fault("get" if key else "list")
        if isinstance(fault, Refusal):
            body = f"<Error><Code>{fault.code}</Code></Error>"  # Ceph sends no Message either
            self._answer(fault.status, body.encode())
        elif key:
            self._give(key, fault)
        else:
            self._list(query.get("continuation-token", [""])[0], fault)

    def _list(self, after: str, fault: Fault | Refusal | None) -> None:
        keys = sorted(key for key in self.store.objects if key > after)
        page = keys[:PAGE]
        more = len(keys) > PAGE
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        if fault is Fault.TRUNCATED_WITHOUT_TOKEN:
            more, token = True, ""
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><ETag>&quot;{_etag(self.store.objects[key])}&quot;"
            f"</ETag><Size>{len(self.store.objects[key])}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in page
        )
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        body = f"<ListBucketResult>{truncated}{token}{entries}</ListBucketResult>".encode()
        self._answer(200, body, sent=len(body) // 2 if fault is Fault.CUT else None)

    def _give(self, key: str, fault: Fault | Refusal | None) -> None:
        data = self.store.objects[key]
        etag = _etag(data)
        if fault is Fault.SWAP:
            data = data[::-1]
            etag = _etag(data)
        elif fault is Fault.FLIP:
            data = data[:-1] + bytes([data[-1] ^ 1])
        elif fault is Fault.SHORT:
            data = data[: len(data) // 2]
        is_broken = fault in (Fault.CUT, Fault.STALL)
        self._answer(200, data, etag=etag, sent=len(data) // 2 if is_broken else None)
        if fault is Fault.STALL:
            self.wfile.flush()
            select.select([self.connection], [], [], STALL_S)  # readable when the client hangs up

    def _answer(self, status: int, body: bytes, *, etag: str = "", sent: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if etag:
            self.send_header("ETag", f'"{etag}"')
        self.end_headers()
        self.wfile.write(body[:sent])
        self.close_connection = sent is not None


def _etag(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()
