"""Compares what an index serves with what the corpus says it must."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import psycopg

from benchmarks.incremental.documents import Passage
from benchmarks.incremental.roster import Contender
from benchmarks.incremental.vectors import vectors_of

_HEAD = 8
_TOLERANCE = 1e-3  # halfvec keeps 11 bits


@dataclass(frozen=True, slots=True)
class Verdict:
    """Rows that are as they must be; that must not be there, or have an old time or vector; and
    that are not there."""

    right: int
    wrong: int
    missing: int


def judge(contender: Contender, url: str, wanted: Iterable[Passage], model: str) -> Verdict:
    """Every row of the contender's index against the corpus, a row matching at most once."""
    open_rows = Counter(
        wanted if contender.has_times else (replace(passage, modified=0) for passage in wanted)
    )
    wanted_total = open_rows.total()
    right = wrong = 0
    with psycopg.connect(url) as conn, conn.cursor("rows", binary=True) as cursor:
        cursor.itersize = 4000
        cursor.execute(contender.rows)
        while rows := cursor.fetchmany(4000):
            heads = vectors_of([row[1] for row in rows], model)[:, :_HEAD]
            near = np.abs(np.array([row[3] for row in rows]) - heads).max(axis=1) < _TOLERANCE
            for (document, text, modified, _), has_vector in zip(rows, near, strict=True):
                passage = Passage(document, text, int(modified or 0))
                if has_vector and open_rows[passage] > 0:
                    open_rows[passage] -= 1
                    right += 1
                else:
                    wrong += 1
    return Verdict(right, wrong, wanted_total - right)
