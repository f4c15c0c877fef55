"""POST /query, /feedback and /v1/embeddings."""

from __future__ import annotations

import base64
import time
import uuid
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from rag.api.service import Caller, Service, Serving
from rag.errors import NotFoundError
from rag.model import CollectionName, Hit
from rag.search import Mode, SearchRequest, SearchResult, check_query, found_by
from rag.store import query_log
from rag.store.filters import Filters, Range
from rag.store.query_log import Asked, Feedback


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("NUL is no text")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]
Name = Annotated[Text, Field(min_length=1, max_length=255)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


Bound = Name | Annotated[float, Field(allow_inf_nan=False)]


class Between(_Strict):
    """A range of values, bounds included: numbers, or texts such as ISO dates."""

    least: Bound | None = Field(None, alias="from")
    most: Bound | None = Field(None, alias="to")

    def for_search(self) -> Range:
        """The same as the index takes it. Raises ConfigurationError (`bad_filter`)."""
        return Range(self.least, self.most).checked()


class QueryFilters(_Strict):
    """Which documents may be found; what is left out restricts nothing. `names` are globs over
    file names or whole addresses, `metadata` is what the parser found in the files."""

    filenames: list[Name] | None = Field(None, min_length=1, max_length=100)
    names: list[Name] | None = Field(None, min_length=1, max_length=20)
    media_types: list[Name] | None = Field(None, min_length=1, max_length=100)
    languages: list[Name] | None = Field(None, min_length=1, max_length=100)
    modified_from: AwareDatetime | None = None
    modified_to: AwareDatetime | None = None
    metadata: dict[Name, Between | bool | Bound] = Field({}, max_length=20)

    def for_search(self) -> Filters:
        """The same as the index takes it."""
        return Filters(
            filenames=_tuple(self.filenames),
            names=_tuple(self.names),
            media_types=_tuple(self.media_types),
            languages=_tuple(self.languages),
            modified_from=self.modified_from,
            modified_to=self.modified_to,
            metadata={
                key: value.for_search() if isinstance(value, Between) else value
                for key, value in self.metadata.items()
            },
        )


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


class Query(_Strict):
    """A question to one collection."""

    query: Annotated[Text, Field(max_length=4000)]
    collection: Annotated[str, Field(max_length=127, examples=["acme/docs"])]
    k: int = Field(4, ge=1, le=100)
    mode: Mode = "hybrid"
    filters: QueryFilters = QueryFilters()
    min_score: float | None = Field(None, allow_inf_nan=False)
    max_per_document: int | None = Field(None, ge=1, le=100)
    neighbors: int = Field(0, ge=0, le=5)


class Passage(BaseModel):
    """One hit. The score is cosine similarity (dense), BM25 (bm25), the fused score (hybrid, rrf),
    or the reranker's. `before` and `after` are its neighbours' text, where they were asked for."""

    document: str
    document_id: int
    uri: str
    title: str | None
    page: int | None
    heading: str
    text: str
    score: float
    ranks: dict[str, int]
    ordinal: int
    content_hash: str
    before: str | None
    after: str | None


class Answer(BaseModel):
    """What a question found; `as_of` is the newest publication among the hits, or of the
    collection when there are none."""

    query_id: uuid.UUID
    generation: int | None
    as_of: datetime | None
    hits: list[Passage]


def query(body: Query, service: Serving, caller: Caller) -> Answer:
    """The best passages of one collection, ranked; logged with an id that feedback names."""
    name = caller.open(CollectionName.parse(body.collection))
    check_query(body.query)
    filters = body.filters.for_search()
    started = time.perf_counter()
    live = None if body.mode == "bm25" else service.live_engine(name)
    vector = live.embedder.embed_query(body.query) if live else None
    encoded = time.perf_counter()
    found = _search(service, SearchRequest(
        name, body.query, vector, generation=live.generation if live else None, k=body.k,
        mode=body.mode, filters=filters,
        min_score=body.min_score, principals=caller.principals,
        max_per_document=body.max_per_document, neighbors=body.neighbors,
    ))  # fmt: skip
    asked = Asked(
        id=uuid.uuid4(), name=name, principal=caller.name, query=body.query, mode=body.mode,
        k=body.k,
        filters=body.filters.model_dump(mode="json", exclude_defaults=True, by_alias=True),
        min_score=body.min_score, encode_ms=(encoded - started) * 1000,
        search_ms=(time.perf_counter() - encoded) * 1000,
    )  # fmt: skip
    with service.database.connection() as conn:
        query_log.record_query(conn, asked, found.generation, found.hits)
    return Answer(
        query_id=asked.id,
        generation=found.generation,
        as_of=found.as_of,
        hits=[_passage(hit) for hit in found.hits],
    )


def _search(service: Service, request: SearchRequest) -> SearchResult:
    as_reader = service.reads_as_reader()
    with service.database.reading(request.name.namespace, as_reader=as_reader) as conn:
        found = found_by(conn, request, service.reranker)
    if found.hits or request.mode == "bm25":
        return found
    return _after_swap(service, request, found)


def _after_swap(service: Service, request: SearchRequest, found: SearchResult) -> SearchResult:
    """Nothing was found: asked again when another generation went live meanwhile."""
    live = service.live_engine(request.name)
    if live.generation == request.generation:
        return found
    vector = live.embedder.embed_query(request.query)
    return _search(service, replace(request, vector=vector, generation=live.generation))


def _passage(hit: Hit) -> Passage:
    names = Passage.model_fields
    values = {name: getattr(hit, name) for name in names}
    return Passage(**{**values, "ranks": dict(hit.ranks)})


class Said(_Strict):
    """What somebody says of an answer; `document` (its uri or file name) and `ordinal` name the
    passage that should have been found."""

    query_id: uuid.UUID
    thumb: Literal["up", "down"]
    comment: Annotated[Text, Field(max_length=4000)] | None = None
    document: Annotated[Text, Field(max_length=2000)] | None = None
    ordinal: int | None = Field(None, ge=0, le=2**31 - 1)


class Thanks(BaseModel):
    """The feedback is kept."""

    feedback_id: int
    query_id: uuid.UUID


def feedback(body: Said, service: Serving, caller: Caller) -> Thanks:
    """Keep a thumb, a comment and the passage that should have been found, for one query."""
    with service.database.connection() as conn:
        name = query_log.collection_of_query(conn, body.query_id)
        if name is None or not caller.may_open(name):
            raise NotFoundError("There is no such query.", code="query_not_found")
        said = Feedback(
            query_id=body.query_id, principal=caller.name, thumb=body.thumb,
            comment=body.comment, document=body.document, ordinal=body.ordinal,
        )  # fmt: skip
        return Thanks(feedback_id=query_log.record_feedback(conn, said), query_id=body.query_id)


class EmbeddingRequest(BaseModel):
    """As OpenAI's; settings that do not apply here are passed over."""

    input: (
        Annotated[Text, Field(min_length=1, max_length=32_000)]
        | Annotated[
            list[Annotated[Text, Field(min_length=1, max_length=32_000)]],
            Field(min_length=1, max_length=256),
        ]
    )
    model: str | None = Field(None, max_length=255)
    encoding_format: Literal["float", "base64"] = "float"


def embeddings(body: EmbeddingRequest, service: Serving) -> dict[str, Any]:
    """Unit vectors of texts under the model that search uses, in OpenAI's shape."""
    if body.model not in (None, service.model_name, service.model_name.rpartition("/")[2]):
        raise NotFoundError(
            f"This service embeds with {service.model_name} only: name that model.",
            code="model_not_served",
        )
    texts = [body.input] if isinstance(body.input, str) else body.input
    vectors = service.embedder.embed(texts)
    # the model's tokenizer stays inside the engine; a word is the unit here
    tokens = sum(len(text.split()) for text in texts)
    is_binary = body.encoding_format == "base64"
    return {
        "object": "list",
        "model": service.model_name,
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _base64(vector) if is_binary else vector.tolist(),
            }
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _base64(vector: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
