"""The daemon is killed while an alert is on its way, and the platform comes back under another
configuration: what was being told is told, and what is out of date is seen and brought up to date.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from rag.model import CollectionName
from rag.store import collections
from rag.store.database import Connection
from rag_assets_tests.acceptance.documents import baking, weather, write
from rag_assets_tests.acceptance.installation import Installation, collect, installation, served
from rag_assets_tests.alerts.receivers import HttpReceiver, http_receiver
from rag_assets_tests.stack.processes import eventually

pytestmark = pytest.mark.slow

TOLD, BUILT = CollectionName("acme", "told"), CollectionName("acme", "built")
SIZE = 3
STEP_S = 180.0
ASSETS = ("raw_documents", "parsed_documents", "chunks", "embeddings", "search_index")
_STALE = """query Stale($keys: [AssetKeyInput!]!, $partition: String!) {
  assetNodes(assetKeys: $keys) { assetKey { path } staleStatus(partition: $partition)
    staleCauses(partition: $partition) { category reason } } }"""
_BACKFILL = """mutation Backfill($given: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $given) { __typename
    ... on PythonError { message } } }"""


class Restarted(NamedTuple):
    platform: Installation
    conn: Connection
    web: HttpReceiver
    files: Path
    in_flight: str  # the key of the notice that was on its way when the daemon was killed


@pytest.fixture(scope="module")
def restarted() -> Iterator[Restarted]:
    with tempfile.TemporaryDirectory(prefix="rag-test-") as made, http_receiver() as web:
        home, files = Path(made) / "home", Path(made) / "files"
        routes = {"hook": {"channel": "webhook", "url": web.url}}
        given = {"RAG_SENSOR_INTERVAL_S": "1", "RAG_WATCH_INTERVAL_S": "2",
                 "RAG_ALERT_ROUTES": json.dumps(routes), "RAG_ALERT_TIMEOUT_S": "60"}  # fmt: skip
        web.answering.clear()  # it takes requests, and answers none
        with installation(home, given, with_service=False) as platform, platform.connect() as conn:
            # texts of their own: what is reused was not embedded, and uses up no budget
            for name, text in ((TOLD, weather), (BUILT, baking)):
                write(files / name.collection, [text(n) for n in range(SIZE)], "report")
                collection = collect(conn, name, files / name.collection)
                wait_until_served(conn, collection)
            age(conn, TOLD)
            assert eventually(lambda: len(web.held) == 1, STEP_S)
            platform.kill_daemon()
        assert web.came == []
        (in_flight,) = web.held
        web.answering.set()
        # another configuration, and so small a budget that nothing is rebuilt by itself
        given |= {"RAG_CHUNK_SIZE": "64", "RAG_CHUNK_OVERLAP": "0",
                  "RAG_REINDEX_EMBEDDINGS_PER_DAY": "1"}  # fmt: skip
        with installation(home, given, with_service=False) as platform, platform.connect() as conn:
            yield Restarted(platform, conn, web, files, in_flight)


def wait_until_served(conn: Connection, collection: collections.Collection) -> None:
    assert eventually(lambda: served(conn, collection) == SIZE, STEP_S)


def age(conn: Connection, name: CollectionName) -> None:
    """Nobody has looked at the collection's source for ten hours."""
    conn.execute(
        "update source set listed_at = now() - interval '10 hours' where collection_id = %s",
        [collections.find_collection(conn, name).id],
    )


def test_a_notice_in_flight_when_the_daemon_is_killed_comes_once_more_under_its_id(
    restarted: Restarted,
) -> None:
    web, key = restarted.web, "check:search_index:freshness:acme/told"
    assert eventually(lambda: bool(web.came), STEP_S)
    assert web.events()[0] == ("opened", key)
    assert web.came[0][2] == restarted.in_flight

    # a run that the incident asked for before the daemon was killed may have ended it already
    (restarted.files / "told" / "report-0.md").write_text("# Anew\n\nThe lift runs again.\n")
    assert eventually(lambda: len(web.came) > 1, STEP_S), web.events()
    assert web.events() == [("opened", key), ("recovered", key)]

    # a relapse within the cool-down is the same incident: it is kept, and not told
    age(restarted.conn, TOLD)
    incident = "select signals, closed_at from incident where kind = 'freshness'"
    assert eventually(
        lambda: restarted.conn.execute(incident).fetchall()[0]["closed_at"] is None, STEP_S
    )
    (row,) = restarted.conn.execute(incident).fetchall()
    assert row["signals"] == 2
    restarted.platform.after_looks("alert_sensor", 3)
    assert len(web.came) == 2
    (notices,) = restarted.conn.execute("select count(*) as made from notice").fetchall()
    assert notices["made"] == 2


def test_a_new_configuration_makes_assets_stale_and_a_backfill_brings_them_up_to_date(
    restarted: Restarted,
) -> None:
    platform, keys = restarted.platform, [{"path": [name]} for name in ASSETS]

    def states() -> dict[str, str]:
        nodes = platform.graphql(_STALE, keys=keys, partition=str(BUILT))["assetNodes"]
        return {node["assetKey"]["path"][0]: node["staleStatus"] for node in nodes}

    assert eventually(lambda: states()["chunks"] == "STALE", STEP_S), states()
    assert states()["parsed_documents"] == "FRESH"
    nodes = platform.graphql(_STALE, keys=[{"path": ["chunks"]}], partition=str(BUILT))
    (cause,) = nodes["assetNodes"][0]["staleCauses"]
    assert cause["category"] == "CODE"
    (before,) = _live(restarted)

    given = {"assetSelection": keys, "partitionNames": [str(BUILT)]}
    answer = platform.graphql(_BACKFILL, given=given)["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer

    assert eventually(lambda: set(states().values()) == {"FRESH"}, STEP_S), states()
    (after,) = _live(restarted)
    assert after["chunker"] != before["chunker"]
    assert (after["parser"], after["model"]) == (before["parser"], before["model"])


def _live(restarted: Restarted) -> list[dict[str, object]]:
    from rag.store import standing

    collection = collections.find_collection(restarted.conn, BUILT)
    rows = standing.generations(restarted.conn, collection.id)
    return [row for row in rows if row["state"] == "live"]
