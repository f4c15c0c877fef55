"""What a contender's process measures of itself."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from benchmarks.incremental.job import Job, Stopwatch, _cpu_seconds


def test_blocks_at_the_same_time_count_once() -> None:
    watch = Stopwatch()
    both = threading.Barrier(2)

    def work() -> None:
        both.wait(5)
        with watch:
            time.sleep(0.1)

    threads = [threading.Thread(target=work) for _ in range(2)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert 0.09 < watch.seconds <= time.perf_counter() - started


def test_time_between_blocks_does_not_count() -> None:
    watch = Stopwatch()
    started = time.perf_counter()
    with watch:
        pass
    time.sleep(0.05)
    with watch:
        pass
    assert watch.seconds <= time.perf_counter() - started - 0.05


def test_the_work_of_children_is_counted_while_they_live() -> None:
    before = _cpu_seconds()
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"\n"
        found = _cpu_seconds() - before
        child.communicate(b"\n", timeout=10)
    assert found >= 0.25


def test_a_model_is_real_when_it_is_a_folder(tmp_path: Path) -> None:
    def job(model: str) -> Job:
        return Job("update", "", "", "", "", model)

    assert job(str(tmp_path)).is_real
    assert not job("free-a").is_real
