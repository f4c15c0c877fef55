"""All figures in one run, and a report.

    python -m benchmarks [quick] [only=embedding,bulk]    about 40 minutes; quick: 5
    python -m benchmarks only=million                     a million chunks: memory (10 minutes)
    python -m benchmarks report                           the report again, from what is kept

Writes report.md, report.svg and report.json, beside each part's own results, to benchmarks/results;
the quick profile to benchmarks/results/quick. RAG_BENCH_RESULTS names another folder.
"""

from __future__ import annotations

import os
import sys

from benchmarks import parts, report
from benchmarks.keeping import results_folder


def main() -> None:
    """Run the parts of the profile, then write the report."""
    words = sys.argv[1:]
    unknown = [w for w in words if w not in ("quick", "report") and not w.startswith("only=")]
    if unknown:
        raise SystemExit(__doc__)
    is_quick = "quick" in words
    if is_quick and not os.environ.get("RAG_BENCH_RESULTS"):
        os.environ["RAG_BENCH_RESULTS"] = str(results_folder() / "quick")
    only = next((w.removeprefix("only=").split(",") for w in words if w.startswith("only=")), None)
    runs: dict[str, dict[str, object]] = {}
    for part in parts.PARTS if "report" not in words else ():
        chosen = part.quick if is_quick else part.full
        is_wanted = part.name in only if only is not None else not part.is_on_demand
        if chosen is None or not is_wanted:
            continue
        print(f"\n=== {part.name} {' '.join(chosen)}", flush=True)
        runs[part.name] = parts.run(part, chosen)
        print(f"=== {part.name}: {runs[part.name]['outcome']}", flush=True)
        # after each part: a run that is stopped leaves what it has
        report.write("quick" if is_quick else "full", runs)
    print(report.write("quick" if is_quick else "full", runs))


if __name__ == "__main__":
    main()
