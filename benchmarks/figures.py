"""The figures we go for: goal, how it is read, and where one falls short why and what is next. The
one place for all of that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import readings
from benchmarks.readings import Reading


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the report. `short` is shown while the goal is not reached: the reason, and the
    next idea."""

    what: str
    goal: float | None  # None: to be stated
    goal_text: str
    read: Callable[[], Reading | None]
    is_least: bool = False  # the goal is the most allowed, not the least wanted
    short: str = ""

    def progress(self, reading: Reading) -> float:
        """1 where the goal is just reached, more where it is passed."""
        if self.goal is None:
            return float("inf")
        if not self.is_least:
            return reading.value / self.goal
        return self.goal / reading.value if reading.value > 0 else float("inf")


FIGURES = (
    Figure(
        "cold ingest, engine only (free embedder)", 8.0, "8x CocoIndex", readings.cold_engine,
        short="Ours also keeps parsed text, postings for BM25, lineage and a record per stage; the "
        "loader written by hand does none of it. Two shards use two cores, for what one costs. "
        "Next: fewer keys and checks per row on the server.",
    ),
    Figure(
        "embedding engine, bf16 (default)", 2.7, "2.7x sentence-transformers",
        readings.embedding_bf16,
    ),
    Figure(
        "embedding engine, int8 (opt-in)", 4.0, "4x sentence-transformers", readings.embedding_int8,
        short="Normalisation, softmax and GELU stay in floats and now weigh as much as the "
        "products. Next: fuse them (a graph of the runtime's own quantised attention).",
    ),
    Figure(
        "nDCG@10 lost by bf16", 0.003, "at most 0.003 on any collection", readings.loss_bf16, True,
    ),
    Figure(
        "nDCG@10 lost by int8", None, "stated", readings.loss_int8, True,
    ),
    Figure(
        "cold ingest with the real model", 2.5, "2.5x any peer", readings.real_model,
        short="The part that is not the embedder: parser processes starting, stages one after the "
        "other. Next: stages that overlap.",
    ),
    Figure(
        "real model: time inside the embedder", 0.95, "95 %", readings.busy_share,
        short="Within a shard the stages follow one another: each is an asset whose checks may "
        "stop the next. So the embedder waits until the first shards are parsed and cut. Next: "
        "more and smaller shards.",
    ),
    Figure(
        "no-op pass over 10,000 documents", 1.5, "1.5 s", readings.no_op, True,
        short="The whole listing goes to the server to be compared there. Next: an etag of the "
        "listing, so that an unchanged one is not sent.",
    ),
    Figure(
        "no-op beside CocoIndex", 5.0, "5x CocoIndex", readings.no_op_ratio,
        short="As above.",
    ),
    Figure(
        "1 % edited, embeddings", 0.015, "1.5 % of the cold ones", readings.edit_embedded, True,
    ),
    Figure(
        "1 % edited, seconds with the real model", 0.015, "1.5 % of the cold seconds",
        readings.edit_real, True,
        short="A look at every file and the fixed statements of five stages.",
    ),
    Figure(
        "1 % edited, seconds with the free embedder", 0.015, "1.5 % of the cold seconds",
        readings.edit, True,
        short="A look at every file and the fixed statements of five stages do not shrink with the "
        "change; with the real model the cold load is many times longer and the share far below. "
        "Next: hints that name what changed, so that nothing else is looked at.",
    ),
    Figure("rename of 5 %, embeddings", 0.5, "0", readings.rename, True),
    Figure(
        "object put to searchable, p50", 10.0, "10 s", readings.put_p50, True,
        short="1.5 s until the sensor looks, 1.2 s in the queue, 2.6 s until a process of its own "
        "has imported Dagster and the definitions, 6 s of steps on two busy cores, half of it "
        "imports of parser and model. Next: a warm run worker.",
    ),
    Figure(
        "object put to searchable, p95", 20.0, "20 s", readings.put_p95, True,
        short="As above, and a put that just misses a tick.",
    ),
    Figure(
        "search in 100,000 chunks, end to end, p50", 15.0, "15 ms", readings.search_p50, True,
        short="In turn on two cores: 4 ms to encode, 6 to 8 ms of Postgres (nearest vectors, "
        "then texts), 4 to 6 ms of Python, HTTP and waking each other; the same machine is a "
        "quarter slower on another day. Next: fewer changes of process.",
    ),
    Figure(
        "search in 100,000 chunks, end to end, p95", 40.0, "40 ms", readings.search_p95, True,
        short="Questions of common words: long lists of postings. Next: as above.",
    ),
    Figure(
        "recall@10 of exact, least of all filters", 0.98, "0.98, also at 0.1 % of rows",
        readings.recall,
        short="Each build of the index differs a little. Next: more rows in view.",
    ),
    Figure("SciFact test nDCG@10, hybrid", 0.70, "0.70", readings.scifact),
    Figure(
        "hybrid beside the better of BM25 and dense", 1.0, "above both everywhere",
        readings.above_both,
    ),
    Figure(
        "memory of the ingest process, largest corpus", 1.5, "1.5 GB, flat", readings.memory, True,
    ),
    Figure("`rag --help`", 0.5, "0.5 s", readings.help_s, True),
    Figure(
        "`rag search`, new process", 1.5, "1.5 s", readings.search_s, True,
        short="Imports and the model's compilation for this processor. Next: ask the running "
        "service instead of loading the model.",
    ),
    Figure(
        "`make dev` ready, new home", 20.0, "20 s", readings.stack_s, True,
        short="initdb, migrations, Dagster's daemon and web server, each importing Dagster.",
    ),
)  # fmt: skip
