"""The contender written by hand keeps a right index: a rival that is wrong would prove nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.incremental.contenders.by_hand import prepare, update
from benchmarks.incremental.documents import Corpus
from benchmarks.incremental.job import Job
from benchmarks.incremental.oracle import Verdict, judge
from benchmarks.incremental.roster import BY_HAND
from benchmarks.incremental.vectors import Counter

DOCUMENTS, PARAGRAPHS = 20, 8


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    made = Corpus(tmp_path / "corpus")
    made.fill(DOCUMENTS)
    return made


@pytest.fixture
def job(empty_database: str, tmp_path: Path, corpus: Corpus) -> Job:
    made = Job(
        "update", empty_database, str(corpus.folder), str(tmp_path), str(tmp_path / "n"), "free"
    )
    prepare(made)
    return made


def embedded(job: Job, corpus: Corpus) -> int:
    """Texts embedded by an update, which leaves exactly what the corpus says."""
    before = Counter(Path(job.counter)).value
    update(job)
    rows = len(corpus.texts) * PARAGRAPHS
    assert judge(BY_HAND, job.url, corpus.passages(), job.model) == Verdict(rows, 0, 0)
    return Counter(Path(job.counter)).value - before


def test_every_change_ends_in_the_right_rows_at_the_price_of_whole_files(
    job: Job, corpus: Corpus
) -> None:
    assert embedded(job, corpus) == DOCUMENTS * PARAGRAPHS
    assert embedded(job, corpus) == 0
    assert corpus.touch(0.1) == 2
    assert embedded(job, corpus) == 0
    assert corpus.edit(0.1) == 2
    assert embedded(job, corpus) == 2 * PARAGRAPHS
    assert corpus.rename(0.1) == 2
    assert embedded(job, corpus) == 2 * PARAGRAPHS
    assert corpus.delete(0.1) == 2
    assert embedded(job, corpus) == 0
