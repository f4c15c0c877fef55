"""The endpoints of uploads and files: limits and texts as they were, states as they are."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import IO, Any

import pytest

from rag.api.bucket import Bucket
from rag.errors import UnavailableError
from rag.ingest.pipeline import STAGES
from rag.settings import Settings, load_settings
from rag_assets_tests.api.conftest import ACME, Api, MakeApi

pytestmark = pytest.mark.slow

ROPE = b"# Rope\n\nThe rope is steel. It is greased weekly."


def test_an_upload_becomes_searchable_and_its_job_says_so(api: Api) -> None:
    answer = api.upload(("rope.txt", ROPE), ("pump.txt", b"A pump."))

    assert answer.status_code == 200, answer.text
    job = answer.json()
    assert job["status"] == "processing" and job["total_files"] == 2
    before = api.status(job["job_id"])
    assert (before["status"], before["completed"], before["progress"]) == ("processing", 0, 0.0)
    assert [file["stage"] for file in before["files"]] == ["stored", "stored"]

    api.ingest_uploads()

    after = api.status(job["job_id"])
    assert (after["status"], after["total"], after["completed"]) == ("completed", 2, 2)
    assert after["progress"] == 100.0 and after["percent"] == 100 and after["last_error"] is None
    assert isinstance(after["created_at"], float)
    assert api.ask("steel rope").json()["hits"][0]["document"] == "rope.txt"


def test_a_job_shows_each_files_stage_as_it_moves(api: Api) -> None:
    job_id = api.upload(("rope.txt", ROPE), ("bad.txt", b"BROKEN")).json()["job_id"]
    api.know_uploads()

    def stages() -> list[str]:
        return [file["stage"] for file in api.status(job_id)["files"]]

    seen = [stages()]
    for stage in STAGES.values():
        stage(api.acme.shop(), api.acme.shard)
        seen.append(stages())

    of_rope, of_bad = zip(*seen, strict=True)
    assert of_rope == (
        "stored", "registered", "parsed_documents", "chunks", "chunks", "search_index",
    )  # fmt: skip
    assert of_bad == ("stored", "registered", *["parse"] * 4)


def test_an_upload_is_a_hint_to_look_at_its_source(api: Api) -> None:
    api.upload(("rope.txt", ROPE))

    (row,) = api.conn.execute("select uri from hint").fetchall()
    assert row["uri"] == api.service.bucket.source_uri(api.acme.name) + "rope.txt"


def test_a_collection_that_does_not_exist_is_made(api: Api) -> None:
    answer = api.upload(("rope.txt", ROPE), user_id="acme", project_id="fresh")

    assert answer.status_code == 200
    assert api.ask("rope", collection="acme/fresh").status_code == 200


def test_a_broken_file_fails_alone_and_the_job_admits_it(api: Api) -> None:
    job_id = api.upload(("good.txt", ROPE), ("bad.txt", b"BROKEN")).json()["job_id"]

    api.ingest_uploads()

    job = api.status(job_id)
    assert job["status"] == "completed_with_errors" and job["completed"] == 2
    assert [file["status"] for file in job["files"]] == ["completed", "failed"]
    assert job["files"][1]["error"]["code"] == "corrupt_file"
    assert job["last_error"] == "The file is broken: replace it."


def test_a_job_whose_files_all_failed_has_failed(api: Api) -> None:
    job_id = api.upload(("bad.txt", b"BROKEN")).json()["job_id"]

    api.ingest_uploads()

    assert api.status(job_id)["status"] == "failed"


def test_too_many_files_are_refused_with_the_known_text(api: Api) -> None:
    answer = api.upload(*((f"{n}.txt", b"x") for n in range(16)))

    assert answer.status_code == 400
    assert answer.json()["detail"] == "Too many files. Max 15 allowed per upload."


def test_one_large_file_refuses_the_whole_upload_with_the_known_text(make_api: MakeApi) -> None:
    api = make_api(max_file_mb=1)

    answer = api.upload(("ok.txt", ROPE), ("big.txt", b"x" * (1024 * 1024 + 1)))

    assert answer.status_code == 400
    assert answer.json()["detail"] == "big.txt exceeds 1 MB limit"
    assert api.conn.execute("select from upload_job").fetchall() == []


def test_the_limits_are_those_of_the_original_unless_set() -> None:
    assert (Settings().api_max_files_per_upload, Settings().api_max_file_mb) == (15, 50)
    assert Settings().api_port == 7860


def test_the_names_of_the_original_settings_still_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGESTION_PORT", "7999")
    monkeypatch.setenv("MAX_FILE_MB", "3")

    assert (load_settings().api_port, load_settings().api_max_file_mb) == (7999, 3)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"rename_map": "{"}, "bad_rename_map"),
        ({"rename_map": '["a"]'}, "bad_rename_map"),
        ({"rename_map": '{"rope.txt": 1}'}, "bad_rename_map"),
        ({"rename_map": '"a"'}, "bad_rename_map"),
        ({"rename_map": "[" * 100_000}, "bad_rename_map"),
        ({"rename_map": '{"rope.txt": null}'}, "bad_rename_map"),
        ({"rename_map": '{"rope.txt": "../../etc/passwd"}'}, "bad_filename"),
        ({"rename_map": '{"rope.txt": ".."}'}, "bad_filename"),
        ({"rename_map": '{"rope.txt": "a\\u0000b"}'}, "bad_filename"),
        ({"rename_map": '{"rope.txt": "a\\ud800b"}'}, "bad_filename"),
        ({"rename_map": '{"rope.txt": "rope.txt.acl.json"}'}, "bad_filename"),
        ({"replace_filenames": "rope.txt"}, "bad_replace_filenames"),
        ({"replace_filenames": '{"a": 1}'}, "bad_replace_filenames"),
        ({"replace_filenames": '["a", 1]'}, "bad_replace_filenames"),
        ({"principals": '{"a": 1}'}, "bad_principals"),
        ({"principals": '["eva", "\\ud800"]'}, "bad_principals"),
        ({"user_id": "../x"}, "bad_name"),
    ],
)
def test_malformed_fields_are_refused_not_ignored_and_nothing_is_stored(
    api: Api, form: Any, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, before = put_in(api, monkeypatch), kept(api)

    answer = api.upload(("rope.txt", ROPE), **form)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert stored == [] and kept(api) == before
    # the control: well formed, the same is stored
    assert api.upload(("rope.txt", ROPE), project_id="other").status_code == 200
    assert len(stored) == 1
    assert kept(api) == {table: rows + 1 for table, rows in before.items()}


def put_in(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that will be written in the object store."""
    stored: list[str] = []
    put = api.service.bucket.put

    def noting(uri: str, *given: Any) -> None:
        stored.append(uri)
        put(uri, *given)

    monkeypatch.setattr(api.service.bucket, "put", noting)
    return stored


def kept(api: Api) -> dict[str, int]:
    """Rows that an upload makes."""
    tables = ("upload_job", "collection", "source")
    rows = [api.conn.execute(f"select count(*) as n from {t}".encode()).fetchone() for t in tables]
    return {table: row["n"] for table, row in zip(tables, rows, strict=True) if row is not None}


@pytest.mark.parametrize("missing", ["user_id", "project_id", "files"])
def test_a_missing_field_is_named(api: Api, missing: str) -> None:
    data = {name: value for name, value in ACME.items() if name != missing}
    files = {} if missing == "files" else {"files": ("a.txt", b"x")}

    answer = api.client.post("/upload", data=data, files=files)

    assert answer.status_code == 422 and missing in answer.json()["message"]


def test_renaming_comes_first_and_two_files_can_not_share_a_name(api: Api) -> None:
    renamed = json.dumps({"a.txt": "rope.txt"})

    assert api.upload(("a.txt", ROPE), rename_map=renamed).status_code == 200
    twice = api.upload(("a.txt", ROPE), ("rope.txt", b"x"), rename_map=renamed)

    assert (twice.status_code, twice.json()["code"]) == (400, "duplicate_filename")


def test_other_content_under_a_taken_name_needs_the_callers_word(api: Api) -> None:
    api.upload(("rope.txt", ROPE))
    api.ingest_uploads()

    silent = api.upload(("rope.txt", b"A new text."))
    same = api.upload(("rope.txt", ROPE))
    said = api.upload(("rope.txt", b"A new text."), replace_filenames='["rope.txt"]')

    assert (silent.status_code, silent.json()["code"]) == (409, "file_exists")
    assert (same.status_code, said.status_code) == (200, 200)
    assert api.status(same.json()["job_id"])["files"][0]["status"] in ("completed", "replaced")
    api.ingest_uploads()
    assert api.status(said.json()["job_id"])["status"] == "completed"
    assert "new text" in api.ask("text").json()["hits"][0]["text"]


def test_the_old_version_stays_searchable_when_the_new_one_is_broken(api: Api) -> None:
    api.upload(("rope.txt", ROPE))
    api.ingest_uploads()

    job_id = api.upload(("rope.txt", b"BROKEN"), replace_filenames='["rope.txt"]').json()["job_id"]
    api.ingest_uploads()

    assert api.status(job_id)["status"] == "failed"
    assert "steel" in api.ask("rope").json()["hits"][0]["text"]


def test_a_store_that_does_not_answer_is_said_and_remembered(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UnavailableError("The object store is away.", code="object_store_unavailable")

    monkeypatch.setattr("rag.api.bucket.Bucket.put", refuse)
    answer = api.upload(("rope.txt", ROPE))

    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    (job,) = api.conn.execute("select id from upload_job").fetchall()
    assert api.status(str(job["id"]))["status"] == "failed"


def test_two_uploads_of_one_name_never_meet(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the bytes of one could come to lie under the access list of the other."""
    put = Bucket.put
    is_storing, may_go = Event(), Event()

    def slow(bucket: Bucket, uri: str, file: IO[bytes]) -> None:
        is_storing.set()
        assert may_go.wait(60)
        put(bucket, uri, file)

    monkeypatch.setattr(Bucket, "put", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(api.upload, ("rope.txt", ROPE), principals='["board"]')
        assert is_storing.wait(60)
        try:
            replaced = '["rope.txt"]'
            second = api.upload(("rope.txt", b"Another text."), replace_filenames=replaced)
        finally:
            may_go.set()
        assert first.result().status_code == 200

    assert (second.status_code, second.json()["code"]) == (409, "upload_in_progress")
    again = api.upload(("rope.txt", b"Another text."), replace_filenames=replaced)
    assert again.status_code == 200


def test_a_file_that_never_arrived_is_said_and_keeps_no_name(api: Api) -> None:
    """The service was killed while it stored."""
    job_id = api.upload(("rope.txt", ROPE)).json()["job_id"]
    api.service.bucket.delete(api.service.bucket.source_uri(api.acme.name) + "rope.txt")
    api.conn.execute("update upload_file set stored_at = null")
    assert api.upload(("rope.txt", ROPE)).json()["code"] == "upload_in_progress"

    api.conn.execute("update upload_job set created_at = now() - interval '16 minutes'")

    job = api.status(job_id)
    assert (job["status"], job["files"][0]["error"]["code"]) == ("failed", "upload_interrupted")
    assert "send it again" in job["last_error"]
    assert api.upload(("rope.txt", ROPE)).status_code == 200


@pytest.mark.parametrize("job_id", ["nonsense", str(uuid.UUID(int=0))])
def test_an_unknown_job_has_the_known_text(api: Api, job_id: str) -> None:
    answer = api.client.get("/upload/status", params={"job_id": job_id})

    assert (answer.status_code, answer.json()["detail"]) == (404, "Job not found")


def test_files_are_listed_summarised_and_shown_in_passages(api: Api) -> None:
    api.upload(("Rope Manual.txt", ROPE), ("a.txt", b"Pumps pump."))
    api.ingest_uploads()
    get = api.client.get

    listed = get("/files", params=ACME).json()
    one = {**ACME, "filename": "Rope Manual.txt"}
    (card,) = get("/cards", params=one).json()["cards"]
    (chunk,) = get("/files/chunks", params=one).json()["chunks"]
    (vector,) = get("/files/chunks", params={**one, "with_embedding": True}).json()["chunks"]

    assert listed["filenames"] == ["Rope Manual.txt", "a.txt"]
    assert "steel" in listed["files"][0]["summary"]
    assert get("/file-summary", params=one).json()["summary"] == listed["files"][0]["summary"]
    assert card["card_id"] == "rope-manualtxt-c0001" and "steel" in card["content"]
    assert set(card) == {"user_id", "project_id", "filename", "topic_name", "summary", "content",
                         "page_span", "card_id", "_id"}  # fmt: skip
    assert chunk["embedding"] is None and len(vector["embedding"]) == 384
    assert len(get("/cards", params={**ACME, "limit": 1, "skip": 1}).json()["cards"]) == 1


def test_no_summary_has_the_known_text(api: Api) -> None:
    answer = api.client.get("/file-summary", params={**ACME, "filename": "none.txt"})

    assert (answer.status_code, answer.json()["detail"]) == (
        404, "No summary found for that file.",
    )  # fmt: skip


def test_a_deleted_file_is_out_of_search_at_once_and_stays_out(api: Api) -> None:
    job_id = api.upload(("rope.txt", ROPE)).json()["job_id"]
    api.ingest_uploads()
    one = {**ACME, "filename": "rope.txt"}

    gone = api.client.delete("/files", params=one)

    assert gone.json() == {"message": "File deleted"}
    assert api.ask("rope").json()["hits"] == []
    assert api.status(job_id)["files"][0]["status"] == "deleted"
    api.ingest_uploads()
    assert api.ask("rope").json()["hits"] == []
    assert api.client.delete("/files", params=one).status_code == 404


def test_what_was_not_uploaded_is_not_deleted_here(api: Api) -> None:
    api.acme.source.put("theirs.txt", ROPE)
    api.acme.run()

    answer = api.client.delete("/files", params={**ACME, "filename": "theirs.txt"})

    assert (answer.status_code, answer.json()["code"]) == (409, "not_an_upload")
    assert api.ask("rope").json()["hits"]


def test_uploads_survive_a_restart_of_the_service(make_api: MakeApi) -> None:
    first = make_api()
    job_id = first.upload(("rope.txt", ROPE)).json()["job_id"]

    # the same database, another process as far as it knows
    from fastapi.testclient import TestClient

    from rag.api.app import build_app
    from rag.api.pool import Database
    from rag.api.service import Service

    parts = first.service
    again = Service(
        parts.settings,
        Database(first.acme.database_url, parts.settings),
        parts.embedder,
        parts.bucket,
        parts.pages,
        parts.model_name,
    )
    with TestClient(build_app(again), base_url="http://127.0.0.1") as client:
        found = client.get("/upload/status", params={"job_id": job_id}).json()
    assert (found["total"], found["status"]) == (1, "processing")
