"""Generations as people handle them: their recipes, the live pointer, the gate's decisions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from psycopg.types.json import Jsonb

from rag.errors import ConflictError, NotFoundError
from rag.model import CollectionName
from rag.store import index, partitions
from rag.store.content import Build
from rag.store.database import Connection, Row
from rag.store.queries import statements


@dataclass(frozen=True, slots=True)
class Live:
    """The generation that searches of a collection read, and the recipe it was built under."""

    id: int | None
    recipe: Mapping[str, object] | None


def standing(conn: Connection, collection_id: int) -> Row:
    """The collection's `is_gated`, `recipe` and `live_generation_id`."""
    row = conn.execute(
        statements("generations")["standing"], {"collection_id": collection_id}
    ).fetchone()
    assert row is not None
    return row


def live(conn: Connection, name: CollectionName) -> Live:
    """What searches of the collection read. Raises NotFoundError (`collection_not_found`)."""
    given = {"namespace": name.namespace, "collection": name.collection}
    row = conn.execute(statements("generations")["live"], given).fetchone()
    if row is None:
        raise NotFoundError(
            f"There is no collection {name}: `rag collection list` shows those there are.",
            code="collection_not_found",
        )
    return Live(row["id"], row["recipe"])


def set_gate(conn: Connection, collection_id: int, is_gated: bool) -> None:
    """From now on a caught-up generation waits for the gate, or goes live by itself."""
    given = {"collection_id": collection_id, "is_gated": is_gated}
    conn.execute(statements("generations")["set_gate"], given)


def set_recipe(conn: Connection, collection_id: int, recipe: Mapping[str, object]) -> None:
    """What the settings say otherwise for this collection; empty: it follows them."""
    given = {"collection_id": collection_id, "recipe": Jsonb(dict(recipe))}
    conn.execute(statements("generations")["set_recipe"], given)


def note_recipe(
    conn: Connection, generation_id: int, recipe: Mapping[str, object], revision: str | None = None
) -> None:
    """Remember what the generation was built under, and who asked."""
    given = {
        "generation_id": generation_id,
        "recipe": Jsonb(dict(recipe)),
        "revision": revision,
    }
    conn.execute(statements("generations")["note_recipe"], given)


def all_of(conn: Connection, collection_id: int) -> list[Row]:
    """The collection's generations, newest first."""
    given = {"collection_id": collection_id}
    return conn.execute(statements("generations")["generations"], given).fetchall()


def in_use(conn: Connection, collection_id: int) -> list[Row]:
    """The generations that are live or built, with the recipe they are made by."""
    given = {"collection_id": collection_id}
    return conn.execute(statements("generations")["in_use"], given).fetchall()


def find(conn: Connection, collection_id: int, generation_id: int) -> Row:
    """One generation. Raises NotFoundError (`generation_not_found`)."""
    for row in all_of(conn, collection_id):
        if row["id"] == generation_id:
            return row
    raise NotFoundError(
        f"The collection has no generation {generation_id}: `rag index list` shows those it has.",
        code="generation_not_found",
    )


def point_to(
    conn: Connection, collection_id: int, generation_id: int, recipe: Mapping[str, object]
) -> None:
    """Move the live pointer, and let the collection go on under that generation's recipe, in one
    transaction."""
    named = statements("generations")
    given = {"collection_id": collection_id, "generation_id": generation_id}
    with conn.transaction():
        conn.execute(named["lock_collection"], given)
        conn.execute(named["retire_twins"], given)
        index.promote(conn, collection_id, index.Generation(generation_id, is_live=False))
        set_recipe(conn, collection_id, recipe)


def retire(conn: Connection, collection_id: int, generation_id: int) -> None:
    """Give a candidate up. Raises ConflictError (`generation_not_a_candidate`)."""
    named = statements("generations")
    given = {"collection_id": collection_id, "generation_id": generation_id}
    with conn.transaction():
        conn.execute(named["lock_collection"], given)
        if conn.execute(named["retire"], given).fetchone() is None:
            raise ConflictError(
                f"Generation {generation_id} is live or retired already: only a candidate can be "
                "given up.",
                code="generation_not_a_candidate",
            )


def purge(
    conn: Connection, collection_id: int, keep: int, generation_id: int | None = None
) -> list[int]:
    """Remove retired generations with their rows, in one transaction; returns which."""
    given = {"collection_id": collection_id, "keep": keep, "generation_id": generation_id}
    with conn.transaction():
        conn.execute(statements("generations")["lock_collection"], given)
        gone = [row["id"] for row in conn.execute(statements("generations")["purge"], given)]
        conn.execute(statements("retention")["drop_rows_of_generations"], {"generations": gone})
        partitions.drop_unused(conn)
    return gone


def rates(conn: Connection) -> dict[str, float]:
    """What each stage has done here per second: documents parsed, chunks cut, embedded, served."""
    rows = conn.execute(statements("generations")["rates"]).fetchall()
    return {row["stage"]: float(row["per_second"]) for row in rows}


def reach(conn: Connection, build: Build) -> Row:
    """What of the collection is there already under a configuration."""
    row = conn.execute(statements("generations")["reach"], asdict(build)).fetchone()
    assert row is not None
    return row


def sample_to_cut(conn: Connection, build: Build, limit: int) -> list[Row]:
    """Some texts that the configuration has not cut yet."""
    given = {**asdict(build), "limit": limit}
    return conn.execute(statements("generations")["sample_to_cut"], given).fetchall()


def known_vectors(conn: Connection, build: Build, hashes: Sequence[bytes]) -> set[bytes]:
    """Of these texts, those whose vector exists."""
    given = {**asdict(build), "hashes": list(hashes)}
    rows = conn.execute(statements("generations")["known_vectors"], given)
    return {bytes(row["embedded_hash"]) for row in rows}


def compare(conn: Connection, first: int, second: int) -> Row:
    """Documents that only one of two generations serves, or in another version or cut."""
    row = conn.execute(
        statements("generations")["compare"], {"first": first, "second": second}
    ).fetchone()
    assert row is not None
    return row


def keep_decision(
    conn: Connection, collection_id: int, candidate_id: int, live_id: int | None, passed: bool,
    report: Mapping[str, object],
) -> None:  # fmt: skip
    """Keep what the gate said of a candidate."""
    conn.execute(
        statements("generations")["decide"],
        {
            "collection_id": collection_id, "candidate_id": candidate_id, "live_id": live_id,
            "passed": passed, "report": Jsonb(dict(report)),
        },
    )  # fmt: skip


def last_decision(conn: Connection, generation_id: int) -> Row | None:
    """What the gate last said of a candidate."""
    given = {"generation_id": generation_id}
    return conn.execute(statements("generations")["last_decision"], given).fetchone()


def sample_vectors(conn: Connection, generation_id: int, limit: int) -> list[list[float]]:
    """Vectors of some of the generation's rows."""
    given = {"generation_id": generation_id, "limit": limit}
    rows = conn.execute(statements("generations")["sample_vectors"], given)
    return [json.loads(row["vector"]) for row in rows]


def sample_documents(conn: Connection, generation_id: int) -> tuple[list[int], int]:
    """Every second document of the generation, and how many rows they have."""
    given = {"generation_id": generation_id}
    row = conn.execute(statements("generations")["sample_documents"], given).fetchone()
    assert row is not None
    return row["documents"], row["rows"]


def exact_similarities(
    conn: Connection, generation_id: int, home: int, documents: Sequence[int],
    vector: Sequence[float], depth: int,
) -> list[float]:  # fmt: skip
    """How near the nearest rows of these documents are, compared one by one."""
    given = {
        "generation_id": generation_id, "home": home, "documents": list(documents),
        "vector": json.dumps(list(vector)), "depth": depth,
    }  # fmt: skip
    rows = conn.execute(statements("generations")["exact_similarities"], given)
    return [float(row["similarity"]) for row in rows]
