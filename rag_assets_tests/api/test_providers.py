"""What can be plugged in, and whether a setting works, without becoming anyone's errand boy."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from psycopg.conninfo import conninfo_to_dict

from rag.api.providers import TABLE
from rag_assets_tests.answer.loopback import loopback_model
from rag_assets_tests.api.conftest import Api, MakeApi

pytestmark = pytest.mark.slow

SECRET = "hunter2-very-secret"
EVERY = [(kind, each.id) for kind, providers in TABLE.items() for each in providers]
LLM, STORE, WATCH = (
    ("llm-providers", "openai"),
    ("vector-store-providers", "pgvector"),
    ("observability-providers", "langfuse"),
)
EMBED, COMPRESS = (
    ("em-providers", "sentence-transformers"),
    ("document-compressor-providers", "cross-encoder"),
)


@dataclass
class Stub:
    """A web server that gives one answer, and remembers who asked."""

    url: str
    seen: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)


Serve = Callable[..., Stub]


@contextmanager
def stub(status: int = 200, body: str = "{}", location: str | None = None) -> Iterator[Stub]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.seen.append(self.path)
            made.credentials.append(self.headers.get("authorization", ""))
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            if location is not None:
                self.send_header("location", location)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Stub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as servers:
        yield lambda *given, **named: servers.enter_context(stub(*given, **named))


def place(url: str) -> str:
    return urlsplit(url).netloc


def status(api: Api, which: tuple[str, str], setting: Any = None) -> Any:
    """POST …/setting/status."""
    kind, provider = which
    return api.client.post(f"/{kind}/{provider}/setting/status", json={"setting": setting})


def codes(answer: Any) -> list[str]:
    """The codes of a verdict's errors, which are there when it says no, in the known shape."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["valid"] is (body["errors"] == [])
    for each in body["errors"]:
        assert set(each) == {"code", "message", "detail", "info"}
        assert each["info"]["request_id"]
    return [each["code"] for each in body["errors"]]


# -- the lists --


def test_each_kind_lists_what_the_platform_has(api: Api) -> None:
    listed = {kind: api.client.get(f"/{kind}").json() for kind in TABLE}

    assert listed == {
        "em-providers": ["sentence-transformers"],
        "llm-providers": ["openai", "ollama"],
        "vector-store-providers": ["pgvector"],
        "observability-providers": ["langfuse"],
        "document-compressor-providers": ["cross-encoder"],
    }


@pytest.mark.parametrize("which", EVERY)
def test_a_provider_is_described_and_its_example_is_a_setting(
    api: Api, which: tuple[str, str]
) -> None:
    kind, provider = which
    about = api.client.get(f"/{kind}/{provider}").json()
    example = api.client.get(f"/{kind}/{provider}/setting/example").json()

    assert about["id"] == provider and about["about"]
    assert about["settings"] == list(example["setting"])
    answer = api.client.post(f"/{kind}/{provider}/setting/status", json=example)
    calls = next(each.calls for each in TABLE[kind] if each.id == provider)
    if calls:  # an example's server is not one that the operator named
        assert (answer.status_code, answer.json()["code"]) == (403, "host_not_allowed")
    else:
        assert "bad_setting" not in codes(answer)


@pytest.mark.parametrize("kind", TABLE)
def test_an_unknown_provider_is_a_404(api: Api, kind: str) -> None:
    answers = [
        api.client.get(f"/{kind}/nobody"),
        api.client.get(f"/{kind}/nobody/setting/example"),
        api.client.post(f"/{kind}/nobody/setting/status", json={}),
    ]

    assert [(a.status_code, a.json()["code"]) for a in answers] == [(404, "provider_not_found")] * 3


def test_the_four_operations_and_their_errors_are_described(api: Api) -> None:
    document = api.client.get("/openapi.json").json()

    for kind in TABLE:
        posted = document["paths"][f"/{kind}/{{provider_id}}/setting/status"]["post"]
        for code, model in (("200", "Verdict"), ("4XX", "Problem")):
            schema = posted["responses"][code]["content"]["application/json"]["schema"]
            assert schema["$ref"].endswith(f"/{model}")


# -- what a setting is --


@pytest.mark.parametrize(
    ("which", "setting", "code"),
    [
        (EMBED, {}, "setting_missing"),
        (EMBED, {"embedding_model": None}, "setting_missing"),
        (EMBED, {"embedding_model": "a/b", "embedding_precision": SECRET}, "bad_setting"),
        (EMBED, {"embedding_model": "a/b", "home": "/etc"}, "bad_setting"),
        (EMBED, {"embedding_model": {"a": SECRET}}, "bad_setting"),
        (EMBED, {"embedding_model": "a\0b"}, "model_not_found"),
        (LLM, {"llm_base_url": "http://127.0.0.1:1/v1", "llm_timeout_s": 0}, "bad_setting"),
        (LLM, {"llm_base_url": "http://127.0.0.1:1/v1", "llm_api_key": 5}, "bad_setting"),
        (STORE, {"database_url": f"postgresql://u:{SECRET}@[half"}, "bad_setting"),
    ],
)
def test_a_wrong_setting_is_named_and_never_repeated(
    api: Api, which: tuple[str, str], setting: Any, code: str
) -> None:
    answer = status(api, which, setting)

    assert codes(answer) == [code]
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "body", [[], {"setting": []}, {"settings": {}}, {"setting": {"a" * 99: 1}}]
)
def test_a_body_that_is_no_setting_is_a_422(api: Api, body: Any) -> None:
    answer = api.client.post("/em-providers/sentence-transformers/setting/status", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


# -- models on this machine --


def test_the_bundled_model_works_and_so_does_the_service_s_own(api: Api) -> None:
    setting = {"embedding_model": "sentence-transformers/all-MiniLM-L6-v2"}

    assert codes(status(api, EMBED, setting)) == codes(status(api, EMBED)) == []


def test_a_folder_without_a_usable_model_is_said(api: Api, tmp_path: Path) -> None:
    def found(folder: Path) -> list[str]:
        return codes(status(api, EMBED, {"embedding_model": str(folder)}))

    assert found(tmp_path / "none") == found(tmp_path) == ["model_not_found"]
    (tmp_path / "config.json").write_text("{}")
    assert found(tmp_path) == ["bad_model"]
    (tmp_path / "config.json").write_text('{"hidden_size": 16}')
    assert found(tmp_path) == ["bad_model"]  # no weights
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert found(tmp_path) == []
    (tmp_path / "config.json").write_text("{")
    assert found(tmp_path) == ["model_unreadable"]


def test_a_compressor_is_a_model_that_scores_pairs(api: Api, tmp_path: Path) -> None:
    def found(architecture: str) -> list[str]:
        config = {"hidden_size": 16, "architectures": [architecture]}
        (tmp_path / "config.json").write_text(json.dumps(config))
        return codes(status(api, COMPRESS, {"reranker_model": str(tmp_path)}))

    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert found("BertForSequenceClassification") == []
    assert found("BertModel") == ["bad_reranker"]
    assert codes(status(api, COMPRESS)) == ["setting_missing"]


@pytest.mark.parametrize(("which", "name"), [(EMBED, "embedding_model"),
                                             (COMPRESS, "reranker_model")])  # fmt: skip
def test_nothing_is_downloaded_to_check_it(
    api: Api, monkeypatch: pytest.MonkeyPatch, which: tuple[str, str], name: str
) -> None:
    asked: list[Any] = []

    def download(*_: object, **options: Any) -> str:
        asked.append(options.get("local_files_only"))
        raise LocalEntryNotFoundError("not here")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)

    assert codes(status(api, which, {name: "someone/model"})) == ["model_not_found"]
    assert asked == [True]


# -- servers: who is contacted --


def setting_of(which: tuple[str, str], url: str) -> dict[str, Any]:
    if which == LLM:
        return {"llm_base_url": f"{url}/v1", "llm_model": "m", "llm_api_key": SECRET}
    return {"langfuse_host": url, "langfuse_public_key": "pk", "langfuse_secret_key": SECRET}


@pytest.mark.parametrize("which", [LLM, WATCH])
def test_only_servers_that_the_operator_named_are_contacted(
    make_api: MakeApi, serve: Serve, which: tuple[str, str]
) -> None:
    inside, named = serve(body=SECRET), serve(body=SECRET)
    api = make_api(check_hosts=f"x:1, {place(named.url)}")

    refused = status(api, which, setting_of(which, inside.url))
    assert (refused.status_code, refused.json()["code"]) == (403, "host_not_allowed")
    assert inside.seen == [] and SECRET not in refused.text

    # the control: named, it is contacted; what it said is not repeated
    answer = status(api, which, setting_of(which, named.url))
    assert codes(answer) and len(named.seen) == 1 and SECRET not in answer.text


def test_the_server_that_the_platform_asks_may_be_checked_with_another_key(
    make_api: MakeApi, serve: Serve
) -> None:
    own = serve(status=401, body=SECRET)
    api = make_api(llm_base_url=f"{own.url}/v1", llm_model="m", llm_api_key="the-own-key")

    setting = {"llm_base_url": f"{own.url}/v1", "llm_model": "m", "llm_api_key": None}
    assert codes(status(api, LLM, setting)) == ["model_refused"]
    assert "the-own-key" not in own.credentials[0]  # a candidate never travels with our key

    assert codes(status(api, LLM)) == ["model_refused"]
    assert own.credentials[1] == "Bearer the-own-key"


@pytest.mark.parametrize("which", [LLM, WATCH])
@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_no_redirect_is_followed(
    make_api: MakeApi, serve: Serve, which: tuple[str, str], code: int
) -> None:
    inside = serve()
    named = serve(status=code, location=f"{inside.url}/latest/meta-data")
    api = make_api(check_hosts=place(named.url))

    assert codes(status(api, which, setting_of(which, named.url)))[0].endswith("_refused")
    assert len(named.seen) == 1 and inside.seen == []


def test_a_language_model_that_answers_is_valid(make_api: MakeApi) -> None:
    with loopback_model() as model:
        api = make_api(check_hosts=place(model.url))
        setting = {"llm_base_url": model.url, "llm_model": "m", "llm_api_key": SECRET}

        assert codes(status(api, LLM, setting)) == []
        assert model.headers[0]["authorization"] == f"Bearer {SECRET}"
        assert model.requests[0]["max_tokens"] <= 16

        model.statuses = [404]
        assert codes(status(api, LLM, setting)) == ["model_not_found"]
        model.pause_s = 3.0
        slow = status(api, LLM, {**setting, "llm_timeout_s": 0.3})
        assert codes(slow) == ["model_timeout"] and slow.elapsed.total_seconds() < 2.5
        nameless = {"llm_base_url": model.url}
        assert codes(status(api, LLM, nameless)) == ["model_not_named"]
    assert codes(status(api, LLM, setting)) == ["model_unavailable"]
    assert codes(status(api, LLM)) == ["setting_missing"]


def test_langfuse_is_asked_with_the_given_keys(make_api: MakeApi, serve: Serve) -> None:
    project, locked = serve(), serve(status=401)
    api = make_api(check_hosts=f"{place(project.url)},{place(locked.url)}")

    assert codes(status(api, WATCH, setting_of(WATCH, project.url))) == []
    assert project.seen == ["/api/public/projects"]
    assert codes(status(api, WATCH, setting_of(WATCH, locked.url))) == ["langfuse_refused"]
    assert codes(status(api, WATCH, {"langfuse_host": project.url})) == ["langfuse_not_configured"]
    assert codes(status(api, WATCH)) == ["langfuse_not_configured"]


# -- databases --


@pytest.fixture
def at(database_url: str) -> dict[str, str]:
    """The parts of a database's address."""
    parts = {name: str(value) for name, value in conninfo_to_dict(database_url).items() if value}
    return {"password": "", "port": "5432", **parts}


def url_of(at: dict[str, str]) -> str:
    who = at["user"] + (f":{at['password']}" if at["password"] else "")
    return f"postgresql://{who}@{at['host']}:{at['port']}/{at['dbname']}"


def test_a_database_is_asked_whether_it_has_pgvector(
    make_api: MakeApi, at: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag.store import server

    api = make_api(check_hosts=f"{at['host']}:{at['port']},127.0.0.1:1")

    assert (
        codes(status(api, STORE)) == codes(status(api, STORE, {"database_url": url_of(at)})) == []
    )
    absent = {"database_url": url_of({**at, "dbname": "no_such_database"})}
    assert codes(status(api, STORE, absent)) == ["database_refused"]
    nowhere = url_of({**at, "host": "127.0.0.1", "port": "1", "password": SECRET})
    answer = status(api, STORE, {"database_url": nowhere})
    assert codes(answer) == ["database_unreachable"] and SECRET not in answer.text
    old = {"installed_version": "0.7.4", "default_version": "0.7.4"}
    for row in (None, old):
        monkeypatch.setattr(server, "pgvector", lambda _, row=row: row)
        assert codes(status(api, STORE)) == ["no_pgvector"]


def test_who_may_have_settings_checked_is_an_operator(make_api: MakeApi, serve: Serve) -> None:
    inside = serve()
    api = make_api(check_hosts=place(inside.url))
    headers = {"X-API-Key": api.key("acme", "admin")}
    path, body = "/llm-providers/openai/setting/status", {"setting": setting_of(LLM, inside.url)}

    answer = api.client.post(path, json=body, headers=headers)

    assert (answer.status_code, answer.json()["code"], inside.seen) == (403, "forbidden", [])
    headers = {"X-API-Key": api.key(None, "admin")}
    assert api.client.post(path, json=body, headers=headers).status_code == 200 and inside.seen
