"""The gate and the generations as Dagster shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest

from rag.ingest import workshop
from rag.model import CollectionName
from rag.settings import Settings, load_settings
from rag.store import collections, evaluation, generations
from rag.store.database import Connection
from rag_assets.definitions import build_definitions
from rag_assets_tests.assets.bench import COLLECTION, DAGSTER_WARNINGS, Bench, fake_resources
from rag_assets_tests.fakes import FakeTokenizer
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.generations.conftest import station
from rag_assets_tests.generations.test_gate import Blind
from resources.embedder import EmbedderResource
from resources.workshop import WorkshopResource


@dataclass
class Engines(Bench):
    """A bench whose recipes may name other models."""

    recipe_models: dict[str, FakeEmbedder] = field(default_factory=dict)

    @property
    def definitions(self) -> dg.Definitions:
        bench, resources = self, fake_resources(self)

        class Embedding(type(resources["embedder"])):  # type: ignore[misc]
            def engines(self, settings: Settings) -> workshop.Engines:
                return workshop.Engines(
                    FakeTokenizer(), bench.recipe_models[settings.embedding_model]
                )

        parts = {name: resources[name] for name in ("database", "object_store", "parser")}
        embedder = Embedding()
        assert isinstance(embedder, EmbedderResource)
        own = {"embedder": embedder, "workshop": WorkshopResource(**parts, embedder=embedder)}
        return build_definitions(load_settings(), resources | own)


pytestmark = [pytest.mark.slow, DAGSTER_WARNINGS]

GATE = dg.AssetCheckKey(dg.AssetKey("search_index"), "candidate_passes_gate")


@pytest.fixture
def bench(
    conn: Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engines]:
    for name, value in {"HOME": str(tmp_path), "CHUNK_SIZE": "32", "CHUNK_OVERLAP": "4",
                        "GATE_MIN_QUESTIONS": "20"}.items():  # fmt: skip
        monkeypatch.setenv(f"RAG_{name}", value)
    with dg.DagsterInstance.ephemeral() as instance:
        made = Engines(conn, database_url, instance)
        source = made.collect()
        for number in range(40):
            source.put(f"station-{number}.txt", station(number).encode())
        yield made


def collection(bench: Engines) -> collections.Collection:
    return collections.find_collection(bench.conn, CollectionName.parse(COLLECTION))


def gate_evaluation(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (found,) = (
        each for each in result.get_asset_check_evaluations() if each.asset_check_key == GATE
    )
    return found


def job(bench: Engines, name: str, config: dict[str, object], op: str) -> dg.ExecuteInProcessResult:
    return (
        bench.definitions.get_repository_def()
        .get_job(name)
        .execute_in_process(
            instance=bench.instance, run_config={"ops": {op: {"config": config}}},
            raise_on_error=False,
        )
    )  # fmt: skip


def test_a_collection_without_a_gate_passes_it(bench: Engines) -> None:
    assert gate_evaluation(bench.run()).passed


def test_a_good_candidate_goes_live_in_the_run_that_built_it(bench: Engines) -> None:
    bench.run()
    before = collection(bench).live_generation_id
    generations.set_gate(bench.conn, collection(bench).id, True)
    bench.recipe_models["other"] = FakeEmbedder(128, "other")
    built = job(bench, "build_generation",
                {"collection": COLLECTION, "recipe": {"embedding_model": "other"}},
                "build_beside_live")  # fmt: skip
    assert built.success
    assert collection(bench).live_generation_id == before
    check = gate_evaluation(bench.run())
    assert check.passed
    assert "is live" in (check.description or "")
    assert collection(bench).live_generation_id != before
    assert "recall@10" in check.metadata["scores"].value
    rolled = job(bench, "roll_back_generation", {"collection": COLLECTION},
                 "point_back")  # fmt: skip
    assert rolled.success
    assert collection(bench).live_generation_id == before


def test_a_bad_candidate_blocks_once_and_the_live_one_serves_and_is_fed(bench: Engines) -> None:
    bench.run()
    before = collection(bench).live_generation_id
    generations.set_gate(bench.conn, collection(bench).id, True)
    bench.recipe_models["blind"] = Blind(96, "blind")
    recipe = {"embedding_model": "blind"}
    job(bench, "build_generation", {"collection": COLLECTION, "recipe": recipe},
        "build_beside_live")  # fmt: skip
    first = bench.run()
    check = gate_evaluation(first)
    assert not first.success
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "stays back" in (check.description or "")
    assert "| question |" in check.metadata["worse_questions"].value
    bench.sources["fake://bucket/"].put("late.txt", b"# Late\n\nA barometer arrived late.")
    second = bench.run()
    repeated = gate_evaluation(second)
    assert second.success
    assert (repeated.passed, repeated.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert collection(bench).live_generation_id == before
    served = bench.conn.execute(
        "select count(*) as documents from publication where generation_id = %s", [before]
    ).fetchone()
    assert served == {"documents": 41}


def test_an_evaluation_shows_scores_chart_and_history(bench: Engines) -> None:
    bench.run()
    evaluate = bench.definitions.get_repository_def().get_job("evaluate")
    for _ in range(2):
        result = evaluate.execute_in_process(instance=bench.instance, partition_key=COLLECTION)
    (event,) = result.asset_materializations_for_node("evaluation")
    metadata = event.metadata
    assert metadata["recall_at_10"].value > 0.9
    assert metadata["dataset"].value == "synthetic, made of passages"
    assert metadata["scores"].value.count("live-") == 2
    assert metadata["chart"].value.startswith("![means by metric](data:image/svg+xml;base64,")
    assert len(evaluation.experiments(bench.conn, collection(bench).id)) == 2


def test_a_promotion_needs_a_generation(bench: Engines) -> None:
    bench.run()
    result = job(bench, "promote_generation", {"collection": COLLECTION}, "point_to_candidate")
    assert not result.success
