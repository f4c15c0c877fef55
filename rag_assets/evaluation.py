"""The quality of what is served, as an asset: each collection's golden questions asked again."""

# no `from __future__ import annotations`: dagster compares the annotation of `context` by identity
from base64 import b64encode
from typing import TYPE_CHECKING

import dagster as dg

from rag_assets.assets import search_index
from rag_assets.metadata import Metadata, markdown_table
from rag_assets.partitions import collections_partitions
from rag_assets.shards import open_shard
from resources.workshop import WorkshopResource

if TYPE_CHECKING:
    from rag.evaluation.routine import Evaluated

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
    chart = b64encode(evaluated.chart.encode()).decode()
    metadata: Metadata = {
        name.replace("@", "_at_"): dg.MetadataValue.float(float(value))
        for name, value in evaluated.means.items()
    }
    return metadata | {
        "experiment": dg.MetadataValue.text(evaluated.name),
        "dataset": dg.MetadataValue.text(
            evaluated.dataset + (" (synthetic)" if evaluated.is_synthetic else "")
        ),
        "questions": dg.MetadataValue.int(evaluated.questions),
        "failed_scores": dg.MetadataValue.int(evaluated.failed),
        "scores": dg.MetadataValue.md(
            markdown_table(("experiment", "generation", "questions", *metrics), table)
        ),
        "chart": dg.MetadataValue.md(f"![means by metric](data:image/svg+xml;base64,{chart})"),
        "worst": dg.MetadataValue.md(
            markdown_table(("question", "nDCG@10", "found"), evaluated.worst)
            if evaluated.worst
            else "none"
        ),
    }


evaluate = dg.define_asset_job(
    "evaluate",
    selection=dg.AssetSelection.assets(evaluation),
    executor_def=dg.in_process_executor,
    description="Asks a collection's golden questions of its live generation and scores them.",
)
