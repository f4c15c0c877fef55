"""Content hashes and configuration fingerprints: equal input, equal name, in every process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping


def digest(parts: Iterable[bytes | str]) -> bytes:
    """SHA-256 over length-prefixed parts, so that ('ab', 'c') and ('a', 'bc') differ."""
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        hasher.update(len(data).to_bytes(8, "big"))
        hasher.update(data)
    return hasher.digest()


def fingerprint(kind: str, config: Mapping[str, object]) -> str:
    """A short stable name of a configuration: `<kind>-<16 hex digits>`.

    `config` must be JSON values; key order does not matter."""
    canonical = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"{kind}-{digest([kind, canonical]).hex()[:16]}"


def shard_index(uri: str, count: int) -> int:
    """The hash bucket of a document, 0 to count - 1, stable for ever."""
    return (
        int.from_bytes(hashlib.sha256(uri.encode("utf-8", "surrogatepass")).digest()[:4], "big")
        % count
    )
