"""The receivers as fixtures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_assets_tests.alerts.receivers import (
    HttpReceiver,
    MailReceiver,
    http_receiver,
    mail_receiver,
)


@pytest.fixture
def web() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def post_office() -> Iterator[MailReceiver]:
    with mail_receiver() as receiver:
        yield receiver
