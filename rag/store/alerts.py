"""Incidents and the outbox of notices about them, and how far the event log has been read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from rag.store.database import Connection, Row
from rag.store.queries import statements


def position(conn: Connection, reader: str) -> int | None:
    """How far the reader has read, held until the transaction ends; None when it never has."""
    row = conn.execute(statements("alerts")["position"], {"reader": reader}).fetchone()
    return None if row is None else int(row["position"])


def move_position(conn: Connection, reader: str, to: int) -> None:
    """The reader has read so far."""
    given = {"reader": reader, "position": to}
    conn.execute(statements("alerts")["move_position"], given)


def lock_incidents(conn: Connection) -> None:
    """Writers of incidents take turns until their transactions end."""
    conn.execute(statements("alerts")["lock_incidents"])


def newest_incident(conn: Connection, key: str) -> Row | None:
    """What is known under a key, open or closed."""
    return conn.execute(statements("alerts")["newest_incident"], {"key": key}).fetchone()


def keep_incident(conn: Connection, incident: Mapping[str, object]) -> None:
    """Keep the incident as it stands; id 0 is a new one."""
    name = "update_incident" if incident["id"] else "open_incident"
    conn.execute(statements("alerts")[name], incident)


def incidents(
    conn: Connection,
    *,
    open_only: bool,
    collection: str | None = None,
    kinds: Sequence[str] | None = None,
    limit: int = 1_000,
) -> list[Row]:
    """Incidents, the open ones first, newest first."""
    given = {
        "open_only": open_only,
        "collection": collection,
        "kinds": None if kinds is None else list(kinds),
        "limit": limit,
    }
    return conn.execute(statements("alerts")["incidents"], given).fetchall()


def incidents_to_tell(conn: Connection, now: datetime) -> tuple[list[Row], list[Row]]:
    """Incidents that may be news, and the last notice of each on each route."""
    sql = statements("alerts")
    found = conn.execute(sql["incidents_to_tell"], {"now": now}).fetchall()
    ids = [row["id"] for row in found]
    return found, conn.execute(sql["last_notices"], {"incidents": ids}).fetchall()


def make_notice(conn: Connection, notice: Mapping[str, object]) -> None:
    """Put a message into the outbox."""
    conn.execute(statements("alerts")["make_notice"], notice)


def waiting_notice(conn: Connection, now: datetime) -> Row | None:
    """Id and attempts of the oldest message that is due, locked."""
    return conn.execute(statements("alerts")["waiting_notice"], {"now": now}).fetchone()


def count_attempt(conn: Connection, notice_id: int, due_at: datetime) -> Row:
    """Count a try that is about to be made; returns the whole notice with its incident."""
    given = {"id": notice_id, "due_at": due_at}
    row = conn.execute(statements("alerts")["count_attempt"], given).fetchone()
    assert row is not None
    return row


def notice_sent(conn: Connection, notice_id: int) -> None:
    """It is delivered."""
    conn.execute(statements("alerts")["notice_sent"], {"id": notice_id})


def notice_failed(conn: Connection, notice_id: int, error: str, *, is_given_up: bool) -> None:
    """It was not delivered, and why."""
    given = {"id": notice_id, "error": error, "is_given_up": is_given_up}
    conn.execute(statements("alerts")["notice_failed"], given)


def outbox(conn: Connection) -> list[Row]:
    """What waits or was given up, by route."""
    return conn.execute(statements("alerts")["outbox"]).fetchall()


def dead_letter_growth(conn: Connection, least: int, now: datetime) -> list[Row]:
    """Collections with at least so many new dead letters within the last hour."""
    given = {"least": least, "now": now}
    return conn.execute(statements("alerts")["dead_letter_growth"], given).fetchall()
