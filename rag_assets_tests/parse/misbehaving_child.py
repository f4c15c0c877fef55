"""A parser child that speaks the protocol until it is told to misbehave. Run by test_pool.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from rag.model import ParsedDocument
from rag.parse import wire

ANSWERS = sys.stdout.buffer


def send(frame: bytes) -> None:
    ANSWERS.write(frame)
    ANSWERS.flush()


def answer(request: dict[str, str]) -> None:
    text = Path(request["path"]).read_text(encoding="utf-8")
    document = ParsedDocument(
        text=text, blocks=(), media_type="text/plain", parser=str(os.getpid())
    )
    body = json.dumps(wire.document_json(document)).encode()
    send(wire.pack(wire.RESULT, wire.seal(request["nonce"], body)))


def misbehave(mode: str, request: dict[str, str]) -> None:  # noqa: C901
    if mode == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    elif mode == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif mode == "exit":
        os._exit(0)
    elif mode == "garbage":
        send(b"{'this': 'is no frame'}")
        time.sleep(600)
    elif mode == "unsealed":
        send(wire.pack(wire.RESULT, wire.seal("another nonce", b"{}")))
        time.sleep(600)
    elif mode == "flood":
        while True:
            send(b"D\xff\xff\xff\xff" + b"x" * 65536)
    elif mode == "memory":
        hoard = [bytearray(os.urandom(1024)) * 20_000 for _ in range(60)]
        time.sleep(600 + len(hoard))
    elif mode.startswith("report "):
        for report in json.loads(mode.removeprefix("report ")):
            send(wire.pack_json(wire.PROGRESS, report))
            time.sleep(0.3)
    elif mode == "stuck":
        send(wire.pack_json(wire.PROGRESS, {"pages": 210}))
        send(wire.pack_json(wire.PROGRESS, {"page": 37}))
        time.sleep(600)
    elif mode == "chatter":
        while True:
            send(wire.pack_json(wire.PROGRESS, {"page": 1}))
    elif mode == "long":
        send(wire.pack_json(wire.PROGRESS, {"page": 1, "more": "x" * 1000}))
        time.sleep(600)
    elif mode == "escape":
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        sleeper = subprocess.Popen(command, start_new_session=True)
        Path(sys.argv[1]).write_text(str(sleeper.pid), encoding="utf-8")
        time.sleep(600)


def main() -> None:
    send(wire.pack_json(wire.READY, {}))
    while (frame := wire.read_frame(sys.stdin.buffer, 1 << 20)) is not None:
        request = json.loads(frame[1])
        mode = Path(request["path"]).read_text(encoding="utf-8")
        misbehave(mode, request)
        answer(request)


if __name__ == "__main__":
    main()
