"""Real servers on loopback that take notices: one speaks HTTP, one SMTP."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class HttpReceiver:
    """What came, in order; `answers` are the next statuses, 200 when there are none. While
    `answering` is cleared requests are taken and not answered; `held` are their keys."""

    url: str = ""
    came: list[tuple[str, Any, str]] = field(default_factory=list)  # path, body, idempotency key
    answers: list[int] = field(default_factory=list)
    answering: threading.Event = field(default_factory=threading.Event)
    held: list[str] = field(default_factory=list)

    def events(self) -> list[tuple[str, str]]:
        """(event, key) of the webhooks that were taken."""
        return [(body["event"], body["key"]) for _path, body, _id in self.came]


@contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()
    receiver.answering.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not receiver.answering.is_set():
                receiver.held.append(self.headers["Idempotency-Key"])
                receiver.answering.wait()
                return  # whoever asked is gone
            status = receiver.answers.pop(0) if receiver.answers else 200
            if status == 200:
                key = self.headers["Idempotency-Key"]
                receiver.came.append((self.path, json.loads(body), key))
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_given: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    with _serving(server):
        try:
            yield receiver
        finally:
            receiver.answering.set()


@dataclass
class MailReceiver:
    """The mails that came."""

    url: str = ""
    mails: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refuses: bool = False


class MailHandler(socketserver.StreamRequestHandler):
    """As much of SMTP as taking a mail needs."""

    def __init__(self, receiver: MailReceiver, *given: Any) -> None:
        self.receiver = receiver
        super().__init__(*given)

    def handle(self) -> None:
        self._say("220 loopback")
        while line := self.rfile.readline():
            word = line.decode().strip().upper()
            if word == "QUIT":
                self._say("221 bye")
                return
            if word.startswith("RCPT TO:"):
                self.receiver.recipients.append(line.decode().strip()[9:-1])
            if word == "DATA":
                self._data()
            else:
                self._say("250 ok")

    def _data(self) -> None:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
        if self.receiver.refuses:
            self._say("451 later")
            return
        self.receiver.mails.append(message_from_bytes(b"".join(lines), policy=default))
        self._say("250 taken")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def mail_receiver() -> Iterator[MailReceiver]:
    receiver = MailReceiver()

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), partial(MailHandler, receiver))
    receiver.url = f"smtp://127.0.0.1:{server.server_address[1]}"
    with _serving(server):
        yield receiver


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
