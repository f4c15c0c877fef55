"""What the page reads: collections, documents, passages, pages and the system's state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rag.api.pages import PageImages, drawn
from rag.errors import ConflictError, NotFoundError
from rag.parse.page_image import PNG, PageImage, runs, words
from rag.store import access
from rag.store.access import KeyScope
from rag_assets_tests.api.conftest import ACME, PAGE, Api, MakeApi, wait_until_warm

pytestmark = pytest.mark.slow

DOCS = {"collection": "acme/docs"}
HANDBOOK = b"# Rope\n\n" + b"\n\n".join(b"Rule %d of the rope book." % n for n in range(40))


@pytest.fixture
def filled(api: Api) -> Api:
    """Documents that are searchable, failed and gone."""
    for name in ("a.txt", "b.txt", "c.txt"):
        api.acme.source.put(name, f"The {name} rope.".encode())
    api.acme.source.put("bad.txt", b"BROKEN")
    api.acme.run()
    api.globex.source.put("g.txt", b"A pump.")
    api.globex.run()
    return api


def listed(api: Api, **parameters: Any) -> Any:
    """GET /documents of acme/docs."""
    answer = api.client.get("/documents", params={**DOCS, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(body: Any) -> list[str]:
    return [row["document"] for row in body["documents"]]


def test_a_collection_says_how_it_stands(filled: Api) -> None:
    acme, globex = filled.client.get("/collections").json()["collections"]

    assert (acme["collection"], globex["collection"]) == ("acme/docs", "globex/docs")
    assert acme["documents"] == {"total": 4, "live": 3, "partial": 0, "pending": 0, "failed": 1}
    assert (acme["state"], acme["failures"], acme["chunks"]) == ("current", 1, 3)
    assert acme["live_generation"] > 0 and acme["freshness"]["published_at"] is not None


def test_a_collection_that_is_new_or_behind_says_so(api: Api) -> None:
    def state() -> str:
        found: str = api.client.get("/collections").json()["collections"][0]["state"]
        return found

    assert state() == "empty"
    api.acme.source.put("a.txt", b"A rope.")
    api.acme.run()
    assert state() == "current"
    api.conn.execute("update publication set version_id = version_id")
    api.conn.execute("delete from search_row")
    api.conn.execute("delete from publication")
    assert state() == "behind"


def test_a_key_sees_the_collections_it_opens(filled: Api) -> None:
    def seen(key: str, path: str) -> list[str]:
        body = filled.client.get(path, headers={"X-API-Key": key}).json()
        return [each["collection"] for each in body["collections"]]

    one, other = filled.key("acme"), filled.key("acme", "read", "other")
    operator = filled.key(None, "admin")
    for path in ("/collections", "/system"):
        assert seen(one, path) == ["acme/docs"]
        assert seen(other, path) == []
        assert seen(operator, path) == ["acme/docs", "globex/docs"]


def test_documents_come_a_page_at_a_time(filled: Api) -> None:
    first = listed(filled, limit=3)
    rest = listed(filled, limit=3, after=first["next"])

    assert names(first) == ["a.txt", "b.txt", "bad.txt"]
    assert names(rest) == ["c.txt"] and rest["next"] is None


def test_documents_are_chosen_by_state_and_words(filled: Api) -> None:
    assert names(listed(filled, state="failed")) == ["bad.txt"]
    assert names(listed(filled, q="B.TXT")) == ["b.txt"]
    assert names(listed(filled, q="100%_")) == []
    assert filled.client.get("/documents", params={**DOCS, "state": "lost"}).status_code == 422


def test_a_failure_is_listed_with_code_reason_and_stage(filled: Api) -> None:
    (row,) = listed(filled, state="failed")["documents"]

    assert (row["state"], row["stage"], row["is_searchable"]) == ("failed", "parse", False)
    assert row["failure"]["code"] == "corrupt_file" and "broken" in row["failure"]["reason"]


def test_a_failure_is_tried_again(filled: Api) -> None:
    (row,) = listed(filled, state="failed")["documents"]
    filled.acme.source.put("bad.txt", b"Whole again.")
    again = {**DOCS, "document_id": row["document_id"]}

    answer = filled.client.post("/documents/retry", json=again)
    hints = filled.conn.execute("select uri from hint").fetchall()
    filled.acme.run()

    assert answer.json() == {"collection": "acme/docs", "due": 1}
    assert [each["uri"] for each in hints] == [row["uri"]]
    assert listed(filled, state="failed")["documents"] == []
    repeat = filled.client.post("/documents/retry", json=again)
    assert (repeat.status_code, repeat.json()["code"]) == (404, "no_such_failure")


def test_a_document_of_another_collection_is_not_retried(filled: Api) -> None:
    (row,) = listed(filled, state="failed")["documents"]
    body = {"collection": "globex/docs", "document_id": row["document_id"]}

    assert filled.client.post("/documents/retry", json=body).status_code == 404
    assert len(listed(filled, state="failed")["documents"]) == 1


def test_a_passage_stands_in_the_text_around_it(api: Api) -> None:
    api.acme.source.put("rules.txt", HANDBOOK)
    api.acme.run()
    (row,) = listed(api)["documents"]
    place = f"/documents/{row['document_id']}/passage"

    found = api.client.get(place, params={"ordinal": 2}).json()

    whole = "Rope\n\n" + "\n\n".join(f"Rule {n} of the rope book." for n in range(40))
    assert found["before"] + found["passage"] + found["after"] == whole
    assert found["passage"] in whole and found["ordinals"] == row["chunks"] > 3
    assert not (found["is_cut_before"] or found["is_cut_after"] or found["has_pages"])
    beyond = api.client.get(place, params={"ordinal": 99})
    assert (beyond.status_code, beyond.json()["code"]) == (404, "chunk_not_found")


def page_of(api: Api, page: int = 1) -> Any:
    """The picture of a page of the one uploaded PDF, with its passage about the pump."""
    (row,) = listed(api, q="page.pdf")["documents"]
    (hit,) = api.ask("pump tested monday noon", k=1).json()["hits"]
    place = f"/documents/{row['document_id']}/pages/{page}.png"
    return api.client.get(place, params={"ordinal": hit["ordinal"]})


def test_a_page_is_drawn_with_its_passage_marked(api: Api) -> None:
    api.upload(("page.pdf", PAGE))
    api.ingest_uploads()

    answer = page_of(api)

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png" and answer.content.startswith(PNG)
    assert "private" in answer.headers["cache-control"]
    assert 0 < float(answer.headers["x-marked-at"]) < 1
    assert is_marked(answer.content) and not is_marked(drawn_page("of something else"))
    beyond = page_of(api, 2)
    assert (beyond.status_code, beyond.json()["code"]) == (404, "page_not_found")


def drawn_page(passage: str) -> bytes:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(PAGE)
        file.flush()
        return drawn(Path(file.name), 1, passage).png


def is_marked(image: bytes) -> bool:
    """Whether the marker's colour is anywhere in the picture."""
    from io import BytesIO

    from PIL import Image

    colours = Image.open(BytesIO(image)).getcolors(1 << 20) or []
    return any(colour == (255, 232, 120) for _, colour in colours)


def test_a_page_is_drawn_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.upload(("page.pdf", PAGE))
    api.ingest_uploads()
    first = page_of(api).content
    monkeypatch.setattr("rag.api.pages.drawn", lambda *_: pytest.fail("drawn again"))

    assert page_of(api).content == first


def test_pictures_are_forgotten_after_a_while(tmp_path: Path) -> None:
    now = [0.0]
    images = PageImages(lambda uri: pytest.fail(uri), lambda: now[0])
    image = PageImage(b"image", None)
    images._kept.add(b"key", image)

    assert images._kept.find(b"key") == image
    now[0] = 601
    assert images._kept.find(b"key") is None and images._kept._bytes == 0


def test_a_file_that_changed_is_not_drawn_as_what_is_served(api: Api) -> None:
    api.upload(("page.pdf", PAGE))
    api.ingest_uploads()
    bucket = api.service.bucket
    bucket._ready().put_object(
        Bucket=bucket.name, Key="uploads/acme/docs/page.pdf", Body=PAGE.replace(b"pump", b"dump")
    )

    answer = page_of(api)

    assert (answer.status_code, answer.json()["code"]) == (409, "page_not_shown")


@pytest.mark.parametrize(
    "content",
    [
        b"no PDF at all",
        b"%PDF-1.7\n" + b"<" * 5000,
        PAGE.replace(b"[0 0 300 100]", b"[0 0 1e9 1e9]"),
        PAGE.replace(b"[0 0 300 100]", b"[0 0 0 0]"),
        PAGE.replace(b"/Kids[3 0 R]", b"/Kids[2 0 R]"),
    ],
    ids=["text", "broken", "huge", "empty", "loop"],
)
def test_a_malicious_file_ends_in_its_own_process(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.pdf"
    file.write_bytes(content)

    try:
        assert drawn(file, 1, "").png.startswith(PNG)
    except (ConflictError, NotFoundError) as error:
        assert error.code in ("page_not_shown", "page_not_found")


def test_a_page_that_takes_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from rag.api import pages
    from rag.parse import process

    monkeypatch.setattr(pages, "_LIMITS", replace(pages._LIMITS, wall_s=0.0))
    monkeypatch.setattr(process, "_TICK_S", 0.0)  # the clock is looked at before any answer
    file = tmp_path / "page.pdf"
    file.write_bytes(PAGE)

    with pytest.raises(ConflictError) as caught:
        drawn(file, 1, "")
    assert caught.value.code == "page_not_shown"


def test_more_pages_than_can_be_drawn_wait_and_then_give_up(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.upload(("page.pdf", PAGE))
    api.ingest_uploads()
    monkeypatch.setattr("rag.api.pages._WAIT_S", 0.1)
    turns = api.service.pages._turns

    with turns, turns:
        answer = page_of(api)

    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert "retry-after" in answer.headers
    assert page_of(api).status_code == 200


@pytest.mark.parametrize(
    ("page", "passage", "found"),
    [
        ("one two three four five six", "two three four five six", "two three four five six"),
        ("One  TWO\nthrée four five", "one two three four five", "One  TWO\nthrée four five"),
        ("aﬃx one two three four", "affix one two three four", "aﬃx one two three four"),
        ("right one two three four five left", "left. one two three four five right",
         "one two three four five"),
        ("one two three x y z", "one two three four five six", ""),
        ("noon", "noon", "noon"),
        ("anything", "", ""),
    ],
)  # fmt: skip
def test_the_words_of_a_passage_are_found_on_its_page(page: str, passage: str, found: str) -> None:
    spans = list(runs(words(page), [word.text for word in words(passage)]))

    assert "".join(page[start:end] for start, end in spans) == found


def test_the_system_says_what_waits_what_failed_and_what_runs(filled: Api) -> None:
    body = filled.client.get("/system").json()

    (failure,) = body["failures"]
    assert (failure["code"], failure["documents"]) == ("corrupt_file", 1)
    assert {row["state"] for row in body["generations"]} == {"live"}
    assert body["queue"] == {"pending": 0, "hints": 0, "oldest_pending_s": 0.0}
    assert body["versions"]["PostgreSQL"] and body["versions"]["rag-assets"]
    assert body["runs"][0]["seconds"] >= 0
    assert body["service"]["model_warm"] is True


def test_a_namespaces_key_sees_only_its_part_of_the_system(filled: Api) -> None:
    key = {"X-API-Key": filled.key("globex")}
    text = filled.client.get("/system", headers=key).text

    assert "globex" in text and "acme" not in text.replace("acme/bag-of-words", "")


def test_markup_in_a_name_stays_a_name(api: Api) -> None:
    name = "<img src=x onerror=alert(1)>.txt"
    api.upload((name, b"<script>alert(2)</script> rope"))
    api.ingest_uploads()
    (row,) = listed(api)["documents"]
    answer = api.client.get(f"/documents/{row['document_id']}/passage")

    assert row["document"] == name
    assert "<script>" in answer.json()["passage"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_is_served_to_everybody_under_a_strict_policy(make_api: MakeApi) -> None:
    from rag.api import page_routes

    api = make_api()
    wait_until_warm(api)
    api.key()  # from now on all else needs one

    answers = {path: api.client.get(path) for path in page_routes.paths().values()}

    assert {answer.status_code for answer in answers.values()} == {200}
    for path, answer in answers.items():
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy
        # the viewer of /docs writes its own styles
        assert path.startswith("/docs") or "unsafe-inline" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert api.client.get("/files", params=ACME).status_code == 401
    assert api.client.get("/page/../app.py").status_code in (401, 404)
    assert page_routes.missing() == []


def test_a_document_with_a_list_is_there_for_its_principals_only(filled: Api) -> None:
    filled.conn.execute("update document set principals = '{board}' where uri like '%b.txt'")
    (row,) = filled.conn.execute("select id from document where uri like '%b.txt'").fetchall()
    keys = {
        principals: access.create_key(
            filled.conn, KeyScope("acme", "write", None, principals), None
        )
        for principals in ((), ("board",))
    }

    def ask(principals: tuple[str, ...], path: str) -> Any:
        headers = {"Authorization": f"Bearer {keys[principals]}"}
        return filled.client.get(path, params=DOCS, headers=headers)

    assert names(ask((), "/documents").json()) == ["a.txt", "bad.txt", "c.txt"]
    assert names(ask(("board",), "/documents").json()) == ["a.txt", "b.txt", "bad.txt", "c.txt"]
    for what in ("passage", "pages/1.png"):
        path = f"/documents/{row['id']}/{what}"
        assert ask((), path).json()["code"] == "document_not_found"
        assert ask(("board",), path).json().get("code") != "document_not_found"
