"""Embedding on Ray gives the vectors that embedding here gives, whatever happens to its workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rag.embed.engine import open_embedder
from rag.errors import ConfigurationError, TerminalError, UnavailableError
from rag.scale.cluster import Cluster
from rag.scale.embedder import RayEmbedder
from rag_assets_tests.embed.models import damage_weights, write_model
from rag_assets_tests.embed.test_embedder_contract import EmbedderContract
from rag_assets_tests.embed.texts import PROSE
from rag_assets_tests.scale.workers import killed_while_working, working

pytestmark = pytest.mark.slow
BUNDLED = "sentence-transformers/all-MiniLM-L6-v2"
PASSAGES = [f"Passage {n}: {PROSE}" for n in range(500)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


class TestRayEmbedder(EmbedderContract):
    """The conformance suite of every embedder."""

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(
        cls, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[RayEmbedder]:
        home = tmp_path_factory.mktemp("tiny")
        yield RayEmbedder(cluster, str(write_model(home / "model")), "fp32", home / "cache")


@pytest.fixture(scope="module")
def embedder(cluster: Cluster, cache: Path) -> RayEmbedder:
    return RayEmbedder(cluster, BUNDLED, "bf16", cache)


@pytest.fixture(scope="module")
def expected(cache: Path) -> np.ndarray:
    return open_embedder(BUNDLED, "bf16", cache, "cpu").embed(PASSAGES)


def agreement(left: np.ndarray, right: np.ndarray) -> float:
    """The least cosine between the rows of two sets of unit vectors."""
    return float((left * right).sum(axis=1).min())


def test_vectors_are_those_of_one_machine_and_progress_is_told(
    embedder: RayEmbedder, expected: np.ndarray, cache: Path
) -> None:
    heard: list[tuple[int, int]] = []
    found = embedder.embed([*PASSAGES, PASSAGES[0]], lambda *at: heard.append(at))
    assert agreement(found[:-1], expected) > 0.999
    np.testing.assert_array_equal(found[0], found[-1])
    assert heard == sorted(heard)
    assert heard[-1] == (len(PASSAGES), len(PASSAGES))
    assert embedder.config == open_embedder(BUNDLED, "bf16", cache).config


def test_a_question_is_embedded_here(embedder: RayEmbedder, expected: np.ndarray) -> None:
    found = embedder.embed_query(PASSAGES[3])
    assert float(found @ expected[3]) > 0.999


def test_there_is_an_engine_on_each_node(embedder: RayEmbedder) -> None:
    embedder.embed(PASSAGES[:300])
    assert len(working("EmbeddingWorker")) >= 2


def test_a_killed_worker_loses_no_text(embedder: RayEmbedder, expected: np.ndarray) -> None:
    with killed_while_working("EmbeddingWorker.embed") as killed:
        found = embedder.embed(PASSAGES)
    assert killed, "no worker was killed while it embedded"
    assert agreement(found, expected) > 0.999


def test_an_engine_that_is_gone_for_good_leaves_its_texts_to_the_others(
    cluster: Cluster, cache: Path, expected: np.ndarray
) -> None:
    once = RayEmbedder(cluster, BUNDLED, "bf16", cache, retries=0)
    once.embed(PASSAGES[:2])
    with killed_while_working("EmbeddingWorker.embed") as killed:
        found = once.embed(PASSAGES)
    assert killed
    assert agreement(found, expected) > 0.999
    assert agreement(once.embed(PASSAGES[:9]), expected[:9]) > 0.999


def test_texts_are_not_blamed_when_no_engine_is_left(
    cluster: Cluster, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = RayEmbedder(cluster, BUNDLED, "bf16", cache, retries=0)
    living = RayEmbedder._living
    monkeypatch.setattr(RayEmbedder, "_living", lambda self, ray: living(self, ray)[:1])
    once.embed(PASSAGES[:2])
    with (
        killed_while_working("EmbeddingWorker.embed") as killed,
        pytest.raises(UnavailableError) as caught,
    ):
        once.embed(PASSAGES)
    assert killed
    assert caught.value.code == "ray_worker_lost"


def test_the_engines_own_errors_come_through(cluster: Cluster, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    damage_weights(folder)
    with pytest.raises(TerminalError) as caught:
        RayEmbedder(cluster, str(folder), "fp32", tmp_path / "cache").embed(["wind"])
    assert caught.value.code == "bad_vector"


def test_a_worker_with_another_model_is_refused(cluster: Cluster, cache: Path) -> None:
    other = RayEmbedder(cluster, BUNDLED, "bf16", cache)
    other.config = {**other.config, "weights": "others"}
    with pytest.raises(ConfigurationError) as caught:
        other.embed(["wind"])
    assert caught.value.code == "ray_worker_differs"
