"""Publishing without its transaction: what the fault tests must be able to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rag.store import index, postings
from rag.store.content import Build
from rag.store.database import Connection, Row
from rag.store.index import Generation
from rag.store.postings import Worded
from rag.store.queries import statements


def publish_in_steps(
    conn: Connection,
    build: Build,
    generation: Generation,
    ids: Sequence[int],
    language: str,
    run_id: str,
    expected: Worded,
) -> list[Row]:
    """As index.publish, but old rows go, new rows come, and the record is set, each on its own."""
    sql = statements("index")
    values = {
        **asdict(build),
        "generation_id": generation.id,
        "ids": list(ids),
        "language": language,
        "run_id": run_id,
        "home": 0,
    }
    conn.execute("drop table if exists ready")
    # in a session's own connection the table is seen by this worker alone
    conn.execute(sql["ready"].replace("on commit drop", ""), values)
    conn.execute(sql["unpublish"], values)
    # words are found through the record, so it has to go, too, for the gap to be seen
    conn.execute("delete from publication using ready where generation_id = %(generation_id)s"
                 " and publication.document_id = ready.document_id", values)  # fmt: skip
    conn.execute(sql["publish_rows"], values)
    postings.publish_ready(conn, generation.id, build.shard, language, expected)
    return conn.execute(sql["publish_documents"], values).fetchall()


def without_transaction() -> None:
    """For this process, for good."""
    index.publish = publish_in_steps
