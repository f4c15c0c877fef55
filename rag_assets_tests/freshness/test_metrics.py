"""Freshness and drift as Prometheus reads them."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from rag.api import watch_meters
from rag.api.watch_meters import WatchMeters
from rag.model import CollectionName
from rag.settings import load_settings
from rag.store import collections, drift, freshness
from rag.store.collections import Collection
from rag.store.database import Connection
from rag.store.drift import Found
from rag_assets_tests.freshness.test_freshness import docs, put  # noqa: F401

pytestmark = pytest.mark.slow


def scrape(conn: Connection) -> dict[str, float]:
    """Each line's value, by name and labels."""
    meters, registry = WatchMeters(), CollectorRegistry()
    registry.register(meters)
    meters.look(conn, load_settings())
    lines = generate_latest(registry).decode().splitlines()
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in lines
        if not line.startswith("#")
    }


def test_freshness_of_each_collection_is_shown(conn: Connection, docs: Collection) -> None:  # noqa: F811
    for number in range(11):
        put(conn, f"{number}", 1000 + number, 1000)
    put(conn, "waits", 300, None)
    freshness.set_objective(conn, docs.id, 8, 600)

    found = scrape(conn)

    assert found['rag_freshness_seconds{collection="acme/docs",quantile="0.5"}'] == 5
    assert found['rag_freshness_seconds{collection="acme/docs",quantile="0.95"}'] == 9.5
    assert found['rag_freshness_behind_seconds{collection="acme/docs"}'] == pytest.approx(300, 1)
    assert found['rag_freshness_objective_seconds{collection="acme/docs",level="warn"}'] == 8
    assert found['rag_freshness_objective_seconds{collection="acme/docs",level="fail"}'] == 600
    assert found['rag_freshness_in_time_ratio{collection="acme/docs"}'] == pytest.approx(9 / 11)
    assert found["rag_collections_left_out"] == 0


def test_drift_is_shown_with_its_limits_until_it_is_judged_anew(
    conn: Connection,
    docs: Collection,  # noqa: F811
) -> None:
    drift.keep_findings(
        conn, docs.id, 0, "topic_drift", [Found("far_share_rise", 0.4, 0.05, 0.3, 0.001)]
    )

    found = scrape(conn)
    labels = 'check="topic_drift",collection="acme/docs",measure="far_share_rise"'
    assert found[f"rag_drift{{{labels}}}"] == 0.4
    limit = 'rag_drift_limit{check="topic_drift",level="%s",measure="far_share_rise"}'
    assert (found[limit % "warn"], found[limit % "fail"]) == (0.05, 0.3)

    drift.keep_findings(conn, docs.id, 0, "topic_drift", [])
    assert not any(line.startswith("rag_drift") for line in scrape(conn))


def test_the_number_of_labels_is_bounded(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_meters, "MOST_COLLECTIONS", 2)
    for number, name in enumerate(("one", "two", "three")):
        made = collections.create_collection(conn, CollectionName("acme", name))
        collections.add_source(conn, made, f"fake://{name}/")
        conn.execute(
            "update source set listed_at = now() - make_interval(hours => %s)"
            " where collection_id = %s",
            [number, made.id],
        )

    found = scrape(conn)

    behind = [line for line in found if line.startswith("rag_freshness_behind_seconds")]
    assert [line.split('"')[1] for line in behind] == ["acme/three", "acme/two"]
    assert found["rag_collections_left_out"] == 1
