"""A request's body while it comes in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Message, Receive

from rag.errors import PolicyError, RagError, TransientError


@dataclass(slots=True)
class Body:
    """Stands for `receive`: a body is not longer than allowed, never silent for long, and on the
    whole not slower than allowed; waiting for the sender counts, our own work does not.

    Whoever reads the body makes an error of its own of ours: `keep` is given ours."""

    receive: Receive
    most_bytes: int
    silence_s: float
    bytes_per_s: int
    keep: Callable[[RagError], None]
    _seen: int = 0
    _waited_s: float = 0.0
    _is_over: bool = False

    def check_length(self, declared: str) -> None:
        """Raises PolicyError (`request_too_large`) when the header says so already."""
        if not declared.isdigit() or int(declared) > self.most_bytes:
            raise self._too_large()

    async def next(self) -> Message:
        """The next part. Raises PolicyError (`request_too_large`), TransientError (`slow_body`)."""
        if self._is_over:  # what comes now is a disconnect: it may take as long as the answer
            return await self.receive()
        message = await self._awaited()
        self._seen += len(message.get("body", b""))
        self._is_over = not message.get("more_body", False)
        if self._seen > self.most_bytes:
            raise self._kept(self._too_large())
        return message

    async def _awaited(self) -> Message:
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._patience_s()):
                return await self.receive()
        except TimeoutError:
            raise self._kept(
                TransientError("The body of the request came too slowly.", code="slow_body")
            ) from None
        finally:
            self._waited_s += time.monotonic() - started

    def _patience_s(self) -> float:
        left_s = self.silence_s + self._seen / self.bytes_per_s - self._waited_s
        return max(0.0, min(self.silence_s, left_s))

    def _too_large(self) -> RagError:
        return PolicyError(
            f"The request is larger than {self.most_bytes:,} bytes.",
            code="request_too_large", limit=self.most_bytes,
        )  # fmt: skip

    def _kept(self, error: RagError) -> RagError:
        self.keep(error)
        return error
