"""The real graph over a real database, with free engines and sources in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Unpack

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from rag.errors import RagError
from rag.model import CollectionName, SourceOptions
from rag.ports import Embedder, Parser, Source, Tokenizer
from rag.settings import load_settings
from rag.sources.selection import Selection, selected_rows
from rag.store import collections
from rag.store.database import Connection
from rag_assets.definitions import build_definitions
from rag_assets_tests.fakes import FakeParser, FakeTokenizer
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.fakes_source import FakeSource
from resources.embedder import EmbedderResource
from resources.object_store import ObjectStoreResource
from resources.parser import ParserResource
from resources.postgres import DatabaseResource
from resources.workshop import WorkshopResource
from sensors.object_store import object_store_sensor
from sensors.run_history import PARTITION_TAG

COLLECTION = "acme/docs"

# dagster calls its own deprecated property for every nested resource
DAGSTER_WARNINGS = pytest.mark.filterwarnings(
    "ignore:InitResourceContext.dagster_run is deprecated:DeprecationWarning"
)


@dataclass
class Bench:
    """One Dagster instance, one collection with one source; `run` is a run of its partition."""

    conn: Connection
    database_url: str
    instance: dg.DagsterInstance
    sources: dict[str, FakeSource] = field(default_factory=dict)
    unreachable: dict[str, RagError] = field(default_factory=dict)
    parser: FakeParser = field(default_factory=FakeParser)
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    cursor: str | None = None

    def collect(
        self, name: str = COLLECTION, uri: str = "fake://bucket/", shards: int = 1
    ) -> FakeSource:
        """A collection with one more source; its partitions are for others to make."""
        parsed = CollectionName.parse(name)
        known = {(row["namespace"], row["name"]) for row in collections.list_collections(self.conn)}
        if (parsed.namespace, parsed.collection) not in known:
            collections.create_collection(self.conn, parsed, shards=shards)
        collection = collections.find_collection(self.conn, parsed)
        collections.add_source(self.conn, collection, uri)
        self.sources[uri] = FakeSource(uri)
        return self.sources[uri]

    def open_source(self, uri: str, **options: Unpack[SourceOptions]) -> Source:
        if uri in self.unreachable:
            raise self.unreachable[uri]
        return selected_rows(self.sources[uri], Selection.of(**options))

    @property
    def definitions(self) -> dg.Definitions:
        return build_definitions(load_settings(), fake_resources(self))

    def run(
        self,
        partition: str = COLLECTION,
        tags: Mapping[str, str] | None = None,
        checks: Sequence[dg.AssetCheckKey] = (),
    ) -> dg.ExecuteInProcessResult:
        """The job `ingest` on one partition, as `rag ingest` runs it; or some checks alone."""
        self.instance.add_dynamic_partitions("collections", [partition])
        job = self.definitions.get_repository_def().get_job("ingest")
        if checks:
            job = job.get_subset(asset_selection=frozenset(), asset_check_selection=set(checks))
        return job.execute_in_process(
            instance=self.instance,
            partition_key=partition,
            raise_on_error=False,
            tags=dict(tags or {}),
        )

    def run_range(self, first: str, last: str) -> dg.ExecuteInProcessResult:
        """One run over a range of partitions: what nobody should launch."""
        self.instance.add_dynamic_partitions("collections", [first, last])
        job = self.definitions.get_repository_def().get_job("ingest")
        tags = {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }
        return job.execute_in_process(instance=self.instance, raise_on_error=False, tags=tags)

    def tick(self) -> dg.SensorResult:
        """One look of the sensor; the next starts at the cursor this one leaves."""
        resources = fake_resources(self)
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={name: resources[name] for name in ("database", "object_store")},
        )
        result = object_store_sensor(5)(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return result

    def run_requested(self) -> dg.ExecuteInProcessResult:
        """Run what the next tick asks for, as the daemon would."""
        (request,) = self.tick().run_requests or []
        return self.run(str(request.partition_key), request.tags)


def leave_a_run(bench: Bench, status: dg.DagsterRunStatus, partition: str = COLLECTION) -> None:
    """A run of the partition that some other process has made."""
    location = RegisteredCodeLocationOrigin("elsewhere")
    bench.instance.create_run_for_job(
        job_def=bench.definitions.get_repository_def().get_job("ingest"),
        tags={PARTITION_TAG: partition},
        status=status,
        # dagster queues no run without knowing where its code is
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(location, "any"), "ingest"),
    )


def fake_resources(bench: Bench) -> dict[str, object]:
    """The platform's resources with the bench's sources and engines behind them."""

    class Objects(ObjectStoreResource):
        def open_source(self, uri: str, **options: Unpack[SourceOptions]) -> Source:
            return bench.open_source(uri, **options)

    class Parsing(ParserResource):
        def parser(self) -> Parser:
            return bench.parser

    class Embedding(EmbedderResource):
        def embedder(self) -> Embedder:
            return bench.embedder

        def tokenizer(self) -> Tokenizer:
            return FakeTokenizer()

    database, objects = DatabaseResource(url=bench.database_url), Objects()
    parser, embedder = Parsing(), Embedding()
    return {
        "database": database,
        "object_store": objects,
        "parser": parser,
        "embedder": embedder,
        "workshop": WorkshopResource(
            database=database, object_store=objects, parser=parser, embedder=embedder
        ),
    }


def counts(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, object]]:
    """The metadata values of each asset that was materialised."""
    return {
        event.asset_key.to_user_string(): {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }


def check_results(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """Evaluations by check name."""
    return {item.check_name: item for item in result.get_asset_check_evaluations()}


def retries(result: dg.ExecuteInProcessResult) -> int:
    """How often a step was tried again."""
    return sum(event.event_type_value == "STEP_UP_FOR_RETRY" for event in result.all_events)


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What the first failed step says to people, its causes included."""
    event = next(event for event in result.all_events if event.is_step_failure)
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    lines, error = [], data.error
    while error is not None:
        lines.append(error.message)
        error = error.cause
    return "\n".join(lines)
