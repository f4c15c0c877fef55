"""A collection whose recipe can be changed: models are fakes by name, each of its own dimension, so
that a question in one model's space can not meet another's vectors unseen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from zlib import crc32

import pytest

from rag.asking import Embedders, search_live
from rag.generations import promotion
from rag.ingest.workshop import Engines, Workshop
from rag.search import SearchRequest, SearchResult
from rag.settings import Settings
from rag.store import generations
from rag.store.collections import Collection, find_collection
from rag.store.database import Connection, Row
from rag_assets_tests.fakes import FakeTokenizer
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.ingest.harness import Harness


@dataclass
class Changing(Harness):
    """A harness with an engine for every model name."""

    engines: dict[str, FakeEmbedder] = field(default_factory=dict)

    def engine(self, settings: Settings) -> FakeEmbedder:
        name = settings.embedding_model
        if name not in self.engines:
            self.engines[name] = FakeEmbedder(64 + 8 * (crc32(name.encode()) % 40), name)
        return self.engines[name]

    def shop(self) -> Workshop:
        made = super().shop()
        return replace(
            made, embedder=self.engine(made.settings),
            open_engines=lambda settings: Engines(FakeTokenizer(), self.engine(settings)),
        )  # fmt: skip

    @property
    def collection(self) -> Collection:
        return find_collection(self.conn, self.name)

    @property
    def live(self) -> int | None:
        return self.collection.live_generation_id

    def rows(self) -> list[Row]:
        return generations.all_of(self.conn, self.collection.id)

    def build(self, recipe: Mapping[str, object], **options: object) -> promotion.Built:
        return promotion.build_candidate(self.shop(), self.name, recipe, **options)  # type: ignore[arg-type]

    def embedders(self) -> Embedders:
        return Embedders(self.shop().settings, self.engine)

    def ask(self, query: str, k: int = 4) -> SearchResult:
        request = SearchRequest(self.name, query, None, k=k, principals=None)
        return search_live(self.conn, self.embedders(), request)

    def embedded(self) -> int:
        return sum(engine.texts_embedded for engine in self.engines.values())


def station(number: int) -> str:
    """A document whose passages are much alike."""
    return f"# Station {number}\n\n" + "\n\n".join(
        f"Instrument {number}-{part} of station {number} measures wind speed {part * 7} and "
        f"reports every {part + 3} minutes to mast {number * 11}."
        for part in range(4)
    )


@pytest.fixture
def changing(conn: Connection, database_url: str, tmp_path: Path) -> Changing:
    """A collection of six documents, searchable."""
    made = Changing(conn, database_url, tmp_path)
    for number in range(6):
        made.source.put(f"station-{number}.txt", station(number).encode())
    made.run()
    return made
