"""API keys: who they are for, while they hold; and the reader's role of row-level security."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from psycopg.errors import ReadOnlySqlTransaction

from rag.errors import NotFoundError
from rag.store.database import Connection, Row
from rag.store.queries import statements

Role = Literal["read", "write", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
_PREFIX_BYTES = 6
_SECRET_BYTES = 32  # 256 bits: nobody guesses them, so a plain hash is enough
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class KeyScope:
    """What a key opens: no namespace means all, no collections means all of the namespace."""

    namespace: str | None
    role: Role
    collections: tuple[str, ...] | None = None
    principals: tuple[str, ...] = ()  # whose documents it sees beside those that are everyone's


@dataclass(frozen=True, slots=True)
class ValidKey:
    """A key that opened: its shown part and its scope."""

    prefix: str
    scope: KeyScope


def create_key(conn: Connection, scope: KeyScope, expires_at: datetime | None) -> str:
    """A new key; it is returned once and kept as a hash only. The namespace is made if new."""
    prefix = "rag_" + secrets.token_hex(_PREFIX_BYTES)
    key = f"{prefix}.{secrets.token_urlsafe(_SECRET_BYTES)}"
    with conn.transaction():
        conn.execute(
            statements("access")["create_key"],
            {
                "prefix": prefix,
                "key_hash": _hash(key),
                "namespace_id": _ensure_namespace(conn, scope.namespace),
                "collections": list(scope.collections) if scope.collections else None,
                "role": scope.role,
                "principals": list(scope.principals),
                "expires_at": expires_at,
            },
        )
    return key


def _ensure_namespace(conn: Connection, namespace: str | None) -> int | None:
    if namespace is None:
        return None
    row = conn.execute(
        statements("collections")["ensure_namespace"], {"namespace": namespace}
    ).fetchone()
    assert row is not None
    return int(row["id"])


def list_keys(conn: Connection) -> list[Row]:
    """All keys by their prefixes, newest first, with state active, expired or revoked."""
    return conn.execute(statements("access")["list_keys"]).fetchall()


def revoke_key(conn: Connection, prefix: str) -> None:
    """The key opens nothing from now on. Raises NotFoundError (`key_not_found`)."""
    found = conn.execute(statements("access")["revoke_key"], {"prefix": prefix}).fetchone()
    if found is None:
        raise NotFoundError(
            "There is no key with that prefix: `rag key list` shows them.", code="key_not_found"
        )


def is_guarded(conn: Connection) -> bool:
    """Whether a key was ever made; revoking the last one does not open the door again."""
    row = conn.execute(statements("access")["any_key"]).fetchone()
    return row is not None and bool(row["is_guarded"])


def open_with(conn: Connection, key: str) -> ValidKey | None:
    """What a key opens; None when it is wrong, expired or revoked (which of them is not told)."""
    if len(key) > _LONGEST or not key.isascii() or "\0" in key:
        return None
    prefix = key.partition(".")[0]
    row = conn.execute(statements("access")["key_by_prefix"], {"prefix": prefix}).fetchone()
    known = bytes(row["key_hash"]) if row else bytes(32)
    if not hmac.compare_digest(known, _hash(key)) or row is None:
        return None
    if row["is_newly_used"]:
        with suppress(ReadOnlySqlTransaction):  # a server that may not write still opens
            conn.execute(statements("access")["touch_key"], {"id": row["id"]})
    scope = KeyScope(
        row["namespace"], row["role"], _tuple(row["collections"]), tuple(row["principals"] or ())
    )
    return ValidKey(prefix, scope)


def can_read_as_reader(conn: Connection) -> bool:
    """Whether row-level security can stand behind searches on this server."""
    row = conn.execute(statements("access")["can_read_as_reader"]).fetchone()
    return row is not None and bool(row["is_possible"])


def become_reader(conn: Connection, namespace: str) -> None:
    """See this namespace's rows only until the transaction in progress ends."""
    conn.execute(statements("access")["become_reader"], {"namespace": namespace})


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("ascii")).digest()


def _tuple(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
