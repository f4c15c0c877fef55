"""Language models behind an OpenAI-compatible endpoint: OpenAI, Ollama, vLLM and their like.

A call ends within its time, retries included. Only a reply of which nothing has come is tried
again. Messages name the endpoint and never quote what was sent or received.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rag.errors import (
    ConfigurationError,
    QuotaError,
    RagError,
    TransientError,
    UnavailableError,
)
from rag.ports import Message, Usage
from rag.rate import TokenBucket

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

    from rag.settings import Settings

_CONNECT_S = 5.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 8.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the model is and how it is called."""

    base_url: str
    model: str
    api_key: str = field(default="none", repr=False)
    timeout_s: float = 60.0
    retries: int = 2
    max_tokens: int = 800
    temperature: float = 0.0
    requests_per_minute: int = 0


def open_model(settings: Settings) -> OpenAIModel | None:
    """The model that the settings name, None when they name none. Raises ConfigurationError
    (`model_not_named`)."""
    if settings.llm_base_url is None:
        return None
    if settings.llm_model is None:
        raise ConfigurationError(
            "RAG_LLM_BASE_URL is set and RAG_LLM_MODEL is not: name the model to ask.",
            code="model_not_named",
        )
    key = settings.llm_api_key
    return OpenAIModel(
        Endpoint(
            base_url=settings.llm_base_url,
            model=settings.llm_model,
            api_key="none" if key is None else key.get_secret_value(),
            timeout_s=settings.llm_timeout_s,
            retries=settings.llm_retries,
            max_tokens=settings.llm_max_tokens,
            temperature=settings.llm_temperature,
            requests_per_minute=settings.llm_requests_per_minute,
        )
    )


class OpenAIModel:
    """A `LanguageModel` that speaks chat/completions. Belongs to one event loop."""

    def __init__(self, endpoint: Endpoint, pause: Callable[[float], Any] = asyncio.sleep) -> None:
        self.name = endpoint.model
        self._endpoint = endpoint
        self._pause = pause
        self._rate = TokenBucket(endpoint.requests_per_minute)
        self._client: AsyncOpenAI | None = None

    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str | Usage]:
        """The pieces of the reply as they come, then its usage."""
        deadline = time.monotonic() + self._endpoint.timeout_s
        for attempt in range(self._endpoint.retries + 1):
            self._check_rate()
            has_begun = False
            try:
                async with aclosing(self._once(messages, deadline)) as pieces:
                    async for piece in pieces:
                        has_begun = True
                        yield piece
            except TransientError as error:
                if has_begun or attempt == self._endpoint.retries:
                    raise
                await self._wait(error, attempt, deadline)
            else:
                return

    def _check_rate(self) -> None:
        if not self._endpoint.requests_per_minute:
            return
        wait_s = self._rate.take(time.monotonic())
        if wait_s > 0:
            raise QuotaError(
                "More calls of the language model than RAG_LLM_REQUESTS_PER_MINUTE allows: try "
                "again in a moment.",
                code="model_rate_limited",
                retry_after_s=max(1, round(wait_s)),
            )

    async def _wait(self, error: TransientError, attempt: int, deadline: float) -> None:
        """Pause before the next try; a pause that does not fit in the time is the end."""
        told = error.facts.get("retry_after_s")
        pause_s = min(_FIRST_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S)
        if isinstance(told, int):
            pause_s = max(pause_s, told)
        if time.monotonic() + pause_s >= deadline:
            raise error
        await self._pause(pause_s)

    async def _once(
        self, messages: Sequence[Message], deadline: float
    ) -> AsyncGenerator[str | Usage]:
        """One try."""
        end = _End()
        with self._named_errors(end):
            creating = self._ready().chat.completions.create(**self._request(messages))
            stream = await _in_time(creating, deadline)
            async with stream:
                chunks = stream.__aiter__()
                while (chunk := await _in_time(anext(chunks, None), deadline)) is not None:
                    if text := end.hear(chunk):
                        yield text
        yield end.usage(messages)

    def _request(self, messages: Sequence[Message]) -> dict[str, Any]:
        return {
            "model": self._endpoint.model,
            "messages": [{"role": each.role, "content": each.content} for each in messages],
            "max_tokens": self._endpoint.max_tokens,
            "temperature": self._endpoint.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    @contextmanager
    def _named_errors(self, end: _End) -> Iterator[None]:
        import httpx2
        import openai

        try:
            yield
        except (TimeoutError, openai.APITimeoutError, httpx2.TimeoutException) as error:
            raise UnavailableError(
                f"The language model did not answer in {self._endpoint.timeout_s:g} seconds: try "
                "again, or raise RAG_LLM_TIMEOUT_S.",
                code="model_timeout",
            ) from error
        except openai.APIStatusError as error:
            raise _refusal(error, self._endpoint) from error
        except (json.JSONDecodeError, UnicodeDecodeError, openai.APIResponseValidationError,
                AttributeError, TypeError) as error:  # fmt: skip
            raise _malformed(self._endpoint) from error
        except (openai.APIError, httpx2.HTTPError) as error:
            if end.is_heard:
                raise _cut_off() from error
            raise UnavailableError(
                f"No language model answers at {self._endpoint.base_url}: check RAG_LLM_BASE_URL "
                "and that the server runs.",
                code="model_unavailable",
            ) from error

    def _ready(self) -> AsyncOpenAI:
        if self._client is None:
            import httpx2
            from openai import AsyncOpenAI, DefaultAsyncHttpx2Client

            self._client = AsyncOpenAI(
                base_url=self._endpoint.base_url,
                api_key=self._endpoint.api_key,
                max_retries=0,  # ours know the deadline
                # passages go to the endpoint that was set, never to one that it names
                http_client=DefaultAsyncHttpx2Client(
                    timeout=httpx2.Timeout(self._endpoint.timeout_s, connect=_CONNECT_S),
                    follow_redirects=False,
                ),
            )
        return self._client

    async def close(self) -> None:
        """Let the connections go."""
        if self._client is not None:
            await self._client.close()
            self._client = None


@dataclass(slots=True)
class _End:
    """What the chunks of one reply add up to."""

    characters: int = 0
    counted: Usage | None = None
    is_finished: bool = False
    is_heard: bool = False

    def hear(self, chunk: Any) -> str:
        """The text of a chunk, the rest noted."""
        self.is_heard = True
        if chunk.usage is not None:
            self.counted = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
        text = ""
        for choice in chunk.choices[:1]:
            self.is_finished |= choice.finish_reason is not None
            text = choice.delta.content or ""
        if not isinstance(text, str):
            raise TypeError("content is no text")
        self.characters += len(text)
        return text

    def usage(self, messages: Sequence[Message]) -> Usage:
        """What the call cost. Raises when the reply has no end."""
        if not self.is_heard:
            raise UnavailableError(
                "The language model's endpoint sent no chat completion: check RAG_LLM_BASE_URL.",
                code="model_malformed",
            )
        if not self.is_finished:
            raise _cut_off()
        if self.counted is not None:
            return self.counted
        sent = sum(len(each.content) for each in messages)
        return Usage.estimated(sent, self.characters)


async def _in_time(awaitable: Any, deadline: float) -> Any:
    return await asyncio.wait_for(awaitable, max(0.0, deadline - time.monotonic()))


def _refusal(error: APIStatusError, endpoint: Endpoint) -> RagError:
    status = error.status_code
    facts = {"status": status}
    if (wait_s := _retry_after(error)) is not None:
        facts["retry_after_s"] = wait_s
    if status == 429:
        return QuotaError(
            "The language model's endpoint takes no more requests for now: try again later.",
            code="model_rate_limited", **facts,
        )  # fmt: skip
    if status == 404:
        return ConfigurationError(
            f"The endpoint does not know the model {endpoint.model}: correct RAG_LLM_MODEL or "
            "RAG_LLM_BASE_URL.",
            code="model_not_found",
        )
    if status in (408, 409) or status >= 500:
        return UnavailableError(
            f"The language model's endpoint failed with status {status}: try again.",
            code="model_unavailable", **facts,
        )  # fmt: skip
    return ConfigurationError(
        f"The language model's endpoint refused the request with status {status}: check "
        "RAG_LLM_API_KEY, RAG_LLM_MODEL and RAG_LLM_MAX_TOKENS.",
        code="model_refused", **facts,
    )  # fmt: skip


def _retry_after(error: APIStatusError) -> int | None:
    told = error.response.headers.get("retry-after", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 6 else None


def _malformed(endpoint: Endpoint) -> UnavailableError:
    return UnavailableError(
        f"What {endpoint.base_url} sends is no chat completion: check RAG_LLM_BASE_URL.",
        code="model_malformed",
    )


def _cut_off() -> UnavailableError:
    return UnavailableError(
        "The language model's reply was cut off before its end: try again.", code="model_cut_off"
    )
