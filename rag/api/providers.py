"""What can be plugged in where: five lists of providers, how each is set, and whether a setting
works. One table; `checks` does the trying.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, create_model

from rag.api import checks
from rag.api.faults import Fault, Problem, status_of
from rag.api.principal import Need
from rag.api.service import Service, Serving
from rag.errors import ConfigurationError, NotFoundError, RagError, TransientError
from rag.settings import Settings

ProviderId = Annotated[str, Path(max_length=64, examples=["pgvector"])]


@dataclass(frozen=True, slots=True)
class Provider:
    """One thing that can be plugged in. The first setting of `example` is the one it can not do
    without; `calls` says that it names a server."""

    id: str
    about: str
    example: Mapping[str, JsonValue]
    check: Callable[[Settings, Service], None]
    calls: bool = False

    @property
    def main(self) -> str:
        return next(iter(self.example))


_LLM: dict[str, JsonValue] = {
    "llm_api_key": None, "llm_timeout_s": 60.0, "llm_max_tokens": 800, "llm_temperature": 0.0,
}  # fmt: skip
TABLE: dict[str, tuple[Provider, ...]] = {
    "em-providers": (
        Provider(
            "sentence-transformers",
            "A sentence-transformers model, computed by OpenVINO on a processor and by torch on a "
            "graphics card: the bundled default, a folder, or a hub name.",
            {"embedding_model": "sentence-transformers/all-MiniLM-L6-v2",
             "embedding_precision": "bf16"},
            checks.embedding_model,
        ),
    ),
    "llm-providers": (
        Provider(
            "openai",
            "OpenAI, vLLM and every other endpoint that speaks chat/completions.",
            {"llm_base_url": "https://api.openai.com/v1", "llm_model": "gpt-4o-mini", **_LLM,
             "llm_api_key": "YOUR-KEY"},
            checks.language_model, calls=True,
        ),
        Provider(
            "ollama",
            "Ollama, through its OpenAI-compatible endpoint.",
            {"llm_base_url": "http://127.0.0.1:11434/v1", "llm_model": "llama3.2", **_LLM},
            checks.language_model, calls=True,
        ),
    ),
    "vector-store-providers": (
        Provider(
            "pgvector",
            "PostgreSQL with pgvector 0.8 or newer.",
            {"database_url": "postgresql://USER:PASSWORD@db.example.org:5432/rag"},
            checks.database, calls=True,
        ),
    ),
    "observability-providers": (
        Provider(
            "langfuse",
            "Langfuse: datasets, runs and scores of evaluations, there and back.",
            {"langfuse_host": "https://cloud.langfuse.com", "langfuse_public_key": "pk-lf-…",
             "langfuse_secret_key": "sk-lf-…"},
            checks.langfuse, calls=True,
        ),
    ),
    "document-compressor-providers": (
        Provider(
            "cross-encoder",
            "A sentence-transformers cross-encoder that ranks the best passages again: a folder, "
            "or a hub name.",
            {"reranker_model": "cross-encoder/ms-marco-MiniLM-L6-v2"},
            checks.reranker,
        ),
    ),
}  # fmt: skip


class About(BaseModel):
    """One provider, and the names of its settings."""

    id: str
    about: str
    settings: list[str]


class Setting(BaseModel):
    """Settings by name, as docs/settings.md has them, without the RAG_ of the environment."""

    model_config = ConfigDict(extra="forbid")
    setting: dict[Annotated[str, Field(max_length=64)], JsonValue]


class Candidate(BaseModel):
    """A setting to check; none: what the platform runs with."""

    model_config = ConfigDict(extra="forbid")
    setting: dict[Annotated[str, Field(max_length=64)], JsonValue] | None = Field(
        None, max_length=20, examples=[{"embedding_model": "/srv/models/e5"}]
    )


class Verdict(BaseModel):
    """Whether the setting works, and else why not."""

    valid: bool
    errors: list[Problem]


Operation = tuple[str, str, Callable[..., Any], Need, Any]


def operations(kind: str) -> tuple[Operation, ...]:
    """Method, path, endpoint, policy and answer of the four operations of one kind."""

    async def providers() -> list[str]:
        """The ids of what can be plugged in here."""
        return [each.id for each in TABLE[kind]]

    async def provider(provider_id: ProviderId) -> About:
        """What a provider is and which settings it has."""
        found = find(kind, provider_id)
        return About(id=found.id, about=found.about, settings=list(found.example))

    async def setting_example(provider_id: ProviderId) -> Setting:
        """A setting to start from; it can be sent to setting/status as it is."""
        return Setting(setting=dict(find(kind, provider_id).example))

    def setting_status(
        provider_id: ProviderId, body: Candidate, request: Request, service: Serving
    ) -> Verdict:
        """Try a setting, or the platform's own. Contacts only servers that the operator named."""
        errors = examine(find(kind, provider_id), body.setting, service)
        problems = [_problem(error, request.state.request_id) for error in errors]
        return Verdict(valid=not problems, errors=problems)

    one = f"/{kind}/{{provider_id}}"
    return (
        ("GET", f"/{kind}", providers, Need.READ, list[str]),
        ("GET", one, provider, Need.READ, About),
        ("GET", f"{one}/setting/example", setting_example, Need.READ, Setting),
        ("POST", f"{one}/setting/status", setting_status, Need.OPERATOR, Verdict),
    )


def find(kind: str, provider_id: str) -> Provider:
    """The provider. Raises NotFoundError (`provider_not_found`)."""
    for each in TABLE[kind]:
        if each.id == provider_id:
            return each
    known = ", ".join(each.id for each in TABLE[kind])
    raise NotFoundError(f"There is no such provider: use {known}.", code="provider_not_found")


def examine(
    provider: Provider, given: Mapping[str, JsonValue] | None, service: Service
) -> list[RagError]:
    """What is wrong with a setting; nothing, when it works. Raises PolicyError
    (`host_not_allowed`) without having contacted the server."""
    try:
        with checks.named_errors():
            settings = service.settings if given is None else _candidate(provider, given, service)
            provider.check(settings, service)
    except RagError as error:
        if error.code == "host_not_allowed":
            raise
        return [error]
    return []


def _candidate(provider: Provider, given: Mapping[str, JsonValue], service: Service) -> Settings:
    """The platform's settings with those of the provider replaced, its secrets among them."""
    if given.get(provider.main) is None:
        raise checks.missing(provider.main)
    try:
        wanted = _form(tuple(provider.example)).model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"Setting {name} is wrong: {first['msg']}.", code="bad_setting"
        ) from None
    if provider.calls:
        address, own = getattr(wanted, provider.main), getattr(service.settings, provider.main)
        checks.check_reach(_plain(address), _plain(own), service.settings)
    values = {name: getattr(wanted, name) for name in provider.example}
    return service.settings.model_copy(update=values)


@cache
def _form(names: tuple[str, ...]) -> type[BaseModel]:
    """Those of the platform's settings, with their types, bounds and defaults."""
    fields: dict[str, Any] = {
        name: (Settings.model_fields[name].annotation, Settings.model_fields[name])
        for name in names
    }
    return create_model("Form", __config__=ConfigDict(extra="forbid"), **fields)


def _plain(value: Any) -> str | None:
    shown = value.get_secret_value() if hasattr(value, "get_secret_value") else value
    return None if shown is None else str(shown)


def _problem(error: RagError, request_id: str) -> Problem:
    # not a fault of ours: here the reason is what was asked for
    info = {"retryable": isinstance(error, TransientError), "kind": error.kind}
    fault = Fault(status_of(error), error.code, checks.speakable(error), info)
    return Problem.model_validate(fault.body(request_id))
