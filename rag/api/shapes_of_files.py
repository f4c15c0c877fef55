"""What the routes of topics, uploads and files answer, for the API's description: see shapes."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class TopicDone(BaseModel):
    """What was done to a topic."""

    message: str
    topic: str


class SegmentDone(BaseModel):
    """What was done to a segment."""

    message: str
    topic: str
    segment: str


class Targets(BaseModel):
    """Segments of a topic."""

    topic: str
    segment_targets: list[str]


class BackfilledTargets(Targets):
    """The same, with how far back its bounded sources reach at least."""

    mode: Literal["backfill"]
    since: date


class Collecting(BaseModel):
    """A look was asked for."""

    message: str
    config: BackfilledTargets | Targets


class Nothing(BaseModel):
    """There is no such record."""

    model_config = ConfigDict(extra="forbid")


class Record(BaseModel):
    """A document as a record."""

    topic: str
    segment: str
    ticker: str
    analysis: str
    raw_data: str
    timestamp: datetime


class JobStarted(BaseModel):
    """The bytes are stored; how it goes on says GET /upload/status."""

    job_id: uuid.UUID
    status: Literal["processing"]
    total_files: int


class FileError(BaseModel):
    """Why a file failed."""

    code: str
    message: str


class FileProgress(BaseModel):
    """One file of an upload."""

    filename: str
    original_name: str
    status: Literal["processing", "completed", "partial", "failed", "replaced", "deleted"]
    stage: str
    error: FileError | None


class JobStatus(BaseModel):
    """How an upload comes along."""

    job_id: uuid.UUID
    status: Literal["processing", "completed", "completed_with_errors", "failed"]
    total: int
    completed: int
    progress: float
    percent: int
    last_error: str | None
    created_at: float
    files: list[FileProgress]


class FileSummary(BaseModel):
    """A file in six of its sentences."""

    filename: str
    summary: str


class Files(BaseModel):
    """The searchable files of a collection, by name."""

    files: list[FileSummary]
    filenames: list[str]


class Deleted(BaseModel):
    """The file is gone."""

    message: str


class Card(BaseModel):
    """A passage as a card."""

    user_id: str
    project_id: str
    filename: str
    topic_name: str
    summary: str
    content: str
    page_span: tuple[int, int] | None
    card_id: str
    id: Annotated[str, Field(alias="_id")]


class ChunkCard(Card):
    """A card with its vector, when it was asked for."""

    embedding: list[float] | None


class Cards(BaseModel):
    """Passages of a collection or of one file."""

    cards: list[Card]


class Chunks(BaseModel):
    """Passages of one file."""

    chunks: list[ChunkCard]
