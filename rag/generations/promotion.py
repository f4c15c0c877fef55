"""Building a candidate, letting it serve, and going back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag.errors import ConflictError
from rag.ingest.current import with_recipe
from rag.ingest.pipeline import STAGES
from rag.ingest.publish import publish_documents
from rag.ingest.workshop import StageReport, Workshop
from rag.model import CollectionName
from rag.recipe import Recipe, difference, recipe_of
from rag.settings import Settings
from rag.store import collections, generations, index
from rag.store.collections import Collection
from rag.store.content import Build
from rag.store.database import Connection, Row

# everything but the look at the sources: a build makes what is registered searchable anew
_BUILD = ("parsed_documents", "chunks", "embeddings")


@dataclass(frozen=True, slots=True)
class Built:
    """A candidate after its build: `behind` documents are missing in it; `is_live` when nothing
    held it back."""

    generation: int
    behind: int
    is_live: bool
    embedded: int
    chunks: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the live pointer was and is, how many documents the next run brings up to date, and
    what of the settings the collection holds on to."""

    before: int | None
    generation: int
    behind: int
    recipe: Recipe


def build_candidate(
    shop: Workshop,
    name: CollectionName,
    recipe: Recipe,
    revision: str | None = None,
    is_held: bool = False,
) -> Built:
    """Build a generation of the collection under this recipe beside the live one, reusing every
    parse, chunk and vector there is. It goes live when it has caught up, unless `is_held` or the
    collection is gated. A repeat goes on where the last one ended."""
    collection = collections.find_collection(shop.conn, name)
    other = replace(with_recipe(shop, recipe), holds=True)
    reports: list[StageReport] = []
    for shard in collection.shard_list():
        reports += [STAGES[stage](other, shard) for stage in _BUILD]
        reports.append(publish_documents(other, shard))
    generation_id = int(reports[-1].facts["generation"])
    generations.note_recipe(shop.conn, generation_id, recipe_of(other.settings), revision)
    behind = documents_behind(shop.conn, collection, generation_id)
    gated = generations.standing(shop.conn, collection.id)["is_gated"]
    if behind == 0 and not is_held and not gated:
        promote(shop.conn, name, generation_id, shop.settings)
    return Built(
        generation_id, behind, _live(shop.conn, collection) == generation_id,
        embedded=sum(report.counts.get("embedded", 0) for report in reports),
        chunks=sum(r.counts.get("served_chunks", 0) for r in reports[-1:]),
        seconds=sum(report.seconds for report in reports),
    )  # fmt: skip


def promote(
    conn: Connection, name: CollectionName, generation_id: int, settings: Settings,
    *, is_forced: bool = False,
) -> Moved:  # fmt: skip
    """Let a candidate serve, from the next search on. Raises ConflictError: `generation_behind`
    when it lacks documents, `gate_not_passed` when the collection is gated and the gate did not
    pass it as it stands; `is_forced` passes over both."""
    collection = collections.find_collection(conn, name)
    row = generations.find(conn, collection.id, generation_id)
    if not is_forced:
        _check_ready(conn, collection, row)
    return _move(conn, collection, row, settings)


def roll_back(
    conn: Connection, name: CollectionName, settings: Settings, generation_id: int | None = None
) -> Moved:
    """Let the generation serve again that served last, or the one that is named. What was deleted
    or erased meanwhile is not in it; what was added or changed comes with the next run. Raises
    ConflictError (`nothing_to_roll_back_to`), NotFoundError (`generation_not_found`)."""
    collection = collections.find_collection(conn, name)
    if generation_id is not None:
        return _move(conn, collection, generations.find(conn, collection.id, generation_id),
                     settings)  # fmt: skip
    served = [
        row
        for row in generations.all_of(conn, collection.id)
        if row["state"] == "retired" and row["promoted_at"] is not None
    ]
    if not served:
        raise ConflictError(
            f"{name} has no retired generation that has served: `rag index list {name}` shows "
            "what there is.",
            code="nothing_to_roll_back_to",
        )
    return _move(conn, collection, max(served, key=lambda row: row["retired_at"]), settings)


def documents_behind(conn: Connection, collection: Collection, generation_id: int) -> int:
    """Documents that the generation should serve and does not, in their newest version."""
    build = Build(collection.id, collection.namespace_id, 0, 0, 0, 0)
    return index.documents_behind(conn, build, index.Generation(generation_id, is_live=False))


def _check_ready(conn: Connection, collection: Collection, row: Row) -> None:
    behind = documents_behind(conn, collection, row["id"])
    if behind:
        raise ConflictError(
            f"Generation {row['id']} lacks {behind} documents: `rag index build` brings it up to "
            "date, --force lets it serve as it is.",
            code="generation_behind",
        )
    gated = generations.standing(conn, collection.id)["is_gated"]
    decision = generations.last_decision(conn, row["id"])
    if gated and row["state"] == "building" and not (decision and decision["passed"]):
        raise ConflictError(
            f"The gate has not passed generation {row['id']}: `rag index gate` judges it, --force "
            "passes over it.",
            code="gate_not_passed",
        )


def _move(conn: Connection, collection: Collection, row: Row, settings: Settings) -> Moved:
    before = _live(conn, collection)
    own = difference(row["recipe"] or {}, settings)
    if before != row["id"]:
        generations.point_to(conn, collection.id, row["id"], own)
    behind = documents_behind(conn, collection, row["id"])
    return Moved(before, row["id"], behind, own)


def _live(conn: Connection, collection: Collection) -> int | None:
    found: int | None = generations.standing(conn, collection.id)["live_generation_id"]
    return found


def candidate_of(rows: Sequence[Row]) -> Row | None:
    """The newest generation that is built and not live, of rows as `generations.all_of` has
    them."""
    return next((row for row in rows if row["state"] == "building"), None)
