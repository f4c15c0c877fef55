"""Who takes part: each contender's environment, its process, and how to read its rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import LiteralString

from benchmarks.incremental.job import Job, Outcome
from benchmarks.incremental.peers import environment_python

ROOT = Path(__file__).parents[2]
_TIMEOUT_S = 1800


@dataclass(frozen=True, slots=True)
class Contender:
    """One system under test. `rows` selects document, text, modified and the vector's head (its
    first 8 numbers, as real[]) of whatever its index serves."""

    name: str
    title: str
    environment: str | None  # None: this one
    rows: LiteralString
    # a time in LangChain's metadata would be part of every chunk's key: an edit would embed the
    # whole document again
    has_times: bool = True

    def start(self, job: Job) -> subprocess.Popen[str]:
        """Its process, doing the job."""
        python = environment_python(self.environment) if self.environment else sys.executable
        return subprocess.Popen(
            [str(python), "-m", f"benchmarks.incremental.contenders.{self.name}",
             json.dumps(asdict(job))],
            cwd=ROOT,
            env={**os.environ, "COCOINDEX_DISABLE_USAGE_TRACKING": "1", "PYTHONHASHSEED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def run(self, job: Job) -> Outcome:
        """Do the job to its end. Raises RuntimeError when the process fails."""
        process = self.start(job)
        output, errors = process.communicate(timeout=_TIMEOUT_S)
        if process.returncode:
            raise RuntimeError(f"{self.name} {job.step}: {errors.strip()[-2000:]}")
        return Outcome(**json.loads(output.strip().splitlines()[-1]))

    def killed_after(self, job: Job, seconds: float) -> bool:
        """Start the job and kill -9 its process when it has worked that long; False when it had
        ended by then."""
        process = self.start(job)
        deadline = time.monotonic() + _TIMEOUT_S
        while not job.started.exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.005)
        time.sleep(seconds)
        process.kill()
        process.communicate()
        return process.returncode == -9


OURS = Contender(
    "ours",
    "rag-assets",
    None,
    """select regexp_replace(document.uri, '^.*/(part-)', '\\1') as document, chunk.text,
        extract(epoch from document.modified_at)::bigint as modified,
        subvector(search_row.vector::vector, 1, 8)::real[] as head
    from collection
    join search_row on search_row.generation_id = collection.live_generation_id
    join document on document.id = search_row.document_id
    join chunk on chunk.chunk_set_id = search_row.chunk_set_id
        and chunk.ordinal = search_row.ordinal""",
)
OURS_SHARDED = replace(OURS, name="ours_sharded", title="rag-assets, a shard for each core")
COCOINDEX = Contender(
    "cocoindex",
    "CocoIndex",
    "cocoindex",
    """select document, text, modified, subvector(embedding::vector, 1, 8)::real[] as head
    from passage""",
)
LLAMAINDEX = Contender(
    "llamaindex",
    "LlamaIndex",
    "llamaindex",
    """select metadata_->>'ref_doc_id' as document, text,
        (metadata_->>'modified')::bigint as modified, subvector(embedding, 1, 8)::real[] as head
    from data_passage""",
)
LANGCHAIN = Contender(
    "langchain",
    "LangChain, PGVector v1",
    "langchain",
    """select cmetadata->>'source' as document, document as text, null as modified,
        subvector(embedding, 1, 8)::real[] as head
    from langchain_pg_embedding""",
    has_times=False,
)
LANGCHAIN2 = Contender(
    "langchain2",
    "LangChain, PGVectorStore v2",
    "langchain",
    """select langchain_metadata->>'source' as document, content as text,
        null as modified, subvector(embedding, 1, 8)::real[] as head
    from passage""",
    has_times=False,
)
BY_HAND = Contender(
    "by_hand",
    "by hand",
    None,
    """select document, text, modified, subvector(embedding, 1, 8)::real[] as head from passage""",
)
ROSTER = {
    item.name: item
    for item in (OURS, OURS_SHARDED, COCOINDEX, LLAMAINDEX, LANGCHAIN, BY_HAND, LANGCHAIN2)
}
