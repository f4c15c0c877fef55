"""POST /query, /feedback and /v1/embeddings."""

from __future__ import annotations

import base64
import uuid
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from rag.api.service import Caller, Serving
from rag.embed.pretrained import find_model
from rag.embed.tokenizer import ModelTokenizer
from rag.errors import ConfigurationError, NotFoundError
from rag.filter_form import QueryFilters, Strict, Text
from rag.model import CollectionName
from rag.ports import Usage
from rag.search import Mode, SearchRequest
from rag.store import query_log
from rag.store.query_log import Asked, Feedback


class Query(Strict):
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
    or the reranker's. `content_hash` is the SHA-256 of the version's bytes, in whose text the
    passage stands from `start_char` to `end_char`. `before` and `after` are its neighbours' text,
    where they were asked for."""

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
    version_id: int
    start_char: int
    end_char: int
    before: str | None
    after: str | None


class Answer(BaseModel):
    """What a question found; `as_of` is the newest publication among the hits, or of the
    collection when there are none."""

    query_id: uuid.UUID
    generation: int | None
    as_of: datetime | None
    hits: list[Passage]


def query(body: Query, service: Serving, caller: Caller) -> Response:
    """The best passages of one collection, ranked; logged with an id that feedback names."""
    name = caller.open(CollectionName.parse(body.collection))
    found, encode_ms, search_ms = service.finder.find(service.reading, SearchRequest(
        name, body.query, None, k=body.k, mode=body.mode, filters=body.filters.for_search(),
        min_score=body.min_score, principals=caller.principals,
        max_per_document=body.max_per_document, neighbors=body.neighbors,
    ))  # fmt: skip
    asked = Asked(
        id=uuid.uuid4(), name=name, principal=caller.name, query=body.query, mode=body.mode,
        k=body.k,
        filters=body.filters.for_log(),
        min_score=body.min_score, encode_ms=encode_ms, search_ms=search_ms,
    )  # fmt: skip
    with service.database.connection() as conn:
        query_log.record_query(conn, asked, found.generation, found.hits)
    # an Answer; to make one and to have it checked would take longer than the rest of this
    answer = {
        "query_id": asked.id,
        "generation": found.generation,
        "as_of": found.as_of,
        "hits": [{name: getattr(hit, name) for name in Passage.model_fields} for hit in found.hits],
    }
    return Response(to_json(answer), media_type="application/json")


class Said(Strict):
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
        made = query_log.record_feedback(conn, said, caller.principals)
    return Thanks(feedback_id=made, query_id=body.query_id)


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
    tokens = _tokens(texts, service.settings.embedding_model)
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


def _tokens(texts: list[str], model: str) -> int:
    tokenizer = _tokenizer(model)
    if tokenizer is None:
        return Usage.estimated(sum(map(len, texts)), 0).prompt_tokens
    return sum(tokenizer.count(texts))


@cache
def _tokenizer(model: str) -> ModelTokenizer | None:
    """The model's own; None for a model that has none in a form that we read."""
    try:
        return ModelTokenizer(find_model(model, may_download=False))
    except ConfigurationError:
        return None


def _base64(vector: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
