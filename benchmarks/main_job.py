"""The main job's figures: seconds per stage of the demo, and the time from an object's put to its
first hit, through the real sensor, daemon and run workers, with where it goes.

Run: python -m benchmarks.main_job [--puts 10]. Writes benchmarks/results/main_job.{json,md}.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.keeping import keep, results_folder
from benchmarks.run_events import phases
from rag.cli import samples
from rag.cli.backend import Backend
from rag.cli.binding import find_or_create
from rag.cli.demo import running_platform
from rag.cli.object_store import client
from rag.model import CollectionName
from rag.search import search
from rag.settings import Settings
from rag.store import collections
from rag.store.database import connect

PAGE = (
    "# Notice {n}\n\nThe lift attendant on duty at station {n} reports wind, rime and visibility "
    "before the first cabin leaves. Code {code} marks the entry in the log.\n\n" * 6
)


def put_to_searchable(backend: Backend, puts: int) -> list[tuple[float, float]]:
    """When a one-page document was put and when a search first found it, in seconds since 1970;
    each put waits a random part of the sensor's interval after the one before was found."""
    store = client(backend)
    name = CollectionName("bench", "puts")
    bucket = samples.URI.removeprefix("s3://").split("/")[0]
    found = find_or_create(backend, name)
    collections.add_source(backend.conn, found, f"s3://{bucket}/puts/")
    time.sleep(2 * backend.settings.sensor_interval_s)
    rng = random.Random(1)
    times: list[tuple[float, float]] = []
    for n in range(puts):
        time.sleep(rng.uniform(0, 2 * backend.settings.sensor_interval_s))
        code = f"qz{n:04d}x{rng.randrange(10**6):06d}"
        started = time.time()
        body = PAGE.format(n=n, code=code).encode()
        store.put_object(Bucket=bucket, Key=f"puts/notice-{n}.md", Body=body)
        while not _hits(backend, name, code):
            time.sleep(0.1)
            if time.time() - started > 180:
                raise SystemExit("a document did not become searchable in 180 s")
        times.append((started, time.time()))
        print(f"  put {n + 1}/{puts}: {times[-1][1] - started:.1f} s", flush=True)
    return times


def _hits(backend: Backend, name: CollectionName, code: str) -> bool:
    return bool(search(backend.conn, None, name, code, k=1, mode="bm25").hits)


def demo_stages(home: Path) -> dict[str, float]:
    """Seconds per stage of the demo in a home of its own."""
    command = [str(Path(sys.executable).parent / "rag"), "demo", "--json"]
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "RAG_HOME": str(home)},
    )
    return {row["stage"]: row["seconds"] for row in json.loads(done.stdout)["stages"]}


def main() -> None:
    """Measure and write the results."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--puts", type=int, default=10)
    puts = arguments.parse_args().puts
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RAG_HOME"] = folder
        stages = demo_stages(Path(folder))
        settings = Settings()
        with running_platform(settings) as (endpoints, _), connect(endpoints.database_url) as conn:
            times = put_to_searchable(Backend(settings, endpoints, conn), puts)
            events = endpoints.dagster_database_url.replace("+psycopg2", "")
            found = [phases(events, started, ended) for started, ended in times]
    median_s = {name: statistics.median(one[name] for one in found) for name in found[0]}
    write(stages, [ended - started for started, ended in times], median_s)


def write(stages: dict[str, float], put_s: list[float], phase_s: dict[str, float]) -> None:
    """Keep the figures as JSON and as a page."""
    figures = {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "demo_stage_s": stages,
        "put_to_searchable_s": put_s,
        "put_phase_s": phase_s,
    }
    keep("main_job", figures)
    p95 = sorted(put_s)[round(0.95 * (len(put_s) - 1))]
    rows = [
        (
            "put to searchable",
            f"p50 {statistics.median(put_s):.1f} s, p95 {p95:.1f} s"
            f" ({len(put_s)} one-page documents)",
        ),
        *((f"of it, {phase} (median)", f"{seconds:.2f} s") for phase, seconds in phase_s.items()),
        *((f"demo, {stage}", f"{seconds:.2f} s") for stage, seconds in stages.items()),
    ]
    page = [
        "# The main job",
        "",
        "`python -m benchmarks.main_job`",
        "",
        "| what | figure |",
        "|---|---|",
    ]
    page += [f"| {what} | {figure} |" for what, figure in rows]
    page += ["", f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the end."]
    (results_folder() / "main_job.md").write_text("\n".join(page) + "\n", encoding="utf-8")
    print("\n".join(page))


if __name__ == "__main__":
    main()
