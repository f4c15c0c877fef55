"""The scenarios: what happens to the corpus before each update, and one contender's way through."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.incremental.documents import Corpus
from benchmarks.incremental.job import Job, Outcome
from benchmarks.incremental.oracle import Verdict, judge
from benchmarks.incremental.roster import Contender
from benchmarks.incremental.server import Server
from benchmarks.incremental.vectors import Counter

MODEL = "free-a"
OTHER_MODEL = "free-b"


def _nothing(corpus: Corpus) -> int:  # noqa: ARG001
    return 0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One change of the world and the update that follows it."""

    name: str
    change: Callable[[Corpus], int]
    model: str = MODEL


SCENARIOS = (
    Scenario("cold", _nothing),
    Scenario("no-op", _nothing),
    Scenario("touch 5 %", lambda corpus: corpus.touch(0.05)),
    Scenario("edit 1 %", lambda corpus: corpus.edit(0.01)),
    Scenario("edit 5 %", lambda corpus: corpus.edit(0.05)),
    Scenario("rename 5 %", lambda corpus: corpus.rename(0.05)),
    Scenario("delete 5 %", lambda corpus: corpus.delete(0.05)),
    Scenario("model change", _nothing, OTHER_MODEL),
)
KILLED = "kill -9, rerun"
# a claim of ours outlives its dead worker by lease_s: what it held waits for a run after that
LATER = "31 s later"
_LEASE_S = 31


@dataclass(frozen=True, slots=True)
class Result:
    """One contender in one scenario of one round."""

    contender: str
    scenario: str
    outcome: Outcome
    server_cpu_seconds: float
    embedded: int
    verdict: Verdict
    embedded_before_kill: int = 0


class Lane:
    """A contender's own corpus, database and state folder for one round: every lane's corpus goes
    through the same changes."""

    def __init__(
        self, contender: Contender, server: Server, folder: Path, documents: int, seed: int
    ) -> None:
        self.contender = contender
        self._server = server
        self._folder = folder / contender.name
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._corpus = Corpus(self._folder / "corpus", seed)
        self._corpus.fill(documents)
        self._start_over("main")
        self.cold_seconds = 0.0

    def _start_over(self, name: str) -> None:
        state = self._folder / name
        state.mkdir()
        self._state = state
        self._url = self._server.new_database(f"bench_{self.contender.name}")
        self.contender.run(self._job("prepare", MODEL, "prepared"))

    def _job(self, step: str, model: str, counter: str) -> Job:
        return Job(
            step=step,
            url=self._url,
            folder=str(self._folder / "corpus"),
            state=str(self._state),
            counter=str(self._state / counter),
            model=model,
        )

    def go(self, scenario: Scenario) -> Result:
        """Change the corpus, update, judge."""
        scenario.change(self._corpus)
        result = self._update(scenario.name, scenario.model)
        if scenario.name == "cold":
            self.cold_seconds = result.outcome.seconds
        return result

    def killed(self) -> list[Result]:
        """A cold update, killed half-way; what is reported is the update after it, and one more
        when rows are still missing then."""
        self._start_over("killed")
        job = self._job("update", MODEL, "killed")
        is_killed = self.contender.killed_after(job, self.cold_seconds / 2)
        assert is_killed, "the update ended before it could be killed"
        before = Counter(Path(job.counter)).value
        results = [self._update(KILLED, MODEL, before)]
        if results[0].verdict.missing:
            time.sleep(_LEASE_S)
            results.append(self._update(LATER, MODEL))
        return results

    def close(self) -> None:
        """Remove the files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _update(self, scenario: str, model: str, before: int = 0) -> Result:
        job = self._job("update", model, "counter")
        counter = Counter(Path(job.counter))
        embedded = counter.value
        self._server.settle()
        cpu = self._server.cpu_seconds()
        outcome = self.contender.run(job)
        cpu = self._server.cpu_seconds() - cpu
        verdict = judge(self.contender, self._url, self._corpus.passages(), model)
        return Result(
            self.contender.name,
            scenario,
            outcome,
            cpu,
            counter.value - embedded,
            verdict,
            before,
        )
