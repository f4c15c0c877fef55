"""Sources bounded in time, and rag backfill, at the command line."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rag.model import CollectionName
from rag.sources.selection import days_ago
from rag.store import collections
from rag.store.hints import hinted_shards

pytestmark = pytest.mark.slow

NAME = "acme/docs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files last modified now, 100, 500 and 5000 days ago."""
    place = tmp_path / "docs"
    place.mkdir()
    for days in (0, 100, 500, 5000):
        path = place / f"{days}.txt"
        path.write_text(f"Of {days} days ago.")
        at = (datetime.now(UTC) - timedelta(days=days)).timestamp()
        os.utime(path, (at, at))
    return place


def planned(rag) -> set[str]:
    """The files that a run would take."""
    (source,) = rag("plan", NAME, "--json").json["sources"]
    return {item["uri"].rpartition("/")[2] for item in source["objects"]}


def ago(days: int) -> str:
    return days_ago(days, datetime.now(UTC))


def test_a_bounded_source_reaches_back_as_far_as_it_is_told(rag_with_database, conn, folder):
    rag = rag_with_database
    rag("collection", "create", NAME, "--source", str(folder), "--days", "30")
    assert planned(rag) == {"0.txt"}

    told = rag("backfill", NAME)
    assert f"now reaches back to {ago(360)}" in told.out
    assert planned(rag) == {"0.txt", "100.txt"}
    assert len(hinted_shards(conn)) == 1

    assert f"reaches back to {ago(360)} already" in rag("backfill", NAME, "--days", "7").out
    found = rag("backfill", NAME, "--days", "600", "--source", str(folder), "--json").json
    assert found == {
        "collection": NAME,
        "sources": [{"uri": f"file://{folder}/", "since": ago(600), "is_moved": True}],
    }
    assert planned(rag) == {"0.txt", "100.txt", "500.txt"}


def test_the_bound_is_shown_with_its_source(rag_with_database, folder):
    rag = rag_with_database
    rag("collection", "create", NAME, "--source", str(folder), "--since", "2021-03-04")

    assert "(since 2021-03-04)" in rag("collection", "show", NAME).out
    assert "(since 2021-03-04)" in rag("collection", "list").out
    (row,) = rag("collection", "list", "--json").json["collections"]
    assert row["bounds"] == {f"file://{folder}/": "2021-03-04"}
    (source,) = rag("collection", "show", NAME, "--json").json["sources"]
    assert source["options"] == {"since": "2021-03-04"}


def test_a_source_is_bounded_later_and_freed_again(rag_with_database, folder):
    rag = rag_with_database
    rag("collection", "create", NAME, "--source", str(folder))
    assert "has no bound" in rag("backfill", NAME).out
    assert len(planned(rag)) == 4

    bounded = rag("collection", "add-source", NAME, str(folder), "--days", "200", "--json").json
    assert bounded["options"] == {"since": ago(200)}
    assert planned(rag) == {"0.txt", "100.txt"}
    rag("collection", "add-source", NAME, str(folder), "--include", "*")
    assert len(planned(rag)) == 4


def test_the_setting_says_how_far_back_a_backfill_reaches(rag_with_database, folder, monkeypatch):
    monkeypatch.setenv("RAG_BACKFILL_DAYS", "600")
    rag = rag_with_database
    rag("collection", "create", NAME, "--source", str(folder), "--days", "1")

    rag("backfill", NAME)

    assert planned(rag) == {"0.txt", "100.txt", "500.txt"}
    monkeypatch.setenv("RAG_BACKFILL_DAYS", "3651")
    assert rag("backfill", NAME, "--json").json["code"] == "bad_setting"


@pytest.mark.parametrize(
    "wrong",
    [
        ["--days", "0"],
        ["--days", "3651"],
        ["--since", "yesterday"],
        ["--since", "2999-01-01"],
        ["--since", "2021-03-04", "--days", "3"],
    ],
)
def test_a_bound_that_makes_no_sense_is_refused(rag_with_database, conn, folder, wrong):
    answer = rag_with_database("collection", "create", NAME, "-s", str(folder), *wrong, "--json")

    assert (answer.code, answer.json["code"]) == (2, "bad_usage")
    assert collections.list_collections(conn) == []


def test_a_backfill_of_nothing_is_told(rag_with_database, conn, folder):
    rag = rag_with_database
    assert rag("backfill", NAME, "--json").json["code"] == "collection_not_found"
    collections.create_collection(conn, CollectionName.parse(NAME))
    assert "has no source" in rag("backfill", NAME).out
    answer = rag("backfill", NAME, "--source", str(folder), "--json")
    assert (answer.code, answer.json["code"]) == (1, "source_not_found")
    assert rag("backfill", NAME, "--days", "0", "--json").json["code"] == "bad_usage"
