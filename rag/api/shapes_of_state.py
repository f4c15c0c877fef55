"""What the routes of collections, documents and the system answer, for the API's description: see
shapes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

State = Literal["live", "partial", "pending", "failed"]
Stage = Literal["raw_documents", "parsed_documents", "chunks", "embeddings", "search_index"]


class Counts(BaseModel):
    """Documents by state."""

    total: int
    live: int
    partial: int
    pending: int
    failed: int


class Freshness(BaseModel):
    """When something was published and looked for, and how long the oldest change waits."""

    published_at: datetime | None
    looked_at: datetime | None
    oldest_pending_s: float


class Standing(BaseModel):
    """How a collection stands."""

    collection: str
    state: Literal["held", "empty", "building", "behind", "current"]
    documents: Counts
    chunks: int
    failures: int
    freshness: Freshness
    deletions_held: int
    live_generation: int | None


class Standings(BaseModel):
    """The collections that the key opens."""

    collections: list[Standing]


class Failure(BaseModel):
    """Why a document failed."""

    code: str
    reason: str
    kind: str
    attempts: int


class Document(BaseModel):
    """How a document stands; `stage` is the one that failed, else the last one reached."""

    document_id: int
    document: str
    uri: str
    title: str | None
    state: State
    stage: str
    is_searchable: bool
    failure: Failure | None
    media_type: str | None
    pages: int | None
    chunks: int | None
    size_bytes: int | None
    modified_at: datetime | None
    published_at: datetime | None


class Documents(BaseModel):
    """Documents of a collection, a page at a time."""

    documents: list[Document]
    next: int | None


class Due(BaseModel):
    """How many failures are tried again now."""

    collection: str
    due: int


class PlacedPassage(BaseModel):
    """A passage within the text around it."""

    document_id: int
    document: str
    uri: str
    title: str | None
    media_type: str
    ordinal: int
    ordinals: int
    headings: list[str]
    page_first: int | None
    page_last: int | None
    pages: int | None
    has_pages: bool
    before: str
    passage: str
    after: str
    is_cut_before: bool
    is_cut_after: bool
    generation: int


class Built(BaseModel):
    """One generation of a collection."""

    namespace: str
    collection: str
    id: int
    state: str
    created_at: datetime
    promoted_at: datetime | None
    parser: str
    chunker: str
    model: str
    documents: int


class FailureCount(BaseModel):
    """Open failures of a collection by stage and code."""

    namespace: str
    collection: str
    stage: str
    kind: str
    code: str
    documents: int
    last_failed_at: datetime
    next_retry_at: datetime | None


class Run(BaseModel):
    """A run over a collection."""

    namespace: str
    collection: str
    run_id: str
    ended_at: datetime
    seconds: float
    failed: int


class Queue(BaseModel):
    """What waits."""

    pending: int
    hints: int
    oldest_pending_s: float


class ServiceState(BaseModel):
    """The service and its limits."""

    model: str
    model_warm: bool
    model_error: str | None
    needs_key: bool
    max_files_per_upload: int
    max_file_mb: int


class System(BaseModel):
    """How the whole stands, as far as the key reaches."""

    collections: list[Standing]
    generations: list[Built]
    failures: list[FailureCount]
    runs: list[Run]
    versions: dict[str, str]
    queue: Queue
    service: ServiceState
