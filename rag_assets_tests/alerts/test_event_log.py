"""The event log is read by number, each event once, from Dagster's storage in Postgres."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest

from rag.store.database import Connection
from rag_assets_tests.assets.bench import DAGSTER_WARNINGS
from rag_assets_tests.databases import with_database
from sensors import event_log
from sensors.alerts import watch
from sensors.event_log import newest_position, read_page

pytestmark = [
    pytest.mark.slow,
    DAGSTER_WARNINGS,
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]

PARTITIONS = dg.StaticPartitionsDefinition(["acme/one", "acme/two"])
LATER = timedelta(minutes=1)


@pytest.fixture
def instance(postgres_server: str) -> Iterator[dg.DagsterInstance]:
    """Dagster's storage in a database of its own."""
    name = f"dagster_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
        url = with_database(postgres_server, name).replace("postgresql:", "postgresql+psycopg2:", 1)
        storage = {"postgres": {"postgres_url": url}}
        with dg.instance_for_test(overrides={"storage": storage}) as made:
            yield made
        admin.execute(f"drop database {name} with (force)".encode())


def run(
    instance: dg.DagsterInstance,
    partition: str,
    *,
    fails: bool = False,
    blocks: bool = False,
    raises: bool = False,
    tags: dict[str, str] | None = None,
) -> None:
    """A run of an asset with one check."""

    @dg.asset(partitions_def=PARTITIONS)
    def things() -> None:
        if raises:
            raise ValueError("boom")

    @dg.asset_check(asset=things, blocking=blocks, partitions_def=PARTITIONS)
    def sound() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=not fails, description="3 of 5")

    job = dg.Definitions(
        assets=[things],
        asset_checks=[sound],
        jobs=[dg.define_asset_job("ingest", selection="*")],
        executor=dg.in_process_executor,
    )
    job.get_repository_def().get_job("ingest").execute_in_process(
        instance=instance, partition_key=partition, raise_on_error=False, tags=tags
    )


def read_all(instance: dg.DagsterInstance, after: int = 0) -> list[tuple[str, bool]]:
    now = datetime.now(UTC) + LATER
    found: list[tuple[str, bool]] = []
    while (page := read_page(instance, after, now)).position > after:
        found += [(signal.key, signal.is_well) for signal in page.signals]
        after = page.position
    return found


def test_pages_hold_each_event_once_and_in_order(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        run(instance, "acme/one", raises=bool(number % 2))
    whole = read_all(instance)
    runs = [well for key, well in whole if key == "run:ingest:acme/one"]
    assert runs == [True, False, True, False, True]
    assert len(whole) == 8  # the check ran three times

    for batch in (1, 2, 3):
        monkeypatch.setattr(event_log, "BATCH", batch)
        assert read_all(instance) == whole


def test_an_event_that_has_not_settled_waits(instance: dg.DagsterInstance) -> None:
    run(instance, "acme/one")

    assert read_page(instance, 0, datetime.now(UTC), settle_s=60).position == 0
    assert read_page(instance, 0, datetime.now(UTC) + LATER, settle_s=3).position > 0


def test_a_run_that_is_tried_again_is_not_told(instance: dg.DagsterInstance) -> None:
    run(instance, "acme/one", raises=True, tags={"dagster/will_retry": "true"})

    assert read_all(instance) == []
    assert newest_position(instance) > 0


def incidents(conn: Connection) -> list[tuple[str, str, bool]]:
    rows = conn.execute("select key, severity, closed_at is null as is_open from incident")
    return [(row["key"], row["severity"], row["is_open"]) for row in rows]


def test_history_before_the_first_look_is_not_told(
    conn: Connection, instance: dg.DagsterInstance
) -> None:
    run(instance, "acme/one", raises=True)

    watch(conn, instance, settle_s=0)
    watch(conn, instance, settle_s=0)

    assert incidents(conn) == []


def test_storage_that_was_made_anew_is_read_from_its_start_on(
    conn: Connection, instance: dg.DagsterInstance
) -> None:
    conn.execute("insert into event_position values ('alerts', 1000000)")
    watch(conn, instance, settle_s=0)
    run(instance, "acme/one", raises=True)

    watch(conn, instance, settle_s=0)

    assert incidents(conn) == [("run:ingest:acme/one", "error", True)]


def test_a_failure_is_not_hidden_behind_another_partition_that_passes(
    conn: Connection, instance: dg.DagsterInstance
) -> None:
    watch(conn, instance, settle_s=0)
    run(instance, "acme/one", fails=True)
    run(instance, "acme/two")
    watch(conn, instance, settle_s=0)

    assert incidents(conn) == [("check:things:sound:acme/one", "error", True)]

    run(instance, "acme/one")
    watch(conn, instance, settle_s=0)
    assert incidents(conn) == [("check:things:sound:acme/one", "error", False)]


def test_a_check_that_stops_a_run_is_one_incident(
    conn: Connection, instance: dg.DagsterInstance
) -> None:
    watch(conn, instance, settle_s=0)
    run(instance, "acme/one", fails=True, blocks=True)

    watch(conn, instance, settle_s=0)

    assert incidents(conn) == [("check:things:sound:acme/one", "error", True)]
