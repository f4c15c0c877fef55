"""Properties of chunks over generated documents in many scripts (P1, P2)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.chunking.chunker import ChunkConfig, Passage, cut_passages
from rag.embed.tokenizer import ModelTokenizer
from rag.model import BlockKind, ParsedDocument
from rag_assets_tests.chunking.documents import document, documents, prose
from rag_assets_tests.chunking.soundness import assert_sound

CONFIGS = st.one_of(
    st.builds(
        ChunkConfig,
        st.sampled_from(["tokens", "docling_hybrid"]),
        st.sampled_from([16, 24, 40, 64, 128, 256]),
        st.sampled_from([0, 5, 15]),
        st.sampled_from(["headings", "title", "none"]),
    ),
    st.builds(
        ChunkConfig,
        st.just("recursive_chars"),
        st.sampled_from([16, 60, 300, 1000, 5000]),
        st.sampled_from([0, 5, 15]),
    ),
    st.builds(
        ChunkConfig,
        st.just("heading_words"),
        st.sampled_from([16, 50, 500]),
        st.sampled_from([0, 5, 15]),
    ),
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(parsed=documents(), config=CONFIGS)
def test_chunks_of_any_document_keep_every_promise(
    tokenizer: ModelTokenizer, parsed: ParsedDocument, config: ChunkConfig
) -> None:
    passages = cut_passages(parsed, config, tokenizer)
    assert_sound(parsed, config, passages, tokenizer)
    assert cut_passages(parsed, config, tokenizer) == passages


@pytest.mark.slow
@settings(max_examples=80, deadline=None, database=None)
@given(text=st.text(max_size=600), size=st.sampled_from([16, 32, 256]))
def test_text_without_blocks_is_covered(tokenizer: ModelTokenizer, text: str, size: int) -> None:
    parsed = ParsedDocument(text, (), "text/plain")
    position = 0
    for chunk, _ in cut_passages(parsed, ChunkConfig(size=size, overlap=4), tokenizer):
        assert not text[position : chunk.start].strip()
        assert chunk.text == text[chunk.start : chunk.end]
        assert tokenizer.count([chunk.text])[0] + 2 <= size
        position = chunk.end
    assert not text[position:].strip()


def _without_second(passages: tuple[Passage, ...]) -> list[Passage]:
    return [passage for number, passage in enumerate(passages) if number != 1]


def _shifted(passages: tuple[Passage, ...]) -> list[Passage]:
    chunk, context = passages[0]
    return [Passage(chunk._replace(end=chunk.end - 1), context), *passages[1:]]


def _wrong_path(passages: tuple[Passage, ...]) -> list[Passage]:
    chunk, context = passages[0]
    return [Passage(chunk._replace(headings=("Other",)), context), *passages[1:]]


def _too_long(passages: tuple[Passage, ...]) -> list[Passage]:
    return [Passage(passages[0].chunk, "word " * 300), *passages[1:]]


@pytest.mark.parametrize("damage", [_without_second, _shifted, _wrong_path, _too_long])
def test_the_soundness_check_sees_damage(tokenizer: ModelTokenizer, damage: object) -> None:
    parsed = document([(1, "Report"), (BlockKind.PARAGRAPH, prose(900))])
    passages = cut_passages(parsed, ChunkConfig(overlap=0), tokenizer)
    assert_sound(parsed, ChunkConfig(overlap=0), passages, tokenizer)
    assert callable(damage)
    with pytest.raises(AssertionError):
        assert_sound(parsed, ChunkConfig(overlap=0), damage(passages), tokenizer)
