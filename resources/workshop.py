"""The tools of one stage of one run, put together from the other resources."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from resources.embedder import EmbedderResource
from resources.object_store import ObjectStoreResource
from resources.parser import ParserResource
from resources.postgres import DatabaseResource

if TYPE_CHECKING:
    from rag.ingest.workshop import Workshop

Say = Callable[[str], None]
_PAGES_EVERY_S = 10.0


class WorkshopResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """What every stage works with: the store, sources, parser and embedder of this run."""

    database: DatabaseResource
    object_store: ObjectStoreResource
    parser: ParserResource
    embedder: EmbedderResource

    @contextmanager
    def open(self, run_id: str, say: Say) -> Iterator[Workshop]:
        """A workshop with a connection of its own, closed at the end of the block. Progress is
        said at every tenth of a stage."""
        from rag.ingest.spool import Spool
        from rag.ingest.workshop import Workshop
        from rag.settings import load_settings

        settings = load_settings()
        with self.database.connect() as conn:
            yield Workshop(
                conn=conn,
                database_url=self.database.address(),
                settings=settings,
                spool=Spool(settings.home / "spool"),
                open_source=self.object_store.open_source,
                parser=self.parser.parser(),
                tokenizer=self.embedder.tokenizer(),
                embedder=self.embedder.embedder(),
                run_id=run_id,
                progress=said_in_tenths(say),
                on_page=said_at_times(say),
                open_engines=self.embedder.engines,
            )


def said_in_tenths(say: Say) -> Callable[[str, int, int], None]:
    """Progress that speaks only when another tenth of the work is done: each line is a row in
    Dagster's event log."""
    last: dict[str, int] = {}

    def progress(stage: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else done.bit_length()
        if done and tenth != last.get(stage, 0):
            last[stage] = tenth
            say(f"{stage}: {done:,} of {total:,} documents" if total else f"{stage}: {done:,} done")

    return progress


def said_at_times(say: Say) -> Callable[[str, int, int], None]:
    """Pages of the documents that take long, one line every ten seconds."""
    last = time.monotonic()

    def on_page(name: str, page: int, pages: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PAGES_EVERY_S:
            last = now
            say(f"parsed_documents: {name} page {page:,} of {pages:,}")

    return on_page
