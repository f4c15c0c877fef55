"""Chunks by example: sizes, borders, overlap, tables, prefixes, and the strategies' own rules."""

from __future__ import annotations

import itertools
import re

import pytest

from rag.chunking.chunker import (
    ChunkConfig,
    Strategy,
    card_id,
    chunk_document,
    chunker_config,
    cut_all,
    cut_passages,
    embedded_text,
)
from rag.embed.tokenizer import ModelTokenizer
from rag.errors import ConfigurationError
from rag.fingerprint import fingerprint
from rag.model import BlockKind, Chunk, ParsedDocument
from rag_assets_tests.chunking.documents import document, prose, table
from rag_assets_tests.chunking.soundness import assert_sound

PARAGRAPH, TABLE = BlockKind.PARAGRAPH, BlockKind.TABLE


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"size": 100, "overlap": 100}, "bad_chunk_overlap"),
        ({"overlap": -1}, "bad_chunk_overlap"),
        ({"size": 0, "overlap": 0}, "bad_chunk_size"),
        ({"strategy": "pages"}, "bad_chunk_strategy"),
        ({"prefix": "author"}, "bad_chunk_prefix"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_code(arguments: dict[str, object], code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ChunkConfig(**arguments)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_a_size_above_the_window_is_refused_and_names_the_window(
    tokenizer: ModelTokenizer,
) -> None:
    with pytest.raises(ConfigurationError, match=r"window of 256: set the chunk size") as caught:
        chunk_document(document([(PARAGRAPH, "Text.")]), ChunkConfig(size=257), tokenizer)
    assert caught.value.code == "chunk_too_large"


@pytest.mark.parametrize("text", ["", "  \n\n \t "])
def test_blank_text_has_no_chunks(tokenizer: ModelTokenizer, text: str) -> None:
    assert chunk_document(ParsedDocument(text, (), "text/plain"), ChunkConfig(), tokenizer) == ()


def test_a_short_document_is_one_chunk(tokenizer: ModelTokenizer) -> None:
    parts = [(1, "Report"), (PARAGRAPH, "One."), (2, "Part"), (PARAGRAPH, "Two.")]
    (chunk,) = chunk_document(document(parts), ChunkConfig(), tokenizer)
    assert chunk.text == "Report\n\nOne.\n\nPart\n\nTwo."
    assert chunk.headings == ("Report",)


def test_a_chunk_ends_at_a_top_level_heading(tokenizer: ModelTokenizer) -> None:
    parts = [(1, "First"), (PARAGRAPH, "One."), (1, "Second"), (PARAGRAPH, "Two.")]
    chunks = chunk_document(document(parts), ChunkConfig(), tokenizer)
    assert [chunk.text for chunk in chunks] == ["First\n\nOne.", "Second\n\nTwo."]


def test_a_title_heading_without_text_stays_with_what_follows(tokenizer: ModelTokenizer) -> None:
    parts = [(1, "Title"), (1, "Introduction"), (PARAGRAPH, "Text.")]
    (chunk,) = chunk_document(document(parts), ChunkConfig(), tokenizer)
    assert chunk.headings == ("Introduction",)


def test_a_long_section_is_cut_before_a_lower_heading_that_stays_with_its_text(
    tokenizer: ModelTokenizer,
) -> None:
    parts = [
        (1, "Report"),
        (PARAGRAPH, prose(70)),
        (2, "Costs"),
        (PARAGRAPH, prose(70)),
    ]
    chunks = chunk_document(document(parts), ChunkConfig(), tokenizer)
    assert [chunk.headings for chunk in chunks] == [("Report",), ("Report", "Costs")]
    assert chunks[1].text.startswith("Costs\n\nWord0")


def test_long_text_is_cut_between_sentences_and_repeats_whole_ones(
    tokenizer: ModelTokenizer,
) -> None:
    chunks = chunk_document(document([(PARAGRAPH, prose(900))]), ChunkConfig(), tokenizer)
    assert len(chunks) > 5
    assert all(chunk.text.startswith("Word") and chunk.text.endswith(".") for chunk in chunks)
    for before, after in itertools.pairwise(chunks):
        shared = before.text[after.start - before.start :]
        assert shared.startswith("Word")
        assert 0 < tokenizer.count([shared])[0] <= 50


def test_no_overlap_means_none(tokenizer: ModelTokenizer) -> None:
    config = ChunkConfig(overlap=0)
    chunks = chunk_document(document([(PARAGRAPH, prose(900))]), config, tokenizer)
    assert all(a.end < b.start for a, b in itertools.pairwise(chunks))


def test_many_documents_are_cut_as_each_alone(tokenizer: ModelTokenizer) -> None:
    parts = [(1, "Part"), (PARAGRAPH, prose(900))]
    parsed = [document(parts[: 1 + number % 2], title=str(number)) for number in range(90)]
    parsed.append(document([]))
    assert sum(len(one.text) for one in parsed) > 200_000  # more than is tokenised together
    config = ChunkConfig()
    alone = [cut_passages(one, config, tokenizer) for one in parsed]
    assert list(cut_all(parsed, config, tokenizer)) == alone


def test_small_blocks_are_merged_and_no_scrap_is_left(tokenizer: ModelTokenizer) -> None:
    parts = [(PARAGRAPH, f"Short paragraph number {number}.") for number in range(120)]
    chunks = chunk_document(document(parts), ChunkConfig(overlap=0), tokenizer)
    assert all(chunk.tokens >= 60 for chunk in chunks)
    for before, after in itertools.pairwise(chunks):
        assert before.tokens + after.tokens > 254


def test_a_split_table_is_cut_between_rows_and_embedded_with_its_head(
    tokenizer: ModelTokenizer,
) -> None:
    parsed = document([(1, "Costs"), (TABLE, table(200))], title="Report")
    config = ChunkConfig()
    passages = cut_passages(parsed, config, tokenizer)
    assert len(passages) > 5
    assert_sound(parsed, config, passages, tokenizer)
    for chunk, context in passages[1:]:
        assert chunk.text.startswith("| cell ")
        assert chunk.text.endswith(" |")
        embedded = embedded_text(parsed.title, chunk, config, context=context)
        assert embedded.startswith("Report > Costs\n\n| Name | Amount |\n|---|---|\n\n| cell ")


def test_a_table_that_fits_is_not_split_to_fill_the_chunk_before_it(
    tokenizer: ModelTokenizer,
) -> None:
    parsed = document([(PARAGRAPH, prose(35)), (TABLE, table(25))])
    chunks = chunk_document(parsed, ChunkConfig(), tokenizer)
    assert [chunk.text for chunk in chunks] == [prose(35), table(25)]


def test_a_row_longer_than_the_window_is_cut_as_text(tokenizer: ModelTokenizer) -> None:
    parsed = document([(TABLE, table(2, cell=" ".join(["long"] * 600)))])
    passages = cut_passages(parsed, ChunkConfig(), tokenizer)
    assert len(passages) > 4
    assert_sound(parsed, ChunkConfig(), passages, tokenizer)


@pytest.mark.parametrize("words", [500, 501, 600, 5000])
def test_heading_words_ends_for_every_length_and_keeps_every_word(
    tokenizer: ModelTokenizer, words: int
) -> None:
    config = ChunkConfig.default("heading_words")
    parsed = document([(1, "Part"), (PARAGRAPH, prose(words))])
    passages = cut_passages(parsed, config, tokenizer)
    assert_sound(parsed, config, passages, tokenizer)
    assert len(passages) <= words // 35


def test_heading_words_keeps_500_words_whole_in_a_large_window() -> None:
    config = ChunkConfig.default("heading_words")
    parts = [(1, "A"), (PARAGRAPH, prose(499)), (2, "B"), (PARAGRAPH, prose(700))]
    chunks = chunk_document(document(parts), config, _LargeWindow())
    assert [len(chunk.text.split()) for chunk in chunks][:1] == [500]
    assert [chunk.headings for chunk in chunks] == [("A",), ("A", "B"), ("A", "B")]


def test_recursive_chars_cuts_at_paragraphs_within_its_size() -> None:
    config = ChunkConfig("recursive_chars", 1000, 0)
    parts = [(PARAGRAPH, prose(55)) for _ in range(8)]
    chunks = chunk_document(document(parts), config, _LargeWindow())
    assert all(len(chunk.text) <= 1000 for chunk in chunks)
    assert all(chunk.text.count("Word0 ") == 2 for chunk in chunks)


def test_docling_hybrid_merges_blocks_under_one_heading_only(tokenizer: ModelTokenizer) -> None:
    config = ChunkConfig.default("docling_hybrid")
    parts = [
        (1, "A"), (PARAGRAPH, "One."), (PARAGRAPH, "Two."),
        (2, "B"), (PARAGRAPH, "Three."), (PARAGRAPH, prose(60)), (PARAGRAPH, prose(60)),
    ]  # fmt: skip
    chunks = chunk_document(document(parts), config, tokenizer)
    assert [chunk.headings for chunk in chunks] == [("A",), ("A", "B"), ("A", "B")]
    assert chunks[2].text == prose(60)


def test_a_long_prefix_loses_its_front_and_leaves_room_for_text(
    tokenizer: ModelTokenizer,
) -> None:
    parts = [(1, prose(40)), (2, "Costs of travel"), (PARAGRAPH, prose(300))]
    parsed = document(parts, title=prose(90))
    passages = cut_passages(parsed, ChunkConfig(), tokenizer)
    assert_sound(parsed, ChunkConfig(), passages, tokenizer)
    assert passages[-1].context == "Costs of travel"


@pytest.mark.parametrize(
    ("prefix", "title", "headings", "expected"),
    [
        ("headings", "T", ("A", "B"), "T > A > B\n\ntext"),
        ("headings", "t", ("T", "B"), "T > B\n\ntext"),
        ("headings", None, ("A",), "A\n\ntext"),
        ("headings", None, (), "text"),
        ("title", "T", ("A",), "T\n\ntext"),
        ("none", "T", ("A",), "text"),
    ],
)
def test_the_prefix_names_title_and_headings_once(
    prefix: str, title: str | None, headings: tuple[str, ...], expected: str
) -> None:
    config = ChunkConfig(prefix=prefix)  # type: ignore[arg-type]
    assert embedded_text(title, Chunk(0, 0, 4, "text", 1, headings), config) == expected


def test_pages_are_those_of_the_blocks_in_the_chunk(tokenizer: ModelTokenizer) -> None:
    parsed = document([(PARAGRAPH, prose(50)) for _ in range(6)], per_page=1)
    chunks = chunk_document(parsed, ChunkConfig(overlap=0), tokenizer)
    assert [(chunk.page_first, chunk.page_last) for chunk in chunks] == [(1, 2), (3, 4), (5, 6)]


def test_every_setting_changes_the_fingerprint(tokenizer: ModelTokenizer) -> None:
    configs = [
        ChunkConfig(),
        ChunkConfig(size=200),
        ChunkConfig(overlap=40),
        ChunkConfig(prefix="none"),
        ChunkConfig("docling_hybrid"),
    ]
    names = {fingerprint("chunker", chunker_config(config, tokenizer)) for config in configs}
    assert len(names) == len(configs)


@pytest.mark.parametrize("strategy", ["tokens", "recursive_chars", "heading_words"])
def test_a_word_without_end_is_cut_and_terminates(
    tokenizer: ModelTokenizer, strategy: Strategy
) -> None:
    config = ChunkConfig.default(strategy)
    parsed = document([(PARAGRAPH, "ab+/" * 5000)])
    assert_sound(parsed, config, cut_passages(parsed, config, tokenizer), tokenizer)


@pytest.mark.parametrize(
    ("filename", "ordinal", "expected"),
    [
        ("Été 2024 -- Bilan.pdf", 0, "ete-2024-bilanpdf-c0001"),
        ("a_b.txt", 41, "a_btxt-c0042"),
        ("x", 12344, "x-c12345"),
    ],
)
def test_a_card_is_named_by_slug_and_number(filename: str, ordinal: int, expected: str) -> None:
    assert card_id(filename, ordinal) == expected


class _LargeWindow:
    """A tokenizer of whole words with room for every chunk."""

    config: dict[str, object]
    max_tokens = 8192

    def __init__(self) -> None:
        self.config = {"tokenizer": "words"}

    def starts(self, texts: list[str]) -> list[list[int]]:
        return [[word.start() for word in re.finditer(r"\S+", text)] for text in texts]

    def count(self, texts: list[str]) -> list[int]:
        return [len(text.split()) for text in texts]
