"""What is attached to a mail is a document of its own, and shares its mail's fate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag.errors import PolicyError, UnavailableError
from rag.ingest import attachments
from rag.ingest.pipeline import STAGES
from rag.ingest.register import register_documents
from rag.ingest.spool import Spool
from rag.parse.attachments import Attachment
from rag.store import ledger, manifest, retention
from rag.store.collections import find_collection
from rag_assets_tests.fakes import mail
from rag_assets_tests.ingest.harness import ACME, Harness
from rag_assets_tests.world import assert_world_is_sound, served

pytestmark = pytest.mark.slow

WIND = "Station four measures the wind with instrument 148."
SNOW = "The snow stake on the ridge was moved in spring 2024."
BODY = "Please find the two readings attached."
A = "a.eml#attachment=1/wind.txt"
B = "a.eml#attachment=2/snow.txt"


def put(harness: Harness, name: str, *files: tuple[str, str], body: str = BODY) -> None:
    harness.source.put(name, mail(body, *files).encode())


def both(harness: Harness, name: str = "a.eml") -> None:
    put(harness, name, ("wind.txt", WIND), ("snow.txt", SNOW))


def texts(harness: Harness) -> dict[str, str]:
    assert_world_is_sound(harness.conn)
    return {
        uri.removeprefix(harness.source.uri): text
        for uri, text in served(harness.conn, str(ACME)).items()
    }


def letters(harness: Harness) -> dict[str, str]:
    collection = find_collection(harness.conn, ACME)
    rows = ledger.open_letters(harness.conn, collection.id, [0])
    return {row["uri"].removeprefix(harness.source.uri): row["code"] for row in rows}


def retry(harness: Harness, name: str) -> int:
    collection = find_collection(harness.conn, ACME)
    return ledger.retry(harness.conn, collection.id, harness.source.uri + name)


def ids(harness: Harness) -> dict[str, int]:
    rows = harness.conn.execute("select uri, id from document where deleted_at is null")
    return {row["uri"].removeprefix(harness.source.uri): row["id"] for row in rows}


def work(counts: dict[str, dict[str, int]]) -> tuple[int, int]:
    return counts["parsed_documents"]["parsed"], counts["embeddings"]["embedded"]


def test_attachments_are_found_and_linked_to_their_mail_in_one_run(harness: Harness) -> None:
    both(harness)
    counts = harness.run()
    assert texts(harness) == {"a.eml": BODY, A: WIND, B: SNOW}
    assert counts["parsed_documents"]["attachments"] == 2
    assert harness.search("instrument 148").hits[0].uri.endswith(A)
    rows = harness.conn.execute(
        """select distinct mail.uri from document join document as mail
        on mail.id = document.parent_id"""
    ).fetchall()
    assert [row["uri"] for row in rows] == [harness.source.uri + "a.eml"]


def test_attachments_are_for_those_who_may_see_the_mail_from_the_start(harness: Harness) -> None:
    harness.source.put("a.eml.acl.json", b'{"principals": ["ann"]}')
    nested = mail("Inner.", ("snow.txt", SNOW))
    put(harness, "a.eml", ("wind.txt", WIND), ("inner.eml", nested))
    harness.run()
    rows = harness.conn.execute("select principals from document").fetchall()
    assert [row["principals"] for row in rows] == [["ann"]] * 4


def test_a_second_run_does_nothing(harness: Harness) -> None:
    both(harness)
    harness.run()
    counts = harness.run()
    assert work(counts) == (0, 0)
    assert counts["raw_documents"]["deleted"] == counts["raw_documents"]["held"] == 0
    assert len(harness.parser.unpacked) == 1
    assert len(texts(harness)) == 3


def test_a_copy_of_a_mail_has_attachments_too_and_parses_none(harness: Harness) -> None:
    both(harness)
    harness.run()
    both(harness, "b.eml")
    counts = harness.run()
    assert work(counts) == (0, 0)
    assert len(texts(harness)) == 6


def test_an_edited_mail_drops_and_gains_attachments(harness: Harness) -> None:
    both(harness)
    harness.run()
    put(harness, "a.eml", ("wind.txt", WIND), ("rain.txt", "Rain fell twice."))
    counts = harness.run()
    assert set(texts(harness)) == {"a.eml", A, "a.eml#attachment=2/rain.txt"}
    # the mail itself and what is new; its body is embedded already
    assert work(counts) == (2, 1)


def test_a_mail_that_lost_all_attachments_keeps_none(harness: Harness) -> None:
    both(harness)
    harness.run()
    harness.source.put("a.eml", b"Nothing is attached any more.")
    harness.run()
    assert set(texts(harness)) == {"a.eml"}


def test_a_renamed_mail_takes_its_attachments_along(harness: Harness) -> None:
    both(harness)
    harness.run()
    before = ids(harness)
    harness.source.rename("a.eml", "old/b.eml")
    counts = harness.run()
    assert counts["raw_documents"]["renamed"] == 1
    assert work(counts) == (0, 0)
    assert ids(harness) == {
        name.replace("a.eml", "old/b.eml"): document_id for name, document_id in before.items()
    }
    assert len(texts(harness)) == 3


def test_deletion_takes_attachments_along_and_re_creation_brings_them_back(
    harness: Harness,
) -> None:
    both(harness)
    harness.run()
    harness.source.delete("a.eml")
    counts = harness.run()
    assert (counts["raw_documents"]["deleted"], counts["raw_documents"]["held"]) == (1, 0)
    assert texts(harness) == {}
    assert ids(harness) == {}
    both(harness)
    assert work(harness.run()) == (0, 0)
    assert len(texts(harness)) == 3


def test_an_incomplete_listing_deletes_none(harness: Harness) -> None:
    both(harness)
    harness.run()
    harness.source.delete("a.eml")
    harness.source.is_complete = False
    harness.run()
    assert len(texts(harness)) == 3


def test_attachments_do_not_count_in_the_breaker(harness: Harness) -> None:
    for number in range(4):
        both(harness, f"{number}.eml")
    harness.settings = {"deletion_floor": 1, "deletion_share": 0.3}
    harness.run()
    harness.source.delete("0.eml")
    counts = harness.run()
    assert (counts["raw_documents"]["deleted"], counts["raw_documents"]["held"]) == (1, 0)
    assert len(texts(harness)) == 9
    for number in range(1, 4):
        harness.source.delete(f"{number}.eml")
    counts = harness.run()
    assert (counts["raw_documents"]["deleted"], counts["raw_documents"]["held"]) == (0, 3)
    assert len(texts(harness)) == 9


def test_a_mail_in_a_mail_is_unpacked_down_to_a_depth(harness: Harness) -> None:
    text = mail("innermost", ("too deep.txt", "left out"))
    for name in ("three", "two", "one"):
        text = mail(f"The body of {name}.", (f"{name}.eml", text))
    harness.source.put("a.eml", text.encode())
    harness.run()
    names = ["a.eml"]
    for name in ("one", "two", "three"):
        names.append(f"{names[-1]}#attachment=1/{name}.eml")
    assert list(texts(harness)) and set(texts(harness)) == set(names)
    assert letters(harness) == {names[-1]: "attachments_too_deep"}
    harness.source.delete("a.eml")
    harness.run()
    assert ids(harness) == {} and letters(harness) == {}


def test_one_object_brings_a_bounded_number_of_attachments(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "MAX_IN_ONE_OBJECT", 3)
    inner = mail("inner", *((f"{n}.txt", f"Number {n}.") for n in range(3)))
    put(harness, "a.eml", ("inner.eml", inner), ("wind.txt", WIND))
    put(harness, "b.eml", ("snow.txt", SNOW))
    harness.run()
    assert letters(harness) == {"a.eml#attachment=1/inner.eml": "too_many_attachments"}
    assert len(texts(harness)) == 5


def test_a_bad_attachment_is_its_own_dead_letter_and_retry_replays_it(harness: Harness) -> None:
    put(harness, "a.eml", ("wind.txt", WIND), ("snow.txt", "BROKEN"))
    harness.run()
    assert set(texts(harness)) == {"a.eml", A}
    assert letters(harness) == {B: "corrupt_file"}
    assert harness.run()["parsed_documents"]["parsed"] == 0
    harness.parser.parsed.clear()
    assert retry(harness, B) == 1
    harness.run()
    assert harness.parser.parsed == ["snow.txt"]
    assert letters(harness) == {B: "corrupt_file"}


def test_an_attachment_is_taken_out_of_its_mail_again_when_needed(harness: Harness) -> None:
    both(harness)
    harness.run()
    harness.parser.config = {"parser": "fake", "version": 2}
    harness.parser.parsed.clear()
    harness.parser.unpacked.clear()
    counts = harness.run()
    assert sorted(harness.parser.parsed) == ["a.eml", "snow.txt", "wind.txt"]
    assert harness.parser.unpacked == ["a.eml"]  # once for both
    assert counts["search_index"]["promoted"] == 1
    assert len(texts(harness)) == 3


def test_an_attachment_whose_mail_changed_meanwhile_is_a_passing_failure(harness: Harness) -> None:
    put(harness, "a.eml", ("wind.txt", "BROKEN"))
    harness.run()
    retry(harness, A)
    put(harness, "a.eml", ("wind.txt", WIND))
    shop = harness.shop()
    for name in ("parsed_documents", "chunks", "embeddings", "search_index"):
        STAGES[name](shop, harness.shard)
    assert letters(harness) == {A: "object_changed"}
    harness.run()
    assert texts(harness)[A] == WIND
    assert letters(harness) == {}


def test_a_mail_that_can_not_be_unpacked_stays_searchable_and_is_tried_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    both(harness)

    def refuse(*_: object) -> tuple[Attachment, ...]:
        raise PolicyError("Too many.", code="too_many_attachments")

    with monkeypatch.context() as patched:
        patched.setattr(harness.parser.__class__, "attachments", refuse)
        harness.run()
    assert set(texts(harness)) == {"a.eml"}
    assert letters(harness) == {"a.eml": "too_many_attachments"}
    harness.run()
    assert harness.parser.unpacked == []
    retry(harness, "a.eml")
    harness.run()
    assert len(texts(harness)) == 3
    assert letters(harness) == {}


def test_a_crash_between_mail_and_attachments_loses_none(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    both(harness)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    shop = harness.shop()
    register_documents(shop, harness.shard)
    with monkeypatch.context() as patched:
        patched.setattr(manifest, "attach", crash)
        with pytest.raises(KeyboardInterrupt):
            STAGES["parsed_documents"](shop, harness.shard)
    assert harness.parser.parsed == ["a.eml"]
    assert set(ids(harness)) == {"a.eml"}
    harness.run()
    assert sorted(harness.parser.parsed) == ["a.eml", "snow.txt", "wind.txt"]
    assert len(texts(harness)) == 3


def test_a_forgotten_mail_leaves_no_trace_of_its_attachments(harness: Harness) -> None:
    both(harness)
    harness.source.put("copy.txt", SNOW.encode())
    harness.run()
    collection = find_collection(harness.conn, ACME)
    receipt = retention.erase(harness.conn, collection, harness.source.uri + "a.eml")
    assert set(receipt["left"].values()) == {0}  # type: ignore[attr-defined]
    assert receipt["removed"]["documents"] == 3  # type: ignore[index]
    assert receipt["contents_kept_for_other_documents"] == 1
    assert set(texts(harness)) == {"copy.txt"}
    counts = harness.conn.execute("select count(*) as n from parsed").fetchone()
    assert counts == {"n": 1}
    harness.run()
    assert set(texts(harness)) == {"copy.txt"}


def test_a_forgotten_attachment_stays_out_when_its_mail_changes(harness: Harness) -> None:
    both(harness)
    harness.run()
    collection = find_collection(harness.conn, ACME)
    retention.erase(harness.conn, collection, harness.source.uri + B)
    put(harness, "a.eml", ("wind.txt", WIND), ("snow.txt", SNOW), body="Once more.")
    harness.run()
    assert set(texts(harness)) == {"a.eml", A}


def test_an_object_that_is_named_like_an_attachment_is_left_alone(harness: Harness) -> None:
    harness.source.put(B, b"An object of its own.")
    harness.run()
    both(harness)
    harness.run()
    assert texts(harness)[B] == "An object of its own."
    assert harness.run()["raw_documents"]["unchanged"] == 2
    assert len(texts(harness)) == 3


def test_a_full_spool_costs_a_second_look_and_no_attachment(harness: Harness) -> None:
    both(harness)
    shop = replace(harness.shop(), spool=Spool(harness.folder / "spool", limit_bytes=0))
    for stage in STAGES.values():
        stage(shop, harness.shard)
    assert len(texts(harness)) == 3
    assert harness.source.fetched.count("a.eml") > 1


def test_an_object_that_is_away_is_asked_again(harness: Harness) -> None:
    both(harness)
    shop = harness.shop()
    register_documents(shop, harness.shard)
    STAGES["parsed_documents"](shop, harness.shard)
    harness.parser.config = {"parser": "fake", "version": 2}
    away = UnavailableError("The store is away.", code="store_unavailable")
    harness.source.errors["a.eml"] = away
    harness.run()
    assert set(letters(harness).values()) == {"store_unavailable"}
    harness.source.errors.clear()
    for name in list(letters(harness)):
        retry(harness, name)
    harness.run()
    assert len(texts(harness)) == 3


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a" * 300 + ".pdf", ".pdf"),
        ("ü" * 200 + ".docx", ".docx"),
        ("." + "x" * 300, "x"),
        ("x", "x"),
    ],
)
def test_names_of_attachments_fit_the_index(name: str, ending: str, tmp_path: object) -> None:
    attachment = Attachment(0, name, "text/plain", tmp_path)  # type: ignore[arg-type]
    uri = attachments.attachment_uri("s3://b/a.eml", attachment)
    assert uri.endswith(ending)
    assert len(uri.encode()) <= len("s3://b/a.eml#attachment=1/") + 200
