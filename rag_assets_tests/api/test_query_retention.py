"""Old questions leave the log, with their answers; what people said something about stays."""

from __future__ import annotations

import pytest

from rag.store import retention
from rag_assets_tests.api.conftest import Api

pytestmark = pytest.mark.slow


@pytest.fixture
def asked(api: Api) -> Api:
    """Three answered questions: an old one, an old one with feedback, and one of today."""
    api.acme.source.put("rope.txt", b"The rope is old.")
    api.acme.run()
    ask = {"query": "rope", "collection": "acme/docs"}
    ids = [api.client.post("/rag", json=ask).json()["query_id"] for _ in range(3)]
    said = {"query_id": ids[1], "thumb": "up"}
    assert api.client.post("/feedback", json=said).status_code == 200
    api.conn.execute(
        "update query_log set asked_at = now() - interval '40 days' where id = any(%s::uuid[])",
        [ids[:2]],
    )
    return api


def left(api: Api) -> list[int]:
    tables = ("query_log", "answer_log", "feedback")
    rows = [api.conn.execute(f"select count(*) from {t}".encode()).fetchone() for t in tables]
    return [row["count"] for row in rows if row]


def test_old_questions_go_and_those_with_feedback_stay(
    asked: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_QUERIES_AT_A_TIME", 1)
    assert retention.sweep(asked.conn, 86_400.0, 30)["queries"] == 1
    assert left(asked) == [2, 2, 1]


def test_without_a_setting_every_question_stays(asked: Api) -> None:
    assert "queries" not in retention.sweep(asked.conn, 86_400.0)
    assert left(asked) == [3, 3, 1]
