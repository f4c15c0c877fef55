"""The process behind object_store: `python -m rag.stack.object_server FOLDER PIPE`."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from rag.stack.keeper import keep
from rag.stack.loopback import HOST, free_port
from rag.stack.object_store import credentials

if TYPE_CHECKING:
    from rag.stack.object_journal import ObjectJournal

_KEPT_VARIABLES = ("CONTENT_TYPE", "HTTP_AUTHORIZATION", "HTTP_X_AMZ_TARGET", "HTTP_HOST")
_QUEUE_CALLS = ("AmazonSQS.CreateQueue", "AmazonSQS.SetQueueAttributes")
_BUCKET_METHODS = ("PUT", "DELETE")
_REFUSAL = (
    b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>InvalidAccessKeyId</Code>"
    b"<Message>Use the access key of the running stack (rag status shows it).</Message></Error>"
)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


def main(arguments: list[str]) -> int:
    """Serve until the last user is gone."""
    folder, pipe = arguments
    return keep(lambda: ObjectServer(Path(folder)), Path(folder), int(pipe))


class ObjectServer:
    """The HTTP server, in a thread of its keeper."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread: threading.Thread | None = None
        self.port = 0

    @property
    def pid(self) -> int:
        return os.getpid()

    def start(self, preferred_port: int) -> None:
        """Put back what the folder holds, then listen."""
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        from rag.stack.object_journal import ObjectJournal

        moto: Application = DomainDispatcherApplication(create_backend_app)
        store = DurableStore(moto, ObjectJournal(self._folder), credentials(self._folder)[0])
        store.restore()
        self.port = free_port(preferred_port)
        self._thread = threading.Thread(target=_listener(store, self.port), daemon=True)
        self._thread.start()

    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """Nothing to do: nobody is connected any more, and what was answered is on disk."""


def _listener(store: DurableStore, port: int) -> Callable[[], None]:
    import logging

    from moto.moto_server.werkzeug_app import MotoRequestHandler
    from werkzeug.serving import make_server

    class Handler(MotoRequestHandler):  # type: ignore[misc]
        protocol_version = "HTTP/1.1"  # connections are kept open: half the time per request
        timeout = 300

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(HOST, port, store, threaded=True, request_handler=Handler)
    return server.serve_forever


class DurableStore:
    """The application around moto: checks the access key, writes changes before it answers."""

    def __init__(self, moto: Application, journal: ObjectJournal, access_key: str) -> None:
        self._moto = moto
        self._journal = journal
        self._credential = f"{access_key}/"

    def restore(self) -> None:
        """Repeat the configuring calls, then put the objects back."""
        for request, body in self._journal.calls():
            self._call(_environ(request, body), body)
        self._journal.restore()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not self._is_known(environ):
            headers = [("Content-Type", "application/xml"), ("Connection", "close")]
            start_response("403 Forbidden", [*headers, ("Content-Length", str(len(_REFUSAL)))])
            return [_REFUSAL]
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._moto(environ, start_response)
        body = _body_of_configuring_call(environ)
        status, headers, chunks = self._call(environ, body)
        if status.startswith("2"):
            self._keep(environ, body)
        self._journal.write_changes()
        start_response(status, headers)
        return chunks

    def _call(self, environ: Environ, body: bytes | None) -> tuple[str, Any, list[bytes]]:
        answer: list[Any] = []
        if body is not None:
            environ["wsgi.input"] = io.BytesIO(body)
        chunks = self._moto(environ, lambda *parts: answer.extend(parts))
        return answer[0], answer[1], list(chunks)

    def _is_known(self, environ: Environ) -> bool:
        sign_in = f"{environ.get('HTTP_AUTHORIZATION', '')} {environ.get('QUERY_STRING', '')}"
        return f"Credential={self._credential}" in sign_in.replace("%2F", "/")

    def _keep(self, environ: Environ, body: bytes | None) -> None:
        """Note a call that configured a bucket or a queue."""
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if target.startswith("AmazonSQS."):
            self._keep_queue_call(target, environ, body or b"{}")
        elif (bucket := _bucket_of(environ)) and environ["REQUEST_METHOD"] in _BUCKET_METHODS:
            self._keep_bucket_call(bucket, environ, body or b"")

    def _keep_queue_call(self, target: str, environ: Environ, body: bytes) -> None:
        call = json.loads(body)
        queue = call.get("QueueName") or str(call.get("QueueUrl", "")).rpartition("/")[2]
        if target in _QUEUE_CALLS:
            self._journal.keep_call(f"queue {queue}", target, _request(environ), body)
        elif target == "AmazonSQS.DeleteQueue":
            self._journal.forget_calls(f"queue {queue}")

    def _keep_bucket_call(self, bucket: str, environ: Environ, body: bytes) -> None:
        parameters = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        kind = " ".join(name for name, _ in parameters)
        if not kind and environ["REQUEST_METHOD"] == "DELETE":
            self._journal.forget_calls(f"bucket {bucket}")
            return
        self._journal.keep_call(f"bucket {bucket}", kind, _request(environ), body)
        self._journal.watch_buckets()


def _bucket_of(environ: Environ) -> str:
    """The bucket a request is about as a whole; empty when it is about an object, or none."""
    bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    return "" if key else bucket


def _body_of_configuring_call(environ: Environ) -> bytes | None:
    """The body, when the call may have to be repeated; bodies of objects are left to moto."""
    if not (_bucket_of(environ) or environ.get("HTTP_X_AMZ_TARGET")):
        return None
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return body


def _request(environ: Environ) -> dict[str, str]:
    names = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", *_KEPT_VARIABLES)
    headers = [name for name in environ if name.startswith("HTTP_X_AMZ_")]
    return {name: environ[name] for name in {*names, *headers} if name in environ}


def _environ(request: dict[str, str], body: bytes) -> Environ:
    from werkzeug.test import EnvironBuilder

    base = EnvironBuilder(path="/", base_url=f"http://{request.get('HTTP_HOST', HOST)}")
    path = {"RAW_URI": request["PATH_INFO"], "REQUEST_URI": request["PATH_INFO"]}
    return {**base.get_environ(), **path, **request, "CONTENT_LENGTH": str(len(body))}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
