"""A candidate is built beside the live generation, serves when it should, and can be taken back."""

from __future__ import annotations

import time

import pytest

from rag.errors import ConflictError, NotFoundError
from rag.generations import promotion
from rag.recipe import recipe_of
from rag.store import generations, retention
from rag_assets_tests.generations.conftest import Changing
from rag_assets_tests.world import assert_world_is_sound, served

pytestmark = pytest.mark.slow

OTHER = {"embedding_model": "other"}


def names(changing: Changing) -> set[str]:
    return {uri.rpartition("/")[2] for uri in served(changing.conn, str(changing.name))}


def test_without_a_gate_a_caught_up_candidate_goes_live_by_itself(changing: Changing) -> None:
    before = changing.live
    built = changing.build(OTHER)
    assert built.is_live
    assert built.generation == changing.live != before
    assert built.embedded > 0
    assert changing.ask("instrument 3-2 of station 3").hits[0].document == "station-3.txt"
    assert_world_is_sound(changing.conn)


def test_with_a_gate_it_waits_and_the_live_one_serves(changing: Changing) -> None:
    generations.set_gate(changing.conn, changing.collection.id, True)
    before = changing.live
    built = changing.build(OTHER)
    assert not built.is_live
    assert changing.live == before
    assert changing.ask("station 2").generation == before


def test_a_change_of_settings_waits_for_the_gate_too(changing: Changing) -> None:
    generations.set_gate(changing.conn, changing.collection.id, True)
    before = changing.live
    changing.settings["embedding_model"] = "other"
    assert "promoted" not in changing.run()["search_index"]
    assert changing.live == before
    assert changing.ask("station 2").hits


def test_a_run_keeps_candidate_and_live_generation_current_while_the_gate_decides(
    changing: Changing,
) -> None:
    generations.set_gate(changing.conn, changing.collection.id, True)
    candidate = changing.build(OTHER).generation
    changing.source.put("late.txt", b"# Late\n\nA barometer arrived after the build began.")
    changing.source.delete("station-0.txt")
    changing.run()
    assert changing.ask("barometer arrived").hits[0].document == "late.txt"
    assert promotion.documents_behind(changing.conn, changing.collection, candidate) == 0
    held = {
        row["uri"].rpartition("/")[2]
        for row in changing.conn.execute(
            "select uri from publication join document on document.id = document_id "
            "where generation_id = %s", [candidate]
        )
    }  # fmt: skip
    assert held == names(changing)
    assert "late.txt" in held
    assert "station-0.txt" not in held
    assert_world_is_sound(changing.conn)


def test_the_live_generation_gets_new_documents_after_the_settings_changed(
    changing: Changing,
) -> None:
    generations.set_gate(changing.conn, changing.collection.id, True)
    before = changing.live
    changing.settings["embedding_model"] = "other"
    changing.source.put("late.txt", b"# Late\n\nA barometer arrived after the settings changed.")
    changing.run()
    found = changing.ask("barometer arrived")
    assert (found.generation, found.hits[0].document) == (before, "late.txt")


def test_what_was_promoted_stays_when_the_collection_is_ingested_again(changing: Changing) -> None:
    promoted = changing.build(OTHER).generation
    changing.source.put("late.txt", b"# Late\n\nA barometer arrived after the promotion.")
    counts = changing.run()
    assert changing.live == promoted
    assert counts["search_index"]["documents"] == 1
    assert changing.ask("barometer arrived").hits[0].document == "late.txt"


def test_rolling_back_takes_under_a_second_and_embeds_nothing(changing: Changing) -> None:
    before = changing.live
    changing.build(OTHER)
    embedded = changing.embedded()
    started = time.perf_counter()
    moved = promotion.roll_back(changing.conn, changing.name, changing.shop().settings)
    assert time.perf_counter() - started < 1.0
    assert (moved.generation, moved.behind) == (before, 0)
    assert changing.ask("station 4").generation == before
    changing.run()
    assert changing.live == before
    assert changing.embedded() - embedded == 1  # the question
    assert_world_is_sound(changing.conn)


def test_a_rolled_back_generation_does_not_bring_back_what_was_deleted(changing: Changing) -> None:
    first = changing.live
    changing.build(OTHER)
    changing.source.delete("station-1.txt")
    changing.run()
    uri = changing.source.uri + "station-2.txt"
    retention.erase(changing.conn, changing.collection, uri)
    assert promotion.roll_back(
        changing.conn, changing.name, changing.shop().settings
    ).generation == first  # fmt: skip
    assert names(changing) == {f"station-{n}.txt" for n in (0, 3, 4, 5)}
    for gone in (1, 2):
        hits = changing.ask(f"instrument {gone}-2 of station {gone}", k=50).hits
        assert hits
        assert f"station-{gone}.txt" not in {hit.document for hit in hits}
    assert_world_is_sound(changing.conn)


def test_rolling_back_says_what_it_lacks_and_the_next_run_brings_it(changing: Changing) -> None:
    changing.build(OTHER)
    changing.source.put("late.txt", b"# Late\n\nA barometer arrived after the promotion.")
    changing.run()
    moved = promotion.roll_back(changing.conn, changing.name, changing.shop().settings)
    assert moved.behind == 1
    assert "late.txt" not in names(changing)
    changing.run()
    assert "late.txt" in names(changing)


def test_a_candidate_that_lacks_documents_is_not_promoted_unless_forced(changing: Changing) -> None:
    candidate = changing.build(OTHER, is_held=True).generation
    changing.conn.execute("delete from publication where generation_id = %s and document_id = "
        "(select min(document_id) from publication)", [candidate])  # fmt: skip
    settings = changing.shop().settings
    with pytest.raises(ConflictError) as caught:
        promotion.promote(changing.conn, changing.name, candidate, settings)
    assert caught.value.code == "generation_behind"
    promotion.promote(changing.conn, changing.name, candidate, settings, is_forced=True)
    assert changing.live == candidate


def test_a_gated_candidate_needs_the_gate(changing: Changing) -> None:
    generations.set_gate(changing.conn, changing.collection.id, True)
    candidate = changing.build(OTHER).generation
    settings = changing.shop().settings
    with pytest.raises(ConflictError) as caught:
        promotion.promote(changing.conn, changing.name, candidate, settings)
    assert caught.value.code == "gate_not_passed"
    generations.keep_decision(changing.conn, changing.collection.id, candidate, None, True, {})
    promotion.promote(changing.conn, changing.name, candidate, settings)
    assert changing.live == candidate


def test_a_collection_follows_the_settings_unless_it_was_told_otherwise(changing: Changing) -> None:
    standing = generations.standing(changing.conn, changing.collection.id)
    assert standing["recipe"] == {}
    changing.build(OTHER)
    assert generations.standing(changing.conn, changing.collection.id)["recipe"] == OTHER
    changing.build(recipe_of(changing.shop().settings))
    assert generations.standing(changing.conn, changing.collection.id)["recipe"] == {}


def test_there_is_nothing_to_roll_back_to_at_first(changing: Changing) -> None:
    with pytest.raises(ConflictError) as caught:
        promotion.roll_back(changing.conn, changing.name, changing.shop().settings)
    assert caught.value.code == "nothing_to_roll_back_to"
    with pytest.raises(NotFoundError) as missing:
        promotion.roll_back(changing.conn, changing.name, changing.shop().settings, 999)
    assert missing.value.code == "generation_not_found"


def test_only_candidates_are_given_up_and_only_retired_ones_purged(changing: Changing) -> None:
    collection = changing.collection
    live = changing.live
    assert live is not None
    with pytest.raises(ConflictError):
        generations.retire(changing.conn, collection.id, live)
    candidate = changing.build(OTHER, is_held=True).generation
    assert generations.purge(changing.conn, collection.id, 0) == []
    generations.retire(changing.conn, collection.id, candidate)
    assert generations.purge(changing.conn, collection.id, 1) == []
    assert generations.purge(changing.conn, collection.id, 0) == [candidate]
    left = changing.conn.execute(
        "select count(*) as rows from search_row where generation_id = %s", [candidate]
    ).fetchone()
    assert left == {"rows": 0}
    assert changing.ask("station 4").generation == live
