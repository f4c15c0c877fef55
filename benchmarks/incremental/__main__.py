"""Incremental indexing side by side with CocoIndex, LlamaIndex and LangChain.

    python -m benchmarks.incremental [documents=2000] [rounds=3] [only=ours,cocoindex] [name=...]
        [until=edit 1 %]    the scenarios up to that one, and no kill
    python -m benchmarks.incremental memory

The rules, and what to know before reading the figures: benchmarks/README.md.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.incremental import memory, report
from benchmarks.incremental.peers import installed
from benchmarks.incremental.roster import ROSTER
from benchmarks.incremental.scenarios import SCENARIOS, Lane, Result, Scenario
from benchmarks.incremental.server import Server, running_server

NOTES = """
What is counted is in benchmarks/README.md. `kill -9, rerun`: a cold update killed half-way; the
figures are those of the update after it. `31 s later`: one more update, only where rows were
still missing.
"""


def main() -> None:
    """Read the command line."""
    if sys.argv[1:2] == ["memory"]:
        memory.main(sys.argv[2:])
        return
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    documents = int(options.get("documents", 2000))
    rounds = int(options.get("rounds", 3))
    name = options.get("name", f"incremental-{documents}")
    names = options["only"].split(",") if "only" in options else list(ROSTER)
    scenarios = _until(options.get("until"))
    installed(environment for one in names if (environment := ROSTER[one].environment))
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as folder:
        home = Path(folder)
        with running_server(home / "server") as server:
            played: list[list[Result]] = []
            for seed in range(rounds):
                played.append(_round(server, home, names, documents, seed, scenarios))
                # after each round: a long run that is stopped leaves what it has
                text = report.write(name, documents, played, NOTES)
    print(text)


def _until(last: str | None) -> tuple[Scenario, ...]:
    """All scenarios, or those up to the one of that name."""
    names = [scenario.name for scenario in SCENARIOS]
    return SCENARIOS if last is None else SCENARIOS[: names.index(last) + 1]


def _round(
    server: Server,
    home: Path,
    names: list[str],
    documents: int,
    seed: int,
    scenarios: Sequence[Scenario],
) -> list[Result]:
    """Every contender through every scenario, taking turns within each; the first one changes
    from round to round."""
    order = names[seed % len(names) :] + names[: seed % len(names)]
    lanes = [Lane(ROSTER[name], server, home / "lanes", documents, seed) for name in order]
    results = [_told(lane.go(scenario)) for scenario in scenarios for lane in lanes]
    if len(scenarios) == len(SCENARIOS):
        results += [_told(result) for lane in lanes for result in lane.killed()]
    for lane in lanes:
        lane.close()
    return results


def _told(result: Result) -> Result:
    outcome, verdict = result.outcome, result.verdict
    print(
        f"{result.contender:11} {result.scenario:15} {outcome.seconds:7.2f} s "
        f"cpu {outcome.cpu_seconds:6.2f} + {result.server_cpu_seconds:6.2f}  "
        f"embedded {result.embedded:6}  "
        f"rows {verdict.right} / {verdict.wrong} / {verdict.missing}",
        flush=True,
    )
    return result


if __name__ == "__main__":
    main()
