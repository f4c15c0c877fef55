"""A first load with the real model, beside CocoIndex, LlamaIndex, LangChain and one by hand.

    python -m benchmarks.bulk [chunks=600] [rounds=2] [only=ours,by_hand] [name=bulk]

Real prose, the same passages and model for all; ours with its own parser and its default engine,
the others with sentence-transformers as they come. The clock starts when everything is imported and
the model is loaded. Then 1 % of the documents change. Contenders take turns, the first one changes
from round to round. Writes <name>.{json,md}. Needs RAG_TEST_DATA.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psycopg

from benchmarks.bulk.passages import PER_DOCUMENT, Prose, passages
from benchmarks.incremental.contenders.ours import models_folder
from benchmarks.incremental.job import Job
from benchmarks.incremental.peers import installed, versions
from benchmarks.incremental.roster import (
    BY_HAND,
    COCOINDEX,
    LANGCHAIN,
    LLAMAINDEX,
    OURS,
    OURS_SHARDED,
    Contender,
)
from benchmarks.incremental.server import Server, running_server
from benchmarks.incremental.vectors import Counter as Texts
from benchmarks.keeping import keep, machine, results_folder
from benchmarks.retrieval.judged import data_folder
from rag.embed.engine import open_embedder
from rag.embed.pretrained import bundled_model_folder

SHARDED = replace(OURS_SHARDED, title="rag-assets, 8 shards")
CONTENDERS = {one.name: one for one in (OURS, SHARDED, BY_HAND, COCOINDEX, LLAMAINDEX, LANGCHAIN)}
STEPS = ("cold", "edit 1 %")
_SAMPLE = 60
_HEAD = 8
# what bf16 loses lies well below, what another text's vector differs by far above
_TOLERANCE = 6e-3
_SPARE = 40


@dataclass(frozen=True, slots=True)
class Load:
    """One update of one contender in one round."""

    contender: str
    step: str
    seconds: float
    embedder_seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    peak_rss_mb: float
    embedded: int
    right: int
    wrong: int
    missing: int


@dataclass(frozen=True, slots=True)
class Truth:
    """Vectors' heads in fp32 of a few passages: rows must hold these."""

    heads: dict[str, Any]

    @classmethod
    def of(cls, texts: list[str]) -> Truth:
        """What the model says of some of the texts."""
        sample = texts[:: max(1, len(texts) // _SAMPLE)]
        exact = open_embedder(str(bundled_model_folder()), "fp32", models_folder(), "cpu")
        return cls(dict(zip(sample, exact.embed(sample)[:, :_HEAD], strict=True)))

    def agrees(self, text: str, head: list[float]) -> bool:
        """Whether that is the text's vector, as far as is known."""
        known = self.heads.get(text)
        return known is None or bool(np.abs(known - np.array(head)).max() < _TOLERANCE)


def load(
    contender: Contender, server: Server, folder: Path, texts: list[str], truth: Truth
) -> list[Load]:
    """A contender's updates, in a database of its own."""
    prose = Prose(folder / "corpus", texts[:-_SPARE], texts[-_SPARE:])
    prose.write()
    (folder / "state").mkdir()
    url = server.new_database(f"bulk_{contender.name}")
    job = Job(
        "prepare", url, str(prose.folder), str(folder / "state"), str(folder / "embedded"),
        str(bundled_model_folder()),
    )  # fmt: skip
    contender.run(job)
    found = []
    for step in STEPS:
        if step.startswith("edit"):
            prose.edit(0.01)
        found.append(_update(contender, server, replace(job, step="update"), step, prose, truth))
        print(_line(found[-1]), flush=True)
    return found


def _update(
    contender: Contender, server: Server, job: Job, step: str, prose: Prose, truth: Truth
) -> Load:
    counter = Texts(Path(job.counter))
    before = counter.value
    server.settle()
    cpu = server.cpu_seconds()
    outcome = contender.run(job)
    cpu = server.cpu_seconds() - cpu
    wanted = Counter((one.document, one.text) for one in prose.passages())
    right = wrong = 0
    with psycopg.connect(job.url) as conn:
        for document, text, _, head in conn.execute(contender.rows):
            is_right = wanted[document, text] > 0 and truth.agrees(text, head)
            wanted[document, text] -= is_right
            right, wrong = right + is_right, wrong + (not is_right)
    return Load(
        contender.name, step, outcome.seconds, outcome.embedder_seconds, outcome.cpu_seconds, cpu,
        outcome.peak_rss_mb, counter.value - before, right, wrong, wanted.total(),
    )  # fmt: skip


def _line(one: Load) -> str:
    return (
        f"{one.contender:11} {one.step:9} {one.seconds:7.2f} s, embedding "
        f"{one.embedder_seconds / one.seconds:4.0%}, embedded {one.embedded:5}, "
        f"rows {one.right} / {one.wrong} / {one.missing}"
    )


def measure(chunks: int, rounds: int, names: list[str]) -> dict[str, Any]:
    """All rounds."""
    texts = passages(chunks + _SPARE)
    truth = Truth.of(texts)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="rag-bulk-") as temporary:
        home = Path(temporary)
        with running_server(home / "server") as server:
            for number in range(rounds):
                order = names[number % len(names) :] + names[: number % len(names)]
                for name in order:
                    folder = home / f"{number}-{name}"
                    folder.mkdir()
                    loads = load(CONTENDERS[name], server, folder, texts, truth)
                    found += [{"round": number, **asdict(one)} for one in loads]
    peers = {one.environment for name in names if (one := CONTENDERS[name]).environment}
    return {
        "chunks": chunks,
        "documents": -(-chunks // PER_DOCUMENT),
        "rounds": rounds,
        "machine": machine(),
        "versions": {peer: versions(peer) for peer in sorted(peers)},
        "loads": found,
    }


def page(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        f"# First load of {figures['chunks']:,} chunks of real prose with the real model",
        "",
        f"`python -m benchmarks.bulk`; {figures['rounds']} rounds in turns, medians (least-most); "
        f"{figures['machine']['cores']} cores, load average "
        f"{figures['machine']['load_average']:.1f} at the end.",
        "",
        "| contender | step | s | of it embedding | CPU s, with the server | embedded "
        "| times ours, wall | times ours, CPU | rows right / wrong / missing | peak MB |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    names = list(dict.fromkeys(one["contender"] for one in figures["loads"]))
    lines += [_row(figures["loads"], name, step) for step in STEPS for name in names]
    return "\n".join(lines) + "\n"


def _row(loads: list[dict[str, Any]], name: str, step: str) -> str:
    def values(of: str, field: str) -> list[float]:
        return [one[field] for one in loads if (one["contender"], one["step"]) == (of, step)]

    def cpu(of: str) -> float:
        return median(
            a + b
            for a, b in zip(
                values(of, "cpu_seconds"), values(of, "server_cpu_seconds"), strict=True
            )
        )

    seconds, busy = values(name, "seconds"), values(name, "embedder_seconds")
    share = median(b / s for b, s in zip(busy, seconds, strict=True))
    has_ours = bool(values("ours", "seconds"))
    wall_ratio = median(seconds) / median(values("ours", "seconds")) if has_ours else float("nan")
    cpu_ratio = cpu(name) / cpu("ours") if has_ours else float("nan")
    rows = {
        tuple(int(values(name, key)[n]) for key in ("right", "wrong", "missing"))
        for n in range(len(seconds))
    }
    return (
        f"| {CONTENDERS[name].title} | {step} | {median(seconds):.2f} "
        f"({min(seconds):.2f}-{max(seconds):.2f}) | {share:.0%} | {cpu(name):.2f} | "
        f"{median(values(name, 'embedded')):.0f} | {wall_ratio:.2f} | {cpu_ratio:.2f} | "
        f"{'; '.join(' / '.join(map(str, row)) for row in sorted(rows))} | "
        f"{max(values(name, 'peak_rss_mb')):.0f} |"
    )


def main() -> None:
    """Measure and write the results."""
    if not data_folder().is_dir():
        raise SystemExit("RAG_TEST_DATA names no folder with the judged collections: left out.")
    given = dict(word.split("=", 1) for word in sys.argv[1:])
    names = given["only"].split(",") if "only" in given else list(CONTENDERS)
    installed(one.environment for name in names if (one := CONTENDERS[name]).environment)
    figures = measure(int(given.get("chunks", 600)), int(given.get("rounds", 2)), names)
    name = given.get("name", "bulk")
    keep(name, figures)
    (results_folder() / f"{name}.md").write_text(page(figures), encoding="utf-8")
    print(page(figures))


if __name__ == "__main__":
    main()
