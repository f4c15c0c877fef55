"""The product's values: what a document, a block, a chunk, a listing and a hit are.

Pure and frozen. No I/O, no clock, no imports of other rooms. Words are those of docs/glossary.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import chain, islice
from typing import NamedTuple, TypedDict

from rag.errors import ConfigurationError

# how far back the bound of a source may be set
MOST_DAYS = 3650

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def is_text(given: str) -> bool:
    """Whether UTF-8 and Postgres have a form for it: no NUL, no lone surrogate."""
    return _NO_TEXT.search(given) is None


@dataclass(frozen=True, slots=True, order=True)
class CollectionName:
    """A collection's full name, `namespace/collection`; the namespace is the tenant."""

    namespace: str
    collection: str

    @classmethod
    def parse(cls, text: str) -> CollectionName:
        """Read `namespace/collection`. Raises ConfigurationError (code `bad_name`)."""
        namespace, _, collection = text.partition("/")
        for part in (namespace, collection):
            if not _NAME.fullmatch(part):
                raise ConfigurationError(
                    f"'{text}' is not a collection name: write namespace/name, each of 1 to 63 of "
                    "a-z, 0-9, '.', '_' and '-', first and last a letter or digit.",
                    code="bad_name",
                )
        return cls(namespace, collection)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.collection}"


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """The unit one Dagster run brings up to date: a collection, or one hash bucket of it."""

    name: CollectionName
    index: int = 0
    count: int = 1

    @property
    def partition_key(self) -> str:
        """`ns/name`, or `ns/name/07` when the collection has several shards."""
        return str(self.name) if self.count == 1 else f"{self.name}/{self.index:02d}"


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One object as a listing shows it. `version` is the store's version id where it keeps one."""

    uri: str
    etag: str
    size_bytes: int
    modified_at: datetime
    version: str | None = None


class SourceOptions(TypedDict, total=False):
    """Which objects of a source are taken, as it is kept with the source; absent means any."""

    includes: Sequence[str]
    excludes: Sequence[str]
    max_bytes: int | None
    since: str | None  # a day, as 2026-01-31: its first moment in UTC is the source's bound


class Listing:
    """What a source holds now. Only a complete listing may delete what it does not name.

    Iterating gives its objects while they are found and keeps none; `is_complete` is known at the
    end. Whoever asks for `objects`, or for `is_complete` before the end, has all of them kept."""

    def __init__(self, objects: Iterable[SourceObject], is_complete: bool) -> None:
        self._kept: tuple[SourceObject, ...] | None = tuple(objects)
        self._scan: Iterator[SourceObject] = iter(())
        self._is_complete: bool | None = is_complete
        self._is_seen = False

    @classmethod
    def scanned(cls, scan: Generator[SourceObject, None, bool]) -> Listing:
        """The listing of a scan, which returns whether it reached the end. It begins at once: a
        source of which nothing can be read raises here."""
        listing = cls((), is_complete=False)
        first = list(islice(scanning := listing._watched(scan), 1))
        listing._kept, listing._scan = None, chain(first, scanning)
        return listing

    def _watched(self, scan: Generator[SourceObject, None, bool]) -> Iterator[SourceObject]:
        self._is_complete = None
        self._is_complete = yield from scan

    def __iter__(self) -> Iterator[SourceObject]:
        if self._kept is not None:
            return iter(self._kept)
        self._is_seen = True
        return self._scan

    @property
    def objects(self) -> tuple[SourceObject, ...]:
        """All of them."""
        if self._kept is None:
            if self._is_seen:
                raise RuntimeError("The objects of this listing were seen, and not kept.")
            self._kept = tuple(self._scan)
        return self._kept

    @property
    def is_complete(self) -> bool:
        """Whether the listing reached its end."""
        if self._is_complete is None:
            self._kept = self.objects
        return bool(self._is_complete)

    def taking(self, takes: Callable[[SourceObject], bool]) -> Listing:
        """Those of its objects that are taken; as complete as itself."""

        def scan() -> Generator[SourceObject, None, bool]:
            yield from filter(takes, self)
            return self.is_complete

        return Listing.scanned(scan())


class BlockKind(StrEnum):
    """What a block of parsed text is."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    TABLE = "table"
    CODE = "code"
    CAPTION = "caption"
    FIGURE = "figure"  # what a picture shows: its alternative text, or a description of it


class Block(NamedTuple):
    """A span of `ParsedDocument.text`. Offsets are in characters, end exclusive; pages count from
    1 and are None where the format has none. `level` (1 to 6) is set on headings only."""

    kind: BlockKind
    start: int
    end: int
    page_first: int | None = None
    page_last: int | None = None
    level: int | None = None


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """The text of one document in reading order, with its structure as spans over that text.

    Blocks are sorted, do not overlap, and are separated by blank lines in `text` (Markdown: tables
    are pipe tables, list items start with their marker, headings carry no leading '#').
    `is_partial` says that some page or part gave no text; `warnings` says which and why."""

    text: str
    blocks: tuple[Block, ...]
    media_type: str
    page_count: int | None = None
    title: str | None = None
    author: str | None = None
    language: str | None = None
    created_at: str | None = None
    is_partial: bool = False
    warnings: tuple[str, ...] = ()
    suspicion: float = 0.0
    parser: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def word_count(self) -> int:
        return len(self.text.split())


class Chunk(NamedTuple):
    """A passage: `text[start:end]` of its parsed document, at most the model's window long."""

    ordinal: int
    start: int
    end: int
    text: str
    tokens: int
    headings: tuple[str, ...] = ()
    page_first: int | None = None
    page_last: int | None = None


_SHOWN = (
    "document", "document_id", "uri", "title", "page", "heading", "ordinal", "text", "score",
    "content_hash", "version_id", "start_char", "end_char",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result. `ranks` names the place (from 1) in each list that found it."""

    document: str
    uri: str
    title: str | None
    page: int | None
    heading: str
    text: str
    score: float
    ranks: Mapping[str, int]
    ordinal: int
    document_id: int
    content_hash: str
    before: str | None = None  # the text of its neighbours, when they were asked for
    after: str | None = None
    version_id: int = 0
    start_char: int = 0  # of the version's text
    end_char: int = 0

    def as_object(self) -> dict[str, object]:
        """The passage and where it stands, as every skin shows it: without ranks and neighbours."""
        return {name: getattr(self, name) for name in _SHOWN}
