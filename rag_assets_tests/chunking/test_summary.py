from __future__ import annotations

import pytest

from rag.summary import summarise, topic_name

LONG = "A first sentence that goes on and on " * 5 + "until it ends. Then another."


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("", ""),
        ("One  two\nthree. Four.", "One two three."),
        ("Heading\n\nThe text. More.", "Heading"),
        ("今日は晴れです。明日は雨です。", "今日は晴れです。"),
        ("no full stop", "no full stop"),
        (LONG, LONG[:80].rstrip() + "..."),
    ],
)
def test_the_topic_is_the_first_sentence_or_its_beginning(text: str, topic: str) -> None:
    assert topic_name(text) == topic


TEXT = (
    "The turbine hall was inspected in May. Well, so it goes. "
    "Turbine blades showed cracks near the root of each blade. "
    "The cafeteria served soup. "
    "Cracks in turbine blades were measured and the blades replaced by the turbine maker. "
    "It rained. Inspection of turbine blades is due each May."
)


def test_a_summary_takes_the_telling_sentences_in_their_order() -> None:
    summary = summarise(TEXT, 3)
    assert "Turbine blades showed cracks" in summary
    assert "soup" not in summary
    assert "It rained." not in summary
    assert "so it goes" not in summary
    places = [TEXT.index(part) for part in summary.replace(". ", ".|").split("|")]
    assert places == sorted(places)
    assert len(places) == 3


@pytest.mark.parametrize(
    ("text", "sentences", "summary"),
    [
        ("", 3, ""),
        ("One. Two.", 0, ""),
        ("One. Two.", 3, "One. Two."),
        ("Same. Same. Other.", 2, "Same. Other."),
        ("晴れです。雨です。", 2, "晴れです。 雨です。"),
    ],
)
def test_a_text_with_few_sentences_is_its_own_summary(
    text: str, sentences: int, summary: str
) -> None:
    assert summarise(text, sentences) == summary


def test_text_without_sentences_gives_a_short_summary() -> None:
    assert len(summarise("word " * 5000 + "\n\n" + "other " * 5000, 1)) <= 503
