"""Cuts parsed documents into passages that an embedding model sees whole.

Every chunk is `text[start:end]` of its document; with what stands before it when it is embedded it
fits in the model's window, whatever the strategy. Pure: no I/O, no clock, no model.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from rag.batches import batched_by
from rag.chunking.context import BLANK_LINE, SEPARATOR, Contexts, Prefix, prefix_parts
from rag.chunking.outline import Outline, outline, page_range, shared_path
from rag.chunking.packing import Limits, Packer
from rag.chunking.ruler import Ruler, Unit
from rag.errors import ConfigurationError
from rag.model import Chunk, ParsedDocument
from rag.ports import Tokenizer

Strategy = Literal["tokens", "recursive_chars", "heading_words", "docling_hybrid"]

# Part of the fingerprint: raise it whenever the same input gives other chunks or contexts.
CHUNKER_VERSION = 1
SPECIAL_TOKENS = 2
_SMALLEST = 16
_TOGETHER = 200_000  # characters: the places of their tokens take more memory than they

_DEFAULTS: dict[Strategy, tuple[int, int]] = {
    "tokens": (256, 50),
    "recursive_chars": (1000, 200),
    "heading_words": (500, 50),
    "docling_hybrid": (256, 0),
}
_UNITS: dict[Strategy, Unit] = {
    "tokens": "tokens",
    "recursive_chars": "chars",
    "heading_words": "words",
    "docling_hybrid": "tokens",
}


@dataclass(frozen=True, slots=True)
class ChunkConfig:
    """How documents are cut. `size` and `overlap` are in the strategy's unit: tokens (special
    tokens and context counted), characters or words. `docling_hybrid` never overlaps.

    Raises ConfigurationError (code `bad_chunk_strategy`, `bad_chunk_prefix`, `bad_chunk_size` or
    `bad_chunk_overlap`)."""

    strategy: Strategy = "tokens"
    size: int = 256
    overlap: int = 50
    prefix: Prefix = "headings"

    def __post_init__(self) -> None:
        _check_choice("strategy", self.strategy, get_args(Strategy))
        _check_choice("prefix", self.prefix, get_args(Prefix))
        if self.size < _SMALLEST:
            raise ConfigurationError(
                f"A chunk size of {self.size} {self.unit} holds no passage: set at least "
                f"{_SMALLEST}.",
                code="bad_chunk_size",
            )
        if not 0 <= self.overlap < self.size:
            raise ConfigurationError(
                f"A chunk overlap of {self.overlap} does not go with a size of {self.size}: set "
                "it from 0 to less than the size.",
                code="bad_chunk_overlap",
            )

    @classmethod
    def default(cls, strategy: Strategy) -> ChunkConfig:
        """The usual size and overlap of a strategy."""
        _check_choice("strategy", strategy, get_args(Strategy))
        size, overlap = _DEFAULTS[strategy]
        return cls(strategy, size, overlap)

    @property
    def unit(self) -> Unit:
        return _UNITS[self.strategy]


class Passage(NamedTuple):
    """A chunk, and its context: the title, headings and table head that stand before its text
    when it is embedded."""

    chunk: Chunk
    context: str


def chunk_document(
    document: ParsedDocument, config: ChunkConfig, tokenizer: Tokenizer
) -> tuple[Chunk, ...]:
    """The document's chunks in reading order; together they hold all its text but white space.

    Raises ConfigurationError (code `chunk_too_large`)."""
    return tuple(passage.chunk for passage in cut_passages(document, config, tokenizer))


def cut_passages(
    document: ParsedDocument, config: ChunkConfig, tokenizer: Tokenizer
) -> tuple[Passage, ...]:
    """The document's chunks, each with its context.

    Raises ConfigurationError (code `chunk_too_large`)."""
    (passages,) = cut_all([document], config, tokenizer)
    return passages


def cut_all(
    documents: Iterable[ParsedDocument], config: ChunkConfig, tokenizer: Tokenizer
) -> Iterator[tuple[Passage, ...]]:
    """What `cut_passages` gives for each document; some are tokenised together, on all cores.

    Raises ConfigurationError (code `chunk_too_large`)."""
    check_window(config, tokenizer)
    for group in batched_by(documents, _characters, _TOGETHER):
        starts = tokenizer.starts([document.text for document in group])
        for document, own in zip(group, starts, strict=True):
            yield _cut(document, own, config, tokenizer)


def _characters(document: ParsedDocument) -> int:
    return len(document.text)


def _cut(
    document: ParsedDocument,
    starts: Sequence[int],
    config: ChunkConfig,
    tokenizer: Tokenizer,
) -> tuple[Passage, ...]:
    by_heading = config.strategy in ("heading_words", "docling_hybrid")
    structure = outline(document, every_heading=by_heading)
    if not structure.pieces:
        return ()
    ruler = Ruler(document.text, starts, tokenizer, config.unit)
    window = _window(config, tokenizer)
    contexts = Contexts(
        structure,
        ruler,
        tokenizer,
        title=document.title,
        prefix=config.prefix,
        window=window,
    )
    packer = Packer(structure, ruler, contexts, _limits(config, window))
    return tuple(
        _passage(ordinal, start, end, structure, ruler, contexts)
        for ordinal, (start, end) in enumerate(packer.spans())
    )


def embedded_text(
    title: str | None, chunk: Chunk, config: ChunkConfig, *, context: str | None = None
) -> str:
    """What is embedded: the context, a blank line, the chunk's text.

    Pass the passage's own `context`: it is cut to the window and holds the head of a split table.
    Without it, title and headings are put before the text as they are."""
    if context is None:
        context = SEPARATOR.join(prefix_parts(title, chunk.headings, config.prefix))
    return f"{context}{BLANK_LINE}{chunk.text}" if context else chunk.text


def chunker_config(config: ChunkConfig, tokenizer: Tokenizer) -> dict[str, object]:
    """All that decides how a document is cut, for the fingerprint."""
    return {
        "version": CHUNKER_VERSION,
        "strategy": config.strategy,
        "size": config.size,
        "overlap": config.overlap,
        "prefix": config.prefix,
        "max_tokens": tokenizer.max_tokens,
        "tokenizer": dict(tokenizer.config),
    }


def check_window(config: ChunkConfig, tokenizer: Tokenizer) -> None:
    """Refuse a size in tokens that the model can not see whole.

    Raises ConfigurationError (code `chunk_too_large`)."""
    if config.unit == "tokens" and config.size > tokenizer.max_tokens:
        raise ConfigurationError(
            f"A chunk size of {config.size} tokens is above the embedding model's window of "
            f"{tokenizer.max_tokens}: set the chunk size to {tokenizer.max_tokens} or less, or "
            "choose a model with a larger window.",
            code="chunk_too_large",
            size=config.size,
            window=tokenizer.max_tokens,
        )


def card_id(filename: str, ordinal: int) -> str:
    """The chunk's name outside: `slug(filename)-cNNNN`, counted from 1."""
    return f"{slug(filename)}-c{ordinal + 1:04d}"


def slug(text: str) -> str:
    """Lower-case ASCII words joined by single dashes."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    words = re.sub(r"[^\w\s-]", "", ascii_text).strip().lower()
    return re.sub(r"[\s-]+", "-", words)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigurationError(
            f"There is no chunk {name} '{value}': choose one of {', '.join(choices)}.",
            code=f"bad_chunk_{name}",
        )


def _window(config: ChunkConfig, tokenizer: Tokenizer) -> int:
    """Tokens that context and text may take together."""
    whole = config.size if config.unit == "tokens" else tokenizer.max_tokens
    return max(whole - SPECIAL_TOKENS, 1)


def _limits(config: ChunkConfig, window: int) -> Limits:
    is_hybrid = config.strategy == "docling_hybrid"
    units = window if config.unit == "tokens" else config.size
    return Limits(
        window=window,
        units=units,
        overlap=0 if is_hybrid else config.overlap,
        borders_first=is_hybrid,
    )


def _passage(
    ordinal: int, start: int, end: int, structure: Outline, ruler: Ruler, contexts: Contexts
) -> Passage:
    pieces = structure.of(start, end)
    headings = shared_path(pieces)
    page_first, page_last = page_range(pieces)
    chunk = Chunk(
        ordinal=ordinal,
        start=start,
        end=end,
        text=structure.text[start:end],
        tokens=ruler.tokens(start, end),
        headings=headings,
        page_first=page_first,
        page_last=page_last,
    )
    return Passage(chunk, contexts.text(start, headings))
