"""What a hit says of where it comes from, held against what is kept of its document."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from rag_assets_tests.answer.loopback import Loopback
from rag_assets_tests.api.answering import ASKED, CABLE, fill
from rag_assets_tests.api.conftest import Api, MakeApi

pytestmark = pytest.mark.slow

EDITED = CABLE + b"\n\nIts haul rope is 42 mm thick and inspected on mondays. \xf0\x9f\x9a\xa0"


@pytest.fixture
def filled(make_api: MakeApi, model: Loopback) -> Api:
    api = fill(make_api(llm_base_url=model.url, llm_model="loopback"))
    return api


def shown(api: Api) -> list[dict[str, Any]]:
    """The passages of a search, of an answer and of a chat."""
    chat = {"model": "acme/docs", "messages": [{"role": "user", "content": ASKED["query"]}]}
    hits: list[dict[str, Any]] = api.client.post("/query", json=ASKED).json()["hits"]
    for path, body in (("/rag", ASKED), ("/v1/chat/completions", chat)):
        cited = api.client.post(path, json=body).json()["citations"]
        assert cited
        hits += cited
    return hits


def check(api: Api, hits: list[dict[str, Any]]) -> None:
    """Each names a version that is there, its bytes' hash, and where in its text it stands."""
    for hit in hits:
        row = api.conn.execute(
            "select document_version.document_id, document_version.content_hash, parsed.text"
            " from document_version join parsed using (content_hash)"
            " where document_version.id = %(version_id)s",
            hit,
        ).fetchone()
        assert row is not None
        assert (row["document_id"], row["content_hash"].hex()) == (
            hit["document_id"], hit["content_hash"],
        )  # fmt: skip
        assert row["text"][hit["start_char"] : hit["end_char"]] == hit["text"] != ""


def test_each_hit_names_version_hash_and_place_and_quotes_what_is_there(filled: Api) -> None:
    before = shown(filled)
    filled.acme.source.put("cable.txt", EDITED)
    filled.acme.run()
    after = shown(filled)

    assert len(before) >= 4 and len(after) >= 4
    check(filled, before)
    check(filled, after)
    of_cable = [[hit for hit in hits if hit["document"] == "cable.txt"] for hits in (before, after)]
    assert [{hit["content_hash"] for hit in hits} for hits in of_cable] == [
        {hashlib.sha256(CABLE).hexdigest()}, {hashlib.sha256(EDITED).hexdigest()},
    ]  # fmt: skip
    old, new = ({hit["version_id"] for hit in hits} for hits in of_cable)
    assert len(old) == len(new) == 1 and max(old) < min(new)


def test_a_citation_that_says_another_place_would_be_noticed(filled: Api) -> None:
    (hit, *_) = shown(filled)

    for wrong in (
        {"start_char": hit["start_char"] + 1}, {"content_hash": "00" * 32}, {"version_id": 0},
    ):  # fmt: skip
        with pytest.raises(AssertionError):
            check(filled, [{**hit, **wrong}])
