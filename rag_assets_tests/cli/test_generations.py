"""rag index and rag evaluate over a collection with fake engines."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag.asking import Embedders
from rag.cli import backend as backends
from rag.cli import workshop
from rag.evaluation.experiment import Lab
from rag.ingest.workshop import Workshop
from rag_assets_tests.cli.conftest import Rag
from rag_assets_tests.generations.conftest import Changing, changing

__all__ = ["changing"]

pytestmark = pytest.mark.slow

NAME = "acme/docs"


@pytest.fixture
def fake(changing: Changing, rag_with_database: Rag, monkeypatch: pytest.MonkeyPatch) -> Rag:
    """The command over the changing collection's engines."""

    @contextmanager
    def open_workshop(*arguments: object, **more: object) -> Iterator[Workshop]:
        yield changing.shop()

    def open_lab(backend: backends.Backend) -> Lab:
        settings = changing.shop().settings
        return Lab(backend.conn, settings, Embedders(settings, changing.engine))

    monkeypatch.setattr(workshop, "open_workshop", open_workshop)
    monkeypatch.setattr(workshop, "open_lab", open_lab)
    changing.settings |= {"gate_min_questions": 5}
    return rag_with_database


def test_a_generation_is_planned_built_judged_promoted_and_taken_back(
    fake: Rag, changing: Changing
) -> None:
    before = changing.live
    assert fake("collection", "set", NAME, "--gate", "--json").json["is_gated"]
    planned = fake("index", "plan", NAME, "--set", "embedding_model=other", "--json").json
    built = fake("index", "build", NAME, "--set", "embedding_model=other", "--revision", "v7",
                 "--json").json  # fmt: skip
    assert planned["vectors_new"] == built["embedded"] > 0
    assert not built["is_live"]
    listed = fake("index", "list", NAME, "--json").json
    assert [row["state"] for row in listed["generations"]] == ["building", "live"]
    assert listed["generations"][0]["revision"] == "v7"
    refused = fake("index", "promote", NAME, str(built["generation"]))
    assert (refused.code, "gate_not_passed" in refused.err) == (1, True)
    judged = fake("index", "gate", NAME, "--promote", "--json")
    assert judged.code == 0
    assert judged.json["passed"]
    assert changing.live == built["generation"]
    assert fake("index", "rollback", NAME, "--json").json["generation"] == before
    differing = fake("index", "compare", NAME, str(before), str(built["generation"]), "--json").json
    assert (differing["only_first"], differing["only_second"]) == (0, 0)
    assert fake("index", "purge", NAME, "--keep", "0", "--json").json["purged"] == [
        built["generation"]
    ]


def test_people_read_lines_and_tables(fake: Rag, changing: Changing) -> None:
    assert "6 documents: 0 to parse" in fake("index", "plan", NAME).out
    assert "waits" in fake("index", "build", NAME, "--set", "chunk_size=40", "--hold").out
    assert "building" in fake("index", "list", NAME).out
    assert "passes" in fake("index", "gate", NAME).out
    candidate = changing.rows()[0]["id"]
    assert "is retired" in fake("index", "retire", NAME, str(candidate)).out
    assert "Removed 1 retired generation" in fake("index", "purge", NAME, "--keep", "0").out


def test_a_gate_that_is_not_passed_ends_with_an_error(fake: Rag, changing: Changing) -> None:
    changing.settings["gate_min_questions"] = 999
    fake("index", "build", NAME, "--set", "chunk_size=40", "--hold")
    judged = fake("index", "gate", NAME)
    assert judged.code == 1
    assert "too few to judge" in judged.out


def test_a_dataset_is_imported_run_listed_and_exported(fake: Rag, tmp_path: Path) -> None:
    golden = tmp_path / "golden.csv"
    golden.write_text(
        "topic|question|answer|document\n"
        "Wind|instrument 3-2 of station 3|=1+1|station-3.txt\n"
        "|instrument 4-1 of station 4|It measures.|station-4.txt\n",
        encoding="utf-8",
    )
    assert fake("evaluate", "import", NAME, str(golden), "--json").json["items"] == 2
    again = fake("evaluate", "import", NAME, str(golden))
    assert "The 'golden' dataset already exists!" in again.err
    runs = [
        fake("evaluate", "run", NAME, "--metric", "MRR", "--metric", "RougeScore", "--json").json
        for _ in range(2)
    ]
    assert runs[0]["means"]["MRR"] == 1.0
    assert not runs[0]["is_synthetic"]
    resumed = fake("evaluate", "run", NAME, "--experiment", runs[0]["name"], "--json").json
    assert (resumed["done_now"], resumed["done_before"]) == (0, 2)
    names = [run["name"] for run in runs]
    for ending in ("csv", "xlsx", "html"):
        file = tmp_path / f"out.{ending}"
        assert fake("evaluate", "export", NAME, *names, "--to", str(file)).code == 0
        assert file.stat().st_size > 200
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="|"))
    assert rows[0][:5] == [
        "topic", "question", "expected answer", f"Response 1 ({names[0]})",
        f"Sources 1 ({names[0]})",
    ]  # fmt: skip
    assert rows[1][2] == "'=1+1"  # no formula for a spreadsheet
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "golden" in fake("evaluate", "list", NAME).out
    assert fake("evaluate", "export", NAME, names[0], "--to", "x.doc").code == 1


def test_synthetic_questions_are_marked(fake: Rag) -> None:
    assert fake("evaluate", "synthesize", NAME, "--questions", "9", "--json").json["items"] <= 9
    listed = fake("evaluate", "list", NAME, "--json").json
    assert [row["is_synthetic"] for row in listed["datasets"]] == [True]
