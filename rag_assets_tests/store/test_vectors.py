"""How a question's vector reaches the server."""

from __future__ import annotations

import subprocess
import sys

import pytest

_SEARCHES_LATE = """
import sys
import numpy as np
from rag.store.database import connect

with connect(sys.argv[1]) as conn:
    conn.execute("select 1")
    from pgvector import HalfVector
    import rag.store.lookup

    given = {"vector": HalfVector(np.array([1, -0.5], np.float32))}
    row = conn.execute("select (%(vector)b::halfvec(2))::text as said", given).fetchone()
    print(row["said"])
"""


@pytest.mark.slow
def test_a_connection_that_is_older_than_the_first_search_takes_vectors(database_url: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", _SEARCHES_LATE, database_url],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert said.stdout == "[1,-0.5]\n"
