"""The contracts of each stage as asset checks, evaluated per partition after the asset.

A blocking check that fails ends the run before anything downstream is built on bad rows. Checks
only read the store, so a run may select some of them without materialising anything.
"""

# no `from __future__ import annotations`: dagster compares the annotation of `context` by identity
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

from rag_assets import verdicts
from rag_assets.freshness import freshness
from rag_assets.partitions import collections_partitions
from rag_assets.shards import open_shard
from rag_assets.verdicts import Verdict
from resources.workshop import WorkshopResource

if TYPE_CHECKING:
    from rag.ingest.workshop import Workshop
    from rag.model import Shard

Judge = Callable[["Workshop", "Shard"], Verdict]


class Contract(NamedTuple):
    """One claim about an asset; its name and description are those of the judge."""

    judge: Judge
    is_blocking: bool = False


CONTRACTS: Mapping[str, tuple[Contract, ...]] = {
    "raw_documents": (Contract(verdicts.nothing_held), Contract(verdicts.fetch_failures)),
    "parsed_documents": (Contract(verdicts.parse_failures), Contract(verdicts.text_not_empty)),
    "chunks": (
        Contract(verdicts.chunk_sizes_in_bounds, is_blocking=True),
        Contract(verdicts.every_document_has_chunks),
    ),
    "embeddings": (Contract(verdicts.embeddings_complete_and_sound, is_blocking=True),),
    "search_index": (Contract(verdicts.index_parity, is_blocking=True), Contract(freshness)),
}


def ingest_checks() -> list[dg.AssetChecksDefinition]:
    """One step of checks per asset, each check selectable on its own."""
    with warnings.catch_warnings():
        # partitioned checks are in preview; a test holds what we rely on
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            checks_of(f"{asset}_checks", asset, contracts) for asset, contracts in CONTRACTS.items()
        ]


def checks_of(step: str, asset: str, contracts: tuple[Contract, ...]) -> dg.AssetChecksDefinition:
    """A step that evaluates these contracts of one asset."""
    judges = {contract.judge.__name__: contract.judge for contract in contracts}

    @dg.multi_asset_check(
        name=step,
        specs=[_spec(asset, contract) for contract in contracts],
        can_subset=True,
    )
    def evaluate(
        context: dg.AssetCheckExecutionContext, workshop: WorkshopResource
    ) -> Iterator[dg.AssetCheckResult]:
        selected = {key.name for key in context.selected_asset_check_keys}
        with open_shard(context, workshop) as (shop, shard):
            results = [
                _result(asset, name, judge(shop, shard))
                for name, judge in judges.items()
                if name in selected
            ]
        yield from results

    return evaluate


def _spec(asset: str, contract: Contract) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name=contract.judge.__name__,
        asset=asset,
        description=contract.judge.__doc__,
        blocking=contract.is_blocking,
        partitions_def=collections_partitions,
    )


def _result(asset: str, name: str, verdict: Verdict) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=verdict.passed,
        asset_key=asset,
        check_name=name,
        severity=verdict.severity,
        description=verdict.description,
        metadata=check_metadata(verdict),
    )


def check_metadata(verdict: Verdict) -> dict[str, dg.MetadataValue[Any] | int | float]:
    """What a check shows."""
    metadata: dict[str, dg.MetadataValue[Any] | int | float] = dict(verdict.numbers)
    metadata |= {name: dg.MetadataValue.md(fact) for name, fact in verdict.facts.items()}
    if verdict.failures is not None:
        metadata["failures"] = dg.MetadataValue.md(verdict.failures)
    return metadata
