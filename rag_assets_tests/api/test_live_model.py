"""The service asks each collection by the model its live generation was built with."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import pytest

from rag.api.service import Service
from rag.api.warmth import WarmEmbedder
from rag.asking import on
from rag.errors import UnavailableError
from rag.generations import promotion
from rag.search import SearchRequest, SearchResult
from rag.store.database import Connection
from rag_assets_tests.generations.conftest import Changing, changing

__all__ = ["changing"]


class OneConnection:
    """A pool of one."""

    def __init__(self, made: Changing) -> None:
        self._made = made

    def connection(self) -> AbstractContextManager[Connection]:
        return nullcontext(self._made.conn)

    def reading(self, namespace: str, *, as_reader: bool) -> AbstractContextManager[Connection]:
        assert as_reader
        return on(self._made.conn)(namespace)


@pytest.fixture
def service(changing: Changing) -> Service:
    settings = changing.shop().settings
    warm = WarmEmbedder(lambda: changing.engine(settings))
    warm._warm()
    return Service(
        settings, OneConnection(changing), warm, None, None, settings.embedding_model,  # type: ignore[arg-type]
        load=changing.engine,
    )  # fmt: skip


def asked(service: Service, changing: Changing) -> SearchResult:
    """What the service finds now."""
    request = SearchRequest(changing.name, "wind speed", None, mode="dense")
    return service.finder.find(service.reading, request).result


def test_the_settings_model_is_the_warm_one(service: Service, changing: Changing) -> None:
    assert asked(service, changing).generation == changing.live
    assert service.finder.embedders.of(None) is service.embedder


def test_another_model_is_loaded_once_when_it_goes_live_and_left_when_it_goes_back(
    service: Service, changing: Changing
) -> None:
    first = changing.live
    assert asked(service, changing).generation == first
    candidate = changing.build({"embedding_model": "other"}).generation
    found = asked(service, changing)
    assert (found.generation, len(found.hits)) == (candidate, 4)
    assert service.finder.embedders.of({"embedding_model": "other"}) is changing.engines["other"]
    promotion.roll_back(changing.conn, changing.name, changing.shop().settings)
    found = asked(service, changing)
    assert (found.generation, len(found.hits)) == (first, 4)


def test_a_service_that_can_load_no_other_model_says_so(
    service: Service, changing: Changing
) -> None:
    changing.build({"embedding_model": "other"})
    with pytest.raises(UnavailableError) as caught:
        asked(replace(service, load=None), changing)
    assert caught.value.code == "no_engines"


def test_a_new_cut_of_the_same_model_needs_no_other_engine(
    service: Service, changing: Changing
) -> None:
    changing.build({"chunk_size": 48})
    assert asked(replace(service, load=None), changing).hits
