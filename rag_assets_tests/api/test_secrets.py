"""Secrets stay out of logs, answers, tracebacks and representations, whatever fails."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from rag.api.server import JsonLines
from rag.asking import Finder
from rag.settings import Settings
from rag.store.database import connect
from rag_assets_tests.answer.loopback import Loopback, loopback_model
from rag_assets_tests.api.conftest import Api, MakeApi, wait_until_warm

pytestmark = pytest.mark.slow

PLANTED = {
    "llm_api_key": "planted-llm-1f0c8a526d29",
    "caption_api_key": "planted-caption-4c579b551f",
    "langfuse_secret_key": "planted-langfuse-7a1c5f0c",
}
IN_A_URL = "planted-database-9be41d"
OURS = re.compile(r"rag_[0-9a-f]{12}\.[\w-]{40,}")


def secrets_in(text: str, *more: str) -> list[str]:
    """The scanner: planted secrets and whole API keys."""
    planted = [*PLANTED.values(), IN_A_URL, *more]
    return [each for each in planted if each in text] + OURS.findall(text)


class Everything(logging.Handler):
    """Every record of every logger, as the service writes them."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.setFormatter(JsonLines())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def log() -> Iterator[Everything]:
    kept, root = Everything(), logging.getLogger()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    yield kept
    root.setLevel(level)
    root.removeHandler(kept)


@pytest.fixture
def model() -> Iterator[Loopback]:
    with loopback_model() as state:
        yield state


@pytest.fixture
def planted(make_api: MakeApi, model: Loopback) -> Api:
    """A service whose settings are full of secrets, with something to find."""
    api = make_api(
        llm_base_url=model.url, llm_model="loopback", llm_retries=0, caption_model="eye",
        caption_base_url=model.url, langfuse_host="http://127.0.0.1:1", langfuse_public_key="pk",
        **PLANTED,
    )  # fmt: skip
    wait_until_warm(api)
    api.acme.source.put("rope.txt", b"The rope is inspected each month.")
    api.acme.run()
    return api


def asked_everything(api: Api, model: Loopback, key: str, monkeypatch: Any) -> list[Any]:
    """Requests that end well and in each way that touches a secret."""
    headers = {"X-API-Key": key}
    rag = {"query": "how often is the rope inspected", "collection": "acme/docs"}
    bad = {"database_url": f"postgresql://me:{IN_A_URL}@127.0.0.1:1/rag"}

    def post(path: str, body: Any) -> Any:
        return api.client.post(path, json=body, headers=headers)

    answers = [post("/query", rag), post("/rag", rag)]
    for status in (401, 429, 500):
        model.statuses = [status]
        answers.append(post("/rag", rag))
    answers += [
        post(f"/{kind}/setting/status", body)
        for kind in ("llm-providers/openai", "observability-providers/langfuse",
                     "vector-store-providers/pgvector")
        for body in ({}, {"setting": bad}, {"setting": {"llm_api_key": PLANTED["llm_api_key"]}})
    ]  # fmt: skip
    answers += [post("/api/topic", {"topic": "acme", "topic_action": "x", "api_key": key})]
    answers += [api.client.get(path, headers=headers) for path in ("/system", "/metrics")]
    answers += [api.client.get("/system", headers={"Authorization": f"Bearer {key}x"})]

    def defect(*_: object, **__: object) -> None:
        raise ValueError(f"{IN_A_URL} {key} {PLANTED}")

    with monkeypatch.context() as broken:
        broken.setattr(Finder, "find", defect)
        answers.append(post("/query", rag))
    return answers


def test_no_secret_is_logged_or_answered(
    planted: Api, model: Loopback, log: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = planted.key(None, "admin")

    answers = asked_everything(planted, model, key, monkeypatch)

    statuses = {answer.status_code for answer in answers}
    assert {200, 400, 401, 403, 500, 503} <= statuses  # work was done, and failed in every way
    assert any("Bearer" in str(each) for each in model.headers)  # the secret was in use
    secret = key.partition(".")[2]
    told = [f"{answer.text} {dict(answer.headers)}" for answer in answers]
    assert [secrets_in(text, secret) for text in told if secrets_in(text, secret)] == []
    assert len(log.lines) > len(answers)
    assert [line for line in log.lines if secrets_in(line, secret)] == []


def test_the_scanner_finds_what_was_let_slip(log: Everything) -> None:
    """The control: a secret in a message, in a field, and in a traceback."""
    slips = logging.getLogger("rag.api")
    slips.warning("key %s", PLANTED["llm_api_key"])
    slips.warning(json.dumps({"event": "request", "key": "rag_0123456789ab." + "x" * 43}))
    try:
        int(IN_A_URL)
    except ValueError:
        slips.exception("it failed")

    assert [len(secrets_in(line)) for line in log.lines] == [1, 1, 1]


def test_settings_and_services_are_shown_without_their_secrets(planted: Api) -> None:
    settings = Settings(database_url=f"postgresql://me:{IN_A_URL}@db/rag", **PLANTED)  # type: ignore[arg-type]
    shown = [
        repr(settings), str(settings), repr(settings.model_dump()), settings.model_dump_json(),
        repr(planted.service), repr(planted.service.settings),
    ]  # fmt: skip

    assert secrets_in(" ".join(shown)) == []
    assert settings.llm_api_key is not None
    assert secrets_in(settings.llm_api_key.get_secret_value()) == [PLANTED["llm_api_key"]]


def test_a_traceback_of_a_refused_database_has_no_password() -> None:
    with pytest.raises(Exception) as caught:
        connect(f"postgresql://me:{IN_A_URL}@127.0.0.1:1/rag").__enter__()

    text = "".join(traceback.format_exception(caught.value))
    assert "127.0.0.1" in text and secrets_in(text) == []
