"""Generations in Dagster: the gate as a blocking check of the index, and jobs that build, promote
and roll back from the UI."""

# no `from __future__ import annotations`: dagster compares the annotation of `context` by identity
import warnings
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from rag_assets.failures import named_failures
from rag_assets.metadata import Metadata, markdown_table
from rag_assets.partitions import collections_partitions
from rag_assets.shards import open_shard
from resources.postgres import DatabaseResource
from resources.workshop import WorkshopResource

if TYPE_CHECKING:
    from rag.generations.approval import Approval


def gate_check() -> dg.AssetChecksDefinition:
    """The check `candidate_passes_gate` of `search_index`."""
    with warnings.catch_warnings():
        # partitioned checks are in preview; a test holds what we rely on
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return _gate_check()


def _gate_check() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="search_index",
        name="candidate_passes_gate",
        blocking=True,
        partitions_def=collections_partitions,
        description="A candidate generation that has caught up serves only when it passes the "
        "gate: golden set, counts, filtered recall, latency. Collections without a gate pass.",
    )
    def candidate_passes_gate(
        context: dg.AssetCheckExecutionContext, workshop: WorkshopResource
    ) -> dg.AssetCheckResult:
        from rag.generations.approval import approve

        with open_shard(context, workshop) as (shop, shard):
            approval = approve(shop, shard)
        return dg.AssetCheckResult(
            passed=approval.passed,
            # what was said before stops no later run: ingest of the live generation goes on
            severity=dg.AssetCheckSeverity.ERROR if approval.is_new else dg.AssetCheckSeverity.WARN,
            description=approval.text,
            metadata=approval_metadata(approval),
        )

    return candidate_passes_gate


def approval_metadata(approval: "Approval") -> Metadata:
    """What the gate said, as people read it."""
    report = approval.report
    if report is None:
        return {}
    scores = [
        (each["metric"], each["questions"], f"{each['live']:.4f}", f"{each['candidate']:.4f}",
         f"{each['low']:+.4f} to {each['high']:+.4f}", each["reason"] or "ok")
        for each in report["comparisons"]
    ]  # fmt: skip
    checks = [(each["name"], "ok" if each["passed"] else "FAILED", each["text"])
              for each in report["checks"]]  # fmt: skip
    worse = [(each["question"], f"{each['live']:.2f}", f"{each['candidate']:.2f}")
             for each in report["worse"]]  # fmt: skip
    return {
        "candidate": dg.MetadataValue.int(report["candidate"]),
        "dataset": dg.MetadataValue.text(
            report["dataset"] + (", made of passages" if report["is_synthetic"] else "")
        ),
        "scores": dg.MetadataValue.md(
            markdown_table(("metric", "questions", "live", "candidate", "95 %", "verdict"), scores)
        ),
        "checks": dg.MetadataValue.md(markdown_table(("check", "result", "facts"), checks)),
        "worse_questions": dg.MetadataValue.md(
            markdown_table(("question", "live", "candidate"), worse) if worse else "none"
        ),
    }


class BuildConfig(dg.Config):
    """What to build."""

    collection: str = Field(description="The collection, as namespace/name.")
    recipe: dict[str, str] = Field(
        default={},
        description="Settings that differ, such as chunk_size: '128' or embedding_model.",
    )
    is_held: bool = Field(
        default=False, description="Let it wait though the collection is not gated."
    )


@dg.op(name="build_beside_live", pool="embedding")
def _build_generation(
    context: dg.OpExecutionContext, config: BuildConfig, workshop: WorkshopResource
) -> None:
    from rag.generations.promotion import build_candidate
    from rag.model import CollectionName
    from rag.recipe import parse_recipe

    with named_failures(), workshop.open(context.run.run_id, context.log.info) as shop:
        recipe = parse_recipe([f"{name}={value}" for name, value in config.recipe.items()])
        built = build_candidate(
            shop, CollectionName.parse(config.collection), recipe, is_held=config.is_held
        )
    context.add_output_metadata(
        {"generation": built.generation, "is_live": built.is_live, "behind": built.behind,
         "embedded": built.embedded, "seconds": round(built.seconds, 3)}
    )  # fmt: skip


@dg.job(
    executor_def=dg.in_process_executor,
    description="Builds a generation of a collection under another recipe beside the live one, as "
    "`rag index build` does. Searches go on; it waits for the gate where there is one.",
)
def build_generation() -> None:
    """A candidate."""
    _build_generation()


class MoveConfig(dg.Config):
    """Which generation is to serve."""

    collection: str = Field(description="The collection, as namespace/name.")
    generation: int | None = Field(
        default=None, description="The generation's number. Rolling back without one: the last."
    )
    is_forced: bool = Field(
        default=False, description="Though it lacks documents or the gate did not pass it."
    )


@dg.op(name="point_to_candidate")
def _promote_generation(
    context: dg.OpExecutionContext, config: MoveConfig, database: DatabaseResource
) -> None:
    from rag.errors import ConfigurationError
    from rag.generations.promotion import promote
    from rag.model import CollectionName
    from rag.settings import load_settings

    with named_failures(), database.connect() as conn:
        if config.generation is None:
            raise ConfigurationError("Name the generation to promote.", code="bad_setting")
        moved = promote(
            conn, CollectionName.parse(config.collection), config.generation, load_settings(),
            is_forced=config.is_forced,
        )  # fmt: skip
    context.add_output_metadata({"generation": moved.generation, "before": moved.before or 0})


@dg.job(
    executor_def=dg.in_process_executor,
    description="Lets a candidate generation serve, as `rag index promote` does: one pointer moves "
    "in one transaction.",
)
def promote_generation() -> None:
    """A candidate goes live."""
    _promote_generation()


@dg.op(name="point_back")
def _roll_back_generation(
    context: dg.OpExecutionContext, config: MoveConfig, database: DatabaseResource
) -> None:
    from rag.generations.promotion import roll_back
    from rag.model import CollectionName
    from rag.settings import load_settings

    with named_failures(), database.connect() as conn:
        moved = roll_back(
            conn, CollectionName.parse(config.collection), load_settings(), config.generation
        )
    context.add_output_metadata({"generation": moved.generation, "behind": moved.behind})


@dg.job(
    executor_def=dg.in_process_executor,
    description="Lets the generation serve again that served before, as `rag index rollback` does, "
    "in under a second. What was deleted meanwhile stays deleted.",
)
def roll_back_generation() -> None:
    """Back to what was."""
    _roll_back_generation()


GENERATION_JOBS = (build_generation, promote_generation, roll_back_generation)
