"""The report says what the parts found: reached or short, beside peers and limits."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.drawing import Bar, draw
from benchmarks.figures import FIGURES, Figure
from benchmarks.keeping import keep, kept
from benchmarks.parts import PARTS
from benchmarks.readings import Reading

RUNS = {"incremental": {"outcome": "done", "words": [], "seconds": 3.0, "load_average": 1.0}}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAG_BENCH_RESULTS", str(tmp_path))
    return tmp_path


def keep_engine(ours: float, theirs: float) -> None:
    """Two rounds of a cold update, the second twice as slow for both."""
    results = [
        {
            "round": number,
            "contender": name,
            "scenario": "cold",
            "embedded": 8000,
            "server_cpu_seconds": seconds * number,
            "outcome": {"seconds": seconds * number, "cpu_seconds": 0.0},
        }
        for number in (1, 2)
        for name, seconds in (("ours", ours), ("cocoindex", theirs), ("by_hand", ours / 2))
    ]
    keep("engine", {"results": results})


def rows(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("| cold ingest, engine only")]


def test_a_figure_past_its_goal_is_reached_and_one_below_says_why() -> None:
    keep_engine(1.0, 9.0)
    (reached,) = rows(report.write("full", RUNS))
    keep_engine(1.0, 4.0)
    page = report.write("full", RUNS)
    (short,) = rows(page)
    assert "| reached |" in reached
    assert "9.00x" in reached
    assert "| **short** |" in short
    assert f"* **{FIGURES[0].what}**: {FIGURES[0].short}" in page


def test_ratios_are_taken_within_a_round() -> None:
    keep_engine(1.0, 9.0)  # the second round is twice as slow for all: no ratio changes
    (row,) = rows(report.write("full", RUNS))
    assert "9.00x (9.00-9.00)" in row
    assert "CocoIndex 9.0x, by hand 0.5x" in row


def test_the_smaller_of_wall_and_processor_ratio_meets_the_goal() -> None:
    keep_engine(1.0, 9.0)
    found = kept("engine")
    for one in found["results"]:
        one["server_cpu_seconds"] = 1.0
    keep("engine", found)
    (row,) = rows(report.write("full", RUNS))
    assert "9.00x (9.00-9.00), in processor time 1.00x | **short**" in row


def test_what_was_not_measured_says_so() -> None:
    (row,) = rows(report.write("full", {}))
    assert "not measured" in row
    assert "reached" not in row


def test_memory_stands_beside_that_of_the_peers() -> None:
    keep("incremental-memory", [{"documents": 1000, "cold_mb": 90.0}])
    results = [
        {"contender": name, "scenario": "cold", "embedded": 1, "outcome": {"peak_rss_mb": peak}}
        for name, peak in (("ours", 92.0), ("cocoindex", 165.0), ("cocoindex", 229.0))
    ]
    keep("engine-large", {"results": results, "facts": {"documents": 10_000}})
    page = report.write("full", {})
    (row,) = (line for line in page.splitlines() if line.startswith("| memory of the ingest"))
    assert "| 10,000 documents: CocoIndex 229 MB |" in row


def test_a_put_stands_beside_the_peer_that_watches_its_source() -> None:
    keep("main_job", {"put_to_searchable_s": [8.0, 9.0, 10.0]})
    keep("put-peers", {"put_to_row_s": [0.5, 0.9, 1.9]})
    page = report.write("full", {})
    (row,) = (
        line for line in page.splitlines() if line.startswith("| object put to searchable, p50")
    )
    assert "| 9.0 s (3 puts, 8.0-10.0) | reached | CocoIndex, live, " in row
    assert "machine: 0.9 s |" in row


def test_the_record_of_parts_that_did_not_run_again_stays() -> None:
    report.write("full", RUNS)
    assert "| incremental |" in report.write("full", {})


def test_progress_is_one_at_the_goal_whichever_way_it_counts() -> None:
    most = Figure("a", 2.0, "", lambda: None)
    least = Figure("a", 2.0, "", lambda: None, is_least=True)
    assert most.progress(Reading(4.0, "")) == 2
    assert least.progress(Reading(4.0, "")) == 0.5
    assert most.progress(Reading(2.0, "")) == least.progress(Reading(2.0, "")) == 1


def test_every_figure_that_can_fall_short_in_speed_names_its_reason_once() -> None:
    named = [figure.what for figure in FIGURES]
    assert len(named) == len(set(named))
    assert all(figure.goal is None or figure.goal > 0 for figure in FIGURES)


def test_the_picture_is_a_bar_per_figure_right_of_the_goal_where_it_is_reached() -> None:
    root = ET.fromstring(draw("t", "s", [Bar("good", 2, "2", "1"), Bar("bad <b>", 0.5, "1", "2")]))
    space = "{http://www.w3.org/2000/svg}"
    (line,) = (one for one in root.iter(f"{space}line") if one.get("class") == "goal")
    goal = float(line.get("x1", ""))
    met, short = (
        next(one for one in root.iter(f"{space}rect") if one.get("class") == kind)
        for kind in ("met", "short")
    )
    assert float(met.get("x", "")) == pytest.approx(goal, abs=1)
    assert float(short.get("x", "")) + float(short.get("width", "")) == pytest.approx(goal, abs=1)
    assert "bad <b>" in [one.text for one in root.iter(f"{space}text")]


@pytest.mark.parametrize("progress", [0.0, 0.01, 1000.0, float("inf")])
def test_bars_stay_inside_the_picture(progress: float) -> None:
    root = ET.fromstring(draw("t", "s", [Bar("a", progress, "", "")]))
    bars = [one for one in root.iter() if one.get("class") in ("met", "short")]
    assert all(float(bar.get("x", "")) > 0 for bar in bars)
    assert all(float(b.get("x", "")) + float(b.get("width", "")) < 800 for b in bars)


def test_every_part_is_a_module_that_can_be_run() -> None:
    root = Path(report.__file__).parents[1]
    for part in PARTS:
        place = root / part.module.replace(".", "/")
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()
        assert part.timeout_s > 0
