"""The service asks each collection by the model its live generation was built with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag.api.service import Service
from rag.api.warmth import WarmEmbedder
from rag.errors import UnavailableError
from rag.generations import promotion
from rag.model import CollectionName
from rag_assets_tests.generations.conftest import Changing, changing

__all__ = ["changing"]


class OneConnection:
    """A pool of one."""

    def __init__(self, made: Changing) -> None:
        self._made = made

    def connection(self) -> object:
        from contextlib import nullcontext

        return nullcontext(self._made.conn)


@pytest.fixture
def service(changing: Changing) -> Service:
    settings = changing.shop().settings
    warm = WarmEmbedder(lambda: changing.engine(settings))
    return Service(
        settings, OneConnection(changing), warm, None, None, settings.embedding_model,  # type: ignore[arg-type]
        load=changing.engine,
    )  # fmt: skip


def test_the_settings_model_is_the_warm_one(service: Service, changing: Changing) -> None:
    live = service.live_engine(changing.name)
    assert live == (changing.live, service.embedder)


def test_another_model_is_loaded_once_when_it_goes_live_and_left_when_it_goes_back(
    service: Service, changing: Changing
) -> None:
    first = changing.live
    candidate = changing.build({"embedding_model": "other"}).generation
    live = service.live_engine(changing.name)
    assert live.generation == candidate
    assert live.embedder is changing.engines["other"]
    assert service.live_engine(changing.name).embedder is live.embedder
    promotion.roll_back(changing.conn, changing.name, changing.shop().settings)
    assert service.live_engine(changing.name) == (first, service.embedder)


def test_a_service_that_can_load_no_other_model_says_so(
    service: Service, changing: Changing
) -> None:
    changing.build({"embedding_model": "other"})
    with pytest.raises(UnavailableError) as caught:
        replace(service, load=None).live_engine(changing.name)
    assert caught.value.code == "no_engines"


def test_a_new_cut_of_the_same_model_needs_no_other_engine(
    service: Service, changing: Changing
) -> None:
    changing.build({"chunk_size": 48})
    assert service.live_engine(CollectionName("acme", "docs")).embedder is service.embedder
