"""A database that may not write, as a standby or for lack of space: what is read goes on."""

from __future__ import annotations

import logging

import pytest

from rag_assets_tests.api.conftest import Api

pytestmark = pytest.mark.slow

ASK = {"query": "rope", "collection": "acme/docs"}


def set_read_only(api: Api, value: str) -> None:
    """For every session of this database that begins from now on; those of the service end."""
    name = api.conn.info.dbname
    api.conn.execute("set default_transaction_read_only = off")
    api.conn.execute(f"alter database {name} set default_transaction_read_only = {value}".encode())
    api.conn.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"  # waits for the end
        " where datname = current_database() and pid <> pg_backend_pid()"
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_searches_and_answers_go_on_and_what_writes_says_why_not(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.acme.source.put("rope.txt", b"The rope is old.")
    api.acme.run()
    logged = "select count(*) as queries from query_log"
    assert api.client.post("/query", json=ASK).status_code == 200
    before = api.conn.execute(logged).fetchone()

    set_read_only(api, "on")
    try:
        with caplog.at_level(logging.WARNING, logger="rag.store.query_log"):
            found, answered = (api.client.post(path, json=ASK) for path in ("/query", "/rag"))
        said = {"query_id": found.json()["query_id"], "thumb": "up"}
        refused = api.client.post("/feedback", json=said)
    finally:
        set_read_only(api, "off")

    assert [found.status_code, answered.status_code] == [200, 200]
    assert found.json()["hits"][0]["text"] == "The rope is old."
    assert "rope" in answered.json()["answer"]
    assert refused.status_code in (404, 503)
    assert api.conn.execute(logged).fetchone() == before
    assert caplog.text.count("cause=database_read_only") == 3  # two searches and an answer
    assert "The rope" not in caplog.text and found.json()["query_id"] in caplog.text
