"""A chat/completions endpoint on loopback that does as told: well, badly, slowly or not at all."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Messages = list[dict[str, str]]


@dataclass
class Loopback:
    """What the endpoint does, and what it has seen. `statuses` are used up one per request before
    anything is said; `say` makes the text."""

    say: Callable[[Messages], str] = lambda messages: "The rope is inspected monthly [1]."
    statuses: list[int] = field(default_factory=list)
    retry_after: str | None = None
    pause_s: float = 0.0  # before the first piece
    gap_s: float = 0.0  # between pieces
    cut_after: int | None = None  # pieces, then the connection is closed
    has_finish: bool = True
    has_usage: bool = True
    body: str | None = None  # sent instead of a stream
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)
    pieces_sent: int = 0
    url: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers["content-length"])
        request = json.loads(handler.rfile.read(length))
        self.requests.append(request)
        self.headers.append({name.lower(): value for name, value in handler.headers.items()})
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            self._refuse(handler, status)
            return
        time.sleep(self.pause_s)
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        try:
            self._stream(handler, request)
        except OSError:
            self.hung_up.set()
            handler.close_connection = True

    def _refuse(self, handler: BaseHTTPRequestHandler, status: int) -> None:
        body = json.dumps({"error": {"message": "no", "type": "test"}}).encode()
        handler.send_response(status)
        if self.retry_after is not None:
            handler.send_header("retry-after", self.retry_after)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _stream(self, handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        if self.body is not None:
            _send(handler, self.body)
            _send(handler, "")
            return
        text = self.say(request["messages"])
        pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
        for index, piece in enumerate(pieces):
            if index == self.cut_after:
                handler.wfile.flush()
                handler.connection.shutdown(socket.SHUT_RDWR)
                handler.close_connection = True
                return
            _send(handler, _chunk({"content": piece}))
            self.pieces_sent += 1
            time.sleep(self.gap_s)
        if self.has_finish:
            _send(handler, _chunk({}, "stop"))
        if self.has_usage:
            prompt = sum(len(each["content"].split()) for each in request["messages"])
            usage = {
                "prompt_tokens": prompt, "completion_tokens": len(text.split()),
                "total_tokens": prompt + len(text.split()),
            }  # fmt: skip
            _send(handler, _chunk(None, usage=usage))
        if self.has_finish:
            _send(handler, "data: [DONE]\n\n")
        _send(handler, "")


def _chunk(
    delta: dict[str, str] | None, finish: str | None = None, usage: dict[str, int] | None = None
) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    made = {
        "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "loopback",
        "choices": choices, "usage": usage,
    }  # fmt: skip
    return f"data: {json.dumps(made)}\n\n"


def _send(handler: BaseHTTPRequestHandler, text: str) -> None:
    data = text.encode()
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
    handler.wfile.flush()


@contextmanager
def loopback_model() -> Iterator[Loopback]:
    """The endpoint, for the time of the block."""
    state = Loopback()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            if self.path == "/v1/chat/completions":
                state.answer(self)
            else:
                self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    ).start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
