"""Search beside what people would otherwise pick: LangChain, LlamaIndex, and pgvector by hand.

Run: python -m benchmarks.search.beside [chunks=20000] [rounds=3] [seconds=5] [only=langchain]
[home=FOLDER]. The same passages, vectors, questions and model for all, in one Postgres server, a
database each. All are up at once and are asked in turn, one at any time; the first one changes
from round to round. Ours answers over HTTP, the others in their own process, as they come. Writes
search-peers.{json,md}, beside the sizes that were measured before. A home that is named is kept,
with what was loaded.
"""

from __future__ import annotations

import itertools
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from benchmarks.incremental.peers import installed, versions
from benchmarks.incremental.server import Server, running_server
from benchmarks.keeping import keep, kept, machine, results_folder
from benchmarks.retrieval.vectors import embedded, engine
from benchmarks.search import crowd, nearness, peers_page
from benchmarks.search.__main__ import LARGE, options, prepare
from benchmarks.search.asking import HITS
from benchmarks.search.load import percentiles
from benchmarks.search.peers_page import NAME, OURS
from benchmarks.search.roster import (
    BY_HAND,
    ROSTER,
    Asked,
    Peer,
    Process,
    cpu_ms,
    everyone,
    peak_mb,
)
from rag.store.database import connect

MOST = 100_000  # beyond, the collection is made of copies within the database
A_ROUND = 50
_AGAIN = 50  # asked before each block: the others have used the memory of the server meanwhile
_NEAR = 60
_CALLERS = 4


def passages(home: Path, chunks: int) -> NDArray[np.float32]:
    """The vectors of all passages; both are left in the folder for the peers to load."""
    if not (home / "vectors.npy").exists():
        made = crowd.make(chunks, engine())
        rows = [(name, text) for name, texts in made.documents.items() for text in texts]
        (home / "passages.json").write_text(json.dumps(rows), encoding="utf-8")
        np.save(home / "vectors.npy", np.stack([made.vectors[text] for _, text in rows]))
    found: NDArray[np.float32] = np.load(home / "vectors.npy")
    return found


def load(server: Server, home: Path, peers: Sequence[Peer]) -> dict[str, str]:
    """The database of each module, filled unless it is so already."""
    urls = {}
    for peer in {peer.module: peer for peer in peers}.values():
        name, is_loaded = f"peer_{peer.module}", home / f"{peer.module}.loaded"
        urls[peer.module] = server.database(name)
        if is_loaded.exists():
            continue
        started = time.perf_counter()
        server.new_database(name)
        peer.load(peer.task("load", urls[peer.module], home), home / f"{peer.name}.log")
        with psycopg.connect(urls[peer.module], autocommit=True) as conn:
            conn.execute("vacuum analyze")
        is_loaded.touch()
        print(f"{peer.module}: loaded in {time.perf_counter() - started:.0f} s", flush=True)
    return urls


def fresh(questions: Sequence[str]) -> Iterator[str]:
    """The questions, then again and again with a number: each is new to whoever is asked."""
    yield from questions
    for number in itertools.count(2):
        yield from (f"{question} {number}" for question in questions)


def second_half(questions: Sequence[str]) -> Sequence[str]:
    """What is measured; the first half is for warming up."""
    return questions[len(questions) // 2 :]


def in_turn(
    server: Server, contenders: Sequence[Asked], questions: Sequence[str], rounds: int
) -> dict[str, dict[str, Any]]:
    """Each contender's figures: warm with the first half of the questions, asked the second."""
    warm, new = questions[: len(questions) // 2], fresh(second_half(questions))
    for one in contenders:
        one.ask(warm)
    server.settle()
    times: dict[str, list[list[float]]] = {one.name: [] for one in contenders}
    spent = {one.name: np.zeros(2) for one in contenders}
    for number in range(rounds):
        block = list(itertools.islice(new, A_ROUND))
        for one in random.Random(number).sample(contenders, len(contenders)):
            one.ask(warm[:_AGAIN])
            before = np.array([cpu_ms(one), server.cpu_so_far() * 1000])
            times[one.name].append(one.ask(block))
            spent[one.name] += [cpu_ms(one), server.cpu_so_far() * 1000] - before
            print(f"{number + 1} {one.title:22} {median(times[one.name][-1]):7.1f} ms", flush=True)
    asked = rounds * A_ROUND
    return {
        one.name: {
            "title": one.title,
            **percentiles(list(itertools.chain(*times[one.name]))),
            "rounds": [percentiles(block) for block in times[one.name]],
            "cpu_ms": dict(zip(("process", "postgres"), spent[one.name] / asked, strict=True)),
        }
        for one in contenders
    }


def recall(
    peers: Sequence[Process], stored: NDArray[np.float32], asked: NDArray[np.float32]
) -> dict[str, float]:
    """Share of the ten nearest passages that a search by the vector alone finds."""
    exact = [set(row) for row in np.argsort(-(asked @ stored.T), axis=1)[:, :HITS].tolist()]
    return {
        peer.name: float(
            np.mean([
                len(set(found) & near) / HITS
                for found, near in zip(peer.nearest(asked), exact, strict=True)
            ])
        )
        for peer in peers
    }  # fmt: skip


def all_words(url: str, questions: Sequence[str]) -> int:
    """How many of the questions have a passage with all of their words."""
    statement = (
        "select count(*) from unnest(%s::text[]) as asked (question) where exists"
        " (select from passage where words @@ plainto_tsquery('english', question))"
    )
    with psycopg.connect(url) as conn:
        row = conn.execute(statement, [list(questions)]).fetchone()
    assert row is not None
    return int(row[0])


def measure(
    home: Path, chunks: int, rounds: int, seconds: float, peers: Sequence[Peer]
) -> dict[str, Any]:
    """All figures of one size."""
    questions = crowd.questions()
    vectors = embedded(questions, engine())
    with running_server(home / "server") as server:
        prepare(server.url, home, chunks)
        stored = passages(home, chunks)
        urls = load(server, home, peers)
        with everyone(peers, urls, server.url, home, str(LARGE)) as (service, processes):
            contenders: list[Asked] = [service, *processes]
            figures = in_turn(server, contenders, questions, rounds)
            found = recall(processes, stored, vectors[:_NEAR])
            crowded = [f"{question} again" for question in itertools.islice(fresh(questions), 3000)]
            for one in contenders:
                figures[one.name]["per_second"] = one.per_second(crowded, _CALLERS, seconds)
                figures[one.name]["peak_mb"] = peak_mb(one)
        with connect(server.url) as conn:
            pairs = list(zip(questions, vectors, strict=True))[:_NEAR]
            found[OURS] = nearness.recall_of_all(conn, LARGE, pairs)
        worded = None
        if BY_HAND.module in urls:
            asked = list(
                itertools.islice(fresh(questions[len(questions) // 2 :]), rounds * A_ROUND)
            )
            worded = all_words(urls[BY_HAND.module], asked)
    for name, share in found.items():
        figures[name]["recall_at_10"] = share
    return {
        "chunks": chunks,
        "rounds": rounds,
        "questions": rounds * A_ROUND,
        "with_all_words": worded,
        "machine": machine(),
        "versions": {
            peer: versions(peer) for peer in sorted({p.environment for p in peers if p.environment})
        },
        "contenders": figures,
    }


def main() -> None:
    """Measure and write the results."""
    given = options()
    chunks = int(given.get("chunks", 20_000))
    if chunks > MOST:
        raise SystemExit(f"at most {MOST:,} chunks: {__doc__}")
    peers = [ROSTER[name] for name in given.get("only", ",".join(ROSTER)).split(",")]
    installed({peer.environment for peer in peers if peer.environment})
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(given.get("home", temporary)) / str(chunks)
        home.mkdir(parents=True, exist_ok=True)
        rounds, seconds = int(given.get("rounds", 3)), float(given.get("seconds", 5))
        figures = measure(home, chunks, rounds, seconds, peers)
    known = {size["chunks"]: size for size in (kept(NAME) or {}).get("sizes", ())}
    known[chunks] = figures
    sizes = [known[size] for size in sorted(known)]
    keep(NAME, {"sizes": sizes})
    text = peers_page.page(sizes)
    (results_folder() / f"{NAME}.md").write_text(text, encoding="utf-8")
    print(text, flush=True)


if __name__ == "__main__":
    main()
