"""What holds for the chunks of any document, stated independently of how they are made."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from rag.chunking.chunker import ChunkConfig, Passage, embedded_text
from rag.model import Block, BlockKind, ParsedDocument
from rag.ports import Tokenizer


def assert_sound(
    document: ParsedDocument,
    config: ChunkConfig,
    passages: Sequence[Passage],
    tokenizer: Tokenizer,
) -> None:
    """Every promise of `rag.chunking`, or an AssertionError that names the broken one."""
    assert_exact(document, passages)
    assert_covering(document, passages)
    assert_in_window(document, config, passages, tokenizer)
    assert_headings_and_pages(document, passages)
    assert_top_level_headings_not_crossed(document, passages)
    assert_headings_stay_with_text(document, passages)
    assert_rows_whole(document, config, passages, tokenizer)
    assert_overlap_small(document, config, passages, tokenizer)
    assert_whole_characters(document, passages)


def assert_exact(document: ParsedDocument, passages: Sequence[Passage]) -> None:
    chunks = [passage.chunk for passage in passages]
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert chunk.text == document.text[chunk.start : chunk.end]
        assert chunk.text.strip(), "blank chunk"
        assert chunk.text == chunk.text.strip(), "blank ends"
    for before, after in pairwise(chunks):
        assert before.start < after.start, "starts do not increase"
        assert before.end < after.end, "a chunk inside its neighbour"


def assert_covering(document: ParsedDocument, passages: Sequence[Passage]) -> None:
    position = 0
    for passage in passages:
        assert not document.text[position : passage.chunk.start].strip(), "text left out"
        position = passage.chunk.end
    assert not document.text[position:].strip(), "text left out at the end"


def assert_in_window(
    document: ParsedDocument,
    config: ChunkConfig,
    passages: Sequence[Passage],
    tokenizer: Tokenizer,
) -> None:
    size = config.size if config.unit == "tokens" else tokenizer.max_tokens
    for chunk, context in passages:
        embedded = embedded_text(document.title, chunk, config, context=context)
        assert tokenizer.count([embedded])[0] + 2 <= size, "over the window"
        assert tokenizer.count([chunk.text])[0] == chunk.tokens, "tokens miscounted"
        prefix = context.split("\n\n")[0]
        if not prefix.startswith("|"):
            assert tokenizer.count([prefix])[0] <= size // 4, "prefix starves the text"
        if config.unit == "chars":
            assert len(chunk.text) <= config.size
        if config.unit == "words":
            assert len(chunk.text.split()) <= config.size


def assert_headings_and_pages(document: ParsedDocument, passages: Sequence[Passage]) -> None:
    paths = _paths(document)
    for chunk, _ in passages:
        touched = [
            (block, path)
            for block, path in zip(document.blocks, paths, strict=True)
            if document.text[max(block.start, chunk.start) : min(block.end, chunk.end)].strip()
        ]
        bodies = [path for block, path in touched if block.kind is not BlockKind.HEADING]
        chosen = bodies or [path for _, path in touched]
        shared = min(chosen, key=len)
        while any(path[: len(shared)] != shared for path in chosen):
            shared = shared[:-1]
        assert chunk.headings == shared, "heading path"
        assert chunk.page_first == min(b.page_first or 0 for b, _ in touched), "first page"
        assert chunk.page_last == max(b.page_last or 0 for b, _ in touched), "last page"


def assert_top_level_headings_not_crossed(
    document: ParsedDocument, passages: Sequence[Passage]
) -> None:
    headings = [block for block in document.blocks if block.kind is BlockKind.HEADING]
    top = min((block.level or 1 for block in headings), default=0)
    for chunk, _ in passages:
        has_body = False
        for block in document.blocks:
            if block.end <= chunk.start or block.start >= chunk.end:
                continue
            is_top = block.kind is BlockKind.HEADING and block.level == top
            assert not (is_top and has_body), "a chunk crosses a top-level heading"
            has_body = has_body or block.kind is not BlockKind.HEADING


def assert_headings_stay_with_text(document: ParsedDocument, passages: Sequence[Passage]) -> None:
    following = {block.end: after for block, after in pairwise(document.blocks)}
    for chunk, _ in passages:
        inside = _blocks(document, chunk.start, chunk.end)
        if inside[-1].kind is not BlockKind.HEADING or chunk.end != inside[-1].end:
            continue
        after = following.get(chunk.end)
        is_parted = after is not None and after.kind is not BlockKind.HEADING
        has_body = any(block.kind is not BlockKind.HEADING for block in inside)
        assert not (is_parted and has_body), "a heading parted from its text"


def assert_rows_whole(
    document: ParsedDocument,
    config: ChunkConfig,
    passages: Sequence[Passage],
    tokenizer: Tokenizer,
) -> None:
    size = config.size if config.unit == "tokens" else tokenizer.max_tokens
    for block in document.blocks:
        if block.kind is not BlockKind.TABLE:
            continue
        lines = document.text[block.start : block.end].split("\n")
        head, longest = "\n".join(lines[:2]), max(lines, key=len)
        starts = {block.start + sum(len(line) + 1 for line in lines[:n]) for n in range(len(lines))}
        costs = tokenizer.count([head, *lines])
        # where head, prefix and the largest row fit together no row needs to be cut
        is_roomy = costs[0] + max(costs[1:]) + size // 4 + 2 <= size and costs[0] + 2 <= size // 2
        if not is_roomy or (config.unit != "tokens" and len(head + longest) > config.size // 2):
            continue
        for chunk, context in passages:
            if block.start < chunk.start < block.end:
                assert chunk.start in starts, "a row cut"
                assert context.endswith(head), "a split table without its head"
                assert chunk.start > block.start + len(head), "a head cut"


def assert_overlap_small(
    document: ParsedDocument,
    config: ChunkConfig,
    passages: Sequence[Passage],
    tokenizer: Tokenizer,
) -> None:
    for (before, _), (after, _) in pairwise(passages):
        shared = document.text[after.start : before.end]
        if not shared or after.start >= before.end:
            continue
        length = {
            "tokens": tokenizer.count([shared])[0],
            "chars": len(shared),
            "words": len(shared.split()),
        }[config.unit]
        assert length <= config.overlap, "too much overlap"
        for block in _blocks(document, after.start, before.end + 1):
            assert block.kind not in (BlockKind.HEADING, BlockKind.TABLE), "overlap of structure"


def assert_whole_characters(document: ParsedDocument, passages: Sequence[Passage]) -> None:
    for chunk, _ in passages:
        for cut in (chunk.start, chunk.end):
            around = document.text[max(cut - 1, 0) : cut + 1]
            if len(around) < 2 or around[0].isspace() or around[1].isspace():
                continue
            is_torn = unicodedata.category(around[1]).startswith("M") or "\u200d" in around
            # a cluster longer than the whole budget must be cut somewhere
            assert not is_torn or len(chunk.text) < 32, "a character torn apart"


def _blocks(document: ParsedDocument, start: int, end: int) -> list[Block]:
    return [block for block in document.blocks if block.start < end and block.end > start]


def _paths(document: ParsedDocument) -> list[tuple[str, ...]]:
    paths = []
    current: dict[int, str] = {}
    for block in document.blocks:
        if block.kind is BlockKind.HEADING:
            level = block.level or 1
            current = {depth: name for depth, name in current.items() if depth < level}
            name = document.text[block.start : block.end]
            for space in "\t\r\n":
                name = name.replace(space, " ")
            while "  " in name:
                name = name.replace("  ", " ")
            current[level] = name.strip()
        paths.append(tuple(current[depth] for depth in sorted(current)))
    return paths
