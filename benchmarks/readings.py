"""What the parts' results say, in the form of the report's figures. A reading is None where its
part has not run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np

from benchmarks.keeping import kept
from benchmarks.parts import BULK_LARGE, ENGINE, LARGE
from benchmarks.search import peers_page

PEERS = {
    "cocoindex": "CocoIndex", "llamaindex": "LlamaIndex", "langchain": "LangChain",
    "by_hand": "by hand",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """What was reached: `value` is compared with the goal; `shown` says it with its spread."""

    value: float
    shown: str
    to_peer: str = "-"
    to_limit: str = "-"


def spread(values: Iterable[float], unit: str = "", form: str = ".2f") -> str:
    """The median, and least to most when there are several."""
    found = list(values)
    if len(found) < 2:
        return f"{found[0]:{form}}{unit}"
    return f"{median(found):{form}}{unit} ({min(found):{form}}-{max(found):{form}})"


class _Engine:
    """Seconds of the incremental benchmark by contender and scenario, a value per round."""

    def __init__(self, name: str) -> None:
        self._results = (kept(name) or {"results": []})["results"]
        self.chunks = max((one["embedded"] for one in self._results), default=0)

    def of(self, contender: str, scenario: str, field: str = "seconds") -> list[float]:
        return [
            one["outcome"].get(field, one.get(field))
            for one in self._results
            if (one["contender"], one["scenario"]) == (contender, scenario)
        ]

    def ratios(self, contender: str, scenario: str, ours: str = "ours") -> list[float]:
        """The contender's seconds as a multiple of ours, round by round."""
        pairs = zip(self.of(contender, scenario), self.of(ours, scenario), strict=False)
        return [theirs / ours for theirs, ours in pairs]

    def cpu_ratios(self, contender: str, scenario: str) -> list[float]:
        """The same in processor seconds of client and server."""

        def cpu(name: str) -> list[float]:
            fields = ("cpu_seconds", "server_cpu_seconds")
            columns = [self.of(name, scenario, field) for field in fields]
            return [sum(values) for values in zip(*columns, strict=True)]

        return [t / o for t, o in zip(cpu(contender), cpu("ours"), strict=False)]

    def peers(self, scenario: str) -> str:
        """Each peer's multiple of our seconds."""
        return _beside({name: self.ratios(name, scenario) for name in PEERS})


def _beside(ratios: dict[str, list[float]]) -> str:
    return ", ".join(f"{PEERS[name]} {median(r):.1f}x" for name, r in ratios.items() if r) or "-"


def _both(wall: Sequence[float], cpu: Sequence[float]) -> tuple[float, str]:
    """The smaller of two ratios, and both in words: on a machine with other work, threads that wait
    for each other make wall time flatter whoever has fewer."""
    shown = f"{spread(wall, 'x')}, in processor time {median(cpu):.2f}x"
    return min(median(wall), median(cpu)), shown


def cold_engine() -> Reading | None:
    engine, limits = _Engine(ENGINE), kept("limits")
    ratios = engine.ratios("cocoindex", "cold")
    if not ratios:
        return None
    to_limit = "-"
    if limits:
        rate = engine.chunks / median(engine.of("ours", "cold"))
        to_limit = f"{rate / limits['copy_rows_per_s']:.0%} of COPY alone"
    value, shown = _both(ratios, engine.cpu_ratios("cocoindex", "cold"))
    parts = [f"{engine.chunks:,} chunks in one shard: {shown}"]
    # processes for shards: wall time is what they are for
    for one in (engine, _Engine(LARGE)):
        if sharded := one.ratios("cocoindex", "cold", ours="ours_sharded"):
            value = max(value, median(sharded))
            parts.append(f"{one.chunks:,} in a shard for each core: {spread(sharded, 'x')}")
    return Reading(value, "; ".join(parts), engine.peers("cold"), to_limit)


def _embedding(precision: str) -> Reading | None:
    found = kept("embedding")
    if not found or "peak_gflop_per_cpu_s" not in found:
        return None
    row = next(one for one in found["contenders"] if one["name"] == f"engine, {precision}")
    low, high = row["ratio_spread"]
    share = row["gflop_per_cpu_s"] / found["peak_gflop_per_cpu_s"][precision]
    return Reading(
        min(row["ratio"], row["cpu_ratio"]),
        f"{row['ratio']:.2f}x ({low:.2f}-{high:.2f}), in processor time {row['cpu_ratio']:.2f}x",
        "sentence-transformers, defaults",
        f"{share:.0%} of the matrix-product peak",
    )


def embedding_bf16() -> Reading | None:
    return _embedding("bf16")


def embedding_int8() -> Reading | None:
    reading = _embedding("int8")
    if reading is None or kept("embedding")["int8_computes"] == "int8":
        return reading
    return replace(reading, shown=f"{reading.shown}; computed in bf16, which is faster here")


def _loss(precision: str) -> Reading | None:
    found = kept("precision")
    if not found:
        return None
    losses = {name: row["fp32"] - row[precision] for name, row in found.items()}
    told = ", ".join(f"{name} {loss:+.4f}" for name, loss in losses.items())
    most = max(losses.values())
    return Reading(max(most, 0.0), f"{most:+.4f} at most; {told}")


def loss_bf16() -> Reading | None:
    return _loss("bf16")


def loss_int8() -> Reading | None:
    return _loss("int8")


def _loads(contender: str, step: str, field: str, of: str = "bulk") -> list[float]:
    found = kept(of) or {"loads": []}
    keys = (contender, step)
    return [one[field] for one in found["loads"] if (one["contender"], one["step"]) == keys]


def _load_ratios(fields: Sequence[str]) -> dict[str, list[float]]:
    """Each peer's first load as a multiple of ours, in the sum of these fields, round by round."""

    def total(name: str) -> list[float]:
        columns = [_loads(name, "cold", field) for field in fields]
        return [sum(values) for values in zip(*columns, strict=True)]

    ours = total("ours")
    ratios = {
        name: [their / our for their, our in zip(total(name), ours, strict=False)] for name in PEERS
    }
    return {name: found for name, found in ratios.items() if found}


def real_model() -> Reading | None:
    ratios = _load_ratios(["seconds"])
    if not ratios:
        return None
    name = min(ratios, key=lambda name: median(ratios[name]))
    best = ratios[name]
    cpu = _load_ratios(["cpu_seconds", "server_cpu_seconds"])[name]
    ours = _loads("ours", "cold", "seconds")
    busy = median(_loads("ours", "cold", "embedder_seconds")) / median(ours)
    value, shown = _both(best, cpu)
    return Reading(
        value, f"{PEERS[name]} {shown}", _beside(ratios), f"{busy:.0%} of the engine alone"
    )


def busy_share() -> Reading | None:
    if not _loads("ours", "cold", "seconds", of=BULK_LARGE):
        return None
    found = kept(BULK_LARGE)
    value, said = _busy("ours")
    shown = f"{said} of a load of {found['chunks']:,} passages in one shard"
    if _loads("ours_sharded", "cold", "seconds", of=BULK_LARGE):
        value, said = _busy("ours_sharded")
        shown = f"{said} in eight shards, four runs at a time, of which one embeds; {shown}"
    return Reading(value, shown)


def _busy(contender: str) -> tuple[float, str]:
    """The share of a first load's time in which the embedder was at work, with the cores used."""
    fields = ("embedder_seconds", "seconds", "cpu_seconds")
    busy, seconds, cpu = (_loads(contender, "cold", field, of=BULK_LARGE) for field in fields)
    cores = kept(BULK_LARGE)["machine"]["cores"]
    shares = [one / whole for one, whole in zip(busy, seconds, strict=True)]
    used = median(one / (cores * whole) for one, whole in zip(cpu, seconds, strict=True))
    return median(shares), f"{spread(shares, form='.1%')} ({used:.0%} of {cores} cores)"


def edit_real() -> Reading | None:
    """1 % edited beside the first load, both with the real model."""
    cold = _loads("ours", "cold", "seconds", of=BULK_LARGE)
    edited = _loads("ours", "edit 1 %", "seconds", of=BULK_LARGE)
    if not edited:
        return None
    shares = [one / whole for one, whole in zip(edited, cold, strict=True)]
    return Reading(median(shares), f"{spread(shares, form='.2%')} of the seconds")


def no_op() -> Reading | None:
    engine, limits = _Engine(LARGE), kept("limits")
    ours = engine.of("ours", "no-op")
    if not ours:
        return None
    to_limit = "-"
    if limits:
        look = median(limits["look_s"]) * 10_000 / limits["documents"]
        to_limit = f"{median(ours) / look:.0f}x a look at the files alone"
    return Reading(median(ours), spread(ours, " s"), engine.peers("no-op"), to_limit)


def no_op_ratio() -> Reading | None:
    engine = _Engine(LARGE)
    ratios = engine.ratios("cocoindex", "no-op")
    if not ratios:
        return None
    return Reading(*_both(ratios, engine.cpu_ratios("cocoindex", "no-op")))


def edit() -> Reading | None:
    engine = _Engine(LARGE)
    cold, edited = engine.of("ours", "cold"), engine.of("ours", "edit 1 %")
    if not edited:
        return None
    shares = [e / c for e, c in zip(edited, cold, strict=True)]
    return Reading(
        median(shares), f"{spread(shares, form='.1%')} of the seconds",
        engine.peers("edit 1 %"),
        f"{_embedded_share(engine):.2%} of the chunks embedded",
    )  # fmt: skip


def _embedded_share(engine: _Engine) -> float:
    return engine.of("ours", "edit 1 %", "embedded")[0] / engine.of("ours", "cold", "embedded")[0]


def edit_embedded() -> Reading | None:
    engine = _Engine(LARGE)
    if not engine.of("ours", "edit 1 %"):
        return None
    share = _embedded_share(engine)
    return Reading(share, f"{share:.3%} of the chunks")


def rename() -> Reading | None:
    engine = _Engine(ENGINE)
    ours = engine.of("ours", "rename 5 %", "embedded")
    if not ours:
        return None
    peers = ", ".join(
        f"{title} {engine.of(name, 'rename 5 %', 'embedded')[0]}"
        for name, title in PEERS.items()
        if engine.of(name, "rename 5 %", "embedded")
    )
    return Reading(max(ours), f"{max(ours):.0f} texts embedded", peers)


def _puts(share: float) -> Reading | None:
    found = kept("main_job")
    if not found:
        return None
    times = sorted(found["put_to_searchable_s"])
    value = times[round(share * (len(times) - 1))]
    shown = f"{value:.1f} s ({len(times)} puts, {min(times):.1f}-{max(times):.1f})"
    if not (live := kept("put-peers")):
        return Reading(value, shown)
    theirs = np.percentile(live["put_to_row_s"], 100 * share)
    return Reading(value, shown, f"CocoIndex, live, a folder of its own machine: {theirs:.1f} s")


def put_p50() -> Reading | None:
    return _puts(0.5)


def put_p95() -> Reading | None:
    return _puts(0.95)


def _searched(of: str = "search") -> dict[str, Any] | None:
    """The figures of 100,000 chunks, else of what is nearest to so many."""
    sizes = (kept(of) or {}).get("sizes", ())
    return min(sizes, key=lambda row: abs(row["chunks"] - 100_000), default=None)


def _search(percentile: str) -> Reading | None:
    found, others = _searched(), _searched(peers_page.NAME)
    if not found:
        return None
    http = found["http"]
    value = http["one_at_a_time"][percentile]
    floor = http["encode_ms"] + found["parts_ms"][_NEAREST]["p50"]
    return Reading(
        value,
        f"{value:.1f} ms in {found['chunks']:,} chunks; "
        f"{_first_met(http, percentile)}at {http['open_loop']['rate']:.0f}/s "
        f"{http['open_loop'][percentile]:.1f} ms",
        peers_page.others(others, percentile) if others else "-",
        f"{value / floor:.1f}x encoding and one index search",
    )


def _first_met(http: dict[str, Any], percentile: str) -> str:
    """What a question of words that were never met takes, where that was measured."""
    found = http.get("words_first_met")
    return f"of words never met before {found[percentile]:.1f} ms; " if found else ""


_NEAREST = "vectors: the nearest 50, and those of the words"


def search_p50() -> Reading | None:
    return _search("p50")


def search_p95() -> Reading | None:
    return _search("p95")


def recall() -> Reading | None:
    found, others = _searched(), _searched(peers_page.NAME)
    if not found:
        return None
    rows = found["recall_at_10_of_exact"]
    value = min(rows.values())
    told = ", ".join(f"{name} {share:.3f}" for name, share in rows.items())
    to_peer = peers_page.others_recall(others) if others else "-"
    return Reading(value, f"{value:.3f}; rows let through: {told}", to_peer)


def scifact() -> Reading | None:
    found = kept("retrieval") or {}
    if "scifact" not in found:
        return None
    rows = {name: row["nDCG@10"] for name, row in found["scifact"]["measures"].items()}
    peers = ", ".join(f"{name} {rows[name]:.3f}" for name in ("bm25s", "MiniLM cosine"))
    return Reading(rows["ours hybrid"], f"{rows['ours hybrid']:.4f}", peers)


def above_both() -> Reading | None:
    found = kept("retrieval")
    if not found:
        return None
    margins = {}
    for name, one in found.items():
        rows = {contender: row["nDCG@10"] for contender, row in one["measures"].items()}
        margins[name] = rows["ours hybrid"] / max(rows["bm25s"], rows["MiniLM cosine"])
    told = ", ".join(f"{name} {margin - 1:+.1%}" for name, margin in margins.items())
    least = min(margins.values())
    return Reading(least, f"{least - 1:+.1%} at least; {told}")


def memory() -> Reading | None:
    sizes = kept("incremental-memory")
    if not sizes:
        return None
    largest = sizes[-1]
    told = ", ".join(f"{one['documents']:,}: {one['cold_mb']:.0f} MB" for one in sizes)
    peers = "; ".join(filter(None, map(_peak_mb, (ENGINE, LARGE)))) or "-"
    shown = f"{largest['cold_mb']:.0f} MB; documents {told}"
    return Reading(largest["cold_mb"] / 1024, shown, peers)


def _peak_mb(name: str) -> str:
    """The peers' most memory in a first load, and its size."""
    engine, facts = _Engine(name), (kept(name) or {}).get("facts", {})
    peaks = {peer: engine.of(peer, "cold", "peak_rss_mb") for peer in PEERS}
    told = ", ".join(f"{PEERS[peer]} {max(found):.0f} MB" for peer, found in peaks.items() if found)
    return told and f"{facts['documents']:,} documents: {told}"


def _started(name: str) -> Callable[[], Reading | None]:
    def read() -> Reading | None:
        found = kept("start_up")
        if not found:
            return None
        columns: dict[str, list[float]] = found["measured"][name]
        cpu = columns.get("cpu_s")
        shown = spread(columns["s"], " s") + (f", processor {median(cpu):.2f} s" if cpu else "")
        return Reading(median(columns["s"]), shown)

    return read


help_s = _started("help")
search_s = _started("search")
stack_s = _started("stack, new home")
