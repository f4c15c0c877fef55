"""Everything Dagster loads, built when it is asked for and light enough to load in a blink."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from rag.settings import load_settings
from rag_assets.assets import INGEST_ASSETS
from rag_assets.checks import ingest_checks
from rag_assets.code_versions import code_versions
from rag_assets.drift import drift_checks
from rag_assets.evaluation import evaluate, evaluation, quality_check
from rag_assets.generations import GENERATION_JOBS, gate_check
from rag_assets.jobs import ingest, inspection
from rag_assets.upkeep import backfill_sources, retry_failed, sweep, sweep_schedule
from rag_assets.usage import USAGE_ASSETS, usage, usage_schedule
from resources.embedder import EmbedderResource
from resources.object_store import ObjectStoreResource
from resources.parser import ParserResource
from resources.postgres import DatabaseResource
from resources.workshop import WorkshopResource
from sensors.alerts import alert_sensor
from sensors.drift import drift_schedule
from sensors.freshness import freshness_sensor
from sensors.object_store import object_store_sensor
from sensors.queue import queue_sensor
from sensors.reconcile import reconcile_schedule
from sensors.reindex import reindex_sensor

if TYPE_CHECKING:
    from rag.settings import Settings


@dg.definitions
def defs() -> dg.Definitions:
    """The code location, under the settings in force."""
    return build_definitions(load_settings(), platform_resources())


def build_definitions(settings: Settings, resources: Mapping[str, object]) -> dg.Definitions:
    """The same graph over other resources, for tests and the command line."""
    versions = code_versions(settings)

    def versioned(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(code_version=versions[spec.key.to_user_string()])

    return dg.Definitions(
        assets=[
            *(asset.map_asset_specs(versioned) for asset in INGEST_ASSETS),
            *USAGE_ASSETS,
            evaluation,
        ],
        asset_checks=[*ingest_checks(), *drift_checks(), gate_check(), quality_check()],
        jobs=[
            *GENERATION_JOBS,
            backfill_sources,
            evaluate,
            ingest,
            inspection,
            retry_failed,
            sweep,
            usage,
        ],
        sensors=_sensors(settings),
        schedules=[drift_schedule, reconcile_schedule, sweep_schedule, usage_schedule],
        resources=resources,
        # what is launched from the UI outside the job runs in one process, too
        executor=dg.in_process_executor,
    )


def _sensors(settings: Settings) -> list[dg.SensorDefinition]:
    always = [
        object_store_sensor(settings.sensor_interval_s),
        *(
            made(settings.watch_interval_s)
            for made in (freshness_sensor, reindex_sensor, alert_sensor)
        ),
    ]
    if settings.sqs_queue_url is None:
        return always
    return [*always, queue_sensor(settings.sqs_queue_url, settings.s3_region)]


def platform_resources() -> dict[str, object]:
    """The real resources; settings decide where they lead."""
    database, object_store = DatabaseResource(), ObjectStoreResource()
    parser, embedder = ParserResource(), EmbedderResource()
    return {
        "database": database,
        "object_store": object_store,
        "parser": parser,
        "embedder": embedder,
        "workshop": WorkshopResource(
            database=database, object_store=object_store, parser=parser, embedder=embedder
        ),
    }
