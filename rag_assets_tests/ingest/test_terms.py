"""Passwords and limits of one collection reach its files, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import SecretStr

from rag.errors import ConfigurationError
from rag.ingest.terms import terms_of
from rag.model import CollectionName
from rag.parse.office_lock import password_required
from rag.ports import FileLimits, ParseJob, ParseOutcome
from rag.settings import Settings, load_settings
from rag.store import ledger
from rag.store.collections import find_collection
from rag_assets_tests.fakes import FakeParser
from rag_assets_tests.ingest.harness import ACME, Harness
from rag_assets_tests.world import served

KEY = "open sesame 148"
OTHER = CollectionName("acme", "other")


@dataclass(slots=True)
class LockedParser(FakeParser):
    """Every file is under KEY; `jobs` are those it was given."""

    jobs: list[ParseJob] = field(default_factory=list)

    def parse(self, jobs: Iterable[ParseJob]) -> Iterator[ParseOutcome]:
        for job in jobs:
            self.jobs.append(job)
            if KEY in job.passwords:
                yield from FakeParser.parse(self, [job])
            else:
                yield ParseOutcome(job.key, None, password_required("PDF"), 0.0)


def letters(harness: Harness) -> list[str]:
    collection = find_collection(harness.conn, ACME)
    return [row["code"] for row in ledger.open_letters(harness.conn, collection.id, [0])]


def retry(harness: Harness) -> None:
    ledger.retry(harness.conn, find_collection(harness.conn, ACME).id)


def test_a_retry_succeeds_when_the_password_was_added(harness: Harness) -> None:
    harness.parser = LockedParser()
    harness.source.put("a.pdf", b"Behind the lock.")
    harness.settings = {"document_passwords": {str(OTHER): (KEY,)}}
    harness.run()
    assert letters(harness) == ["password_required"]
    harness.settings = {"document_passwords": {str(ACME): ("wrong", KEY)}}
    harness.run()
    assert letters(harness) == ["password_required"]
    retry(harness)
    harness.run()
    assert letters(harness) == []
    assert list(served(harness.conn, str(ACME)).values()) == ["Behind the lock."]


def test_no_password_is_stored(harness: Harness) -> None:
    harness.parser = LockedParser()
    harness.source.put("a.pdf", b"Behind the lock.")
    harness.settings = {"document_passwords": {str(ACME): (KEY,)}}
    harness.run()
    tables = harness.conn.execute(
        "select tablename as name from pg_tables where schemaname = 'public'"
    ).fetchall()
    assert len(tables) > 10
    for table in tables:
        rows = harness.conn.execute(f"select * from {table['name']}".encode()).fetchall()
        assert KEY not in repr(rows)
    assert KEY not in repr(terms_of(harness.shop().settings, ACME))


def test_a_file_beyond_its_collections_limit_goes_through_when_it_is_raised(
    harness: Harness,
) -> None:
    harness.source.put("a.txt", b"A few words more than twenty bytes.")
    harness.settings = {"collection_limits": {str(ACME): {"max_file_bytes": 20}}}
    harness.run()
    assert letters(harness) == ["file_too_large"]
    harness.settings = {"collection_limits": {str(ACME): {"max_file_bytes": 200}}}
    retry(harness)
    harness.run()
    assert letters(harness) == []
    assert len(served(harness.conn, str(ACME))) == 1


def test_limits_of_a_collection_reach_the_parser_and_default_to_those_of_all(
    harness: Harness,
) -> None:
    harness.parser = parser = LockedParser()
    harness.source.put("a.txt", b"text")
    harness.settings = {
        "max_pages": 7,
        "collection_limits": {str(ACME): {"parse_wall_s": 5, "parse_memory_bytes": 1e9}},
    }
    harness.run()
    assert parser.jobs[0].limits == FileLimits(100 * 1024 * 1024, 7, 5.0, 1_000_000_000)
    assert terms_of(harness.shop().settings, OTHER).limits is None


def test_the_file_of_settings_holds_both_as_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rag.toml").write_text(
        f'[document_passwords]\n"acme/docs" = ["{KEY}"]\n'
        '[collection_limits]\n"acme/docs" = {max_pages = 3}\n',
        encoding="utf-8",
    )
    settings = load_settings()
    assert settings.document_passwords == {"acme/docs": (SecretStr(KEY),)}
    assert settings.limits_of("acme/docs").max_pages == 3
    assert KEY not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DOCUMENT_PASSWORDS", '{"acme": ["%s"]}', "not a collection name"),
        ("DOCUMENT_PASSWORDS", '{"acme/docs": "%s"}', "document_passwords"),
        ("DOCUMENT_PASSWORDS", '{"acme/docs": %s', "as JSON"),
        ("COLLECTION_LIMITS", '{"acme/docs": {"max_pags": 3}}', "max_pages"),
        ("COLLECTION_LIMITS", '{"acme/docs": {"max_pages": 0}}', "greater than 0"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"RAG_{name}", value.replace("%s", KEY))
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_settings()
    assert caught.value.code == "bad_setting"
    assert KEY not in caught.value.message


def test_settings_are_the_same_for_a_collection_that_has_none_of_its_own() -> None:
    settings = Settings(max_pages=9)
    assert settings.limits_of("acme/docs").max_pages == 9
