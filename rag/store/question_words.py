"""What the words of a question find in an index: what is remembered, and what is read now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rag.ranking import Gains, Layout
from rag.store.database import Connection
from rag.store.memory import Memory, Outline
from rag.store.queries import statements
from rag.words import is_inflected


@dataclass(frozen=True, slots=True)
class Words:
    """What the words of a question find in an index, as far as it is known: worked out already, or
    in postings."""

    layout: Layout
    gains: Mapping[str, Gains] = field(default_factory=dict)
    postings: Mapping[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    memory: Memory | None = None  # for what is worked out, where all of the index was seen

    def all_gains(self) -> list[Gains]:
        """What each word adds to the scores of rows."""
        made = {lexeme: self.layout.gains(parts) for lexeme, parts in self.postings.items()}
        if self.memory is not None:
            self.memory.keep_gains(self.layout, made)
        gains = {**self.gains, **made}
        return [gains[lexeme] for lexeme in sorted(gains)]  # one order: sums round alike every time


def words_in(conn: Connection, found: Outline, words: set[str], memory: Memory) -> Words:
    """What is remembered of the words of a question, and the postings of the others."""
    lexemes = sorted(set(_lexemes(conn, found.language, words, memory).values()) - {""})
    gains = memory.gains(found.layout, lexemes)
    new = [lexeme for lexeme in lexemes if lexeme not in gains]
    if not new:
        return Words(found.layout, gains)
    postings, is_whole = _postings(conn, found, new, memory)
    return Words(found.layout, gains, postings, memory if is_whole else None)


def _postings(
    conn: Connection, found: Outline, lexemes: Sequence[str], memory: Memory
) -> tuple[dict[str, list[tuple[int, bytes]]], bool]:
    """The postings by lexeme: those remembered, and those read now; and whether all segments were
    seen."""
    segments = [row[0] for row in found.segment_rows]
    held = memory.postings(segments, lexemes)
    missing = [(s, x) for x in lexemes for s in segments if (s, x) not in held]
    if missing:
        held |= _read_postings(conn, missing, memory)
    parts = {
        lexeme: [(s, data) for s in segments if (data := held.get((s, lexeme)))]
        for lexeme in lexemes
    }
    return parts, len(held) >= len(segments) * len(lexemes)


def _lexemes(conn: Connection, language: str, words: set[str], memory: Memory) -> dict[str, str]:
    """What each word is indexed as, '' for a stop word."""
    found = {word: word for word in words if not is_inflected(word)}
    found |= memory.lexemes(language, words - found.keys())
    unknown = sorted(words - found.keys())
    if unknown:
        given = {"language": language, "words": unknown}
        rows = conn.execute(statements("lookup")["lexemes"], given).fetchall()
        read = {row["word"]: row["lexeme"] for row in rows}
        memory.keep_lexemes(language, read)
        found |= read
    return found


def _read_postings(
    conn: Connection, missing: Sequence[tuple[int, str]], memory: Memory
) -> dict[tuple[int, str], bytes]:
    segments = sorted({segment for segment, _ in missing})
    lexemes = sorted({lexeme for _, lexeme in missing})
    given = {"segments": segments, "lexemes": lexemes}
    rows = conn.execute(statements("lookup")["postings"], given, binary=True).fetchall()
    # a segment that we do not see (any more) has no row: that it has a word is not denied
    read = {(row["segment_id"], lexeme): b"" for row in rows for lexeme in lexemes}
    read |= {(row["segment_id"], row["lexeme"]): row["entries"] for row in rows if row["lexeme"]}
    memory.keep_postings(read)
    return read
