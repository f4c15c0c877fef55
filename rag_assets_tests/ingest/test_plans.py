"""How the server looks up what a new model, chunker, parser or generation has does not turn on
what it was told of others: of the new one it knows no rows, and would go through all that are there
by now for each batch of a load."""

from __future__ import annotations

from typing import Any, LiteralString

import pytest
from psycopg import sql

from rag.store.database import Connection
from rag.store.queries import statements
from rag_assets_tests.ingest.harness import Harness

pytestmark = pytest.mark.slow

NEW = 1_000_000
MANY = 20_000
WHOLE_KEYS = {
    "embedding": ("namespace_id", "model_id", "embedded_hash"),
    "embedded_set": ("chunk_set_id", "model_id"),
    "chunk_set": ("parsed_id", "chunker_id"),
    "parsed": ("namespace_id", "parser_id", "content_hash"),
    "publication": ("generation_id", "document_id"),
}


@pytest.mark.parametrize(
    ("group", "name", "tables"),
    [
        ("content", "texts_to_embed", ["embedding"]),
        ("content", "lacking_embeddings", ["embedding"]),
        ("content", "mark_embedded", ["embedding"]),
        ("index", "ready", ["parsed", "chunk_set", "embedded_set", "publication"]),
        ("postings", "texts_to_publish", ["parsed", "chunk_set"]),
        ("index", "publish_rows", ["embedding"]),
    ],
)
def test_what_is_new_is_looked_up_by_its_whole_key(
    harness: Harness, group: str, name: str, tables: list[str]
) -> None:
    known_of_others(harness)
    if name == "publish_rows":
        harness.conn.execute(
            "create temporary table ready (document_id bigint, chunk_set_id bigint)"
        )

    plan = plan_of(harness.conn, statements(group)[name])

    for table in tables:
        found = conditions(plan, table)
        assert found, f"the plan does not look at {table} at all"
        for condition in found:
            for column in WHOLE_KEYS[table]:
                assert column in condition, (table, condition)


@pytest.mark.parametrize(
    ("joined", "table"),
    [
        (
            "select from chunk where chunk.chunk_set_id = any(%(sets)s) and not exists ("
            " select from embedding where namespace_id = %(namespace_id)s"
            " and model_id = %(model_id)s and embedding.embedded_hash = chunk.embedded_hash)",
            "embedding",
        ),
        (
            "select from cut_document join embedded_set"
            " on embedded_set.chunk_set_id = cut_document.chunk_set_id"
            " and embedded_set.model_id = %(model_id)s"
            " where cut_document.document_id = any(%(ids)s)"
            " and cut_document.parser_id = %(parser_id)s"
            " and cut_document.chunker_id = %(chunker_id)s",
            "parsed",
        ),
    ],
)
def test_the_planner_would_do_without_the_key(
    harness: Harness, joined: LiteralString, table: str
) -> None:
    """The control: as joins, the looks go by less."""
    known_of_others(harness)

    found = conditions(plan_of(harness.conn, joined), table)

    whole = WHOLE_KEYS[table]
    assert any(column not in condition for condition in found for column in whole)


def known_of_others(harness: Harness) -> None:
    """A great many rows of which the statistics tell, all of one configuration."""
    harness.source.put("a.txt", b"some text")
    harness.run()
    conn, one = harness.conn, "sha256(n::text::bytea)"
    multiply(conn, "embedding", embedded_hash=one)
    multiply(conn, "chunk", ordinal="n", embedded_hash=one)
    multiply(conn, "document", uri="'memory://docs/' || n")
    multiply(conn, "parsed", content_hash=one)
    conn.execute(
        "insert into chunk_set (parsed_id, chunker_id, chunk_count, token_count)"
        " select parsed.id, chunker_id, 1, 1 from parsed, chunk_set"
        " where not exists (select from chunk_set as own where own.parsed_id = parsed.id)"
    )
    conn.execute(
        "insert into embedded_set select id, model_id from chunk_set, embedded_set"
        " on conflict do nothing"
    )
    multiply(
        conn, "publication",
        document_id="(select id from document where uri = 'memory://docs/' || n)",
    )  # fmt: skip
    conn.execute("analyze")


def multiply(conn: Connection, table: str, **changed: LiteralString) -> None:
    """Many more rows like the first one of the table, but for what is changed in row `n`."""
    rows = conn.execute(
        "select column_name as name from information_schema.columns"
        " where table_name = %s and table_schema = current_schema and is_identity = 'NO'"
        " and is_generated = 'NEVER'",
        (table,),
    )
    columns = [row["name"] for row in rows]
    conn.execute(
        sql.SQL(
            "insert into {table} ({columns}) select {values} from"
            " (select * from {table} limit 1) as one, generate_series(1, {many}) as n"
        ).format(
            table=sql.Identifier(table),
            columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
            values=sql.SQL(", ").join(
                sql.SQL(changed[name]) if name in changed else sql.Identifier(name)
                for name in columns
            ),
            many=sql.Literal(MANY),
        )
    )


def plan_of(conn: Connection, statement: LiteralString) -> dict[str, Any]:
    given = {
        "namespace_id": 1,
        "model_id": NEW,
        "parser_id": NEW,
        "chunker_id": NEW,
        "generation_id": NEW,
        "home": 0,
        "sets": list(range(1, 251)),
        "ids": list(range(1, 501)),
        "hashes": [bytes(32)],
    }
    row = conn.execute("explain (format json) " + statement, given).fetchone()
    assert row is not None
    (found,) = row["QUERY PLAN"]
    plan: dict[str, Any] = found["Plan"]
    return plan


def conditions(plan: dict[str, Any], table: str) -> list[str]:
    """The index condition of each look at the table; '' of one without an index."""
    own = [plan.get("Index Cond", "")] if plan.get("Relation Name") == table else []
    return own + [each for part in plan.get("Plans", ()) for each in conditions(part, table)]
