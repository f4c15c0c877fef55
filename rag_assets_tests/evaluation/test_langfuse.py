"""Datasets, runs and scores go to Langfuse and come back, by its public REST API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from rag.cli.main import run_rag
from rag.errors import ConfigurationError, NotFoundError, QuotaError, RagError, UnavailableError
from rag.evaluation.dataset import Item, Relevant
from rag.evaluation.experiment import Lab, Method, import_dataset, run_experiment
from rag.evaluation.export import Side
from rag.evaluation.langfuse import Langfuse, open_langfuse
from rag.settings import Settings
from rag.store import evaluation
from rag_assets_tests.generations.conftest import Changing

pytestmark = pytest.mark.slow


@dataclass
class Project:
    """What the loopback server has kept; `status` makes it refuse everything."""

    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    traces: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: int = 200
    credentials: set[str] = field(default_factory=set)
    url: str = ""

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("/v2/datasets"):
            self.datasets[body["name"]] = body
        elif path.endswith("/dataset-items"):
            self.items[body["id"]] = body
        elif path.endswith("/ingestion"):
            for event in body["batch"]:
                self.traces[event["body"]["id"]] = event["body"]
        elif path.endswith("/dataset-run-items"):
            dataset = self.items[body["datasetItemId"]]["datasetName"]
            run = self.runs.setdefault((dataset, body["runName"]), {})
            run[body["datasetItemId"]] = body["traceId"]
        elif path.endswith("/scores"):
            assert body["traceId"] in self.traces
            self.scores[body["id"]] = body
        return body

    def get(self, path: str, query: dict[str, list[str]]) -> dict[str, Any] | None:
        parts = [unquote(part) for part in path.split("/")]
        if path.endswith("/dataset-items"):
            name = query["datasetName"][0]
            return self.page([i for i in self.items.values() if i["datasetName"] == name], query)
        if path.endswith("/scores"):
            trace = query["traceId"][0]
            return self.page([s for s in self.scores.values() if s["traceId"] == trace], query)
        if "runs" in parts:
            run = self.runs.get((parts[-3], parts[-1]))
            if run is None:
                return None
            return {"datasetRunItems": [
                {"datasetItemId": item, "traceId": trace} for item, trace in run.items()
            ]}  # fmt: skip
        return self.datasets.get(parts[-1])

    @staticmethod
    def page(rows: list[dict[str, Any]], query: dict[str, list[str]]) -> dict[str, Any]:
        page, limit = int(query["page"][0]), int(query["limit"][0])
        chosen = rows[(page - 1) * limit : page * limit]
        return {"data": chosen, "meta": {"page": page, "totalPages": -(-len(rows) // limit)}}


@pytest.fixture
def project() -> Iterator[Project]:
    kept = Project()

    class Handler(BaseHTTPRequestHandler):
        def answer(self, found: dict[str, Any] | None) -> None:
            kept.credentials.add(self.headers["authorization"])
            status = kept.status if kept.status != 200 else (200 if found is not None else 404)
            data = json.dumps(found or {}).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self.answer(kept.post(self.path, body) if kept.status == 200 else None)

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self.answer(kept.get(parts.path, parse_qs(parts.query)))

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}"
    yield kept
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


@pytest.fixture
def langfuse(project: Project) -> Iterator[Langfuse]:
    settings = Settings(
        langfuse_host=project.url, langfuse_public_key="pk", langfuse_secret_key="sk"
    )
    with open_langfuse(settings) as opened:
        yield opened


ITEMS = [
    Item(f"q{n}", f"Question {n}?", f"Answer {n}." if n % 2 else None, "Wind",
         (Relevant("a b.pdf", "text", 2),))
    for n in range(60)
]  # fmt: skip


def test_a_dataset_comes_back_as_it_went_whatever_its_size(
    langfuse: Langfuse, project: Project
) -> None:
    langfuse.push_dataset("my set/1", ITEMS)
    langfuse.push_dataset("my set/1", ITEMS)
    assert len(project.items) == 60
    assert langfuse.pull_dataset("my set/1") == ITEMS
    assert project.credentials == {"Basic cGs6c2s="}


def test_a_run_and_its_scores_come_back(langfuse: Langfuse, project: Project) -> None:
    langfuse.push_dataset("golden", ITEMS[:2])
    result = {
        "question": "Question 0?", "answer": "A", "hits": [{"document": "a"}], "error": None,
        "scores": {"MRR": 0.5, "Faithfulness": -1}, "reasons": {"Faithfulness": "why"},
    }  # fmt: skip
    side = Side("run-0123ABCD", {"q0": result})
    langfuse.push_run("golden", side)
    langfuse.push_run("golden", side)
    scores = langfuse.pull_scores("golden", "run-0123ABCD", ["q0", "q1"])
    assert scores == {"q0": {"MRR": 0.5, "Faithfulness": -1.0}}
    assert len(project.scores) == 2
    assert any(score["comment"].endswith(" : why") for score in project.scores.values())
    (trace,) = project.traces.values()
    assert trace["output"]["answer"] == "A"


def test_scores_that_people_gave_there_become_scores_here(
    project: Project, lab: Lab, changing: Changing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There and back through the commands, over the server."""
    monkeypatch.setenv("RAG_HOME", str(changing.folder / "home"))
    monkeypatch.setenv("RAG_DATABASE_URL", changing.database_url)
    for name, value in (("HOST", project.url), ("PUBLIC_KEY", "pk"), ("SECRET_KEY", "sk")):
        monkeypatch.setenv(f"RAG_LANGFUSE_{name}", value)
    items = [Item(f"q{n}", f"wind at station {n}", None, None, (Relevant(f"station-{n}.txt"),))
             for n in range(3)]  # fmt: skip
    import_dataset(lab.conn, changing.collection, "golden", items)
    golden = evaluation.find_dataset(lab.conn, changing.collection.id, "golden")
    ran = run_experiment(lab, changing.name, golden, Method())
    arguments = [str(changing.name), "--dataset", "golden", "--experiment", ran.name]

    assert run_rag(["evaluate", "push", *arguments]) == 0
    assert run_rag(["evaluate", "pull", *arguments]) == 0
    before = {row["key"]: row["scores"] for row in evaluation.results(lab.conn, ran.id)}
    traces = {trace["input"]["question"]: trace["id"] for trace in project.traces.values()}
    for number, (name, value) in enumerate([("human", 0.25), ("MRR", 0.0)]):
        trace = traces[f"wind at station {number}"]
        project.scores[f"{name}-{trace}"] = {"traceId": trace, "name": name, "value": value}
        project.scores[f"note-{trace}"] = {"traceId": trace, "name": "note", "value": "fine"}
    assert run_rag(["evaluate", "pull", *arguments]) == 0

    after = {row["key"]: row["scores"] for row in evaluation.results(lab.conn, ran.id)}
    assert after["q0"] == {**before["q0"], "human": 0.25}
    assert after["q1"] == {**before["q1"], "MRR": 0.0}
    assert after["q2"] == before["q2"]


def test_items_that_others_made_are_understood(langfuse: Langfuse, project: Project) -> None:
    project.datasets["theirs"] = {"name": "theirs"}
    project.items["x"] = {"id": "x", "datasetName": "theirs", "input": "Plain?",
                          "expectedOutput": "Yes.", "metadata": None}  # fmt: skip
    project.items["y"] = {**project.items["x"], "id": "y", "status": "ARCHIVED"}
    assert langfuse.pull_dataset("theirs") == [Item("x", "Plain?", "Yes.")]


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (401, ConfigurationError, "langfuse_refused"),
        (429, QuotaError, "langfuse_rate_limited"),
        (503, UnavailableError, "langfuse_unavailable"),
    ],
)
def test_refusals_are_named(
    langfuse: Langfuse, project: Project, status: int, error: type[RagError], code: str
) -> None:
    project.status = status
    with pytest.raises(error) as caught:
        langfuse.push_dataset("golden", ITEMS[:1])
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert "sk" not in caught.value.args[0].lower().replace("rag_langfuse_secret_key", "")


def test_what_is_missing_or_unreachable_is_named(langfuse: Langfuse) -> None:
    with pytest.raises(NotFoundError):
        langfuse.pull_dataset("none")
    dead = Settings(langfuse_host="http://127.0.0.1:1", langfuse_public_key="pk",
                    langfuse_secret_key="sk")  # fmt: skip
    with open_langfuse(dead) as opened, pytest.raises(UnavailableError):
        opened.pull_dataset("none")
    with pytest.raises(ConfigurationError) as caught, open_langfuse(Settings()):
        pass
    assert caught.value.code == "langfuse_not_configured"
