"""The graph as it stands: an unintended change shows in review as a change of the snapshot.

After an intended one: `python -m rag_assets_tests.assets.test_asset_graph` writes it anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.automation_tick_evaluation_context import (
    build_run_requests_with_backfill_policies,
)
from dagster._core.definitions.events import AssetKeyPartitionKey

from rag.settings import Settings
from rag_assets.code_versions import code_versions
from rag_assets.definitions import build_definitions, platform_resources

SNAPSHOT = Path(__file__).with_name("asset_graph.json")


def graph() -> dict[str, object]:
    """Everything people and other code rely on, as JSON values."""
    definitions = build_definitions(Settings(), platform_resources())
    repository = definitions.get_repository_def()
    assets = repository.asset_graph
    return {
        "assets": {
            node.key.to_user_string(): {
                "deps": sorted(key.to_user_string() for key in node.parent_keys),
                "group": node.group_name,
                "kinds": sorted(node.kinds),
                "owners": sorted(node.owners),
                "partitions": getattr(node.partitions_def, "name", None),
                "pools": sorted(node.pools or ()),
                "has_code_version": bool(node.code_version),
                "has_description": len(node.description or "") > 200,
                "table": node.metadata["dagster/table_name"],
                "tags": {k: v for k, v in sorted(node.tags.items()) if "kind" not in k},
            }
            for node in sorted(assets.asset_nodes, key=lambda node: node.key)
        },
        "checks": {
            key.to_user_string(): {
                "blocking": assets.get_check_spec(key).blocking,
                "partitions": getattr(assets.get_check_spec(key).partitions_def, "name", None),
                "description": assets.get_check_spec(key).description,
            }
            for key in sorted(assets.asset_check_keys, key=str)
        },
        "jobs": sorted(j.name for j in repository.get_all_jobs() if not j.name.startswith("__")),
        "sensors": {
            item.name: [item.default_status.value, item.minimum_interval_seconds]
            for item in repository.sensor_defs
        },
        "schedules": {
            item.name: [item.default_status.value, item.cron_schedule]
            for item in repository.schedule_defs
        },
        "resources": sorted(repository.get_top_level_resources()),
    }


def test_the_graph_is_the_one_under_review() -> None:
    assert graph() == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_a_backfill_makes_one_run_per_partition_that_says_which() -> None:
    definitions = build_definitions(Settings(), platform_resources())
    assets = definitions.get_repository_def().asset_graph
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("collections", ["acme/one", "acme/two"])
        requests = build_run_requests_with_backfill_policies(
            [
                AssetKeyPartitionKey(key, partition)
                for key in assets.materializable_asset_keys
                if assets.get(key).group_name == "ingest"
                for partition in ("acme/one", "acme/two")
            ],
            assets,
            dynamic_partitions_store=instance,
        )

    assert sorted(str(request.partition_key) for request in requests) == ["acme/one", "acme/two"]
    assert {len(request.asset_selection or []) for request in requests} == {5}


def test_steps_run_in_one_process_whatever_launches_them() -> None:
    repository = build_definitions(Settings(), platform_resources()).get_repository_def()

    executors = {job.name: job.executor_def.name for job in repository.get_all_jobs()}

    assert executors.keys() == {
        "__ASSET_JOB", "backfill_sources", "build_generation", "evaluate", "ingest", "inspection",
        "promote_generation", "retry_failed", "roll_back_generation", "sweep", "usage",
    }  # fmt: skip
    assert set(executors.values()) == {"in_process"}


@pytest.mark.parametrize(
    ("setting", "changed"),
    [
        ({"chunk_size": 128}, {"chunks"}),
        ({"embedding_precision": "int8"}, {"embeddings"}),
        ({"embedding_model": "another"}, {"chunks", "embeddings"}),
        ({"parse_workers": 7}, set()),
    ],
)
def test_a_setting_changes_the_code_version_of_what_it_decides(
    setting: dict[str, object], changed: set[str]
) -> None:
    before, after = code_versions(Settings()), code_versions(Settings(**setting))  # type: ignore[arg-type]

    assert {name for name in before if before[name] != after[name]} == changed


@pytest.mark.slow
def test_loading_the_graph_imports_no_engine() -> None:
    code = (
        "import sys; from rag_assets.definitions import defs; defs().get_repository_def();"
        "engines = {'docling', 'torch', 'openvino', 'sentence_transformers', 'rag.ingest'};"
        "print(*sorted(engines & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120,
        env={**os.environ, "RAG_HOME": "/nonexistent"},
    )  # fmt: skip

    assert done.stdout.strip() == ""
    assert "Warning" not in done.stderr


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(graph(), indent=2, sort_keys=True) + "\n", encoding="utf-8")
