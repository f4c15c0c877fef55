"""What fails alone holds up nothing else; what fails for all costs no document its tries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.chunking import chunker
from rag.errors import PoisonError, TransientError, UnavailableError
from rag.ingest import register
from rag.ingest.pipeline import STAGES
from rag.ingest.spool import Spool
from rag.store import collections, ledger
from rag_assets_tests.fakes_embed import FakeEmbedder
from rag_assets_tests.ingest.harness import ACME, Harness

pytestmark = pytest.mark.slow

AWAY = UnavailableError("The store does not answer: look at it.", code="s3_unreachable")


class Blind(FakeEmbedder):
    """Has no vector for texts with a word of `unseen`."""

    unseen: Sequence[str] = ()

    def embed(
        self, texts: Sequence[str], on_batch: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        if any(word in text for text in texts for word in self.unseen):
            raise PoisonError("No vector.", code="bad_vector")
        return super().embed(texts, on_batch)


@pytest.fixture
def blind(harness: Harness) -> Blind:
    """An embedder that has no vector for `glare`."""
    embedder = harness.embedder = Blind()
    embedder.unseen = ("glare",)
    for name in ("rope", "glare", "pump", "mast"):
        harness.source.put(f"{name}.txt", f"the {name} is inspected".encode())
    return embedder


def letters(harness: Harness) -> list[tuple[str, str, str]]:
    """(document, stage, code) of each open letter."""
    collection = collections.find_collection(harness.conn, ACME)
    return [
        (row["uri"].rpartition("/")[2], row["stage"], row["code"])
        for row in ledger.open_letters(harness.conn, collection.id, [0])
    ]


def make_due(harness: Harness) -> None:
    """Let the back-off pass."""
    harness.conn.execute(
        "update dead_letter set next_retry_at = now()"
        " where resolved_at is null and next_retry_at is not null"
    )


def test_a_text_without_a_vector_keeps_only_its_document_back(
    harness: Harness, blind: Blind
) -> None:
    counts = harness.run()
    assert counts["search_index"]["served_documents"] == 3
    assert counts["embeddings"]["failed"] == 1
    assert letters(harness) == [("glare.txt", "embed", "bad_vector")]
    assert counts["search_index"]["behind"] == 0  # a generation does not wait for it
    calls = blind.calls
    harness.run()
    assert blind.calls == calls  # nor is it tried again by itself

    harness.source.put("glare.txt", b"the blinding light is inspected")
    assert harness.run()["search_index"]["served_documents"] == 4
    assert letters(harness) == []


def test_a_text_without_a_vector_is_tried_again_on_request(harness: Harness, blind: Blind) -> None:
    harness.run()
    blind.unseen = ()
    ledger.retry(harness.conn, collections.find_collection(harness.conn, ACME).id)
    assert harness.run()["search_index"]["served_documents"] == 4


def test_a_model_without_any_vector_blames_no_document(harness: Harness, blind: Blind) -> None:
    blind.unseen = ("the",)
    with pytest.raises(PoisonError):
        harness.run()
    assert letters(harness) == []
    blind.unseen = ()
    assert harness.run()["search_index"]["served_documents"] == 4


def test_a_text_that_can_not_be_cut_keeps_only_its_document_back(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("rope", "knot", "pump"):
        harness.source.put(f"{name}.txt", f"the {name} is inspected".encode())
    real = chunker._cut

    def cut(document: Any, *given: Any) -> Any:
        return [][1] if "knot" in document.text else real(document, *given)

    monkeypatch.setattr(chunker, "_cut", cut)
    for _ in range(2):
        counts = harness.run()
        assert counts["search_index"]["served_documents"] == 2
        assert letters(harness) == [("knot.txt", "chunk", "chunking_failed")]
    monkeypatch.undo()
    harness.source.put("knot.txt", b"the knot is tied")
    assert harness.run()["search_index"]["served_documents"] == 3
    assert letters(harness) == []


@pytest.mark.parametrize(
    ("error", "survives"),
    [(AWAY, True), (TransientError("It moved.", code="object_unreadable"), False)],
)
def test_an_outage_costs_no_tries_however_long(
    harness: Harness, error: TransientError, survives: bool
) -> None:
    harness.source.put("rope.txt", b"the rope")
    harness.source.errors["rope.txt"] = error
    for _ in range(6):
        harness.run()
        make_due(harness)
    (row,) = harness.conn.execute("select next_retry_at from dead_letter").fetchall()
    assert (row["next_retry_at"] is not None) == survives
    harness.source.errors.clear()
    # the negative control: what is the object's own fault is given up
    assert harness.run()["search_index"]["served_documents"] == int(survives)


def test_an_outage_before_parsing_costs_no_tries(harness: Harness) -> None:
    harness.source.put("rope.txt", b"the rope")
    STAGES["raw_documents"](harness.shop(), harness.shard)
    spool = Spool(harness.folder / "spool")
    for row in harness.conn.execute("select content_hash from document_version").fetchall():
        taken = spool.take(bytes(row["content_hash"]))
        assert taken is not None
        spool.drop(taken)
    harness.source.errors["rope.txt"] = AWAY
    for _ in range(6):
        assert harness.run()["parsed_documents"]["failed"] == 1
        make_due(harness)
    harness.source.errors.clear()
    assert harness.run()["search_index"]["served_documents"] == 1
    assert letters(harness) == []


def test_a_store_that_is_away_is_not_asked_for_each_object(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "BATCH", 4)
    asked: list[str] = []
    real = harness.source.fetch

    def fetch(obj: Any, target: Path) -> None:
        asked.append(obj.uri)
        real(obj, target)

    monkeypatch.setattr(harness.source, "fetch", fetch)
    for number in range(40):
        harness.source.put(f"{number:02}.txt", b"text %d" % number)
        harness.source.errors[f"{number:02}.txt"] = AWAY
    with pytest.raises(UnavailableError):
        harness.run()
    assert len(asked) <= 12
    harness.source.errors.clear()
    make_due(harness)
    assert harness.run()["search_index"]["served_documents"] == 40
    assert letters(harness) == []


def test_an_object_that_is_again_what_it_was_has_no_failure(harness: Harness) -> None:
    harness.source.put("rope.txt", b"the rope")
    harness.run()
    before = harness.source.objects["rope.txt"]
    harness.source.put("rope.txt", b"the new rope")
    harness.source.errors["rope.txt"] = AWAY
    harness.run()
    assert letters(harness) == [("rope.txt", "fetch", "s3_unreachable")]
    harness.source.objects["rope.txt"] = before
    harness.run()
    assert letters(harness) == []
    assert harness.run()["raw_documents"]["unchanged"] == 1
