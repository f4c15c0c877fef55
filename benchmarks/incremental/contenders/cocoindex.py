"""CocoIndex 1.x: local files to a pgvector table; files and embeddings are memoised."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import asyncpg
import cocoindex as coco
import numpy as np
from cocoindex.connectors import localfs, postgres
from cocoindex.ops.sentence_transformers import SentenceTransformerEmbedder
from cocoindex.resources.file import FileLike
from cocoindex.resources.schema import VectorSchema
from numpy.typing import NDArray

from benchmarks.incremental.job import Job, contender, timed_transformer
from benchmarks.incremental.vectors import DIMENSION, Embedder

DATABASE = coco.ContextKey[asyncpg.Pool]("database")
ROOT = coco.ContextKey[Path]("root")
# a change of the model's name invalidates whatever used it
MODEL = coco.ContextKey[str]("model", detect_change=True)
_EMBEDDERS: dict[str, Embedder] = {}
_REAL: dict[str, SentenceTransformerEmbedder] = {}


@dataclass
class Passage:
    document: str
    ordinal: int
    text: str
    modified: int
    embedding: Annotated[NDArray[np.float32], VectorSchema(np.dtype(np.float32), DIMENSION)]


@coco.fn.as_async(batching=True, max_batch_size=1024)
def embed_batch(texts: list[str], model: str) -> list[NDArray[np.float32]]:
    return list(_EMBEDDERS[model].embed(texts))


@coco.fn(memo=True, version=1, logic_tracking="self")
async def embed(text: str, model: str) -> NDArray[np.float32]:
    return await embed_batch(text, model)


@coco.fn(memo=True)
async def index_file(
    item: tuple[FileLike[Path], int], table: postgres.TableTarget[Passage]
) -> None:
    file, modified = item
    model = coco.use_context(MODEL)
    paragraphs = (await file.read_text()).split("\n\n")
    if model in _REAL:
        vectors = await asyncio.gather(*map(_REAL[model].embed, paragraphs))
    else:
        vectors = await asyncio.gather(*(embed(text, model) for text in paragraphs))
    name = file.file_path.path.as_posix()
    for ordinal, (text, vector) in enumerate(zip(paragraphs, vectors, strict=True)):
        table.declare_row(row=Passage(name, ordinal, text, modified, vector))


@coco.fn
async def main() -> None:
    table = await postgres.mount_table_target(
        DATABASE,
        "passage",
        await postgres.TableSchema.from_class(Passage, primary_key=["document", "ordinal"]),
    )
    # the time is part of the input, so that a touched file's rows are written again
    files = [
        (key, (file, int((await file._ensure_metadata()).modified_time.timestamp())))
        async for key, file in localfs.walk_dir(ROOT, recursive=True).items()
    ]
    await coco.mount_each(index_file, files, table)


def prepare(job: Job) -> None:
    """The table is CocoIndex's own business; the extension is the administrator's."""

    async def extend() -> None:
        connection = await asyncpg.connect(job.url)
        await connection.execute("create extension if not exists vector")
        await connection.close()

    asyncio.run(extend())


def load(job: Job) -> None:
    """CocoIndex's own embedder, as it comes."""
    timed_transformer(job)
    _REAL[job.model] = SentenceTransformerEmbedder(job.model, device="cpu")
    _REAL[job.model]._get_model()


def update(job: Job) -> None:
    run(job, main)


def run(job: Job, main: Callable[[], Awaitable[None]], *, is_live: bool = False) -> None:
    """The app over the job's folder; a live one does not end."""
    if not job.is_real:
        _EMBEDDERS[job.model] = Embedder(job.model, Path(job.counter))

    @coco.lifespan
    async def lifespan(builder: coco.EnvironmentBuilder) -> AsyncIterator[None]:
        builder.settings.db_path = Path(job.state) / "lmdb"
        builder.provide(ROOT, Path(job.folder))
        builder.provide(MODEL, job.model)
        async with asyncpg.create_pool(job.url, min_size=2, max_size=10) as pool:
            builder.provide(DATABASE, pool)
            yield

    coco.App(coco.AppConfig(name="passages"), main).update_blocking(live=is_live)


if __name__ == "__main__":
    logging.disable(logging.INFO)
    contender(prepare, update, load)
