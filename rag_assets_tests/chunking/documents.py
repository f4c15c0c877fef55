"""Documents for chunking tests, made from (kind, text) pairs as a parser would lay them out."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from rag.model import Block, BlockKind, ParsedDocument

KINDS = (
    BlockKind.PARAGRAPH,
    BlockKind.PARAGRAPH,
    BlockKind.LIST_ITEM,
    BlockKind.CODE,
    BlockKind.CAPTION,
)


def document(
    parts: Iterable[tuple[BlockKind | int, str]], *, title: str | None = None, per_page: int = 3
) -> ParsedDocument:
    """Blocks separated by blank lines; a number in place of a kind is a heading's level."""
    text = ""
    blocks = []
    for number, (kind, content) in enumerate(parts):
        text += "\n\n" if text else ""
        level = kind if isinstance(kind, int) else None
        name = kind if isinstance(kind, BlockKind) else BlockKind.HEADING
        page = number // per_page + 1
        blocks.append(Block(name, len(text), len(text) + len(content), page, page, level))
        text += content
    return ParsedDocument(text, tuple(blocks), "text/plain", title=title)


def prose(words: int, *, sentence: int = 12) -> str:
    """`words` different words in sentences."""
    named = [f"word{number}" for number in range(words)]
    groups = [named[start : start + sentence] for start in range(0, words, sentence)]
    return " ".join(" ".join(group).capitalize() + "." for group in groups)


def table(rows: int, *, cell: str = "cell") -> str:
    """A pipe table of two columns with `rows` rows under its head."""
    body = [f"| {cell} {row} | value {row} |" for row in range(rows)]
    return "\n".join(["| Name | Amount |", "|---|---|", *body])


_WORDS = st.sampled_from(
    [
        "revenue", "a", "the", "I.e.", "Näive", "e\u0301te\u0301", "שלום", "مرحبا", "\u202eabc",
        "你好世界。", "これはペンです。", "한국어", "👨\u200d👩\u200d👧\u200d👦",
        "👍🏽", "🇩🇪🇫🇷🇺🇸", "ก็ที่นี่",
        "end.", "Really?", "yes!", "x" * 130, "ab" * 60, "क्षि", "3.14", "a\u00a0b", "[SEP]",
        "https://example.org/a/b?c=d&e=f", "\u200b", "\u200d", "ﷺ", "a\u0300\u0301\u0302\u0303",
        "co-operate", "(see", "below)", "\x1c", "\u2028", "\U0001d4b3\U0001d4b4", "\u017f", "İ",
    ]
)  # fmt: skip
_SPACES = st.sampled_from([" ", " ", " ", " ", "  ", "\n", "\t", "\u3000", ""])


@st.composite
def texts(draw: st.DrawFn, most: int = 60) -> str:
    """Words of many scripts; never a blank line inside, never blank at the ends."""
    if draw(st.integers(0, 5)) == 0:
        raw = draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
        return " ".join(raw.split()) or "x"
    words = draw(st.lists(_WORDS, min_size=1, max_size=most))
    spaces = draw(st.lists(_SPACES, min_size=len(words), max_size=len(words)))
    mixed = "".join(word + space for word, space in zip(words, spaces, strict=True))
    times = draw(st.sampled_from([1, 1, 1, 4]))
    return (" ".join([mixed] * times)).strip() or "x"


@st.composite
def tables(draw: st.DrawFn) -> str:
    rows = draw(st.lists(texts(most=4), min_size=0, max_size=12))
    body = [f"| {' '.join(row.split())} | {number} |" for number, row in enumerate(rows)]
    return "\n".join(["| Name | Amount |", "|---|---|", *body])


@st.composite
def documents(draw: st.DrawFn) -> ParsedDocument:
    """Documents with headings of three levels, prose, lists, code and tables, in any order."""
    parts: list[tuple[BlockKind | int, str]] = []
    for _ in range(draw(st.integers(0, 12))):
        choice = draw(st.integers(0, 9))
        if choice <= 2:
            parts.append((draw(st.integers(1, 3)), draw(texts(most=6))))
        elif choice == 3:
            parts.append((BlockKind.TABLE, draw(tables())))
        else:
            parts.append((draw(st.sampled_from(KINDS)), draw(texts())))
    title = draw(st.none() | texts(most=12))
    return document(parts, title=title, per_page=draw(st.integers(1, 4)))
