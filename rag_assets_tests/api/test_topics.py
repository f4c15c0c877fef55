"""Topics and segments: another system's words, with the deletion that takes everything along."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rag.sources.selection import days_ago
from rag_assets_tests.api.conftest import Api
from rag_assets_tests.world import assert_world_is_sound

pytestmark = pytest.mark.slow

# every table that holds something of a namespace
TABLES = (
    "namespace", "collection", "source", "document", "document_version", "parsed", "chunk_set",
    "chunk", "embedding", "generation", "publication", "search_row", "query_log", "answer_log",
    "feedback", "upload_job", "upload_file", "hint",
)  # fmt: skip


def post(api: Api, path: str, body: Any, key: str | None = None, **params: str) -> Any:
    headers = {} if key is None else {"X-API-Key": key}
    return api.client.post(path, json=body, headers=headers, params=params)


def counts(api: Api) -> dict[str, int]:
    found = {}
    for table in TABLES:
        row = api.conn.execute(f"select count(*) as rows from {table}".encode()).fetchone()
        assert row is not None
        found[table] = row["rows"]
    return found


def objects(api: Api) -> int:
    client = api.service.bucket._ready()
    return client.list_objects_v2(Bucket=api.service.bucket.name).get("KeyCount", 0)  # type: ignore[no-any-return]


@pytest.fixture
def filled(api: Api) -> Api:
    """An upload, a query, an answer and feedback in acme; a document in globex."""
    api.upload(("rope.txt", b"The rope of acme is old. It is 12 mm thick."))
    api.ingest_uploads()
    api.globex.source.put("other.txt", b"The rope of globex.")
    api.globex.run()
    query_id = api.client.post("/rag", json={"query": "rope", "collection": "acme/docs"}).json()[
        "query_id"
    ]
    said = {"query_id": query_id, "thumb": "up", "document": "rope.txt"}
    assert api.client.post("/feedback", json=said).status_code == 200
    return api


def test_a_deleted_topic_leaves_nothing_of_itself_and_all_of_the_others(filled: Api) -> None:
    before = counts(filled)
    key = filled.key(None, "admin")
    filled.key("acme", "admin")
    assert all(before[table] for table in TABLES if table != "hint") and objects(filled) == 1

    answer = post(filled, "/api/topic", {"topic": "acme", "topic_action": "delete"}, key)

    assert answer.json() == {"message": "Topic deleted successfully", "topic": "acme"}
    left = counts(filled)
    assert objects(filled) == 0
    expected = {table: 1 for table in TABLES} | dict.fromkeys(
        ("query_log", "answer_log", "feedback", "upload_job", "upload_file", "hint"), 0
    )
    assert left == expected
    keys = filled.conn.execute("select namespace_id from api_key").fetchall()
    assert [row["namespace_id"] for row in keys] == [None]
    assert_world_is_sound(filled.conn)
    body = {"query": "rope", "collection": "globex/docs"}
    hits = filled.client.post("/query", json=body, headers={"X-API-Key": key}).json()["hits"]
    assert [hit["document"] for hit in hits] == ["other.txt"]


def test_the_door_stays_shut_when_a_topic_takes_its_keys_along(filled: Api) -> None:
    key = filled.key(None, "admin")
    post(filled, "/api/topic", {"topic": "acme", "topic_action": "delete"}, key)

    assert filled.ask("rope").status_code == 401


def test_deleting_a_topic_again_says_that_there_is_none(filled: Api) -> None:
    body = {"topic": "acme", "topic_action": "delete"}

    assert [post(filled, "/api/topic", body).status_code for _ in range(2)] == [200, 404]


def test_a_topic_and_its_segments_are_made_once(api: Api) -> None:
    topic = {"topic": "finance", "topic_action": "create"}
    segment = {"topic": "finance", "segment": "news", "segment_action": "create"}

    topics = [post(api, "/api/topic", topic) for _ in range(2)]
    segments = [post(api, "/api/segment", segment) for _ in range(2)]

    assert [each.json() for each in topics] == [
        {"message": "Topic and database created successfully", "topic": "finance"}
    ] * 2
    assert segments[0].json() == {
        "message": "Segment created successfully", "topic": "finance", "segment": "news",
    }  # fmt: skip
    assert segments[1].status_code == 409
    assert segments[1].json()["message"] == "segment 'news' already exists in topic 'finance'"


def test_a_segment_needs_its_topic(api: Api) -> None:
    segment = {"topic": "nowhere", "segment": "news", "segment_action": "create"}
    answer = post(api, "/api/segment", segment)

    assert answer.status_code == 400
    assert answer.json()["message"] == ("Topic validation failed: topic 'nowhere' does not exist")


def test_a_deleted_segment_is_gone_and_its_neighbours_stay(filled: Api) -> None:
    post(filled, "/api/segment", {"topic": "acme", "segment": "b", "segment_action": "create"})
    body = {"topic": "acme", "segment": "docs", "segment_action": "delete"}

    with_write = post(filled, "/api/segment", body, filled.key("acme", "write"))
    done = post(filled, "/api/segment", body, filled.key("acme", "admin"))

    assert with_write.status_code == 403
    assert done.json()["message"] == "Segment deleted successfully" and objects(filled) == 0
    rows = filled.conn.execute("select name from collection order by id").fetchall()
    assert [row["name"] for row in rows] == ["docs", "b"]  # globex's docs
    assert counts(filled)["search_row"] == counts(filled)["embedding"] == 1


def test_collecting_asks_for_a_look_at_every_source_and_shard(filled: Api) -> None:
    filled.conn.execute("update collection set shards = 3 where name = 'docs'")
    body = {"topic": "acme", "segment_targets": ["docs"]}

    one = post(filled, "/api/collect", body)
    many = post(filled, "/api/collect", [body, body])

    assert one.json() == {"message": "Collection requested", "config": body}
    assert many.json() == [one.json()] * 2
    hints = filled.conn.execute("select source_id, shard from hint order by 1, 2").fetchall()
    assert [row["shard"] for row in hints] == [0, 1, 2] * (len(hints) // 3) and len(hints) >= 3


def test_collecting_what_is_not_there_is_a_400_in_the_originals_words(filled: Api) -> None:
    def refused(topic: str, *segments: str, key: str | None = None) -> str:
        body = {"topic": topic, "segment_targets": list(segments)}
        answer = post(filled, "/api/collect", body, key)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
        return str(answer.json()["message"])

    filled.conn.execute("delete from hint")
    no_topic = "Topic validation failed: topic '{}' does not exist".format
    no_segment = "Segment validation failed: segment 'x' does not exist in topic 'acme'"
    assert refused("nowhere", "docs") == no_topic("nowhere")
    assert refused("acme", "docs", "x") == no_segment
    assert counts(filled)["hint"] == 0  # nothing was asked of what is there
    # what a key does not open is answered like what does not exist
    foreign, other = filled.key("globex", "write"), filled.key("acme", "write", "other")
    for topic in ("acme", "nowhere"):
        assert refused(topic, "docs", key=foreign) == no_topic(topic)
    assert refused("acme", "x", key=other) == no_segment
    assert refused("acme", "docs", key=other) == no_segment.replace("'x'", "'docs'")


def test_collecting_after_the_topic_was_deleted_is_a_400(filled: Api) -> None:
    collect = {"topic": "acme", "segment_targets": ["docs"]}
    delete = {"topic": "acme", "topic_action": "delete"}
    steps = [("/api/collect", collect), ("/api/topic", delete), ("/api/collect", collect)]

    assert [post(filled, *step).status_code for step in steps] == [200, 200, 400]


def test_more_requests_than_are_taken_at_a_time_are_refused_and_none_is_dropped(
    filled: Api,
) -> None:
    body = {"topic": "acme", "segment_targets": ["docs"]}

    assert len(post(filled, "/api/collect", [body] * 100).json()) == 100
    answer = post(filled, "/api/collect", [body] * 101)
    assert answer.status_code == 400
    assert answer.json()["message"] == "Invalid request format: at most 100 requests at a time"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/topic", {"topic": "acme"}),
        ("/api/topic", {"topic": "acme", "topic_action": "rename"}),
        ("/api/topic", [1]),
        ("/api/segment", {"topic": "acme", "segment": "x"}),
        ("/api/collect", {"topic": "acme", "segment_targets": []}),
        ("/api/collect", "x"),
        ("/retrieve", {"topic": "acme"}),
    ],
)
def test_a_bad_body_is_a_400_in_the_originals_words(api: Api, path: str, body: Any) -> None:
    answer = post(api, path, body, ticker="x")

    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Invalid request format: ")


def test_a_body_that_repeats_another_key_is_refused(api: Api) -> None:
    key = api.key("acme", "admin")
    body = {"topic": "acme", "segment": "docs"}

    same = post(api, "/retrieve", {**body, "api_key": key}, key, ticker="x")
    other = post(api, "/retrieve", {**body, "api_key": key + "x"}, key, ticker="x")

    assert (same.status_code, other.status_code) == (200, 401)


def test_a_record_is_found_by_its_ticker(filled: Api) -> None:
    body = {"topic": "acme", "segment": "docs"}

    found = post(filled, "/retrieve", body, ticker="rope").json()
    assert found["raw_data"] == "The rope of acme is old. It is 12 mm thick."
    assert found["analysis"] and found["timestamp"] and found["ticker"] == "rope"
    assert (found["topic"], found["segment"]) == ("acme", "docs")
    assert post(filled, "/retrieve", body, ticker="rope.txt").json()["raw_data"]
    assert post(filled, "/retrieve", body, ticker="other").json() == {}
    assert post(filled, "/retrieve", body).status_code == 400
    assert filled.client.get("/retrieve").status_code == 405


def test_a_deletion_that_the_object_store_cut_short_is_finished_by_a_repeat(filled: Api) -> None:
    client = filled.service.bucket._ready()
    stray = "uploads/acme/docs/rope.txt.acl.json"  # of no upload that the tables know
    client.put_object(Bucket=filled.service.bucket.name, Key=stray, Body=b"{}")
    body = {"topic": "acme", "topic_action": "delete"}

    def fail(**_: object) -> None:
        raise client.exceptions.ClientError({"Error": {"Code": "503"}}, "DeleteObject")

    delete, client.delete_object = client.delete_object, fail
    refused = post(filled, "/api/topic", body)
    client.delete_object = delete
    assert refused.status_code == 503 and objects(filled) == 2
    assert counts(filled)["collection"] == 2  # nothing is forgotten that is not gone

    assert post(filled, "/api/topic", body).status_code == 200
    assert objects(filled) == 0 and counts(filled)["collection"] == 1


def bound(api: Api) -> str | None:
    """The bound of the first source of acme/docs."""
    row = api.conn.execute(
        "select options ->> 'since' as since from source where collection_id ="
        " (select collection.id from collection join namespace"
        " on namespace.id = namespace_id where namespace.name = 'acme') order by id limit 1"
    ).fetchone()
    assert row is not None
    return row["since"]  # type: ignore[no-any-return]


def test_a_backfill_reaches_back_and_asks_for_a_look(filled: Api) -> None:
    filled.conn.execute("delete from hint")
    filled.conn.execute("""update source set options = '{"since": "2999-01-01"}'""")
    now = datetime.now(UTC)
    body = {"topic": "acme", "segment_targets": ["docs"]}

    post(filled, "/api/collect", {**body, "mode": "daily"})
    assert bound(filled) == "2999-01-01"

    one = post(filled, "/api/collect", {**body, "mode": "backfill"})
    assert bound(filled) == days_ago(360, now)
    assert one.json()["config"] == {**body, "mode": "backfill", "since": days_ago(360, now)}

    many = post(filled, "/api/collect", [{**body, "mode": "backfill", "days": days}
                                         for days in (400, 7)])  # fmt: skip
    assert [each["config"]["since"] for each in many.json()] == [
        days_ago(400, now), days_ago(7, now),
    ]  # fmt: skip
    assert bound(filled) == days_ago(400, now)
    assert counts(filled)["hint"] == 2  # of the two sources of acme/docs
    others = filled.conn.execute("select count(*) as kept from source where options ->> 'since'"
                                 " = '2999-01-01'").fetchone()  # fmt: skip
    assert others == {"kept": 1}  # that of globex


def test_another_mode_is_a_400_in_the_originals_words(filled: Api) -> None:
    filled.conn.execute("delete from hint")
    body = {"topic": "acme", "segment_targets": ["docs"]}

    answer = post(filled, "/api/collect", [body, {**body, "mode": "weekly"}])

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_mode")
    assert answer.json()["message"] == "mode weekly not valid"
    assert counts(filled)["hint"] == 0


@pytest.mark.parametrize(
    "more", [{"mode": "backfill", "days": 0}, {"mode": "backfill", "days": 3651}, {"days": 9}]
)
def test_days_are_bounded_and_a_backfills_only(filled: Api, more: dict[str, Any]) -> None:
    answer = post(filled, "/api/collect", {"topic": "acme", "segment_targets": ["docs"], **more})

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert answer.json()["message"].startswith("Invalid request format: days: ")
