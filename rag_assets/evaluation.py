"""The quality of what is served, as an asset: each collection's golden questions asked again."""

# no `from __future__ import annotations`: dagster compares the annotation of `context` by identity
import warnings
from typing import TYPE_CHECKING

import dagster as dg

from rag_assets.assets import search_index
from rag_assets.checks import Contract, checks_of
from rag_assets.metadata import Metadata, markdown_table, svg_image
from rag_assets.partitions import collections_partitions
from rag_assets.shards import open_shard
from rag_assets.verdicts import WARN, Verdict
from resources.workshop import WorkshopResource

if TYPE_CHECKING:
    from rag.evaluation.bootstrap import Comparison
    from rag.evaluation.routine import Evaluated
    from rag.ingest.workshop import Workshop
    from rag.model import Shard

GROUP = "evaluation"


@dg.asset(
    group_name=GROUP,
    deps=[search_index],
    kinds={"postgres"},
    owners=["team:data-platform"],
    partitions_def=collections_partitions,
    tags={"stage": "evaluate"},
    metadata={
        "dagster/table_name": "score",
        "dagster/storage_kind": "postgres",
        "tables": "dataset, dataset_item, experiment, experiment_result, score",
    },
)
def evaluation(
    context: dg.AssetExecutionContext, workshop: WorkshopResource
) -> dg.MaterializeResult[None]:
    """How well the live generation finds what it should: the collection's newest golden dataset,
    every question asked through the search that people use.

    **Promises.** Standard metrics by known libraries: hit@k, recall@k, MRR, nDCG@10. A metric that
    failed is -1 with its reason and out of the mean. Without a dataset, synthetic questions are
    made of the collection's own passages, and marked as such.

    **Shows** the means as numbers that plot over time, a table, a chart, and the worst questions.

    **Lives in** the tables `experiment`, `experiment_result` and `score`. A collection of several
    shards is evaluated whole, whichever shard is chosen.
    """
    from rag.evaluation.routine import evaluate_live
    from rag.generations.approval import lab_of
    from rag.generations.gate import golden_dataset

    with open_shard(context, workshop) as (shop, shard):
        lab = lab_of(shop)
        dataset = golden_dataset(lab, shop.collection(shard))
        return dg.MaterializeResult(metadata=evaluation_metadata(evaluate_live(
            lab, shard.name, dataset)))  # fmt: skip


def evaluation_metadata(evaluated: "Evaluated") -> Metadata:
    """Means as floats, a table of the last experiments, a chart, the worst questions."""
    metrics = sorted({name for row in evaluated.history for name in row["means"]})
    table = [
        (row["name"], row["generation_id"] or "", row["done"],
         *(f"{row['means'][name]:.4f}" if name in row["means"] else "" for name in metrics))
        for row in evaluated.history
    ]  # fmt: skip
    metadata: Metadata = {
        name.replace("@", "_at_"): dg.MetadataValue.float(float(value))
        for name, value in evaluated.means.items()
    }
    return metadata | {
        "experiment": dg.MetadataValue.text(evaluated.name),
        "dataset": dg.MetadataValue.text(
            evaluated.dataset + (", made of passages" if evaluated.is_synthetic else "")
        ),
        "questions": dg.MetadataValue.int(evaluated.questions),
        "failed_scores": dg.MetadataValue.int(evaluated.failed),
        "scores": dg.MetadataValue.md(
            markdown_table(("experiment", "generation", "questions", *metrics), table)
        ),
        "chart": dg.MetadataValue.md(svg_image("means by metric", evaluated.chart)),
        "worst": dg.MetadataValue.md(
            markdown_table(("question", "nDCG@10", "found"), evaluated.worst)
            if evaluated.worst
            else "none"
        ),
    }


def quality_holds(shop: "Workshop", shard: "Shard") -> Verdict:
    """What is live finds as well as in the evaluations before, and no mean is below its floor."""
    from rag.evaluation.quality import judge_quality

    found = judge_quality(shop.conn, shop.collection(shard), shop.settings)
    if found.name is None:
        return Verdict(True, "Not judged: there is no evaluation yet.", severity=WARN)
    numbers: dict[str, int | float] = {"questions": found.questions}
    for each in found.comparisons:
        metric = each.metric.replace("@", "_at_")
        numbers |= {metric: round(each.candidate, 4), f"{metric}_before": round(each.live, 4)}
    against = f" ({found.name} against {found.reference})" if found.reference else ""
    return Verdict(
        not found.reasons,
        f"What is live finds worse{against}: {'; '.join(found.reasons)}. The worst questions are "
        "with the asset; `rag index rollback` goes back to the generation before."
        if found.reasons
        else f"Nothing speaks against {found.name}{against}.",
        numbers,
        facts={"comparison": _comparison_table(found.comparisons)} if found.comparisons else {},
    )


def _comparison_table(comparisons: "tuple[Comparison, ...]") -> str:
    rows = [
        (each.metric, each.questions, f"{each.live:.4f}", f"{each.candidate:.4f}",
         f"{each.low:+.4f} to {each.high:+.4f}", each.reason or "ok")
        for each in comparisons
    ]  # fmt: skip
    return markdown_table(("metric", "questions", "before", "now", "95 %", "verdict"), rows)


def quality_check() -> dg.AssetChecksDefinition:
    """The check `quality_holds` of `evaluation`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return checks_of("evaluation_checks", "evaluation", (Contract(quality_holds),))


evaluate = dg.define_asset_job(
    "evaluate",
    selection=dg.AssetSelection.assets(evaluation),
    executor_def=dg.in_process_executor,
    description="Asks a collection's golden questions of its live generation and scores them.",
)
