"""Postings: which rows hold which word. Written by the transaction that publishes the rows.

A publish makes one segment; segments of a size merge when there are many, so a word's postings are
in few places however documents came. What leaves search is dead at once (a trigger on publication
sees to that), and its postings go when its segment merges, or by `purge`.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from rag.batches import batched_by
from rag.ranking import ENTRY
from rag.store.content import Build
from rag.store.database import Connection, Row
from rag.store.queries import statements
from rag.words import is_inflected, words_of

# so many segments of a size (within a factor of as many) become one
_FAN = 16
_MOVED_BYTES = 1024**2  # of postings that move together
_MOST = 0xFFFF  # of one word in one row, and of a row's words: what two bytes hold


@dataclass(frozen=True, slots=True)
class Indexed:
    """Postings by lexeme, and how many words each row has."""

    entries: list[tuple[str, bytes]]
    lengths: NDArray[np.int64]


def lexemes(conn: Connection, language: str, words: Iterable[str]) -> dict[str, str]:
    """What each word is indexed as; stop words are left out."""
    given = set(words)
    inflected = [word for word in given if is_inflected(word)]
    parameters = {"language": language, "words": inflected}
    rows = conn.execute(statements("postings")["lexemes"], parameters)
    found = {row["word"]: row["lexeme"] for row in rows}
    return found | {word: word for word in given if not is_inflected(word)}


@dataclass(frozen=True, slots=True)
class Worded:
    """The words of some passages in the order of their slots: what indexing them needs that takes
    no database. `words` numbers them by `vocabulary`, `counts` says how many a passage has."""

    passages: tuple[tuple[int, int], ...]  # (document, chunk set) of each
    vocabulary: tuple[str, ...]
    words: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Worded:
        """The words of rows with `document_id`, `chunk_set_id` and `text`."""
        passages = []
        vocabulary: defaultdict[str, int] = defaultdict(itertools.count().__next__)
        words: list[int] = []
        counts = []
        for row in rows:
            passages.append((row["document_id"], row["chunk_set_id"]))
            found = words_of(row["text"])
            counts.append(len(found))
            words += map(vocabulary.__getitem__, found)
        return cls(
            tuple(passages), tuple(vocabulary), np.array(words, np.int64),
            np.array(counts, np.int64),
        )  # fmt: skip


def texts_to_publish(conn: Connection, build: Build, ids: Sequence[int]) -> list[Row]:
    """The passages of these documents' newest versions, as `Worded.of` takes them."""
    parameters = {**asdict(build), "ids": list(ids)}
    return conn.execute(statements("postings")["texts_to_publish"], parameters).fetchall()


def publish_ready(
    conn: Connection, generation_id: int, shard: int, language: str, expected: Worded
) -> None:
    """Index the rows of the temporary table `ready` as one segment and note their places in it.
    They are what was `expected`, unless documents changed meanwhile."""
    sql = statements("postings")
    ready = conn.execute(sql["ready_sets"]).fetchall()
    if {(row["document_id"], row["chunk_set_id"]) for row in ready} != set(expected.passages):
        expected = Worded.of(conn.execute(sql["ready_texts"]))
    if not expected.passages:
        return
    indexed = _index(conn, language, expected)
    chosen = np.array([document_id for document_id, _ in expected.passages], np.int64)
    documents, first_slots = np.unique(chosen, return_index=True)
    segment_id = _create_segment(
        conn, generation_id, shard, len(indexed.lengths), int(indexed.lengths.sum())
    )
    _copy_postings(conn, segment_id, indexed.entries)
    conn.execute(
        sql["place_ready"],
        {
            "segment_id": segment_id,
            "documents": documents.tolist(),
            "first_slots": first_slots.tolist(),
            "words": np.add.reduceat(indexed.lengths, first_slots).tolist(),
        },
    )


def merge_crowded(conn: Connection, generation_id: int, shard: int) -> None:
    """Merge the segments of a size that are many, and those mostly dead."""
    parameters = {"generation_id": generation_id, "shard": shard}
    rows = conn.execute(statements("postings")["segments_of_shard"], parameters).fetchall()
    sizes: dict[int, list[int]] = {}
    wasteful = []
    for row in rows:
        sizes.setdefault(_size(row["rows"]), []).append(row["id"])
        if row["slots"] > 2 * row["rows"]:
            wasteful.append(row["id"])
    crowded = [ids for ids in sizes.values() if len(ids) >= _FAN]
    chosen = crowded[0] if crowded else wasteful
    if chosen:
        merge(conn, chosen)


def _size(rows: int) -> int:
    return (max(rows, 1).bit_length() - 1) // (_FAN.bit_length() - 1)


def purge(conn: Connection, collection_id: int, shard: int) -> None:
    """Rewrite the shard's segments that hold dead rows, in every generation: no word of what left
    search is left. The caller holds the shard's lock."""
    parameters = {"collection_id": collection_id, "shard": shard}
    rows = conn.execute(statements("postings")["segments_with_dead"], parameters).fetchall()
    for row in rows:
        merge(conn, [row["id"]])


def merge(conn: Connection, segments: Sequence[int]) -> None:
    """Make one segment of several of one shard, what is dead left out. Postings pass through some
    at a time, so that memory holds a few megabytes of them and 4 bytes per slot."""
    sql = statements("postings")
    given = {"segments": list(segments)}
    held = conn.execute(sql["lock_segments"], given).fetchall()
    if not held:
        return
    moves = _moves(conn, held)
    if moves.rows:
        segment_id = _create_segment(
            conn, held[0]["generation_id"], held[0]["shard"], moves.rows, moves.words
        )
        with conn.cursor("moving_postings", binary=True) as parts:
            parts.execute(sql["postings_of_segments"], given)
            of_lexemes = (list(own) for _, own in itertools.groupby(parts, itemgetter("lexeme")))
            for some in batched_by(of_lexemes, _size_bytes, _MOVED_BYTES):
                _copy_postings(conn, segment_id, moves.moved(itertools.chain.from_iterable(some)))
        conn.execute(sql["move_publications"], {**given, "segment_id": segment_id})
    conn.execute(sql["drop_segments"], given)


def _size_bytes(parts: Iterable[Row]) -> int:
    return sum(len(row["entries"]) for row in parts)


@dataclass(frozen=True, slots=True)
class _Moves:
    """Where the slots of some segments are in the one made of them, with its rows and words."""

    base: Mapping[int, int]  # where each segment begins in `slots`
    slots: NDArray[np.int32]  # the new slot of each old one, -1 where it is dead
    rows: int
    words: int

    def moved(self, parts: Iterable[Row]) -> Iterator[tuple[str, bytes]]:
        """Postings in their new places, by lexeme; `parts` are sorted by lexeme and segment."""
        names: list[str] = []
        codes, bases, data = [], [], []
        for row in parts:
            if not names or names[-1] != row["lexeme"]:
                names.append(row["lexeme"])
            codes.append(len(names) - 1)
            bases.append(self.base[row["segment_id"]])
            data.append(row["entries"])
        counts = [len(own) // ENTRY.itemsize for own in data]
        entries = np.frombuffer(b"".join(data), ENTRY).copy()
        slots = self.slots[entries["slot"] + np.repeat(np.array(bases, np.int64), counts)]
        is_live = slots >= 0
        entries["slot"] = slots
        return _by_lexeme(np.repeat(np.array(codes), counts)[is_live], entries[is_live], names)


def _moves(conn: Connection, segments: Sequence[Row]) -> _Moves:
    sizes = [row["slots"] for row in segments]
    firsts = itertools.accumulate(sizes, initial=0)
    base = {row["id"]: first for row, first in zip(segments, firsts, strict=False)}
    slots = np.full(sum(sizes), -1, np.int32)
    rows = words = 0
    with conn.cursor("moving_documents", binary=True) as found:
        found.execute(statements("postings")["publications_of_segments"], {"segments": list(base)})
        for row in found:
            first, count = base[row["segment_id"]] + row["first_slot"], row["chunk_count"]
            slots[first : first + count] = np.arange(row["new_slot"], row["new_slot"] + count)
            rows += count
            words += row["words"]
    return _Moves(base, slots, rows, words)


def _index(conn: Connection, language: str, worded: Worded) -> Indexed:
    """Postings of passages whose slots count from 0."""
    size = len(worded.passages)
    known = lexemes(conn, language, worded.vocabulary)
    names = sorted(set(known.values()))
    number = {name: at for at, name in enumerate(names)}
    code_of = np.array(
        [number.get(known.get(word, ""), -1) for word in worded.vocabulary], np.int64
    )
    rows = np.repeat(np.arange(size), worded.counts)
    codes = code_of[worded.words]
    rows, codes = rows[codes >= 0], codes[codes >= 0]
    lengths = np.bincount(rows, minlength=size)
    pairs, times = np.unique(codes * size + rows, return_counts=True)
    entries = np.empty(len(pairs), ENTRY)
    entries["slot"] = pairs % size
    entries["times"] = np.minimum(times, _MOST)
    entries["length"] = np.minimum(lengths[entries["slot"]], _MOST)
    return Indexed(list(_by_lexeme(pairs // size, entries, names)), lengths)


def _by_lexeme(
    codes: NDArray[np.int64], entries: NDArray[np.void], names: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    """The postings of each lexeme; they are sorted by lexeme and slot."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    ends = np.append(starts[1:], len(codes))[: len(starts)].tolist()
    size, packed = ENTRY.itemsize, entries.tobytes()
    for code, start, end in zip(codes[starts].tolist(), starts.tolist(), ends, strict=True):
        yield names[code], packed[start * size : end * size]


def _create_segment(conn: Connection, generation_id: int, shard: int, rows: int, words: int) -> int:
    made = {"generation_id": generation_id, "shard": shard, "rows": rows, "words": words}
    row = conn.execute(statements("postings")["create_segment"], made).fetchone()
    assert row is not None
    return int(row["id"])


def _copy_postings(conn: Connection, segment_id: int, entries: Iterable[tuple[str, bytes]]) -> None:
    with conn.cursor().copy(statements("postings")["copy_postings"]) as copy:
        copy.set_types(["int8", "text", "bytea"])
        for lexeme, data in entries:
            copy.write_row((segment_id, lexeme, data))
