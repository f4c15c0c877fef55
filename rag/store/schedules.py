"""Schedules of collections, and the runs that were requested, with their causes."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from rag.schedules import Kind, Rhythm
from rag.store.database import Connection, Row
from rag.store.queries import statements


def set_schedule(conn: Connection, collection_id: int, rhythm: Rhythm, kind: Kind) -> None:
    """From now on the collection is run or evaluated so often."""
    given = {"collection_id": collection_id, "kind": kind, **asdict(rhythm)}
    conn.execute(statements("schedules")["set_schedule"], given)


def drop_schedule(conn: Connection, collection_id: int, kind: Kind) -> bool:
    """Whether there was one."""
    given = {"collection_id": collection_id, "kind": kind}
    return conn.execute(statements("schedules")["drop_schedule"], given).fetchone() is not None


def schedules(conn: Connection) -> list[Row]:
    """All schedules by collection."""
    return conn.execute(statements("schedules")["schedules"]).fetchall()


def mark_run(conn: Connection, collection_id: int, kind: Kind, at: datetime) -> None:
    """The collection has been run, or evaluated."""
    given = {"collection_id": collection_id, "kind": kind, "at": at}
    conn.execute(statements("schedules")["mark_run"], given)


def lock_requests(conn: Connection) -> None:
    """Those who request runs take turns until their transactions end."""
    conn.execute(statements("schedules")["lock_requests"])


def requests_of_cause(
    conn: Connection, collection_id: int, shard: int, cause: str
) -> tuple[int, datetime | None]:
    """How often the shard was asked for because of this, and when last."""
    given = {"collection_id": collection_id, "shard": shard, "cause": cause}
    row = conn.execute(statements("schedules")["requests_of_cause"], given).fetchone()
    assert row is not None
    return int(row["times"]), row["last_at"]


def last_cause(conn: Connection, collection_id: int, shard: int, prefix: str) -> str | None:
    """The newest of the shard's causes that start so."""
    given = {"collection_id": collection_id, "shard": shard, "prefix": prefix}
    row = conn.execute(statements("schedules")["last_cause"], given).fetchone()
    return None if row is None else str(row["cause"])


def request(
    conn: Connection, collection_id: int, shard: int, cause: str, reason: str, at: datetime
) -> None:
    """Ask for a run of the shard; without a reason only the cause is noted."""
    given = {"collection_id": collection_id, "shard": shard, "cause": cause}
    conn.execute(statements("schedules")["request"], {**given, "reason": reason, "at": at})


def recent_requests(conn: Connection, after: int, since: datetime) -> list[Row]:
    """Requests after the one of that id, none older than `since`."""
    given = {"after": after, "since": since}
    return conn.execute(statements("schedules")["recent_requests"], given).fetchall()


def embeddings_since(conn: Connection, collection_id: int, since: datetime) -> int:
    """How many embeddings runs of the collection have made since then."""
    given = {"collection_id": collection_id, "since": since}
    row = conn.execute(statements("schedules")["embeddings_since"], given).fetchone()
    assert row is not None
    return int(row["embedded"])
