"""POST /query and /feedback: what is found, filtered, logged, and refused."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from rag.store import access
from rag.store.access import KeyScope
from rag_assets_tests.api.conftest import Api

pytestmark = pytest.mark.slow

CABLE = b"# Cable\n\nThe haul rope of the cable car is inspected every month."
PUMP = b"# Pump\n\nThe pump house holds three pumps and a rope ladder."


@pytest.fixture
def filled(api: Api) -> Api:
    api.acme.source.put("cable.txt", CABLE)
    api.acme.source.put("reports/pump.txt", PUMP)
    api.acme.run()
    return api


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [hit["document"] for hit in answer.json()["hits"]]


def test_a_question_gets_ranked_passages_with_their_source(filled: Api) -> None:
    found = filled.ask("haul rope inspection", k=2).json()

    assert found["query_id"] and found["generation"] and found["as_of"]
    first = found["hits"][0]
    assert first["document"] == "cable.txt" and first["uri"].endswith("/cable.txt")
    assert "haul rope" in first["text"] and first["heading"] == "Cable"
    assert set(first["ranks"]) == {"dense", "bm25"} and first["score"] > 0


@pytest.mark.parametrize("mode", ["hybrid", "dense", "bm25"])
def test_filters_narrow_before_ranking_in_every_mode(filled: Api, mode: str) -> None:
    wide = names(filled.ask("rope", mode=mode, k=1))
    narrow = names(filled.ask("rope", mode=mode, k=1, filters={"filenames": ["pump.txt"]}))

    assert len(wide) == 1
    assert narrow == ["pump.txt"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"media_types": ["text/plain"]}, 2),
        ({"media_types": ["application/pdf"]}, 0),
        ({"modified_from": "2026-01-01T00:00:00Z"}, 2),
        ({"modified_from": "2027-01-01T00:00:00Z"}, 0),
        ({"modified_to": "2025-01-01T00:00:00Z"}, 0),
        ({"filenames": ["nothing.txt"]}, 0),
        ({}, 2),
    ],
)
def test_each_filter_means_what_it_says(filled: Api, filters: Any, expected: int) -> None:
    assert len(set(names(filled.ask("rope", k=10, filters=filters)))) == expected


def test_a_filter_for_few_rows_does_not_starve_the_answer(filled: Api) -> None:
    for number in range(150):
        filled.acme.source.put(f"many-{number}.txt", b"rope rope rope rope %d" % number)
    filled.acme.run()

    assert names(filled.ask("rope", k=3, filters={"filenames": ["pump.txt"]})) == ["pump.txt"]


def test_passages_below_the_least_score_are_left_out(filled: Api) -> None:
    scores = [hit["score"] for hit in filled.ask("haul rope", mode="dense", k=10).json()["hits"]]

    kept = filled.ask("haul rope", mode="dense", k=10, min_score=scores[0] - 1e-9).json()["hits"]

    assert len(scores) == 2 and len(kept) == 1
    assert 0 < scores[0] <= 1  # cosine


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"query": "  ", "collection": "acme/docs"}, 400),
        ({"query": "x", "collection": "no name"}, 400),
        ({"query": "x", "collection": "acme/none"}, 404),
        ({"query": "a\0b", "collection": "acme/docs"}, 422),
        ({"query": "x" * 4001, "collection": "acme/docs"}, 422),
        ({"query": "x", "collection": "acme/docs", "k": 101}, 422),
        ({"query": "x", "collection": "acme/docs", "mode": "magic"}, 422),
        ({"query": "x", "collection": "acme/docs", "surprise": 1}, 422),
        ({"query": "x", "collection": "acme/docs", "min_score": "NaN"}, 422),
        ({"query": "x", "collection": "acme/docs", "filters": {"filenames": ["a"] * 101}}, 422),
        ({"query": "x", "collection": "acme/docs", "filters": {"filenames": ["a\0"]}}, 422),
        ({"collection": "acme/docs"}, 422),
    ],
)
def test_bad_input_is_refused_in_one_shape(filled: Api, body: Any, status: int) -> None:
    answer = filled.client.post("/query", json=body)

    assert answer.status_code == status
    assert set(answer.json()) == {"code", "message", "detail", "info"}
    assert answer.json()["info"]["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "text", ["'; drop table chunk; --", "100% %s %(query)s", "a & | ! <-> b:*"]
)
def test_no_query_text_is_taken_for_sql(filled: Api, text: str) -> None:
    assert filled.ask(text).status_code == 200
    assert names(filled.ask("haul rope"))


def test_what_is_sent_wrong_is_not_repeated(filled: Api) -> None:
    answer = filled.client.post("/query", json={"query": ["hunter2"], "collection": "acme/docs"})

    assert answer.status_code == 422 and "hunter2" not in answer.text


def test_every_query_is_logged_without_the_text_it_found(filled: Api) -> None:
    found = filled.ask("haul rope", filters={"filenames": ["cable.txt"]}).json()

    (row,) = filled.conn.execute("select * from query_log").fetchall()
    assert str(row["id"]) == found["query_id"] and row["query"] == "haul rope"
    assert row["principal"] == "local" and row["filters"] == {"filenames": ["cable.txt"]}
    assert row["generation_id"] == found["generation"] and row["search_ms"] > 0
    assert [hit["ordinal"] for hit in row["hits"]] == [hit["ordinal"] for hit in found["hits"]]
    assert row["hits"][0]["rank"] == 1 and "text" not in row["hits"][0]


def test_feedback_is_kept_with_the_passage_that_was_missed(filled: Api) -> None:
    query_id = filled.ask("pump").json()["query_id"]
    said = {"query_id": query_id, "thumb": "down", "comment": "no", "document": "pump.txt",
            "ordinal": 0}  # fmt: skip

    answer = filled.client.post("/feedback", json=said)

    assert answer.status_code == 200, answer.text
    row = filled.conn.execute(
        "select feedback.*, document.uri from feedback"
        " join document on document.id = expected_document_id"
    ).fetchone()
    assert row is not None and row["uri"].endswith("pump.txt")
    assert (row["thumb"], row["comment"], row["expected_ordinal"]) == ("down", "no", 0)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"query_id": "00000000-0000-4000-8000-000000000000"}, 404),
        ({"document": "nothing.txt"}, 404),
        ({"thumb": "sideways"}, 422),
        ({"query_id": "x"}, 422),
    ],
)
def test_feedback_that_names_nothing_is_refused(filled: Api, change: Any, status: int) -> None:
    said = {"query_id": filled.ask("pump").json()["query_id"], "thumb": "up", **change}

    assert filled.client.post("/feedback", json=said).status_code == status


def test_embeddings_have_openais_shape(api: Api) -> None:
    plain = api.client.post("/v1/embeddings", json={"input": ["a rope", "a pump"]}).json()
    packed = api.client.post(
        "/v1/embeddings", json={"input": "a rope", "encoding_format": "base64"}
    ).json()

    assert plain["object"] == "list" and [each["index"] for each in plain["data"]] == [0, 1]
    data = np.frombuffer(base64.b64decode(packed["data"][0]["embedding"]), "<f4")
    assert np.allclose(data, plain["data"][0]["embedding"])
    assert np.isclose(np.linalg.norm(data), 1, atol=1e-3)


def test_another_model_is_not_passed_off_as_ours(api: Api) -> None:
    answer = api.client.post("/v1/embeddings", json={"input": "x", "model": "text-embedding-3"})

    assert answer.status_code == 404 and answer.json()["code"] == "model_not_served"


def test_a_key_finds_the_documents_of_its_principals(filled: Api) -> None:
    filled.acme.source.put("pump.txt.acl.json", b'{"principals": ["board"]}')
    filled.acme.source.put("reports/pump.txt.acl.json", b'{"principals": ["board"]}')
    filled.acme.run()

    def found(scope: KeyScope) -> set[str]:
        key = access.create_key(filled.conn, scope, None)
        headers = {"Authorization": f"Bearer {key}"}
        chunks = filled.client.get(
            "/cards", params={"user_id": "acme", "project_id": "docs"}, headers=headers
        ).json()
        asked = set(names(filled.ask("rope", k=9, headers=headers)))
        assert {card["filename"] for card in chunks["cards"]} == asked
        return asked

    assert found(KeyScope("acme", "read")) == {"cable.txt"}
    assert found(KeyScope("acme", "read", None, ("board",))) == {"cable.txt", "pump.txt"}
    assert found(KeyScope("acme", "admin")) == {"cable.txt", "pump.txt"}


def test_an_upload_says_who_may_see_it(api: Api) -> None:
    given = api.upload(("plan.txt", b"the rope plan"), principals='["board"]')
    assert given.status_code == 200, given.text
    assert api.upload(("x.txt", b"x"), principals='"board"').json()["code"] == "bad_principals"
    api.ingest_uploads()

    key = access.create_key(api.conn, KeyScope("acme", "read", None, ("board",)), None)
    other = access.create_key(api.conn, KeyScope("acme", "read"), None)
    assert names(api.ask("rope", headers={"X-API-Key": key})) == ["plan.txt"]
    assert names(api.ask("rope", headers={"X-API-Key": other})) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"filters": {"names": ["*pump*"]}}, ["pump.txt"]),
        ({"filters": {"metadata": {"nothing": "x"}}}, []),
        ({"filters": {"metadata": {"nothing": {"from": 1}}}}, []),
        ({"mode": "rrf", "max_per_document": 1, "neighbors": 1}, ["pump.txt", "cable.txt"]),
    ],
)
def test_further_filters_come_through(filled: Api, body: Any, expected: list[str]) -> None:
    assert sorted(names(filled.ask("pump rope", k=9, **body))) == sorted(expected)


def test_a_range_without_bounds_is_refused(filled: Api) -> None:
    answer = filled.ask("rope", filters={"metadata": {"year": {}}})

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_filter")
