"""The time from a file's change to the row that a search reads, of CocoIndex in live mode: the one
peer that watches its source.

Run: python -m benchmarks.put_beside [puts=8]. Writes put-peers.{json,md}. Not like for like with
`benchmarks.main_job`: the kernel tells CocoIndex of a change in a folder of its own machine, and
one process that stays does all; ours looks at a bucket, and each change is a run with its record.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from benchmarks.incremental.job import Job
from benchmarks.incremental.peers import installed, versions
from benchmarks.incremental.roster import COCOINDEX
from benchmarks.incremental.server import running_server
from benchmarks.keeping import keep, machine, results_folder
from benchmarks.main_job import PAGE
from rag.embed.pretrained import bundled_model_folder

NAME = "put-peers"
LIVE = replace(COCOINDEX, name="cocoindex_live", title="CocoIndex, live")
_THERE_BEFORE = 100
_WAIT_S = 180.0
_LEAST_APART_S, _MOST_APART_S = 0.5, 3.0
_HOLDS = "select from passage where strpos(text, %s) > 0 limit 1"


def document(number: int, code: str) -> str:
    """The page of the main job, as one passage."""
    return PAGE.format(n=number, code=code).strip().replace("\n\n", "\n")


@contextmanager
def watched(url: str, home: Path) -> Iterator[Path]:
    """The folder that CocoIndex watches, when what was there before is in the table."""
    folder, state = home / "folder", home / "state"
    folder.mkdir()
    state.mkdir()
    for number in range(_THERE_BEFORE):
        text = document(number, f"before{number}x")
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
    model = str(bundled_model_folder())
    job = Job("prepare", url, str(folder), str(state), str(home / "embedded"), model)
    LIVE.run(job)
    process = LIVE.start(replace(job, step="update"))
    try:
        for number in range(_THERE_BEFORE):
            wait_for(url, f"before{number}x", process)
        yield folder
    finally:
        process.kill()
        process.communicate()


def wait_for(url: str, code: str, process: subprocess.Popen[str] | None = None) -> None:
    """Until a row holds the code. Raises RuntimeError when the process has ended, or none comes."""
    deadline = time.monotonic() + _WAIT_S
    with psycopg.connect(url, autocommit=True) as conn:
        while time.monotonic() < deadline and (process is None or process.poll() is None):
            is_made = conn.execute("select to_regclass('passage')").fetchone() != (None,)
            if is_made and conn.execute(_HOLDS, [code]).fetchone() is not None:
                return
            time.sleep(0.005)
    raise RuntimeError(f"no row holds {code!r}")


def measure(puts: int) -> list[float]:
    """Seconds of each put: by turns a new file and a changed one."""
    source = random.Random(1)
    times = []
    with tempfile.TemporaryDirectory(prefix="rag-put-") as temporary:
        home = Path(temporary)
        with running_server(home / "server") as server:
            url = server.new_database("cocoindex_live")
            with watched(url, home) as folder:
                for number in range(puts):
                    time.sleep(source.uniform(_LEAST_APART_S, _MOST_APART_S))
                    path = folder / f"{number if number % 2 else _THERE_BEFORE + number}.txt"
                    code = f"put{number}x"
                    started = time.perf_counter()
                    path.write_text(document(number, code), encoding="utf-8")
                    wait_for(url, code)
                    times.append(time.perf_counter() - started)
                    print(f"put {number + 1}/{puts}: {times[-1]:.3f} s", flush=True)
    return times


def page(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    times, box = figures["put_to_row_s"], figures["machine"]
    return "\n".join((
        "# A change of a file to its row, CocoIndex in live mode",
        "",
        "`python -m benchmarks.put_beside`; a local folder, the real model.",
        "",
        "| puts | p50 | p95 | least | most |",
        "|---:|---:|---:|---:|---:|",
        f"| {len(times)} | {np.percentile(times, 50):.2f} s | {np.percentile(times, 95):.2f} s | "
        f"{min(times):.2f} s | {max(times):.2f} s |",
        "",
        f"{box['cores']} cores, load average {box['load_average']} at the end.",
        "",
    ))  # fmt: skip


def main() -> None:
    """Measure and write the results."""
    given = dict(word.split("=", 1) for word in sys.argv[1:])
    installed(["cocoindex"])
    times = measure(int(given.get("puts", 8)))
    figures = {
        "put_to_row_s": times,
        "machine": machine(),
        "versions": {"cocoindex": versions("cocoindex")},
    }
    keep(NAME, figures)
    (results_folder() / f"{NAME}.md").write_text(page(figures), encoding="utf-8")
    print(page(figures), flush=True)


if __name__ == "__main__":
    main()
