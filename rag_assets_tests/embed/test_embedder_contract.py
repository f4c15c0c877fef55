"""What every embedder promises, kept by the free one and by the engine alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rag.embed.engine import open_embedder
from rag.errors import TerminalError
from rag.ports import Embedder
from rag_assets_tests.embed.models import damage_weights, write_model
from rag_assets_tests.embed.texts import PROSE, VARIED
from rag_assets_tests.fakes_embed import FakeEmbedder


class EmbedderContract:
    """Subclasses give the fixture `embedder`."""

    def test_vectors_have_length_one_and_the_stated_dimension(self, embedder: Embedder) -> None:
        vectors = embedder.embed(VARIED)
        assert vectors.shape == (len(VARIED), embedder.dimension)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_nothing_gives_no_rows_of_the_stated_dimension(self, embedder: Embedder) -> None:
        assert embedder.embed([]).shape == (0, embedder.dimension)

    def test_vectors_come_in_the_order_of_the_texts(self, embedder: Embedder) -> None:
        forward, backward = embedder.embed(VARIED), embedder.embed(VARIED[::-1])
        assert (forward * backward[::-1]).sum(axis=1).min() > 0.999

    def test_equal_texts_get_equal_vectors(self, embedder: Embedder) -> None:
        vectors = embedder.embed(["wind", PROSE, "wind", "gauge", PROSE])
        np.testing.assert_array_equal(vectors[0], vectors[2])
        np.testing.assert_array_equal(vectors[1], vectors[4])
        assert not np.allclose(vectors[0], vectors[3])

    def test_company_in_a_batch_does_not_change_a_vector(self, embedder: Embedder) -> None:
        many = [*VARIED, *(f"{PROSE} {number}" for number in range(80))]  # several batches
        together = embedder.embed(many)[: len(VARIED)]
        alone = np.concatenate([embedder.embed([text]) for text in VARIED])
        assert (together * alone).sum(axis=1).min() > 0.999

    def test_the_configuration_is_json_and_names_the_model(self, embedder: Embedder) -> None:
        config = json.loads(json.dumps(embedder.config))
        assert config["dimension"] == embedder.dimension
        assert {"model", "weights", "precision", "max_tokens", "pooling"} <= set(config)


class TestFakeEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return FakeEmbedder()

    def test_texts_that_share_words_are_near(self) -> None:
        near, far, query = FakeEmbedder().embed(
            ["the frozen wind gauge", "payroll taxes are due", "a frozen wind gauge"]
        )
        assert near @ query > 0.6 > 0.2 > far @ query

    def test_vectors_are_the_same_in_every_process(self) -> None:
        vector = FakeEmbedder().embed_query("frozen wind")
        assert np.flatnonzero(np.abs(vector) > 0.5).tolist() == FROZEN_WIND_CELLS

    def test_it_counts_what_it_was_asked_for(self) -> None:
        fake = FakeEmbedder()
        fake.embed(["a", "b"])
        fake.embed_query("c")
        assert (fake.calls, fake.texts_embedded) == (2, 3)


FROZEN_WIND_CELLS = [29, 292]


class TestTinyModel(EmbedderContract):
    """The engine over a model of two layers: the whole path, in a fraction of a second."""

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls, tmp_path_factory: pytest.TempPathFactory) -> Embedder:
        home = tmp_path_factory.mktemp("tiny")
        return open_embedder(str(write_model(home / "model")), "fp32", home / "cache", "cpu")


@pytest.mark.slow
class TestBundledModel(EmbedderContract):
    """The engine over the model that comes with the installation."""

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls, tmp_path_factory: pytest.TempPathFactory) -> Embedder:
        return open_embedder(
            "sentence-transformers/all-MiniLM-L6-v2", "bf16", tmp_path_factory.mktemp("c"), "cpu"
        )


def test_a_model_that_computes_nan_is_a_terminal_error(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    damage_weights(folder)
    with pytest.raises(TerminalError) as caught:
        open_embedder(str(folder), "fp32", tmp_path / "cache", "cpu").embed(["wind"])
    assert caught.value.code == "bad_vector"
