"""What the routes of questions and of the service answer, for the API's description.

The routes make these as plain dicts: to make models and have them checked would take longer than
many a request. A test holds the two together."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from rag.answer.citations import Dropped
from rag.ports import Usage


class Health(BaseModel):
    """Whether the store answers."""

    ok: bool
    database_connected: bool
    mongodb_connected: bool
    service: str


class Alive(BaseModel):
    """The process answers."""

    ok: bool


class Ready(BaseModel):
    """Whether requests can be served now, and what is missing."""

    ok: bool
    model_warm: bool
    database_connected: bool
    not_stopping: bool
    model_error: str | None


class Citation(BaseModel):
    """A passage as an answer cites it."""

    number: int
    document: str
    document_id: int
    uri: str
    title: str | None
    page: int | None
    heading: str
    ordinal: int
    text: str
    score: float
    content_hash: str
    version_id: int
    start_char: int
    end_char: int


class CitedAnswer(BaseModel):
    """An answer with everything that is known of it."""

    query_id: uuid.UUID
    answer: str
    is_answered: bool
    citations: list[Citation]
    dropped: list[Dropped]
    uncited: list[str]
    model: str | None
    usage: Usage
    latency_ms: float
    generation: int | None
    as_of: datetime | None


class SaidMessage(BaseModel):
    """The answer as a message."""

    role: Literal["assistant"]
    content: str


class ChatChoice(BaseModel):
    """The one answer there is."""

    index: int
    message: SaidMessage
    finish_reason: Literal["stop"]
    logprobs: None


class ChatUsage(BaseModel):
    """Tokens of the model's calls."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(BaseModel):
    """As OpenAI's, with what is known of the answer besides."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage
    query_id: uuid.UUID
    is_answered: bool
    generation: int | None
    as_of: datetime | None
    citations: list[Citation]


class ServedModel(BaseModel):
    """A collection, or the embedding model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ServedModels(BaseModel):
    """As OpenAI's."""

    object: Literal["list"]
    data: list[ServedModel]


class Vector(BaseModel):
    """A text's unit vector: numbers, or base64 of little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class VectorUsage(BaseModel):
    """Tokens of the texts."""

    prompt_tokens: int
    total_tokens: int


class Vectors(BaseModel):
    """As OpenAI's."""

    object: Literal["list"]
    model: str
    data: list[Vector]
    usage: VectorUsage
