"""What a key may not see leaves no trace in its answers: no hit, no count, no other text."""

from __future__ import annotations

from typing import Any

import pytest

from rag_assets_tests.api.conftest import ACME, Api

pytestmark = pytest.mark.slow

QUESTION = "rope inspection"
MODES = ("hybrid", "rrf", "dense", "bm25")


@pytest.fixture
def filled(api: Api) -> Api:
    for name in ("rope.txt", "cable.txt"):
        api.acme.source.put(name, f"The {name} needs rope inspection.".encode())
    api.acme.run()
    return api


def hide(api: Api, *principals: str) -> None:
    """Documents about the very question, for `principals` alone."""
    for number in range(6):
        text = b"BROKEN" if number == 5 else b"rope inspection " * (number + 1)
        api.acme.source.put(f"hidden-{number}.txt", text)
        listed = str(list(principals)).replace("'", '"')
        api.acme.source.put(f"hidden-{number}.txt.acl.json", f'{{"principals": {listed}}}'.encode())
    api.acme.run()


def seen(api: Api, key: str) -> dict[str, Any]:
    """All that the key is told of the collection's content."""
    headers = {"X-API-Key": key}

    def get(path: str, **params: Any) -> Any:
        answer = api.client.get(path, params=params, headers=headers)
        body = answer.json()
        body.get("info", {}).pop("request_id", None)
        return answer.status_code, body

    asked = {mode: api.ask(QUESTION, mode=mode, k=10, headers=headers).json() for mode in MODES}
    return {
        **{mode: [(hit["uri"], hit["ranks"]) for hit in asked[mode]["hits"]] for mode in MODES},
        "files": get("/files", **ACME),
        "cards": [card["filename"] for card in get("/cards", **ACME)[1]["cards"]],
        "one": get("/file-summary", **ACME, filename="hidden-1.txt"),
        "chunks": get("/files/chunks", **ACME, filename="hidden-1.txt"),
        "documents": [
            each["document"] for each in get("/documents", collection="acme/docs")[1]["documents"]
        ],
        "collections": counted(get("/collections")[1]["collections"]),
        "system": counted(get("/system")[1]["collections"]),
        "failures": get("/system")[1]["failures"],
        "generations": [each["documents"] for each in get("/system")[1]["generations"]],
    }


def counted(collections: list[dict[str, Any]]) -> list[Any]:
    """How many there are of everything, and the newest time."""
    return [
        (each["documents"], each["chunks"], each["failures"], each["freshness"]["published_at"])
        for each in collections
    ]


def test_hidden_documents_change_nothing_that_a_key_is_told(filled: Api) -> None:
    key = filled.key("acme", "read")
    before = seen(filled, key)

    hide(filled, "board")

    assert seen(filled, key) == before
    # the control: the same documents, for everyone
    known = seen(filled, filled.key("acme", "admin"))
    assert len(known["hybrid"]) == 7 and known["collections"][0][0]["total"] == 8
    assert known["failures"] and known["generations"] == [7]
    assert [name for name in before if known[name] == before[name]] == []


def test_an_id_of_a_hidden_document_is_answered_as_one_that_never_was(filled: Api) -> None:
    hide(filled, "board")
    admin = {"X-API-Key": filled.key("acme", "admin")}
    headers = {"X-API-Key": filled.key("acme", "read")}
    listed = filled.client.get(
        "/documents", params={"collection": "acme/docs", "q": "hidden-1.txt"}, headers=admin
    )
    hidden = listed.json()["documents"][0]["document_id"]

    def answers(document: int, who: Any) -> list[Any]:
        found = [
            filled.client.get(f"/documents/{document}/passage", headers=who),
            filled.client.get(f"/documents/{document}/pages/1.png", headers=who),
            filled.client.post(
                "/documents/retry",
                json={"collection": "acme/docs", "document_id": document},
                headers={"X-API-Key": filled.key("acme", "write")},
            ),
        ]
        return [(each.status_code, each.json().get("code"), each.json().get("message"))
                for each in found]  # fmt: skip

    assert answers(hidden, headers) == answers(10**9, headers)
    assert filled.client.get(f"/documents/{hidden}/passage", headers=admin).status_code == 200


def test_feedback_tells_nothing_of_hidden_documents(filled: Api) -> None:
    hide(filled, "board")
    headers = {"X-API-Key": filled.key("acme", "read")}
    query_id = filled.ask(QUESTION, headers=headers).json()["query_id"]

    def said(document: str, key: str) -> tuple[int, Any]:
        answer = filled.client.post(
            "/feedback", json={"query_id": query_id, "thumb": "down", "document": document},
            headers={"X-API-Key": key},
        )  # fmt: skip
        return answer.status_code, answer.json().get("message")

    outside, inside = filled.key("acme"), filled.key("acme", principals=("board",))
    assert said("hidden-1.txt", outside) == said("none.txt", outside)
    assert said("none.txt", outside)[0] == 404 and said("rope.txt", outside)[0] == 200
    # the control: those on the list name it
    assert said("hidden-1.txt", inside)[0] == 200


def test_every_query_is_kept_with_who_asked_and_what_they_were_given(filled: Api) -> None:
    key = filled.key("acme", "read")

    query_id = filled.ask(QUESTION, headers={"X-API-Key": key}).json()["query_id"]

    rows = filled.conn.execute("select * from query_log").fetchall()
    assert [(str(row["id"]), row["principal"]) for row in rows] == [
        (query_id, key.partition(".")[0])
    ]
    assert len(rows[0]["hits"]) == 2
