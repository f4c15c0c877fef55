"""rag schedule, rag alerts and rag drift, over a database of the test's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.cli.main import run_rag
from rag.model import CollectionName
from rag.store import collections, schedules
from rag.store.database import Connection
from rag_assets_tests.alerts.receivers import http_receiver


@pytest.fixture(autouse=True)
def _platform(
    conn: Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAG_DATABASE_URL", database_url)
    collections.create_collection(conn, CollectionName.parse("acme/docs"))


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> object:
    assert run_rag([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_a_schedule_is_set_listed_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "schedule", "set", "acme/docs", "--days", "0.5")
    (row,) = said(capsys, "schedule", "list")  # type: ignore[misc]
    assert (row["collection"], row["schedule"]) == ("acme/docs", "every 0.5 days")
    assert (row["last_run_at"], row["due_at"] is None) == (None, False)

    said(capsys, "schedule", "set", "acme/docs", "--cron", "0 6 * * *")
    (row,) = said(capsys, "schedule", "list")  # type: ignore[misc]
    assert row["schedule"] == "cron 0 6 * * *"

    said(capsys, "schedule", "set", "acme/docs", "--days", "7", "--evaluation")
    rows = said(capsys, "schedule", "list")
    kinds = {row["kind"]: row["schedule"] for row in rows}  # type: ignore[attr-defined]
    assert kinds == {"ingest": "cron 0 6 * * *", "evaluation": "every 7 days"}
    said(capsys, "schedule", "remove", "acme/docs", "--evaluation")

    said(capsys, "schedule", "remove", "acme/docs")
    assert said(capsys, "schedule", "list") == []
    answer = said(capsys, "schedule", "remove", "acme/docs", code=1)
    assert answer["code"] == "schedule_not_found"  # type: ignore[index]


def test_a_scheduler_file_is_taken_over_whole_or_not_at_all(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, conn: Connection
) -> None:
    file = tmp_path / "scheduler.json"
    entries = [{"topic": "acme", "segment": name, "schedule": 1.5} for name in ("docs", "gone")]
    file.write_text(json.dumps(entries))

    answer = said(capsys, "schedule", "import", str(file), code=1)
    assert answer["code"] == "collection_not_found"  # type: ignore[index]
    assert schedules.schedules(conn) == []

    file.write_text(json.dumps(entries[:1]))
    assert said(capsys, "schedule", "import", str(file)) == {"schedules": 1}
    (row,) = schedules.schedules(conn)
    assert row["every_days"] == 1.5


def test_an_objective_is_set_and_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "schedule", "objective", "acme/docs", "--warn-s", "60")
    assert shown["objective"] == {"warn_s": 60, "fail_s": 21_600}  # type: ignore[index]

    answer = said(capsys, "schedule", "objective", "acme/docs", "--fail-s", "30", code=1)
    assert answer["code"] == "bad_objective"  # type: ignore[index]

    shown = said(capsys, "schedule", "objective", "acme/docs", "--default")
    assert shown["objective"] == {"warn_s": 7_200, "fail_s": 21_600}  # type: ignore[index]


def test_a_route_is_tried_and_shown_without_its_address(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with http_receiver() as web:
        routes = {"hook": {"channel": "webhook", "url": f"{web.url}/s3cret"}}
        monkeypatch.setenv("RAG_ALERT_ROUTES", json.dumps(routes))

        assert said(capsys, "alerts", "test", "hook") == {"route": "hook", "delivered": True}
        assert web.came[0][1]["title"] == "A test of this route"
        shown = said(capsys, "alerts", "routes")
        assert shown["hook"]["channel"] == "webhook"  # type: ignore[index]
        assert "s3cret" not in str(shown)
        answer = said(capsys, "alerts", "test", "other", code=1)
        assert answer["code"] == "route_not_found"  # type: ignore[index]


def test_incidents_are_listed(capsys: pytest.CaptureFixture[str], conn: Connection) -> None:
    conn.execute(
        "insert into incident (key, kind, collection, severity, title, detail, opened_at, seen_at)"
        " values ('k', 'run', 'acme/docs', 'error', 'it broke', 'why', now(), now())"
    )

    shown = said(capsys, "alerts", "list")
    assert [row["title"] for row in shown["incidents"]] == ["it broke"]  # type: ignore[index]
    assert said(capsys, "alerts", "list", "--collection", "acme/other") == {
        "incidents": [],
        "undelivered": [],
    }
    assert run_rag(["alerts", "list"]) == 0
    assert "it broke" in capsys.readouterr().out


def test_accepting_drift_forgets_the_reference(
    capsys: pytest.CaptureFixture[str], conn: Connection
) -> None:
    conn.execute("insert into fingerprint (name, kind, config) values ('m', 'model', '{}');")
    conn.execute(
        "insert into drift_reference (collection_id, shard, subject, model_id)"
        " select collection.id, 0, 'documents', fingerprint.id from collection, fingerprint"
    )

    assert said(capsys, "drift", "accept", "acme/docs") == {
        "collection": "acme/docs",
        "forgotten": 1,
    }
