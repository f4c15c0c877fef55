"""How the server looks a vector up does not turn on what it was told of a model: of a new one it
knows no rows, and would go through all that are there by now for each batch of a load."""

from __future__ import annotations

from typing import Any, LiteralString

import pytest

from rag.store.database import Connection
from rag.store.queries import statements
from rag_assets_tests.ingest.harness import Harness

pytestmark = pytest.mark.slow

NEW_MODEL = 1_000_000


@pytest.mark.parametrize("name", ["texts_to_embed", "lacking_embeddings", "mark_embedded"])
def test_a_vector_is_looked_up_by_its_whole_key(harness: Harness, name: str) -> None:
    harness.source.put("a.txt", b"some text")
    harness.run()
    known_of_one_model(harness.conn)

    found = conditions(plan_of(harness.conn, statements("content")[name]))

    assert found, "the plan does not look at embedding at all"
    for condition in found:
        for column in ("namespace_id", "model_id", "embedded_hash"):
            assert column in condition, condition


def test_the_planner_would_do_without_the_key(harness: Harness) -> None:
    """The control: as a join, the look goes by the model alone."""
    harness.source.put("a.txt", b"some text")
    harness.run()
    known_of_one_model(harness.conn)
    joined: LiteralString = (
        "select from chunk where chunk.chunk_set_id = any(%(sets)s) and not exists ("
        " select from embedding where namespace_id = %(namespace_id)s and model_id = %(model_id)s"
        " and embedding.embedded_hash = chunk.embedded_hash)"
    )

    found = conditions(plan_of(harness.conn, joined))

    assert any("embedded_hash" not in condition for condition in found)


def known_of_one_model(conn: Connection) -> None:
    """Many chunks and vectors, of which the statistics tell, all of one model."""
    conn.execute(
        "insert into embedding (namespace_id, model_id, embedded_hash, vector)"
        " select namespace_id, model_id, sha256(n::text::bytea), vector"
        " from embedding, generate_series(1, 20000) as n"
    )
    conn.execute(
        "insert into chunk (chunk_set_id, ordinal, start_char, end_char, text, tokens, headings,"
        " context, embedded_hash)"
        " select chunk_set_id, n, start_char, end_char, text, tokens, headings, context,"
        " sha256(n::text::bytea) from chunk, generate_series(1, 20000) as n where ordinal = 0"
    )
    conn.execute("analyze embedding, chunk, chunk_set")


def plan_of(conn: Connection, statement: LiteralString) -> dict[str, Any]:
    given = {
        "namespace_id": 1,
        "model_id": NEW_MODEL,
        "sets": list(range(1, 251)),
        "hashes": [bytes(32)],
    }
    row = conn.execute("explain (format json) " + statement, given).fetchone()
    assert row is not None
    (found,) = row["QUERY PLAN"]
    plan: dict[str, Any] = found["Plan"]
    return plan


def conditions(plan: dict[str, Any]) -> list[str]:
    """The index condition of each look at `embedding`; '' of one without an index."""
    own = [plan.get("Index Cond", "")] if plan.get("Relation Name") == "embedding" else []
    return own + [each for part in plan.get("Plans", ()) for each in conditions(part)]
