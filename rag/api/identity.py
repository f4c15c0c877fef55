"""Whom a request comes from: the key that it shows, or `local` while no key was ever made.

What the database said of a key holds for a moment (`api_key_memory_s`): who asks again meanwhile
does not wait for it.
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import NamedTuple

from starlette.datastructures import Headers

from rag.api.principal import LOCAL, Principal, unauthenticated
from rag.api.service import Service
from rag.store import access

_MOST = 1000  # keys that are remembered at a time
_LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")


class _Known(NamedTuple):
    """What the database said, and until when it holds."""

    principal: Principal
    until: float


class Identities:
    """Who is behind the requests of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: dict[bytes, _Known] = {}  # by the hash of what is shown

    def known(self, headers: Headers) -> Principal | None:
        """Who it is, where the same was asked a moment ago; waits for nothing."""
        key = _key_of(headers)
        found = self._known.get(_hash(key))
        if found is None or time.monotonic() >= found.until or not (key or _is_local(headers)):
            return None
        return found.principal

    def find(self, headers: Headers) -> Principal:
        """Who it is, by the database. Raises PolicyError (`unauthenticated`), UnavailableError."""
        key, asked = _key_of(headers), time.monotonic()
        principal = self._local(key, headers) or self._of_key(key)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[_hash(key)] = _Known(principal, asked + self._service.settings.api_key_memory_s)
        return principal

    def _local(self, key: str, headers: Headers) -> Principal | None:
        if self._service.is_guarded():
            return None
        if key or not _is_local(headers):
            raise unauthenticated()
        return LOCAL

    def _of_key(self, key: str) -> Principal:
        if key:
            with self._service.database.connection() as conn:
                found = access.open_with(conn, key)
            if found is not None:
                return Principal(found.prefix, found.scope)
        raise unauthenticated()


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _key_of(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key", "").strip()


def _is_local(headers: Headers) -> bool:
    """Whether the request was meant for this machine: no name of another that was bent to our
    address, no page of another origin in somebody's browser."""
    origin = headers.get("origin", "")
    is_own = not origin or _LOOPBACK_HOST.fullmatch(origin.partition("://")[2]) is not None
    return is_own and _LOOPBACK_HOST.fullmatch(headers.get("host", "")) is not None
