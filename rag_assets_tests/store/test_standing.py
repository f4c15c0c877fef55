"""What people see of a collection: one row per document, whatever befell it."""

from __future__ import annotations

from rag.errors import PoisonError
from rag.model import CollectionName
from rag.store import collections, ledger, manifest, standing
from rag.store.database import Connection
from rag.store.ledger import Failure
from rag.store.manifest import Scope
from rag.store.migration import head_revision
from rag.store.server import revision


def test_a_document_that_failed_at_two_stages_is_one_row_with_its_newest_failure(
    conn: Connection,
) -> None:
    made = collections.create_collection(conn, CollectionName("acme", "docs"))
    collections.add_source(conn, made, "s3://bucket/")
    (source,) = collections.list_sources(conn, made)
    ids = manifest.upsert_documents(conn, Scope(made.id, source["id"], (0,)), 0, ["s3://bucket/a"])
    for stage in ("fetch", "parse"):
        error = PoisonError("It is broken.", code=f"broken_at_{stage}")
        failure = Failure(ids["s3://bucket/a"], None, "s3://bucket/a", stage, error, 1)
        ledger.file_dead_letters(conn, [(failure, None)])

    (row,) = standing.documents(conn, made.id)

    assert (row["state"], row["code"]) == ("failed", "broken_at_parse")
    assert standing.documents_by_state(conn, made.id) == {"failed": 1}
    assert len(standing.failures(conn, made.id, 1)) == 2


def test_a_migrated_database_is_at_the_revision_of_this_code(conn: Connection) -> None:
    assert revision(conn) == head_revision()
