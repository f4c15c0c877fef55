"""CocoIndex 1.x in live mode: it watches the folder, and a file that changes is indexed at once."""

from __future__ import annotations

import logging
from pathlib import Path

import cocoindex as coco
from cocoindex.connectors import localfs, postgres
from cocoindex.resources.file import FileLike

from benchmarks.incremental.contenders.cocoindex import (
    DATABASE,
    ROOT,
    Passage,
    index_file,
    load,
    prepare,
    run,
)
from benchmarks.incremental.job import Job, contender


@coco.fn(memo=True)
async def index_changed(file: FileLike[Path], table: postgres.TableTarget[Passage]) -> None:
    await index_file((file, 0), table)


@coco.fn
async def main() -> None:
    table = await postgres.mount_table_target(
        DATABASE,
        "passage",
        await postgres.TableSchema.from_class(Passage, primary_key=["document", "ordinal"]),
    )
    watched = localfs.walk_dir(ROOT, recursive=True, live=True)
    await coco.mount_each(index_changed, watched.items(), table)


def update(job: Job) -> None:
    """Until it is killed."""
    run(job, main, is_live=True)


if __name__ == "__main__":
    logging.disable(logging.INFO)
    contender(prepare, update, load)
