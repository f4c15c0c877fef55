"""A TCP proxy in front of Postgres that cuts the line when the server has committed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

_BLOCK = 65536
_COMMIT = b"COMMIT\0"


@dataclass
class Proxy:
    """`cut_at` is how many commits from now the answer is kept from the client (0: never);
    `cuts` counts the answers that were."""

    target: tuple[str, int]
    url: str = ""
    cut_at: int = 0
    cuts: int = 0
    commits: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def is_to_be_cut(self, data: bytes) -> bool:
        """Whether the answer to what the client sends here is lost."""
        if _COMMIT not in data:
            return False
        with self.lock:
            self.commits += 1
            self.cut_at -= 1
            return self.cut_at == 0

    def serve(self, client: socket.socket) -> None:
        """Pass bytes both ways until one side ends, or the line is cut."""
        with socket.create_connection(self.target, timeout=60) as server, client:
            cut = threading.Event()
            back = threading.Thread(target=self._pass_back, args=(server, client, cut))
            back.start()
            with suppress(OSError):
                while data := client.recv(_BLOCK):
                    if self.is_to_be_cut(data):
                        cut.set()
                    server.sendall(data)
            _end(server)
            back.join(60)

    def _pass_back(
        self, server: socket.socket, client: socket.socket, cut: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := server.recv(_BLOCK):
                if cut.is_set():  # the server has answered, so the commit is there
                    self.cuts += 1
                    break
                client.sendall(data)
        _end(client)


def _end(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(database_url: str) -> Iterator[Proxy]:
    """The proxy, and in `url` the database by way of it."""
    parts = urlsplit(database_url)
    assert parts.hostname and parts.port
    proxy = Proxy((parts.hostname, parts.port))
    listener = socket.create_server(("127.0.0.1", 0))
    place = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{listener.getsockname()[1]}"
    proxy.url = urlunsplit(parts._replace(netloc=place))
    threads: list[threading.Thread] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threads.append(threading.Thread(target=proxy.serve, args=(client,), daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield proxy
    finally:
        _end(listener)
        listener.close()
        acceptor.join(10)
        for thread in threads:
            thread.join(10)
