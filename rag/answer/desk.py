"""Where questions are taken: search, answer and log, for the HTTP API, MCP and the command line.

A database connection is held while searching and logging, never while a model writes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, field
from uuid import UUID

import anyio
from anyio import to_thread

from rag.answer.passage import relevant_passages
from rag.answer.tally import CallEnded, TalliedModel
from rag.answer.writing import Answer, Found, Question, answer
from rag.asking import Finder, Reading
from rag.errors import RagError
from rag.model import CollectionName
from rag.ports import LanguageModel
from rag.search import Mode, SearchRequest
from rag.store import query_log
from rag.store.database import Connection
from rag.store.filters import NO_FILTERS, Filters
from rag.store.query_log import Answered, Asked

# a defect of ours: as the API calls it
_UNEXPECTED = "unexpected"


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question to one collection, by whom, and how it is searched. `principals` are those whose
    documents may be found besides everyone's; None means all."""

    name: CollectionName
    question: Question
    principal: str
    k: int = 4
    mode: Mode = "hybrid"
    filters: Filters = NO_FILTERS
    min_score: float | None = None
    principals: Sequence[str] | None = ()
    max_per_document: int | None = None
    neighbors: int = 0
    logged_filters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opening:
    """What was found, under the id of the logged query: comes before any text."""

    query_id: UUID
    found: Found


@dataclass(frozen=True, slots=True)
class Closing:
    """The answer whole: comes last."""

    query_id: UUID
    found: Found
    answer: Answer
    latency_ms: float


Reply = AsyncGenerator[Opening | str | Closing]


@dataclass(frozen=True, slots=True)
class Desk:
    """Answers inquiries. `reading` opens a transaction on one namespace, `writing` a connection
    for the log; `call_ended` hears of each call of the model."""

    reading: Reading
    writing: Callable[[], AbstractContextManager[Connection]]
    finder: Finder
    model: LanguageModel | None
    unknown: str
    min_similarity: float
    call_ended: CallEnded | None = None

    def search(self, inquiry: Inquiry, text: str | None = None) -> Opening:
        """Find passages and log the query; blocks. Raises ConfigurationError (`empty_query`),
        NotFoundError (`collection_not_found`)."""
        text = text or inquiry.question.text
        request = SearchRequest(
            inquiry.name, text, None, k=inquiry.k, mode=inquiry.mode, filters=inquiry.filters,
            min_score=inquiry.min_score, principals=inquiry.principals,
            max_per_document=inquiry.max_per_document, neighbors=inquiry.neighbors,
        )  # fmt: skip
        result, encode_ms, search_ms = self.finder.find(self.reading, request, is_compared=True)
        relevant = relevant_passages(text, result.hits, result.similarities, self.min_similarity)
        found = Found(text, result.generation, result.as_of, result.hits, relevant)
        query_id = self._log_query(inquiry, found, encode_ms, search_ms)
        return Opening(query_id, found)

    def _log_query(
        self, inquiry: Inquiry, found: Found, encode_ms: float, search_ms: float
    ) -> UUID:
        asked = Asked(
            id=uuid.uuid4(), name=inquiry.name, principal=inquiry.principal,
            query=inquiry.question.text, mode=inquiry.mode, k=inquiry.k,
            filters=inquiry.logged_filters, min_score=inquiry.min_score, encode_ms=encode_ms,
            search_ms=search_ms,
        )  # fmt: skip
        with self.writing() as conn:
            query_log.record_query(conn, asked, found.generation, found.hits)
        return asked.id

    async def answer(self, inquiry: Inquiry) -> Reply:
        """The opening, the answer's text in checked pieces, the closing; logged however it ends.

        Closing the generator ends the model's call. Raises what `search` and the model raise."""
        model = None if self.model is None else TalliedModel(self.model, self.call_ended)
        visit = _Visit(time.perf_counter(), model)

        async def retrieve(text: str) -> Found:
            visit.opening = await to_thread.run_sync(self.search, inquiry, text)
            return visit.opening.found

        try:
            async with aclosing(answer(inquiry.question, retrieve, model, self.unknown)) as events:
                async for event in events:
                    if isinstance(event, Found):
                        assert visit.opening is not None
                        yield visit.opening
                    elif isinstance(event, str):
                        visit.hear(event)
                        yield event
                    else:
                        visit.answer = event
        except RagError as error:
            visit.error_code = error.code
            raise
        except Exception:
            visit.error_code = _UNEXPECTED
            raise
        finally:
            await self._log_answer(visit)
        yield visit.closing()

    async def close(self) -> None:
        """Let the model's connections go."""
        if self.model is not None:
            await self.model.close()

    async def _log_answer(self, visit: _Visit) -> None:
        """Also when the caller is gone: what was begun is on record."""
        answered = visit.answered()
        if answered is None:
            return
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._record, answered)

    def _record(self, answered: Answered) -> None:
        with self.writing() as conn:
            query_log.record_answer(conn, answered)


@dataclass(slots=True)
class _Visit:
    """One inquiry on its way."""

    started: float
    model: TalliedModel | None = None
    opening: Opening | None = None
    answer: Answer | None = None
    error_code: str | None = None
    text: str = ""
    first_ms: float | None = None

    def hear(self, piece: str) -> None:
        if self.first_ms is None:
            self.first_ms = self.elapsed_ms
        self.text += piece

    @property
    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1000

    def answered(self) -> Answered | None:
        """What the log keeps; None when nothing was searched."""
        if self.opening is None:
            return None
        done = self.answer or self._cut_short()
        return Answered(
            query_id=self.opening.query_id, searched=self.opening.found.searched, text=self.text,
            outcome=self._outcome(), total_ms=self.elapsed_ms, error_code=self.error_code,
            cited=tuple(passage.number for passage in done.cited), dropped=len(done.dropped),
            model=done.model, prompt_tokens=done.usage.prompt_tokens,
            completion_tokens=done.usage.completion_tokens, first_ms=self.first_ms,
        )  # fmt: skip

    def _cut_short(self) -> Answer:
        """What there was of an answer, and what it cost."""
        model = self.model
        if model is None or not model.was_asked:
            return Answer(self.text, is_answered=False)
        return Answer(self.text, is_answered=False, model=model.name, usage=model.usage)

    def _outcome(self) -> query_log.Outcome:
        if self.answer is not None:
            return "answered" if self.answer.is_answered else "unknown"
        return "failed" if self.error_code else "cancelled"

    def closing(self) -> Closing:
        assert self.opening is not None and self.answer is not None
        return Closing(self.opening.query_id, self.opening.found, self.answer, self.elapsed_ms)
