"""References of what documents and questions were like, and what came since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from rag.store.database import Connection, Row
from rag.store.queries import statements

Subject = Literal["documents", "queries"]


@dataclass(frozen=True, slots=True)
class Scope:
    """A shard of a live generation; vectors of another model are never looked at."""

    collection_id: int
    shard: int
    generation_id: int
    home: int
    model_id: int


@dataclass(frozen=True, slots=True)
class Reference:
    """What is compared with, and since when."""

    id: int
    taken_at: datetime


def scope_of(conn: Connection, collection_id: int, shard: int) -> Scope | None:
    """The shard in the live generation; None when nothing is live."""
    row = conn.execute(
        statements("drift")["live_model"], {"collection_id": collection_id}
    ).fetchone()
    return None if row is None else Scope(collection_id, shard, **row)


def find_reference(conn: Connection, scope: Scope, subject: Subject) -> Reference | None:
    """The reference of that subject under the scope's model."""
    given = {**asdict(scope), "subject": subject}
    row = conn.execute(statements("drift")["reference"], given).fetchone()
    return None if row is None else Reference(row["id"], row["taken_at"])


def take_reference(conn: Connection, scope: Scope, subject: Subject) -> Reference | None:
    """A new, empty one; None when another process was faster."""
    given = {**asdict(scope), "subject": subject}
    row = conn.execute(statements("drift")["take_reference"], given).fetchone()
    return None if row is None else Reference(row["id"], row["taken_at"])


def drop_references(conn: Connection, collection_id: int) -> int:
    """Forget what the collection is compared with; returns how many references went."""
    given = {"collection_id": collection_id}
    return conn.execute(statements("drift")["drop_references"], given).rowcount


def fill_documents(conn: Connection, scope: Scope, reference_id: int, limit: int) -> None:
    """Sample the shard's documents into the reference."""
    given = {**asdict(scope), "reference_id": reference_id, "limit": limit}
    conn.execute(statements("drift")["fill_documents"], given)


def fill_questions(
    conn: Connection,
    reference_id: int,
    questions: Sequence[tuple[UUID, list[float], int]],
) -> None:
    """Put questions (id, vector, words) into the reference."""
    with conn.cursor() as cursor:
        cursor.executemany(
            statements("drift")["add_question"],
            [
                {"reference_id": reference_id, "query_id": key, "vector": vector, "words": words}
                for key, vector, words in questions
            ],
        )


def count_documents(conn: Connection, scope: Scope) -> int:
    """How many documents of the shard are served."""
    row = conn.execute(statements("drift")["count_documents"], asdict(scope)).fetchone()
    assert row is not None
    return int(row["documents"])


def recent_documents(conn: Connection, scope: Scope, since: datetime, limit: int) -> list[Row]:
    """The newest documents since then, a chunk of each."""
    given = {**asdict(scope), "since": since, "limit": limit}
    return conn.execute(statements("drift")["recent_documents"], given, binary=True).fetchall()


def samples(conn: Connection, reference_id: int) -> list[Row]:
    """The members of a reference."""
    given = {"reference_id": reference_id}
    return conn.execute(statements("drift")["samples"], given, binary=True).fetchall()


def questions(
    conn: Connection, collection_id: int, after: datetime, until: datetime, limit: int
) -> list[Row]:
    """Different questions of a span of time, the newest first."""
    given = {"collection_id": collection_id, "after": after, "until": until, "limit": limit}
    return conn.execute(statements("drift")["questions"], given).fetchall()


@dataclass(frozen=True, slots=True)
class Found:
    """One test of a check as it was last judged."""

    measure: str
    value: float
    warn: float
    fail: float
    p_value: float


def keep_findings(
    conn: Connection, collection_id: int, shard: int, check: str, found: Sequence[Found]
) -> None:
    """What the check found in the shard, in place of what it found before."""
    given = {"collection_id": collection_id, "shard": shard, "check_name": check}
    with conn.transaction():
        conn.execute(statements("drift")["drop_findings"], given)
        for item in found:
            conn.execute(statements("drift")["keep_finding"], {**given, **asdict(item)})


def findings(conn: Connection) -> list[Row]:
    """What checks found last, by collection, check and measure."""
    return conn.execute(statements("drift")["findings"]).fetchall()
