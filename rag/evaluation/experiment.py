"""Experiments: every question of a dataset asked of one generation, kept as it goes, resumable by
name."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from rag.answer.passage import relevant_passages
from rag.answer.writing import Answer, Found, Question, answer
from rag.asking import Embedders
from rag.errors import ConflictError, RagError
from rag.evaluation.dataset import Item, Relevant, content_digest
from rag.evaluation.judge import judged_scores
from rag.evaluation.metrics import (
    FAILED,
    JUDGED,
    RANKING,
    TEXT,
    Score,
    check_metrics,
    ranking_scores,
    text_scores,
)  # fmt: skip
from rag.model import CollectionName, Hit
from rag.ports import Embedder, LanguageModel
from rag.search import Mode, SearchRequest, found_by
from rag.settings import Settings
from rag.store import collections, evaluation, generations, relevance
from rag.store.collections import Collection
from rag.store.database import Connection, Row

_SUFFIX = re.compile(r"-[0-9a-fA-F]{8}$")
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Lab:
    """What experiments work with. `writer` writes answers (without one the best sentences are
    taken), `judge` judges them."""

    conn: Connection
    settings: Settings
    embedders: Embedders
    writer: LanguageModel | None = None
    judge: LanguageModel | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """How questions are asked and scored."""

    metrics: tuple[str, ...] = RANKING
    k: int = 10
    mode: Mode = "hybrid"
    delay_s: float = 0.0

    @property
    def wants_answers(self) -> bool:
        return any(name in (*TEXT, *JUDGED) for name in self.metrics)


@dataclass(frozen=True, slots=True)
class Ran:
    """An experiment after a run: how many questions it has, did now, and had done before."""

    id: int
    name: str
    generation: int | None
    items: int
    done_now: int
    done_before: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Run:
    lab: Lab
    name: CollectionName
    generation: int | None
    method: Method
    embedder: Embedder = field(repr=False)


def import_dataset(
    conn: Connection, collection: Collection, name: str, items: Sequence[Item],
    *, is_synthetic: bool = False,
) -> int:  # fmt: skip
    """Keep a dataset. Raises ConflictError (`dataset_exists`)."""
    rows = [{**asdict(item), "relevant": [asdict(each) for each in item.relevant],
             "metadata": dict(item.metadata)} for item in items]  # fmt: skip
    return evaluation.create_dataset(
        conn, collection.id, name, content_digest(items), rows, is_synthetic=is_synthetic
    )


def replace_dataset(
    conn: Connection, collection: Collection, name: str, items: Sequence[Item]
) -> int:
    """Keep a dataset under that name; one that asks the same stays with its experiments, one that
    asks other things is removed with them."""
    known = [row for row in evaluation.datasets(conn, collection.id) if row["name"] == name]
    if known and known[0]["digest"] == content_digest(items).hex():
        return int(known[0]["id"])
    with conn.transaction():
        if known:
            evaluation.drop_dataset(conn, collection.id, name)
        return import_dataset(conn, collection, name, items)


def run_experiment(
    lab: Lab, name: CollectionName, dataset: Row, method: Method,
    *, called: str = "experiment", generation: int | None = None,
    progress: Progress | None = None,
) -> Ran:  # fmt: skip
    """Ask every question of the dataset and keep what came of it. `called` ending in -XXXXXXXX
    goes on with that experiment, on its own generation and method, and skips what it has done.

    Raises ConfigurationError (`unknown_metric`), ConflictError (`generation_gone`,
    `other_dataset`)."""
    check_metrics(method.metrics)
    collection = collections.find_collection(lab.conn, name)
    resumes = _SUFFIX.search(called) is not None
    before = evaluation.find_experiment(lab.conn, collection.id, called) if resumes else None
    if before is not None:
        id_, generation, method = _resumed(before, dataset, method)
    else:
        called = called if resumes else f"{called}-{uuid.uuid4().hex[:8].upper()}"
        generation = generation or collection.live_generation_id
        facts = _facts(lab, collection, generation, method)
        id_ = evaluation.start_experiment(lab.conn, dataset["id"], generation, called, facts)
    afresh = f"There is no experiment {called} to go on with: it starts afresh."
    warnings = (afresh,) if resumes and before is None else ()
    run = _Run(lab, name, generation, method, _embedder(lab, collection, generation))
    done, now = evaluation.done_items(lab.conn, id_), 0
    rows = evaluation.items(lab.conn, dataset["id"])
    for at, row in enumerate(rows, start=1):
        if row["id"] not in done:
            _ask(run, id_, row)
            now += 1
            time.sleep(method.delay_s)
        if progress is not None:
            progress(at, len(rows))
    evaluation.finish_experiment(lab.conn, id_)
    return Ran(id_, called, generation, len(rows), now, len(done), warnings)


def _resumed(before: Row, dataset: Row, method: Method) -> tuple[int, int, Method]:
    if before["dataset_id"] != dataset["id"]:
        raise ConflictError(
            f"{before['name']} is an experiment on the dataset {before['dataset']}: name that one.",
            code="other_dataset",
        )
    if before["generation_id"] is None:
        raise ConflictError(
            f"The generation of {before['name']} was removed: start a new experiment.",
            code="generation_gone",
        )
    known = before["settings"]["method"]
    method = Method(tuple(known["metrics"]), known["k"], known["mode"], method.delay_s)
    return before["id"], before["generation_id"], method


def _facts(
    lab: Lab, collection: Collection, generation: int | None, method: Method
) -> dict[str, object]:
    row = generations.find(lab.conn, collection.id, generation) if generation else {}
    return {
        "method": asdict(method),
        "recipe": row.get("recipe"),
        "parser": row.get("parser"), "chunker": row.get("chunker"), "model": row.get("model"),
        "revision": row.get("revision"),
        "writer": lab.writer.name if lab.writer else None,
        "temperature": lab.settings.llm_temperature if lab.writer else None,
        "judge": lab.judge.name if lab.judge else None,
    }  # fmt: skip


def _embedder(lab: Lab, collection: Collection, generation: int | None) -> Embedder:
    if generation is None:
        return lab.embedders.of(None)
    return lab.embedders.of(generations.find(lab.conn, collection.id, generation)["recipe"])


def item_from_row(row: Row) -> Item:
    """A stored question."""
    relevant = tuple(Relevant(**each) for each in row["relevant"])
    return Item(row["key"], row["question"], row["answer"], row["topic"], relevant,
                row["metadata"], row["document_id"])  # fmt: skip


def _ask(run: _Run, experiment_id: int, row: Row) -> None:
    item = item_from_row(row)
    hits: Sequence[Hit] = ()
    text, error = None, None
    started = time.perf_counter()
    latency_ms = 0.0
    try:
        hits, vector = _search(run, item.question)
        latency_ms = (time.perf_counter() - started) * 1000
        if run.method.wants_answers:
            text = asyncio.run(_answer(run, item.question, hits, vector)).text
    except RagError as raised:
        error = f"{raised.code}: {raised.message}"
    scores = _scores(run, item, hits, text, error)
    result = evaluation.Result(
        row["id"], [_named(hit) for hit in hits], sorted({hit.document_id for hit in hits}), text,
        error, latency_ms,
    )  # fmt: skip
    kept = [(score.metric, score.value, score.reason) for score in scores]
    evaluation.record_result(run.lab.conn, experiment_id, result, kept)


def _search(run: _Run, question: str) -> tuple[Sequence[Hit], object]:
    vector = run.embedder.embed_query(question)
    request = SearchRequest(
        run.name, question, vector, k=run.method.k, mode=run.method.mode, principals=None,
        generation=run.generation,
    )  # fmt: skip
    return found_by(run.lab.conn, request).hits, vector


async def _answer(run: _Run, question: str, hits: Sequence[Hit], vector: object) -> Answer:
    near = relevance.similarities(run.lab.conn, run.generation or 0, vector, hits)  # type: ignore[arg-type]
    least = run.lab.settings.answer_min_similarity
    passages = relevant_passages(question, hits, near, least)

    async def retrieve(text: str) -> Found:
        return Found(text, run.generation, None, tuple(hits), passages)

    last = None
    writer = run.lab.writer
    try:
        async for event in answer(
            Question(question), retrieve, writer, run.lab.settings.answer_unknown
        ):
            last = event
    finally:
        if writer is not None:
            await writer.close()  # its connections belong to this event loop
    assert isinstance(last, Answer)
    return last


def _scores(
    run: _Run, item: Item, hits: Sequence[Hit], text: str | None, error: str | None
) -> list[Score]:
    names = run.method.metrics
    if error is not None:
        return [Score(name, FAILED, error) for name in names if _applies(name, item)]
    scores = ranking_scores(item, hits, names) + text_scores(item, text, names, run.embedder)
    wanted = [name for name in names if name in JUDGED]
    if wanted and run.lab.judge is None:
        reason = "no judge is configured: set RAG_LLM_BASE_URL and RAG_LLM_MODEL"
        scores += [Score(name, FAILED, reason) for name in wanted]
    elif wanted and run.lab.judge is not None:
        passages = [hit.text for hit in hits]
        scores += judged_scores(item, text, passages, wanted, run.lab.judge, run.embedder)
    return scores


def _applies(metric: str, item: Item) -> bool:
    return bool(item.relevant) if metric in RANKING else metric in JUDGED or bool(item.answer)


def _named(hit: Hit) -> dict[str, object]:
    return {"document": hit.document, "uri": hit.uri, "ordinal": hit.ordinal, "page": hit.page,
            "score": round(hit.score, 6)}  # fmt: skip
