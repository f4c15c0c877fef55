"""Datasets, experiments, results and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from rag.errors import ConflictError, NotFoundError
from rag.store.database import Connection, Row
from rag.store.queries import statements


@dataclass(frozen=True, slots=True)
class Result:
    """One question's outcome, ready to be kept; `hits` are JSON values without text."""

    item_id: int
    hits: Sequence[Mapping[str, object]]
    document_ids: Sequence[int]
    answer: str | None
    error: str | None
    latency_ms: float


def create_dataset(
    conn: Connection, collection_id: int, name: str, digest: bytes,
    items: Sequence[Mapping[str, object]], *, is_synthetic: bool = False,
) -> int:  # fmt: skip
    """A new dataset with its questions, whole or not at all; `relevant` and `metadata` of an item
    are JSON values. Raises ConflictError (`dataset_exists`)."""
    sql = statements("evaluation")
    with conn.transaction():
        row = conn.execute(sql["create_dataset"], {
            "collection_id": collection_id, "name": name, "digest": digest,
            "is_synthetic": is_synthetic,
        }).fetchone()  # fmt: skip
        if row is None:
            raise ConflictError(f"The '{name}' dataset already exists!", code="dataset_exists")
        given = [
            {**item, "dataset_id": row["id"], "relevant": Jsonb(item["relevant"]),
             "metadata": Jsonb(item["metadata"])}
            for item in items
        ]  # fmt: skip
        with conn.cursor() as cursor:
            cursor.executemany(sql["insert_item"], given)
    return int(row["id"])


def datasets(conn: Connection, collection_id: int) -> list[Row]:
    """The collection's datasets with their sizes, oldest first."""
    given = {"collection_id": collection_id}
    return conn.execute(statements("evaluation")["datasets"], given).fetchall()


def find_dataset(conn: Connection, collection_id: int, name: str | None) -> Row:
    """The dataset of that name; without one the newest that people made, or else the newest.

    Raises NotFoundError (`dataset_not_found`)."""
    rows = datasets(conn, collection_id)
    if name is not None:
        rows = [row for row in rows if row["name"] == name]
    chosen = [row for row in rows if not row["is_synthetic"]] or rows
    if not chosen:
        raise NotFoundError(
            f"The collection has no dataset{f' {name}' if name else ''}: `rag evaluate import` "
            "reads one, `rag evaluate synthesize` makes one of its passages.",
            code="dataset_not_found",
        )
    return chosen[-1]


def drop_dataset(conn: Connection, collection_id: int, name: str) -> None:
    """Remove a dataset with its experiments. Raises NotFoundError (`dataset_not_found`)."""
    find_dataset(conn, collection_id, name)
    given = {"collection_id": collection_id, "name": name}
    conn.execute(statements("evaluation")["drop_dataset"], given)


def items(conn: Connection, dataset_id: int) -> list[Row]:
    """The questions of a dataset."""
    given = {"dataset_id": dataset_id}
    return conn.execute(statements("evaluation")["items"], given).fetchall()


def passages_to_ask(conn: Connection, collection_id: int, limit: int) -> list[Row]:
    """Served passages spread over the collection's documents."""
    given = {"collection_id": collection_id, "limit": limit}
    return conn.execute(statements("evaluation")["passages_to_ask"], given).fetchall()


def start_experiment(
    conn: Connection, dataset_id: int, generation_id: int | None, name: str,
    settings: Mapping[str, object],
) -> int:  # fmt: skip
    """A new experiment of that name."""
    row = conn.execute(
        statements("evaluation")["start_experiment"],
        {
            "dataset_id": dataset_id, "generation_id": generation_id, "name": name,
            "settings": Jsonb(dict(settings)),
        },
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(row["id"])


def find_experiment(conn: Connection, collection_id: int, name: str) -> Row | None:
    """The collection's experiment of that name, if there is one."""
    given = {"collection_id": collection_id, "name": name}
    return conn.execute(statements("evaluation")["find_experiment"], given).fetchone()


def experiments(conn: Connection, collection_id: int, limit: int = 100) -> list[Row]:
    """The collection's experiments, newest first, with their means."""
    given = {"collection_id": collection_id, "limit": limit}
    return conn.execute(statements("evaluation")["experiments"], given).fetchall()


def done_items(conn: Connection, experiment_id: int) -> set[int]:
    """Ids of the items that are done."""
    given = {"experiment_id": experiment_id}
    rows = conn.execute(statements("evaluation")["done_items"], given)
    return {row["item_id"] for row in rows}


def record_result(
    conn: Connection, experiment_id: int, result: Result,
    scores: Sequence[tuple[str, float, str | None]],
) -> None:  # fmt: skip
    """Keep one question's outcome with its scores, in one transaction."""
    sql = statements("evaluation")
    key = {"experiment_id": experiment_id, "item_id": result.item_id}
    with conn.transaction():
        conn.execute(
            sql["record_result"],
            {
                **key, "hits": Jsonb(list(result.hits)),
                "document_ids": list(result.document_ids), "answer": result.answer,
                "error": result.error, "latency_ms": result.latency_ms,
            },
        )  # fmt: skip
        for metric, value, reason in scores:
            given = {**key, "metric": metric, "value": value, "reason": reason}
            conn.execute(sql["record_score"], given)


def take_scores(
    conn: Connection, experiment_id: int, scores: Mapping[str, Mapping[str, float]], reason: str
) -> int:
    """Keep scores that were given elsewhere, by question and metric; returns how many were new."""
    given = [
        {"experiment_id": experiment_id, "key": key, "metric": metric, "value": value,
         "reason": reason}
        for key, row in scores.items() for metric, value in row.items()
    ]  # fmt: skip
    statement = statements("evaluation")["take_score"]
    with conn.transaction():
        return sum(conn.execute(statement, each).rowcount for each in given)


def finish_experiment(conn: Connection, experiment_id: int) -> None:
    """Every question is done."""
    given = {"experiment_id": experiment_id}
    conn.execute(statements("evaluation")["finish_experiment"], given)


def results(conn: Connection, experiment_id: int) -> list[Row]:
    """What the experiment found, question by question."""
    given = {"experiment_id": experiment_id}
    return conn.execute(statements("evaluation")["results"], given).fetchall()
