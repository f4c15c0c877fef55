"""Searches never fail and never come back empty while generations are built, judged and swapped."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field

import pytest

from rag.asking import search_live
from rag.evaluation.experiment import Lab
from rag.generations import promotion
from rag.generations.gate import judge_candidate
from rag.search import SearchRequest, SearchResult
from rag.store import generations
from rag.store.database import connect
from rag_assets_tests.generations.conftest import Changing
from rag_assets_tests.world import assert_world_is_sound

pytestmark = pytest.mark.slow

WANTED = 10_000


@dataclass
class Asker:
    """Asks over and over on a connection of its own; keeps what went wrong."""

    changing: Changing
    stop: threading.Event = field(default_factory=threading.Event)
    asked: int = 0
    wrong: list[str] = field(default_factory=list)
    generations: set[int | None] = field(default_factory=set)

    def run(self) -> None:
        embedders = self.changing.embedders()
        with connect(self.changing.database_url) as conn:
            for number in itertools.cycle(range(6)):
                if self.stop.is_set():
                    return
                query = f"instrument {number}-2 of station {number}"
                request = SearchRequest(self.changing.name, query, None, principals=None)
                try:
                    self.judge(number, search_live(conn, embedders, request))
                except Exception as error:  # whatever it is, a person would have seen it
                    self.wrong.append(repr(error))
                self.asked += 1

    def judge(self, number: int, found: SearchResult) -> None:
        self.generations.add(found.generation)
        if not found.hits:
            self.wrong.append("nothing found")
        elif all(hit.document != f"station-{number}.txt" for hit in found.hits):
            self.wrong.append(f"station {number} not found in generation {found.generation}")


@pytest.fixture
def gated(changing: Changing) -> Changing:
    generations.set_gate(changing.conn, changing.collection.id, True)
    # how fast each answers is the machine's business while everything runs at a time
    patient = {"gate_latency_ratio": 1000.0}
    changing.settings |= {"gate_min_questions": 20, "synthetic_questions": 24, **patient}
    return changing


def change(gated: Changing, model: str) -> float:
    """Build, judge and promote a generation of another model, then roll back; seconds of that."""
    lab = Lab(gated.conn, gated.shop().settings, gated.embedders())
    candidate = gated.build({"embedding_model": model}).generation
    decision = judge_candidate(lab, gated.name, candidate)
    assert decision.passed, decision.reasons
    before = gated.live
    promotion.promote(gated.conn, gated.name, candidate, lab.settings)
    gated.run()
    started = time.perf_counter()
    moved = promotion.roll_back(gated.conn, gated.name, lab.settings)
    seconds = time.perf_counter() - started
    assert (moved.before, moved.generation) == (candidate, before)
    return seconds


def test_no_search_fails_or_comes_back_empty_during_builds_swaps_and_roll_backs(
    gated: Changing,
) -> None:
    askers = [Asker(gated), Asker(gated)]
    threads = [threading.Thread(target=asker.run) for asker in askers]
    for thread in threads:
        thread.start()
    roll_backs: list[float] = []
    try:
        for round_ in itertools.count():
            roll_backs.append(change(gated, f"model-{round_}"))
            if sum(asker.asked for asker in askers) >= WANTED:
                break
    finally:
        for asker in askers:
            asker.stop.set()
        for thread in threads:
            thread.join(timeout=30)
    asked = sum(asker.asked for asker in askers)
    wrong = [line for asker in askers for line in asker.wrong]
    seen = {number for asker in askers for number in asker.generations}
    assert wrong == [], wrong[:5]
    assert asked >= WANTED
    assert len(seen) > len(roll_backs)  # the first, and each that was promoted
    assert max(roll_backs) < 1.0
    assert_world_is_sound(gated.conn)
    print(f"{asked} searches, {len(roll_backs)} swaps, slowest roll-back {max(roll_backs):.3f} s")


def test_the_asker_notices_a_search_by_the_wrong_model(gated: Changing) -> None:
    """The negative control: had the swap been felt, the test above would have seen it."""
    asker = Asker(gated)
    candidate = gated.build({"embedding_model": "other"}).generation
    promotion.promote(gated.conn, gated.name, candidate, gated.shop().settings, is_forced=True)
    gated.conn.execute("update generation set recipe = null where id = %s", [candidate])
    thread = threading.Thread(target=asker.run)
    thread.start()
    time.sleep(0.3)
    asker.stop.set()
    thread.join(timeout=30)
    assert asker.wrong
