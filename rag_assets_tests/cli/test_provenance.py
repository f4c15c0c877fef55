from __future__ import annotations

import pytest

from rag.cli.provenance import settings_in_force, strangers, without_password
from rag.settings import Settings

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://me:{SECRET}@host:5432/db", "postgresql://me:****@host:5432/db"),
        (f"postgresql://me@host/db?password={SECRET}", "postgresql://me:****@host/db"),
        (f"postgresql:///db?host=/run&password={SECRET}", "postgresql:/db"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        (f"http://key:{SECRET}@host", "http://key:****@host"),
    ],
)
def test_an_address_is_shown_without_its_secret(url, shown):
    assert without_password(url) == shown


def test_settings_name_where_they_come_from(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rag.toml").write_text("chunk_size = 128\nmax_pages = 7\n", encoding="utf-8")
    monkeypatch.setenv("RAG_MAX_PAGES", "9")
    monkeypatch.setenv("RAG_DATABASE_URL", f"postgresql://me:{SECRET}@host/db")

    rows = {row.name: row for row in settings_in_force(Settings())}

    assert (rows["max_pages"].value, rows["max_pages"].source) == ("9", "RAG_MAX_PAGES")
    assert (rows["chunk_size"].value, rows["chunk_size"].source) == ("128", "rag.toml")
    assert rows["chunk_overlap"].source == "default"
    assert not any(SECRET in row.value for row in rows.values())


def test_a_variable_that_only_looks_like_a_setting_is_named(monkeypatch):
    monkeypatch.setenv("RAG_CHUNKSIZE", "9")
    monkeypatch.setenv("RAG_CHUNK_SIZE", "9")

    assert strangers() == ["RAG_CHUNKSIZE"]
