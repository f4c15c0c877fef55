"""A model endpoint on loopback, and hits to answer from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_assets_tests.answer.loopback import Loopback, loopback_model


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    with loopback_model() as state:
        yield state
