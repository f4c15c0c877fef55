"""Uploads and deletions under access lists: what a key may not see it neither takes nor removes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rag.api.upload import _find_or_create
from rag.errors import ConflictError
from rag.model import CollectionName
from rag.store import collections
from rag.store.collections import Collection
from rag.store.database import Connection, connect
from rag_assets_tests.api.conftest import ACME, Api

pytestmark = pytest.mark.slow

PLAN = b"The rope plan of the board."
MINE = b"Another rope."
REPLACE = '["plan.txt"]'


@pytest.fixture
def board(api: Api) -> dict[str, str]:
    """The headers of a key that is on the list of `plan.txt`, which is there."""
    headers = {"X-API-Key": api.key("acme", "write", principals=("board",))}
    api.upload(("plan.txt", PLAN), headers=headers, principals='["board"]')
    api.ingest_uploads()
    return headers


@pytest.fixture
def other(api: Api) -> dict[str, str]:
    """The headers of a key that is on no list."""
    return {"X-API-Key": api.key("acme", "write")}


def found(api: Api, headers: Any) -> list[str]:
    """The texts that the key finds."""
    return [hit["text"] for hit in api.ask("rope", headers=headers).json()["hits"]]


def delete(api: Api, headers: Any, filename: str = "plan.txt") -> tuple[int, Any]:
    """Status and code of DELETE /files."""
    params = {**ACME, "filename": filename}
    answer = api.client.delete("/files", params=params, headers=headers)
    return answer.status_code, answer.json().get("code")


def stored(api: Api) -> list[str]:
    """The names of the objects in the bucket."""
    listed = api.service.bucket._ready().list_objects_v2(Bucket=api.service.bucket.name)
    return sorted(each["Key"].rpartition("/")[2] for each in listed.get("Contents", []))


def test_an_access_list_is_not_to_be_had_by_its_name(
    api: Api, board: dict[str, str], other: dict[str, str]
) -> None:
    opening = b'{"principals": ["mallory"]}'

    for headers in (board, other):
        answer = api.upload(("plan.txt.acl.json", opening), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_filename")
        assert delete(api, headers, "plan.txt.acl.json") == (404, "file_not_found")

    api.ingest_uploads()
    assert stored(api) == ["plan.txt", "plan.txt.acl.json"]
    assert found(api, {"X-API-Key": api.key("acme", "read", principals=("mallory",))}) == []


@pytest.mark.parametrize(
    ("content", "more"),
    [(MINE, {}), (MINE, {"replace_filenames": REPLACE}), (PLAN, {}),
     (MINE, {"replace_filenames": REPLACE, "principals": '["mallory"]'})],
)  # fmt: skip
def test_a_hidden_file_is_not_replaced(
    api: Api, board: dict[str, str], other: dict[str, str], content: bytes, more: Any
) -> None:
    refused = api.upload(("plan.txt", content), headers=other, **more)

    assert (refused.status_code, refused.json()["code"]) == (409, "file_exists")
    api.ingest_uploads()
    assert found(api, board) == [PLAN.decode()] and found(api, other) == []
    # the control: who sees it replaces it
    assert api.upload(("plan.txt", content), headers=board, **more).status_code == (
        200 if more or content == PLAN else 409
    )


def test_a_name_that_is_taken_is_answered_alike_whether_its_file_is_hidden_or_not(
    api: Api, board: dict[str, str], other: dict[str, str]
) -> None:
    hidden = api.upload(("plan.txt", MINE), headers=other).json()
    seen = api.upload(("plan.txt", MINE), headers=board).json()

    assert {**hidden, "info": 0} == {**seen, "info": 0}


@pytest.mark.parametrize("kind", ["uploaded", "elsewhere"])
def test_a_hidden_file_is_deleted_by_nobody_and_answered_as_none(
    api: Api, board: dict[str, str], other: dict[str, str], kind: str
) -> None:
    name = "plan.txt" if kind == "uploaded" else "theirs.txt"
    api.acme.source.put("theirs.txt", b"theirs")
    api.acme.source.put("theirs.txt.acl.json", b'{"principals": ["board"]}')
    api.ingest_uploads()

    assert delete(api, other, name) == delete(api, other, "none.txt") == (404, "file_not_found")

    api.ingest_uploads()
    assert "plan.txt" in stored(api) and PLAN.decode() in found(api, board)
    # the control: who sees it is told, or obeyed
    assert delete(api, board, name)[0] == (200 if kind == "uploaded" else 409)


def test_what_nobody_looked_at_yet_is_its_uploaders_alone(
    api: Api, board: dict[str, str], other: dict[str, str]
) -> None:
    delete(api, board)
    for name in ("plan.txt", "new.txt"):  # one of them was there before
        api.upload((name, PLAN), headers=board, principals='["board"]')
        refused = api.upload((name, MINE), headers=other, replace_filenames=f'["{name}"]')

        assert (refused.status_code, refused.json()["code"]) == (409, "file_exists")
        assert delete(api, other, name) == (404, "file_not_found")
        assert api.upload((name, PLAN), headers=board).status_code == 200
    api.ingest_uploads()
    assert found(api, board) == [PLAN.decode()] * 2


def test_a_list_is_deleted_with_its_file(api: Api, board: dict[str, str]) -> None:
    assert stored(api) == ["plan.txt", "plan.txt.acl.json"]

    assert delete(api, board) == (200, None)

    assert stored(api) == []
    api.ingest_uploads()
    assert api.conn.execute("select from access_list").fetchall() == []


def test_a_file_that_is_deleted_before_anyone_looked_is_at_its_end(api: Api) -> None:
    job_id = api.upload(("rope.txt", PLAN)).json()["job_id"]

    assert delete(api, {}, "rope.txt") == (200, None)

    (file,) = api.status(job_id)["files"]
    assert (file["status"], file["error"]["code"]) == ("failed", "file_deleted")
    assert delete(api, {}, "rope.txt") == (404, "file_not_found")
    assert api.upload(("rope.txt", MINE)).status_code == 200


def test_uploads_that_make_a_collection_at_the_same_time_all_succeed(api: Api) -> None:
    def send(number: int) -> int:
        answer = api.upload((f"{number}.txt", PLAN), project_id="fresh")
        return int(answer.status_code)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(send, range(4))) == {200}
    rows = api.conn.execute("select name from collection where name = 'fresh'").fetchall()
    assert len(rows) == 1


def test_who_is_second_to_make_a_collection_takes_the_one_that_is_there(
    conn: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, create = CollectionName("acme", "fresh"), collections.create_collection

    def create_second(*given: Any) -> Collection:
        with connect(database_url) as first:
            create(first, name)
        return create(*given)

    monkeypatch.setattr(collections, "create_collection", create_second)

    assert _find_or_create(conn, name) == collections.find_collection(conn, name)
    with pytest.raises(ConflictError):  # the control: it was taken
        create(conn, name)
