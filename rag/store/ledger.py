"""Leases, attempts, dead letters and the record of what each stage of each run did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from rag.errors import RagError
from rag.store.database import Connection, Row
from rag.store.queries import statements


@dataclass(frozen=True, slots=True)
class Failure:
    """One document that a stage could not bring further, and why."""

    document_id: int
    version_id: int | None
    uri: str
    stage: str
    error: RagError
    attempts: int
    fingerprint: str = ""


@contextmanager
def presence(conn: Connection, owner: UUID) -> Iterator[None]:
    """The owner is seen to be there while this lasts. When its process dies its connection closes,
    and its claims are free at once; a connection that hangs is given up after the lease."""
    conn.execute(statements("ledger")["be_there"], {"owner": owner})
    try:
        yield
    finally:
        # without a connection it is gone already
        with suppress(psycopg.Error):
            conn.execute(statements("ledger")["be_gone"], {"owner": owner})


def claim(
    conn: Connection, stage: str, owner: UUID, ids: Sequence[int], lease_s: float
) -> dict[int, int]:
    """Claim versions nobody works on; returns attempts (this one counted) by version id."""
    rows = conn.execute(
        statements("ledger")["claim"],
        {"stage": stage, "owner": owner, "ids": list(ids), "lease_s": lease_s},
    )
    return {row["version_id"]: row["attempts"] for row in rows}


def beat(conn: Connection, owner: UUID) -> None:
    """Keep the owner's claims alive."""
    conn.execute(statements("ledger")["beat"], {"owner": owner})


def complete(conn: Connection, stage: str, ids: Sequence[int]) -> None:
    """The work on these versions ended: claims and counts go."""
    conn.execute(statements("ledger")["complete"], {"stage": stage, "ids": list(ids)})


def release(conn: Connection, stage: str, owner: UUID, ids: Sequence[int], *, refund: bool) -> None:
    """Give claims back; with `refund` the attempt does not count against the document."""
    parameters = {"stage": stage, "owner": owner, "ids": list(ids), "refund": int(refund)}
    conn.execute(statements("ledger")["release"], parameters)


def file_dead_letters(conn: Connection, failures: Sequence[tuple[Failure, float | None]]) -> None:
    """Record failures, each with the seconds to its retry; None means that only a person or a
    change brings one."""
    letters = [
        {
            "document_id": failure.document_id,
            "version_id": failure.version_id,
            "stage": failure.stage,
            "fingerprint": failure.fingerprint,
            "kind": failure.error.kind,
            "code": failure.error.code,
            "reason": failure.error.message,
            "attempts": failure.attempts,
            "retry_in_s": retry_in_s,
        }
        for failure, retry_in_s in failures
    ]
    if letters:
        conn.cursor().executemany(statements("ledger")["file_dead_letter"], letters)


def attempts_so_far(
    conn: Connection, stage: str, ids: Sequence[int]
) -> dict[int, tuple[str, str, int]]:
    """(fingerprint, code, attempts) of each document with an open letter at that stage."""
    rows = conn.execute(statements("ledger")["attempts_so_far"], {"stage": stage, "ids": list(ids)})
    return {row["document_id"]: (row["fingerprint"], row["code"], row["attempts"]) for row in rows}


def resolve(conn: Connection, stages: Sequence[str], document_ids: Sequence[int]) -> None:
    """Close the open letters of these documents at these stages."""
    parameters = {"stages": list(stages), "ids": list(document_ids)}
    conn.execute(statements("ledger")["resolve"], parameters)


def retry(conn: Connection, collection_id: int, uri: str | None = None) -> int:
    """Make failed documents (all, or one by uri) due again, and those whose pictures could not be
    described; returns how many."""
    parameters = {"collection_id": collection_id, "uri": uri}
    row = conn.execute(statements("ledger")["retry"], parameters).fetchone()
    assert row is not None
    return int(row["letters"])


def open_letters(conn: Connection, collection_id: int, shards: Sequence[int]) -> list[Row]:
    """What failed in these shards and why, newest first."""
    parameters = {"collection_id": collection_id, "shards": list(shards)}
    return conn.execute(statements("ledger")["open_letters"], parameters).fetchall()


def record_stage(
    conn: Connection,
    collection_id: int,
    shard: int,
    stage: str,
    run_id: str,
    counts: Mapping[str, int],
    seconds: float,
) -> None:
    """Keep what one stage of one run did."""
    conn.execute(
        statements("ledger")["record_stage"],
        {
            "collection_id": collection_id,
            "shard": shard,
            "stage": stage,
            "run_id": run_id,
            "counts": Jsonb(dict(counts)),
            "seconds": seconds,
        },
    )


def stages_of_run(conn: Connection, run_id: str) -> list[Row]:
    """The stages of one run, in order."""
    return conn.execute(statements("ledger")["stages_of_run"], {"run_id": run_id}).fetchall()
