"""The edges of the product: what a source, a parser, a tokenizer and an embedder must do.

Each port has a real adapter, a fake in rag_assets_tests/fakes.py, and one conformance suite that
both pass. Adapters raise RagError subclasses only.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rag.errors import RagError
from rag.model import Listing, ParsedDocument, SourceObject


class Source(Protocol):
    """Where documents come from; read only."""

    uri: str

    def list(self) -> Listing:
        """Everything the source holds now. Never raises for a part it can not read: it returns
        `is_complete=False` instead. Raises UnavailableError when nothing can be read."""
        ...

    def fetch(self, obj: SourceObject, target: Path) -> None:
        """Write exactly the bytes `obj` describes to `target`. Raises TransientError when the
        object changed since the listing, or was cut short; NotFoundError when it is gone."""
        ...


@runtime_checkable
class StatefulSource(Source, Protocol):
    """A source that can say cheaply whether anything changed."""

    def state(self) -> str | None:
        """Equal states, equal listings; None where it can not tell. Raises as `list`."""
        ...


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What one file may cost where its collection says other than the parser's own limits."""

    file_bytes: int
    pages: int
    wall_s: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class ParseJob:
    """One file to parse. `name` (never used as a path) is only a hint and a label; `passwords` are
    tried on an encrypted file; without `limits` the parser's own hold. `on_page` hears (page,
    pages) a few times a second where the format has pages, in the thread that asks for outcomes."""

    key: int
    path: Path
    name: str
    passwords: tuple[str, ...] = field(default=(), repr=False)
    limits: FileLimits | None = None
    on_page: Callable[[int, int], None] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attached file on disk: `name` as the sender wrote it, `path` where its bytes are;
    `ordinal` counts from 0."""

    ordinal: int
    name: str
    media_type: str
    path: Path


@dataclass(frozen=True, slots=True)
class ParseOutcome:
    """How one job ended: `document` or `error`, never both, never neither."""

    key: int
    document: ParsedDocument | None
    error: RagError | None
    seconds: float


class Parser(Protocol):
    """Turns files into text. `config` is the canonical JSON-able configuration whose fingerprint
    names the results."""

    config: dict[str, object]

    def prepare(self, documents: int, limits: FileLimits | None = None) -> None:
        """So many documents with these limits will come, likely soon: get ready for them
        meanwhile. Waits for nothing and raises nothing; whoever parses meets what went wrong."""
        ...

    def parse(self, jobs: Iterable[ParseJob]) -> Iterator[ParseOutcome]:
        """One outcome per job, in any order, as each ends. A bad file gives an outcome with an
        error; an exception here means that parsing as a whole does not work."""
        ...

    def attachments(self, job: ParseJob, folder: Path) -> tuple[Attachment, ...]:
        """The files attached to the mail of `job`, written into the existing `folder`; empty for
        other types. Raises the RagError that a parse of it would end with."""
        ...


class Captioner(Protocol):
    """Says what a picture shows. `config` is part of the parser's fingerprint."""

    config: dict[str, object]
    most: int  # pictures described of one document
    min_side: int  # pixels of the shorter side of a picture worth describing

    def caption(self, jpeg: bytes) -> str:
        """What the picture shows. Raises RagError; never takes longer than its time limit."""
        ...


class Tokenizer(Protocol):
    """Counts and places tokens as the embedding model sees them."""

    config: dict[str, object]
    max_tokens: int  # the model's window, its two special tokens included

    def starts(self, texts: Sequence[str]) -> list[list[int]]:
        """At which character each token of each text begins, special tokens left out."""
        ...

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens per text, special tokens left out."""
        ...


class Embedder(Protocol):
    """Turns texts into unit vectors. Same text, same vector to 1e-3 cosine."""

    config: dict[str, object]  # model name, weights digest, precision, dimension
    dimension: int

    def prepare(self) -> None:
        """Texts will come, likely soon: get ready for them meanwhile. Waits for nothing and raises
        nothing; whoever embeds meets what went wrong."""
        ...

    def embed(
        self, texts: Sequence[str], on_batch: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimension), in the order of `texts`; `on_batch` hears
        (done, total) as work goes on. Raises UnavailableError when the engine is down,
        PoisonError (`bad_vector`) when a text has no usable vector."""
        ...

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a question, shape (dimension,), in the space of `embed`."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation with a language model."""

    role: Literal["system", "user", "assistant"]
    content: str


_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of model calls; `is_estimated` where the endpoint did not count (four characters a
    token)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    is_estimated: bool = False

    @classmethod
    def estimated(cls, sent: int, said: int) -> Usage:
        """That of so many characters."""
        return cls(sent // _CHARACTERS_PER_TOKEN, said // _CHARACTERS_PER_TOKEN, True)

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.is_estimated or other.is_estimated,
        )


class LanguageModel(Protocol):
    """Goes on with a conversation. Asynchronous, so that a caller who leaves ends the call."""

    name: str

    def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str | Usage]:
        """The pieces of the reply as they come, then its usage, once and last.

        Raises UnavailableError (`model_unavailable`, `model_timeout`, `model_cut_off`,
        `model_malformed`), QuotaError (`model_rate_limited`) or ConfigurationError
        (`model_refused`, `model_not_found`)."""
        ...

    async def close(self) -> None:
        """Let connections go; a later reply opens new ones."""
        ...


class Reranker(Protocol):
    """Reads question and passage together, which ranks better than comparing their vectors, and
    slower."""

    name: str

    def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """A score per text, higher is better. Raises UnavailableError (`reranker_failed`) or
        ConfigurationError (`bad_reranker`); never a silent other order."""
        ...
