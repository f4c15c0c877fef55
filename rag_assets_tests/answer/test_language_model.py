"""What every language model does, and what the real adapter does when its endpoint fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from rag.errors import ConfigurationError, QuotaError, RagError, UnavailableError
from rag.llm import Endpoint, OpenAIModel, open_model
from rag.ports import LanguageModel, Message, Usage
from rag.settings import Settings
from rag_assets_tests.answer.loopback import Loopback
from rag_assets_tests.fakes_model import FakeModel

ASKED = [Message("system", "Be brief."), Message("user", "How often is the rope inspected?")]
ANSWER = "Monthly, says the manual [1]."

MakeModel = Callable[[str], LanguageModel]


def endpoint(loopback: Loopback, **changes: Any) -> Endpoint:
    return Endpoint(loopback.url, "loopback", **{"timeout_s": 5.0, **changes})


async def replied(model: LanguageModel) -> tuple[list[str], list[Usage]]:
    pieces: list[str] = []
    usages: list[Usage] = []
    try:
        async with aclosing(model.reply(ASKED)) as reply:
            async for piece in reply:
                if isinstance(piece, Usage):
                    usages.append(piece)
                else:
                    assert not usages, "usage comes last"
                    pieces.append(piece)
    finally:
        await model.close()
    return pieces, usages


def run(model: LanguageModel) -> tuple[list[str], list[Usage]]:
    return asyncio.run(replied(model))


@pytest.fixture(params=["fake", "openai"])
def make_model(request: pytest.FixtureRequest) -> MakeModel:
    """A model that says a text."""

    def make(text: str) -> LanguageModel:
        if request.param == "fake":
            return FakeModel(say=lambda messages: text)
        loopback: Loopback = request.getfixturevalue("loopback")
        loopback.say = lambda messages: text
        return OpenAIModel(endpoint(loopback))

    return make


# -- the conformance suite: fake and real alike --


@pytest.mark.parametrize("text", [ANSWER, "Größe: 12 mm – ✓ 毎月。", "x", ANSWER * 200])
def test_the_pieces_joined_are_the_reply_and_its_usage_comes_last(
    make_model: MakeModel, text: str
) -> None:
    pieces, usages = run(make_model(text))

    assert "".join(pieces) == text
    assert usages == [Usage(8, len(text.split()))]


def test_a_reply_comes_in_pieces(make_model: MakeModel) -> None:
    pieces, _ = run(make_model(ANSWER))

    assert len(pieces) > 2


def test_a_model_has_a_name_and_can_be_asked_again(make_model: MakeModel) -> None:
    model = make_model(ANSWER)

    async def twice() -> list[str]:
        texts = []
        for _ in range(2):
            async with aclosing(model.reply(ASKED)) as reply:
                texts.append("".join([p async for p in reply if isinstance(p, str)]))
        await model.close()
        return texts

    assert asyncio.run(twice()) == [ANSWER, ANSWER]
    assert model.name


# -- the real adapter --


def test_the_endpoint_gets_the_conversation_and_the_settings(loopback: Loopback) -> None:
    model = OpenAIModel(endpoint(loopback, max_tokens=7, temperature=0.5, api_key="k-1"))
    run(model)

    (request,) = loopback.requests
    assert request["model"] == "loopback" and request["stream"] is True
    assert (request["max_tokens"], request["temperature"]) == (7, 0.5)
    assert request["messages"] == [{"role": m.role, "content": m.content} for m in ASKED]
    assert loopback.headers[0]["authorization"] == "Bearer k-1"


def test_a_reply_that_is_not_counted_is_estimated_and_says_so(loopback: Loopback) -> None:
    loopback.has_usage = False
    _, (usage,) = run(OpenAIModel(endpoint(loopback)))

    assert usage.is_estimated and usage.prompt_tokens > 5 and usage.completion_tokens > 5


def failing(loopback: Loopback, **changes: Any) -> tuple[RagError, list[float]]:
    """The error of a call, and the pauses before it."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    with pytest.raises(RagError) as caught:
        run(OpenAIModel(endpoint(loopback, **changes), pause))
    return caught.value, pauses


def test_a_busy_endpoint_is_tried_again_with_growing_pauses(loopback: Loopback) -> None:
    loopback.statuses = [503, 500, 200]
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    pieces, _ = run(OpenAIModel(endpoint(loopback, timeout_s=30.0), pause))

    assert "".join(pieces).endswith("[1].")
    assert pauses == [0.5, 1.0] and len(loopback.requests) == 3


def test_tries_are_bounded(loopback: Loopback) -> None:
    loopback.statuses = [503] * 9
    error, pauses = failing(loopback, retries=2, timeout_s=30.0)

    assert isinstance(error, UnavailableError) and error.code == "model_unavailable"
    assert len(loopback.requests) == 3 and len(pauses) == 2


def test_retry_after_is_honoured(loopback: Loopback) -> None:
    loopback.statuses, loopback.retry_after = [429] * 9, "3"
    error, pauses = failing(loopback, retries=1, timeout_s=30.0)

    assert isinstance(error, QuotaError) and error.code == "model_rate_limited"
    assert pauses == [3] and error.facts["retry_after_s"] == 3


def test_a_pause_that_does_not_fit_in_the_time_is_not_made(loopback: Loopback) -> None:
    loopback.statuses, loopback.retry_after = [429] * 9, "3600"
    error, pauses = failing(loopback, timeout_s=5.0)

    assert (error.code, pauses, len(loopback.requests)) == ("model_rate_limited", [], 1)


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "model_refused"), (403, "model_refused"), (400, "model_refused"),
     (404, "model_not_found")],
)  # fmt: skip
def test_a_refusal_is_for_a_person_and_is_not_repeated(
    loopback: Loopback, status: int, code: str
) -> None:
    loopback.statuses = [status] * 9
    error, pauses = failing(loopback)

    assert isinstance(error, ConfigurationError) and error.code == code
    assert pauses == [] and len(loopback.requests) == 1


def test_a_slow_endpoint_costs_no_more_than_the_time_allowed(loopback: Loopback) -> None:
    loopback.pause_s = 60.0
    started = time.monotonic()
    error, _ = failing(loopback, timeout_s=0.3)

    assert error.code == "model_timeout" and time.monotonic() - started < 30


def test_an_endpoint_that_drips_costs_no_more_than_the_time_allowed(loopback: Loopback) -> None:
    loopback.say, loopback.gap_s = lambda messages: "word " * 5000, 0.02  # for a minute
    started = time.monotonic()
    error, _ = failing(loopback, timeout_s=2.0)

    assert error.code == "model_timeout" and time.monotonic() - started < 30
    assert loopback.pieces_sent > 3


def test_a_dead_endpoint_is_named_in_the_error(loopback: Loopback) -> None:
    error, pauses = failing(Loopback(url="http://127.0.0.1:9/v1"), retries=1)

    assert error.code == "model_unavailable" and "127.0.0.1:9" in error.message
    assert len(pauses) == 1


def test_a_reply_cut_in_its_middle_is_no_reply_and_is_not_repeated(loopback: Loopback) -> None:
    loopback.cut_after = 2
    error, _ = failing(loopback)

    assert error.code == "model_cut_off" and len(loopback.requests) == 1
    assert loopback.pieces_sent == 2


def test_a_reply_without_an_end_is_no_reply(loopback: Loopback) -> None:
    loopback.has_finish = False

    assert failing(loopback)[0].code == "model_cut_off"


@pytest.mark.parametrize(
    "body",
    ["<html>hello</html>", "data: {broken\n\n", 'data: {"choices": 7}\n\n', "data: 7\n\n",
     'data: {"choices": [{"delta": {"content": 7}, "finish_reason": null}]}\n\n', "\x00\x01", ""],
)  # fmt: skip
def test_what_is_no_chat_completion_is_an_error_of_ours(loopback: Loopback, body: str) -> None:
    loopback.body = body
    error, _ = failing(loopback, retries=0)

    assert error.code in ("model_malformed", "model_cut_off")
    assert body not in error.message or not body


def test_calls_a_minute_are_limited(loopback: Loopback) -> None:
    model = OpenAIModel(endpoint(loopback, requests_per_minute=6))

    async def three() -> None:
        try:
            for _ in range(3):
                async with aclosing(model.reply(ASKED)) as reply:
                    async for _ in reply:
                        pass
        finally:
            await model.close()

    with pytest.raises(QuotaError) as caught:
        asyncio.run(three())
    assert caught.value.code == "model_rate_limited" and len(loopback.requests) == 1
    assert 1 <= int(str(caught.value.facts["retry_after_s"])) <= 10


def test_leaving_a_reply_ends_the_call(loopback: Loopback) -> None:
    loopback.say, loopback.gap_s = lambda messages: "word " * 5000, 0.01
    model = OpenAIModel(endpoint(loopback))

    async def leave() -> None:
        async with aclosing(model.reply(ASKED)) as reply:
            async for _ in reply:
                break
        assert await asyncio.to_thread(loopback.hung_up.wait, 5)
        await model.close()

    asyncio.run(leave())
    assert loopback.pieces_sent < 1000


def test_secrets_are_in_no_representation(loopback: Loopback) -> None:
    settings = Settings(llm_base_url=loopback.url, llm_model="m", llm_api_key="hunter2")  # type: ignore[arg-type]
    model = open_model(settings)

    assert model is not None and "hunter2" not in repr(model._endpoint)
    assert open_model(Settings()) is None
    with pytest.raises(ConfigurationError, match="RAG_LLM_MODEL"):
        open_model(Settings(llm_base_url=loopback.url))
