"""How long the fault tests go on: RAG_TEST_PROFILE=nightly for the long form."""

from __future__ import annotations

import os
import random

# read at import: tests run without the RAG_ variables of whoever starts them
NIGHTLY = os.environ.get("RAG_TEST_PROFILE") == "nightly"
_SEED = os.environ.get("RAG_TEST_SEED")


def seeded() -> random.Random:
    """Random numbers whose seed is printed; RAG_TEST_SEED repeats a run."""
    seed = int(_SEED) if _SEED else random.SystemRandom().randrange(1_000_000)
    print(f"\nseed {seed}: repeat with RAG_TEST_SEED={seed}")
    return random.Random(seed)
