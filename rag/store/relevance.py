"""How near passages are to a question: the fused score of a search says nothing of that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from rag.model import Hit
from rag.store.database import Connection
from rag.store.queries import statements


def similarities(
    conn: Connection, generation: int, vector: NDArray[np.float32], hits: Sequence[Hit]
) -> dict[tuple[int, int], float]:
    """Cosine similarity of each hit, by document id and ordinal."""
    if not hits:
        return {}
    rows = conn.execute(
        statements("relevance")["similarities"],
        {
            "generation_id": generation,
            "vector": HalfVector(vector),
            "documents": [hit.document_id for hit in hits],
            "ordinals": [hit.ordinal for hit in hits],
        },
    )
    return {(row["document_id"], row["ordinal"]): float(row["similarity"]) for row in rows}
